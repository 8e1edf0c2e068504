"""``gateway redaction`` against the real API."""

from __future__ import annotations

from gateway.text.policy import DEFAULT, ENTITIES
from tests.cli.conftest import Place


async def test_list(place: Place) -> None:
    ended = await place.ask("redaction", "list")
    assert ended.code == 0, ended.err
    head, *lines = ended.out.splitlines()
    assert head.split() == ["entity", "hidden", "what"]
    assert [line.split()[:2] for line in lines] == [
        [entity.value, "yes" if entity in DEFAULT else "no"] for entity in sorted(ENTITIES)
    ]
    assert "E-mail addresses, spoken or written" in ended.out


async def test_on_and_off(place: Place) -> None:
    ended = await place.ask("redaction", "enable", "email", "NAME", "--json")
    assert ended.code == 0, ended.err
    assert [(one["id"], one["policies"]["autoTranscribe"]) for one in ended.json] == [("EMAIL", True), ("NAME", True)]
    ended = await place.ask("redaction", "disable", "EMAIL")
    assert ended.out.splitlines()[1].split()[:2] == ["EMAIL", "no"]
    assert (await place.store.configuration(place.key.account_id)).redaction == {"EMAIL": False, "NAME": True}
    listed = (await place.ask("redaction", "list", "--json")).json
    assert {one["id"] for one in listed if one["policies"]["autoTranscribe"]} == {*DEFAULT.active, "NAME"}


async def test_a_locked_one(place: Place) -> None:
    ended = await place.ask("redaction", "disable", "CVV")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: CVV was refused: 403-01 Forbidden: CVV is locked")


async def test_of_several_each_is_reported(place: Place) -> None:
    await place.ask("redaction", "enable", "EMAIL")
    ended = await place.ask("redaction", "disable", "CVV", "EMAIL", "NOPE")
    assert (ended.code, ended.out) == (2, "")
    assert "no such entity: NOPE" in ended.err
    assert (await place.store.configuration(place.key.account_id)).redaction == {"EMAIL": True}
    ended = await place.ask("redaction", "disable", "CVV", "EMAIL")
    assert ended.code == 1
    assert "CVV was refused: 403-01" in ended.err
    assert [line.split()[:2] for line in ended.out.splitlines()[1:]] == [["EMAIL", "no"]]


async def test_an_unknown_one(place: Place) -> None:
    ended = await place.ask("redaction", "enable", "a/b?c")
    assert ended.code == 2
    assert ended.err.startswith("error: no such entity: A/B?C; nothing was changed")
