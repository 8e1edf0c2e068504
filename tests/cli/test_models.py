"""The command as a user runs it: real settings, real exit codes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.models import app
from gateway.errors import ConfigError
from tests.cli.command import Ended, run_here
from tests.models.site import Site, serving


def gateway(*args: str, models_dir: Path, **variables: str) -> Ended:
    environment = {
        "GATEWAY_MODELS_DIR": str(models_dir),
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(models_dir / "none"),
        "no_proxy": "127.0.0.1",
    }
    return run_here("models", *args, **environment | variables)


def test_list_shows_what_is_here(tmp_path: Path) -> None:
    done = gateway("list", "--json", models_dir=tmp_path)
    entries = {entry["name"]: entry for entry in json.loads(done.out)}
    assert not entries["moonshine-tiny-en"]["present"]
    assert entries["silero-vad"]["source"] == "PyPI silero-vad 6.2.3"
    table = gateway("list", models_dir=tmp_path)
    assert "moonshine-tiny-en" in table.out
    assert entries["moonshine-base-es"]["languages"] == ["es"]
    assert "registration" in entries["moonshine-base-es"]["terms"]
    assert "Moonshine Community: non-commercial use" in table.err
    assert (done.code, table.code) == (0, 0)


def test_verify_fails_for_what_is_not_here(tmp_path: Path) -> None:
    done = gateway("verify", "silero-vad", "--json", models_dir=tmp_path)
    assert done.code == 1
    (entry,) = json.loads(done.out)
    assert not entry["ok"]
    assert "run `gateway models fetch silero-vad`" in entry["problem"]


def test_fetch_without_a_registry_is_one_line(tmp_path: Path) -> None:
    done = gateway("fetch", "silero-vad", models_dir=tmp_path)
    assert done.code == 1
    assert "PyPI silero-vad 6.2.3 could not be downloaded" in " ".join(done.err.split())
    assert "Traceback" not in done.err
    assert [path.name for path in tmp_path.iterdir()] == [".silero-vad.lock"]


def test_an_unknown_name_is_the_callers_mistake(tmp_path: Path) -> None:
    done = gateway("fetch", "nope", models_dir=tmp_path)
    assert done.code == 2
    assert "there is no model 'nope'" in " ".join(done.err.split())


MEMBERS = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")


def own_list(models_dir: Path, url: str) -> None:
    """The owner's list with one model on the web whose checksums are open."""
    models_dir.mkdir()
    members = ", ".join(f'{{ file = "{file}" }}' for file in MEMBERS)
    (models_dir / "models.toml").write_text(
        f"""
        [[model]]
        name = "moonshine-own"
        family = "moonshine"
        what = "our own"
        licence = "ours"
        languages = ["de"]
        tokens_per_second = 8
        source = {{ kind = "url", url = "{url}" }}
        member = [{members}]
        """
    )


@pytest.fixture
def site() -> Iterator[Site]:
    """A server that has the files of a model, which are no graphs."""
    with serving(Site({f"/own/{file}": file.encode() for file in MEMBERS})) as running:
        yield running


