"""``gateway vocabulary`` against the real API."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.vocabulary import read_phrases
from gateway.errors import UsageError
from gateway.speech.vocabulary import MAX_ENTRIES
from tests.cli.conftest import Place

PHRASES = [("IEEE", ["I triple E"]), ("Ærø, the island", ["air oh", "ero"]), ("Acme", [])]
CSV = '\ufeffIEEE,I triple E\n\n"Ærø, the island", air oh ,ero\nAcme,\n'
JSON = """[{"id": "x", "phrase": "IEEE", "soundsLike": ["I triple E"]},
 {"phrase": "Ærø, the island", "soundsLike": ["air oh", "ero"]}, {"phrase": "Acme"}]"""


async def test_add_list_remove(place: Place) -> None:
    ended = await place.ask("vocabulary", "list")
    assert (ended.code, ended.out, ended.err) == (0, "", "no phrases\n")
    ended = await place.ask("vocabulary", "add", "IEEE", "--sounds-like", "I triple E", "--sounds-like", "[red]x[/]")
    assert ended.code == 0, ended.err
    ended = await place.ask("vocabulary", "list")
    head, line = ended.out.splitlines()
    assert head.split() == ["id", "phrase", "sounds", "like"]
    phrase_id, *shown = line.split()
    assert shown == ["IEEE", "I", "triple", "E,", "[red]x[/]"]
    (listed,) = (await place.ask("vocabulary", "list", "--json")).json
    assert listed == {"id": phrase_id, "phrase": "IEEE", "soundsLike": ["I triple E", "[red]x[/]"]}
    assert (await place.ask("vocabulary", "add", "ieee")).err.startswith("error: the phrase was refused: 409-01 ")
    ended = await place.ask("vocabulary", "remove", " ieee")
    assert (ended.code, ended.out) == (0, "removed: IEEE\n")
    ended = await place.ask("vocabulary", "remove", phrase_id)
    assert (ended.code, ended.err) == (1, "error: no such phrase; `gateway vocabulary list` shows them\n")


async def test_more_than_a_page_is_listed(place: Place) -> None:
    for number in range(150):
        await place.store.add_phrase(place.key.account_id, f"phrase {number}", (), limit=MAX_ENTRIES)
    ended = await place.ask("vocabulary", "list", "--json")
    assert {one["phrase"] for one in ended.json} == {f"phrase {number}" for number in range(150)}
    assert len(ended.json) == 150


async def test_import(place: Place) -> None:
    await place.store.add_phrase(place.key.account_id, "acme", (), limit=MAX_ENTRIES)
    file = place.directory / "words.csv"
    file.write_text(CSV + "much too long," + "x" * 41 + "\n", encoding="utf-8")
    ended = await place.ask("vocabulary", "import", str(file), "--json")
    assert ended.code == 1
    assert [(one["phrase"], one["soundsLike"]) for one in ended.json["added"]] == PHRASES[:2]
    assert ended.json["known"] == 1
    (refused,) = ended.json["refused"]
    assert refused["entry"] == 4
    assert "400-01" in refused["reason"]
    ended = await place.ask("vocabulary", "import", str(file))
    assert (ended.code, ended.out) == (1, "0 added, 3 were there already, 1 refused\n")
    assert ended.err.startswith(f"{file}, entry 4: the phrase was refused: 400-01 ")
    assert "x" * 41 not in ended.err


@pytest.mark.parametrize(("name", "content"), [("a.csv", CSV), ("a.txt", CSV), ("a.json", JSON), ("a.JSON", JSON)])
def test_files(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_phrases(tmp_path / name) == PHRASES


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"{", "must be a JSON array"),
        ("a.json", b"{}", "must be a JSON array"),
        ("a.json", b'["IEEE"]', "must be a JSON array"),
        ("a.json", b'[{"phrase": 1}]', "must be a JSON array"),
        ("a.json", b'[{"phrase": "a", "soundsLike": "b"}]', "must be a JSON array"),
        ("a.json", b'[{"phrase": "a", "soundsLike": [1]}]', "must be a JSON array"),
        ("a.csv", b'"a', "is no CSV"),
        ("a.csv", b"\xff", "it is not UTF-8"),
        ("a.csv", b"a\n" * 600_000, "larger than 1 MiB"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_phrases(tmp_path / name)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_phrases(tmp_path / "missing.csv")
