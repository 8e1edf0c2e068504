from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from models import manifest
from models.manifest import PypiSource

ENTRY = """
[[model]]
name = "{name}"
what = "w"
licence = "MIT"
source = {{ kind = "{kind}", url = "https://example.com/a", file = "{file}", sha256 = "{digest}", size = 1 }}
member = [{{ file = "a", sha256 = "{digest}", size = 1 }}]
"""
GOOD = {"name": "m", "kind": "url", "file": "a", "digest": "0" * 64}


def test_the_shipped_manifest_pins_the_default_models() -> None:
    known = manifest.known()
    assert list(known) == ["moonshine-tiny-en", "silero-vad"]
    assert all(entry.default and entry.licence == "MIT" for entry in known.values())
    source = known["moonshine-tiny-en"].source
    assert isinstance(source, PypiSource)
    assert (source.project, source.version, source.platform) == (
        "moonshine-voice",
        "0.1.0",
        "manylinux_2_34_x86_64",
    )
    assert known["silero-vad"].member[0].file == "silero_vad.onnx"


def test_a_url_source_is_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(ENTRY.format(**GOOD))
    assert manifest.read(path)["m"].source.label == "https://example.com/a"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "ftp"},
        {"digest": "xyz"},
        {"file": "../outside"},
        {"file": ".hidden"},
        {"name": "../outside"},
        {"name": ""},
    ],
)
def test_a_wrong_entry_is_refused(tmp_path: Path, wrong: dict[str, str]) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(ENTRY.format(**GOOD | wrong))
    with pytest.raises(ConfigError, match="manifest"):
        manifest.read(path)


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    member = f'{{ file = "a", sha256 = "{"0" * 64}", size = 1 }}'
    path.write_text(ENTRY.format(**GOOD).replace(f"[{member}]", f"[{member}, {member}]"))
    with pytest.raises(ConfigError, match="same file name"):
        manifest.read(path)


@pytest.mark.parametrize("content", [b"[[model", b"\xff\xfe"])
def test_what_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not valid TOML"):
        manifest.read(path)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        manifest.read(tmp_path / "nowhere.toml")


def test_an_unknown_model_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"no model 'nope'; there are moonshine-tiny-en, silero-vad"):
        manifest.model("nope")