def test_the_owners_checksums_decide(site: Site, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    own_list(cache, f"{site.url}/own")
    (entry,) = (e for e in json.loads(gateway("list", "--json", models_dir=cache).out) if e["name"] == "moonshine-own")
    assert (entry["languages"], entry["checksumsMissing"]) == (["de"], list(MEMBERS))
    sums = {file: hashlib.sha256(file.encode()).hexdigest() for file in MEMBERS}
    options = [f"--sha256={file}={digest}" for file, digest in sums.items()]
    refused = gateway("fetch", "moonshine-own", *options[:2], models_dir=cache)
    assert (refused.code, site.asked) == (1, [])
    assert "no checksum is known of tokenizer.bin" in " ".join(refused.err.split())
    wrong = gateway("fetch", "moonshine-own", *options[:2], f"--sha256=tokenizer.bin={'0' * 64}", models_dir=cache)
    assert wrong.code == 1
    assert "tokenizer.bin has the wrong checksum" in " ".join(wrong.err.split())
    done = gateway("fetch", "moonshine-own", *options, "--json", models_dir=cache)
    assert json.loads(done.out)[0]["fetched"]
    assert json.loads((cache / "checksums.json").read_text()) == {"moonshine-own": sums}
    assert gateway("verify", "moonshine-own", models_dir=cache).code == 0


def test_what_is_trusted_is_shown_and_then_binds(site: Site, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    own_list(cache, "https://models.example.com/own")
    site.files = {f"/mirror/moonshine-own{path.removeprefix('/own')}": body for path, body in site.files.items()}
    mirror = f"{site.url}/mirror"
    done = gateway("fetch", "moonshine-own", "--trust", models_dir=cache, GATEWAY_MODELS_URL=mirror)
    digest = hashlib.sha256(b"tokenizer.bin").hexdigest()
    assert f"moonshine-own: trusted tokenizer.bin, sha256 {digest}" in done.err
    assert "moonshine-own will run as it came: " in done.err  # text is no graph
    (cache / "moonshine-own" / "tokenizer.bin").write_bytes(b"TOKENIZER.BIN")
    assert gateway("verify", "moonshine-own", models_dir=cache).code == 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--sha256", "tokenizer.bin=abc"], "must be FILE=SHA256"),
        (["--sha256", f"x={'0' * 64}"], r"has no file x, it has encoder_model\.ort"),
        (["--sha256", f"tokenizer.bin={'0' * 64}"], r"is known of tokenizer\.bin; an entry in models\.toml"),
        (["silero-vad", "--sha256", f"x={'0' * 64}"], "--sha256 is for one model"),
        (["--from", "/nowhere"], "--from /nowhere: there is no such file or folder"),
    ],
)
def test_a_wrong_option_is_the_callers_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], complaint: str
) -> None:
    monkeypatch.setenv("GATEWAY_MODELS_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match=complaint):
        CliRunner().invoke(app, ["fetch", "moonshine-tiny-en", *options], catch_exceptions=False)


@pytest.mark.parametrize(
    ("recognizer", "needed"),
    [
        ("moonshine-tiny-en", ["moonshine-tiny-en", "silero-vad"]),
        ("moonshine-base-es", ["moonshine-base-es", "silero-vad"]),
        ("none", ["moonshine-tiny-en", "silero-vad"]),
    ],
)
def test_without_names_those_are_meant_that_the_settings_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recognizer: str, needed: list[str]
) -> None:
    monkeypatch.setenv("GATEWAY_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("GATEWAY_ASR__MODEL", recognizer)
    done = CliRunner().invoke(app, ["verify", "--json"], catch_exceptions=False)
    assert [entry["name"] for entry in json.loads(done.stdout)] == needed


def test_a_wrong_mirror_is_the_callers_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_MODELS_URL", "ftp://example.com")
    with pytest.raises(ConfigError, match="GATEWAY_MODELS_URL"):
        CliRunner().invoke(app, ["list"], catch_exceptions=False)


@pytest.mark.slow
def test_a_machine_without_a_network_takes_them_from_a_folder(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "models" / "cache"
    done = gateway("fetch", "--from", str(source), "--json", models_dir=tmp_path)
    assert [entry["fetched"] for entry in json.loads(done.out)] == [True, True]
    assert gateway("verify", models_dir=tmp_path).code == 0
    assert list(tmp_path.glob("moonshine-tiny-en/prepared-*/step.onnx"))


@pytest.mark.slow
def test_the_fetched_models_are_right_and_fetched_no_more() -> None:
    models_dir = Path(__file__).parents[2] / "models" / "cache"
    assert gateway("verify", models_dir=models_dir).code == 0
    done = gateway("fetch", "--json", models_dir=models_dir)
    assert [entry["fetched"] for entry in json.loads(done.out)] == [False, False]
