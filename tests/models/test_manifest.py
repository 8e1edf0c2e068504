from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from models import checksums, manifest
from models.manifest import PypiSource

ENTRY = """
[[model]]
name = "{name}"
family = "{family}"
what = "w"
licence = "MIT"
languages = {languages}
source = {{ kind = "{kind}", url = "{url}" }}
member = [{members}]
"""
MEMBERS = ", ".join(
    f'{{ file = "{file}", sha256 = "{"0" * 64}", size = 1 }}'
    for file in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
)
GOOD = {
    "name": "m",
    "family": "moonshine",
    "languages": '["de"]',
    "kind": "url",
    "url": "https://example.com/a",
    "members": MEMBERS,
}


LANGUAGES = {"en", "es", "ar", "ja", "ko", "uk", "vi", "zh"}


def test_the_shipped_manifest_pins_the_default_models() -> None:
    known = manifest.known()
    default = {name: entry for name, entry in known.items() if entry.default}
    assert list(default) == ["moonshine-tiny-en", "silero-vad"]
    assert all(entry.licence == "MIT" for entry in default.values())
    source = known["moonshine-tiny-en"].source
    assert isinstance(source, PypiSource)
    assert (source.project, source.version, source.platform) == (
        "moonshine-voice",
        "0.1.0",
        "manylinux_2_34_x86_64",
    )
    assert known["silero-vad"].member[0].file == "silero_vad.onnx"


def test_every_shipped_model_is_pinned_and_says_its_terms() -> None:
    for entry in manifest.known().values():
        assert entry.unknown == ()
        assert all(member.size for member in entry.member)
        assert (entry.licence == "MIT") == (entry.terms is None)
        assert entry.source.kind == "pypi" or entry.source.url.startswith("https://")


def test_the_languages_that_the_publisher_has() -> None:
    read = {entry.name: entry.languages for entry in manifest.known().values() if entry.family == "moonshine"}
    assert {language for languages in read.values() for language in languages} == LANGUAGES
    # Every other language is under the publisher's own licence.
    assert {entry.languages for entry in manifest.known().values() if entry.terms is None} == {("en",), ()}


def test_a_url_source_is_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(ENTRY.format(**GOOD))
    assert manifest.read(path)["m"].source.label == "https://example.com/a"


@pytest.mark.parametrize(
    ("project", "version", "field"),
    [
        ("--index-url=https://example.com/", "1", "project"),
        ("p @ file:///tmp/p.whl", "1", "project"),
        ("p", "*", "version"),
    ],
)
def test_pip_is_given_a_name_and_a_version_alone(tmp_path: Path, project: str, version: str, field: str) -> None:
    path = tmp_path / "manifest.toml"
    pinned = f'file = "w.whl", sha256 = "{"0" * 64}", size = 1'
    wheel = f'kind = "pypi", project = "{project}", version = "{version}", {pinned}'
    path.write_text(ENTRY.format(**GOOD).replace('kind = "url", url = "https://example.com/a"', wheel))
    with pytest.raises(ConfigError, match=rf"model m: source: pypi: {field}: "):
        manifest.read(path)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"kind": "ftp"}, "model m: source: "),
        ({"url": "ftp://example.com/a"}, "model m: source: url: url: "),
        ({"url": "https://user:secret@example.com/a"}, "model m: source: url: url: "),
        ({"url": "https://example.com/a?key=secret"}, "model m: source: url: url: "),
        ({"family": "whisper"}, "model m: family: Input should be 'moonshine' or 'silero-vad'"),
        ({"languages": '["en-US"]'}, "model m: languages: 0: "),
        ({"members": MEMBERS.replace("0" * 64, "xyz")}, "model m: member: 0: sha256: "),
        ({"members": MEMBERS.replace("tokenizer.bin", "../outside")}, "model m: member: 2: file: "),
        ({"members": MEMBERS.replace("tokenizer.bin", ".hidden")}, "model m: member: 2: file: "),
        ({"name": "../outside"}, r"model \.\./outside: name: "),
        ({"name": ""}, "model : name: "),
    ],
)
def test_a_wrong_entry_is_refused_by_name(tmp_path: Path, wrong: dict[str, str], complaint: str) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(ENTRY.format(**GOOD | wrong))
    with pytest.raises(ConfigError, match=rf"manifest\.toml: {complaint}") as caught:
        manifest.read(path)
    assert "secret" not in str(caught.value)


def test_what_is_no_entry_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    for content, complaint in (
        ("[[models]]", "model: Field required"),
        ("[[model]]", "model number 1: name: Field req"),
    ):
        path.write_text(content)
        with pytest.raises(ConfigError, match=complaint):
            manifest.read(path)


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(ENTRY.format(**GOOD | {"members": f"{MEMBERS}, {MEMBERS}"}))
    with pytest.raises(ConfigError, match="same file name"):
        manifest.read(path)


def test_another_architecture_is_told_what_would_run(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(ENTRY.format(**GOOD | {"members": MEMBERS.replace("encoder_model", "frontend")}))
    with pytest.raises(ConfigError, match=r"lacks encoder_model\.ort: .* an encoder and a merged decoder; streaming"):
        manifest.read(path)


def test_a_recognizer_without_languages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(ENTRY.format(**GOOD | {"languages": "[]"}))
    with pytest.raises(ConfigError, match=r"m names no languages; .* languages = \['en'\]"):
        manifest.read(path)


def test_what_is_read_out_of_a_wheel_is_pinned(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    wheel = f'kind = "pypi", project = "p", version = "1", file = "w.whl", sha256 = "{"0" * 64}", size = 1'
    path.write_text(ENTRY.format(**GOOD).replace('kind = "url", url = "https://example.com/a"', wheel))
    with pytest.raises(ConfigError, match="need path, sha256 and size"):
        manifest.read(path)


def test_the_owners_list_adds_and_replaces(tmp_path: Path) -> None:
    assert manifest.catalogue(tmp_path) == manifest.known()
    (tmp_path / "models.toml").write_text(
        ENTRY.format(**GOOD) + ENTRY.format(**GOOD | {"name": "moonshine-tiny-en", "languages": '["en", "de"]'})
    )
    found = manifest.catalogue(tmp_path)
    assert set(found) == {*manifest.known(), "m"}
    assert found["moonshine-tiny-en"].languages == ("en", "de")
    assert found["moonshine-base-en"] == manifest.model("moonshine-base-en")


def test_open_checksums_are_filled_from_the_record_and_pinned_ones_are_not(tmp_path: Path) -> None:
    members = MEMBERS.replace(f', sha256 = "{"0" * 64}", size = 1', "", 1)
    (tmp_path / "models.toml").write_text(ENTRY.format(**GOOD | {"members": members}))
    assert manifest.find(tmp_path, "m").unknown == ("encoder_model.ort",)
    checksums.record(tmp_path, "m", {"encoder_model.ort": "1" * 64, "tokenizer.bin": "2" * 64})
    found = {member.file: member.sha256 for member in manifest.find(tmp_path, "m").member}
    assert found == {
        "encoder_model.ort": "1" * 64,
        "decoder_model_merged.ort": "0" * 64,
        "tokenizer.bin": "0" * 64,
    }


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
    with pytest.raises(
        ConfigError, match=r"no model 'nope'; there are moonshine-tiny-en, silero-vad, moonshine-base-en"
    ):
        manifest.model("nope")
