"""The configuration API, over the real store."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.context import ApiContext
from gateway.errors import StoreError
from gateway.speech.vocabulary import MAX_ENTRIES, Phrase
from gateway.store.records import NewKey
from gateway.store.store import Store
from gateway.text.policy import DEFAULT, ENTITIES, Entity
from tests.api.conftest import Client, error_of

ENTITIES_PATH = "/configuration/v1/redaction-entities"
WORDS_PATH = "/configuration/v1/custom-vocabularies"
UNKNOWN = "0" * 26


@pytest.fixture
async def other(client: Client, store: Store) -> AsyncIterator[Client]:
    """Another account's client."""
    key = await store.create_key("test", "other")
    assert isinstance(client.server, TestServer)
    headers = {"asapp-api-id": key.api_id, "asapp-api-secret": key.api_secret}
    async with TestClient(client.server, headers=headers) as client_of_other:
        yield client_of_other


async def get(client: Client, path: str, **query: str) -> Any:
    response = await client.get(path, params=query)
    assert response.status == 200, await response.text()
    return await response.json()


async def patch(client: Client, entity: str, **policies: object) -> Any:
    response = await client.patch(f"{ENTITIES_PATH}/{entity}", json={"policies": policies})
    assert response.status == 200, await response.text()
    return await response.json()


async def add(client: Client, phrase: str, *sounds: str) -> Any:
    response = await client.post(WORDS_PATH, json={"phrase": phrase, "soundsLike": sounds})
    assert response.status == 201, await response.text()
    return await response.json()


class TestEntities:
    async def test_all_of_them_by_id(self, client: Client) -> None:
        body = await get(client, ENTITIES_PATH)
        assert set(body) == {"redactionEntities", "nextCursor", "prevCursor"}
        assert (body["nextCursor"], body["prevCursor"]) == (None, None)
        listed = body["redactionEntities"]
        assert [entity["id"] for entity in listed] == sorted(ENTITIES)
        for entity in listed:
            assert set(entity) == {"id", "description", "policies"}
            assert entity["description"]
            assert entity["policies"] == {"autoTranscribe": Entity(entity["id"]) in DEFAULT}

    @pytest.mark.parametrize("slash", ["", "/"])
    async def test_pages(self, client: Client, slash: str) -> None:
        first = await get(client, ENTITIES_PATH + slash, limit="5")
        assert first["prevCursor"] is None
        second = await get(client, ENTITIES_PATH + slash, limit="5", cursor=first["nextCursor"])
        names = [entity["id"] for entity in first["redactionEntities"] + second["redactionEntities"]]
        assert names == sorted(ENTITIES)[:10]
        assert await get(client, ENTITIES_PATH, limit="5", cursor=second["prevCursor"]) == first

    @pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"cursor": "x"}])
    async def test_wrong_queries(self, client: Client, query: dict[str, str]) -> None:
        await error_of(await client.get(ENTITIES_PATH, params=query), 400, "400-01")

    async def test_a_cursor_of_the_other_list(self, client: Client) -> None:
        cursor = (await get(client, ENTITIES_PATH, limit="1"))["nextCursor"]
        await error_of(await client.get(WORDS_PATH, params={"cursor": cursor}), 400, "400-01")

    @pytest.mark.parametrize("slash", ["", "/"])
    async def test_one(self, client: Client, slash: str) -> None:
        assert await get(client, f"{ENTITIES_PATH}/SSN{slash}") == {
            "id": "SSN",
            "description": ENTITIES[Entity.SSN].description,
            "policies": {"autoTranscribe": True},
        }

    @pytest.mark.parametrize("name", ["ssn", "IBAN", "%00", "SSN%2F", "É"])
    async def test_an_unknown_one(self, client: Client, name: str) -> None:
        path = f"{ENTITIES_PATH}/{name}"
        message = await error_of(await client.get(path), 404, "404-01")
        assert ENTITIES_PATH in message
        body = {"policies": {"autoTranscribe": True}}
        await error_of(await client.patch(path, json=body), 404, "404-01")

    @pytest.mark.parametrize("slash", ["", "/"])
    async def test_on_and_off(self, client: Client, context: ApiContext, key: NewKey, slash: str) -> None:
        path = f"{ENTITIES_PATH}/EMAIL{slash}"
        for active in (True, False):
            response = await client.patch(path, json={"policies": {"autoTranscribe": active}})
            assert response.status == 200
            entity = await response.json()
            assert entity["policies"] == {"autoTranscribe": active}
            assert await get(client, path) == entity
            assert entity in (await get(client, ENTITIES_PATH))["redactionEntities"]
            # Starts know it at once.
            assert (Entity.EMAIL in context.configurations.of(key.account_id).policy) is active

    async def test_what_does_not_apply_is_ignored(self, client: Client) -> None:
        others = {"customerImmediate": False, "customerDelayed": True, "agentImmediate": False, "voice": False}
        before = await get(client, f"{ENTITIES_PATH}/PIN")
        assert await patch(client, "PIN", **others, quantum=1) == before
        assert await patch(client, "PIN") == before
        assert await patch(client, "PIN", autoTranscribe=None) == before
        changed = await patch(client, "PIN", **others, autoTranscribe=False)
        assert changed["policies"] == {"autoTranscribe": False}

    async def test_only_policies_can_be_changed(self, client: Client) -> None:
        before = await get(client, f"{ENTITIES_PATH}/PIN")
        body = {"id": "X", "description": "mine", "policies": {}}
        response = await client.patch(f"{ENTITIES_PATH}/PIN", json=body)
        assert await response.json() == before

    @pytest.mark.parametrize("name", [entity.value for entity, info in ENTITIES.items() if info.locked])
    async def test_locked_ones_refuse(self, client: Client, name: str) -> None:
        body = {"policies": {"autoTranscribe": False}}
        message = await error_of(await client.patch(f"{ENTITIES_PATH}/{name}", json=body), 403, "403-01")
        assert "locked" in message
        assert (await get(client, f"{ENTITIES_PATH}/{name}"))["policies"] == {"autoTranscribe": True}
        assert (await patch(client, name, autoTranscribe=True))["policies"] == {"autoTranscribe": True}

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            ({}, "/policies"),
            ({"policies": None}, "/policies"),
            ({"policies": True}, "/policies"),
            ({"policies": {"autoTranscribe": "true"}}, "/policies/autoTranscribe"),
            ({"policies": {"autoTranscribe": 1}}, "/policies/autoTranscribe"),
            ({"policies": {"voice": "no"}}, "/policies/voice"),
        ],
    )
    async def test_wrong_bodies(self, client: Client, body: object, path: str) -> None:
        message = await error_of(await client.patch(f"{ENTITIES_PATH}/PIN", json=body), 400, "400-01")
        assert message.startswith(f"ERROR - [Path '{path}'] ")
        assert (await get(client, f"{ENTITIES_PATH}/PIN"))["policies"] == {"autoTranscribe": True}

    @pytest.mark.parametrize("body", [b"", b"{", b"[]"])
    async def test_no_json_object(self, client: Client, body: bytes) -> None:
        await error_of(await client.patch(f"{ENTITIES_PATH}/PIN", data=body), 400, "400-01")

    async def test_a_large_body(self, client: Client) -> None:
        response = await client.patch(f"{ENTITIES_PATH}/PIN", data=io.BytesIO(b" " * (1024 * 1024 + 1)))
        await error_of(response, 413, "413-01")

    async def test_accounts_do_not_touch_each_other(
        self, client: Client, other: Client, context: ApiContext, key: NewKey
    ) -> None:
        await patch(client, "EMAIL", autoTranscribe=True)
        await patch(other, "PIN", autoTranscribe=False)
        assert (await get(other, f"{ENTITIES_PATH}/EMAIL"))["policies"] == {"autoTranscribe": False}
        assert (await get(client, f"{ENTITIES_PATH}/PIN"))["policies"] == {"autoTranscribe": True}
        assert context.configurations.of(key.account_id).policy.active == DEFAULT.active | {Entity.EMAIL}


class TestVocabularies:
    async def test_none(self, client: Client) -> None:
        assert await get(client, WORDS_PATH) == {"customVocabularies": [], "nextCursor": None, "prevCursor": None}

    @pytest.mark.parametrize("slash", ["", "/"])
    async def test_the_life_of_one(self, client: Client, context: ApiContext, key: NewKey, slash: str) -> None:
        body = {"phrase": "IEEE", "soundsLike": ["I triple E"]}
        response = await client.post(WORDS_PATH + slash, json=body)
        assert response.status == 201
        made = await response.json()
        assert made == {"id": made["id"], **body}
        assert context.configurations.of(key.account_id).vocabulary == (Phrase("IEEE", ("I triple E",)),)
        path = f"{WORDS_PATH}/{made['id']}{slash}"
        assert await get(client, path) == made
        assert (await get(client, WORDS_PATH + slash))["customVocabularies"] == [made]
        response = await client.delete(path)
        assert response.status == 200
        assert await response.json() == made
        assert context.configurations.of(key.account_id).vocabulary == ()
        await error_of(await client.get(path), 404, "404-01")
        await error_of(await client.delete(path), 404, "404-01")

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    async def test_there_is_no_update(self, client: Client, method: str) -> None:
        made = await add(client, "IEEE", "I triple E")
        response = await client.request(method, f"{WORDS_PATH}/{made['id']}", json=made)
        await error_of(response, 405, "405-01")

    @pytest.mark.parametrize("name", [UNKNOWN, "x", "%00", "é"])
    async def test_an_unknown_one(self, client: Client, name: str) -> None:
        await error_of(await client.get(f"{WORDS_PATH}/{name}"), 404, "404-01")
        await error_of(await client.delete(f"{WORDS_PATH}/{name}"), 404, "404-01")

    async def test_pages_stay_in_place_while_others_come_and_go(self, client: Client) -> None:
        made = [await add(client, f"phrase {number}") for number in range(7)]
        made.sort(key=lambda one: one["id"])
        first = await get(client, WORDS_PATH, limit="3")
        assert (first["customVocabularies"], first["prevCursor"]) == (made[:3], None)
        await client.delete(f"{WORDS_PATH}/{made[2]['id']}")
        await client.delete(f"{WORDS_PATH}/{made[4]['id']}")
        second = await get(client, WORDS_PATH, limit="3", cursor=first["nextCursor"])
        assert second["customVocabularies"] == [made[3], made[5], made[6]]
        assert second["nextCursor"] is None
        back = await get(client, WORDS_PATH, limit="3", cursor=second["prevCursor"])
        assert back["customVocabularies"] == made[:2]

    async def test_what_nobody_can_hear_is_left_out(self, client: Client) -> None:
        made = await add(client, "  Acme   Corp ", " ack  me")
        assert (made["phrase"], made["soundsLike"]) == ("Acme Corp", ["ack me"])

    async def test_without_a_sound(self, client: Client) -> None:
        assert (await add(client, "Ærøskøbing"))["soundsLike"] == []

    async def test_the_largest(self, client: Client) -> None:
        made = await add(client, "x" * 255, *(f"{n}" + "ä" * 39 for n in range(5)))
        assert len(made["soundsLike"]) == 5

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            ({}, "/phrase"),
            ({"phrase": "IEEE"}, "/soundsLike"),
            ({"soundsLike": []}, "/phrase"),
            ({"phrase": None, "soundsLike": []}, "/phrase"),
            ({"phrase": "IEEE", "soundsLike": None}, "/soundsLike"),
            ({"phrase": "", "soundsLike": []}, "/phrase"),
            ({"phrase": " ", "soundsLike": []}, "/phrase"),
            ({"phrase": "!?", "soundsLike": []}, "/phrase"),
            ({"phrase": "a\nb", "soundsLike": []}, "/phrase"),
            ({"phrase": "a\0b", "soundsLike": []}, "/phrase"),
            ({"phrase": 7, "soundsLike": []}, "/phrase"),
            ({"phrase": "x" * 256, "soundsLike": []}, "/phrase"),
            ({"phrase": "IEEE", "soundsLike": "I triple E"}, "/soundsLike"),
            ({"phrase": "IEEE", "soundsLike": {}}, "/soundsLike"),
            ({"phrase": "IEEE", "soundsLike": ["a"] * 6}, "/soundsLike"),
            ({"phrase": "IEEE", "soundsLike": ["a", ""]}, "/soundsLike/1"),
            ({"phrase": "IEEE", "soundsLike": ["a", "x" * 41]}, "/soundsLike/1"),
            ({"phrase": "IEEE", "soundsLike": [None]}, "/soundsLike/0"),
            ({"phrase": "IEEE", "soundsLike": ["-"]}, "/soundsLike/0"),
        ],
    )
    async def test_wrong_bodies(self, client: Client, body: object, path: str) -> None:
        message = await error_of(await client.post(WORDS_PATH, json=body), 400, "400-01")
        assert message.startswith(f"ERROR - [Path '{path}'] ")
        assert "is not valid" not in message
        assert (await get(client, WORDS_PATH))["customVocabularies"] == []

    async def test_a_large_body(self, client: Client) -> None:
        await error_of(await client.post(WORDS_PATH, data=io.BytesIO(b" " * (1024 * 1024 + 1))), 413, "413-01")

    async def test_a_duplicate(self, client: Client) -> None:
        made = await add(client, "Straße", "straw suh")
        for phrase in ("Straße", "STRASSE", " straße"):
            body: dict[str, object] = {"phrase": phrase, "soundsLike": []}
            message = await error_of(await client.post(WORDS_PATH, json=body), 409, "409-01")
            assert phrase.strip() not in message
        assert (await get(client, WORDS_PATH))["customVocabularies"] == [made]

    async def test_no_more_than_200(self, client: Client, store: Store, key: NewKey) -> None:
        for number in range(MAX_ENTRIES - 1):
            await store.add_phrase(key.account_id, f"phrase {number}", (), limit=MAX_ENTRIES)
        last = await add(client, "the last one")
        body = {"phrase": "one too many", "soundsLike": []}
        message = await error_of(await client.post(WORDS_PATH, json=body), 422, "422-01")
        assert "200" in message
        await client.delete(f"{WORDS_PATH}/{last['id']}")
        await add(client, "one too many")

    async def test_what_comes_at_once_is_done_one_after_the_other(self, client: Client) -> None:
        bodies = [{"phrase": f"phrase {number % 5}", "soundsLike": []} for number in range(15)]
        responses = await asyncio.gather(*(client.post(WORDS_PATH, json=body) for body in bodies))
        assert sorted(response.status for response in responses) == [201] * 5 + [409] * 10
        assert len((await get(client, WORDS_PATH))["customVocabularies"]) == 5

    async def test_accounts_do_not_see_each_others(self, client: Client, other: Client) -> None:
        mine = await add(client, "IEEE", "I triple E")
        theirs = await add(other, "IEEE", "eye tripoli")
        path = f"{WORDS_PATH}/{mine['id']}"
        await error_of(await other.get(path), 404, "404-01")
        await error_of(await other.delete(path), 404, "404-01")
        assert await get(client, path) == mine
        assert (await get(other, WORDS_PATH))["customVocabularies"] == [theirs]


async def test_the_log_tells_who_changed_what(client: Client, key: NewKey) -> None:
    with structlog.testing.capture_logs() as lines:
        await patch(client, "PIN", autoTranscribe=False)
        made = await add(client, "Acme Corp", "ack me")
        await client.delete(f"{WORDS_PATH}/{made['id']}")
        await client.patch(f"{ENTITIES_PATH}/CVV", json={"policies": {"autoTranscribe": False}})
        await patch(client, "CVV", autoTranscribe=True)
        await patch(client, "PIN")
    who = {"account": key.account_id, "key": key.api_id, "log_level": "info"}
    assert [line for line in lines if "account" in line] == [
        {"event": "redaction changed", "entity": "PIN", "active": False, **who},
        {"event": "phrase added", "phrase": made["id"], **who},
        {"event": "phrase removed", "phrase": made["id"], **who},
    ]
    # A phrase may be somebody's name.
    assert "Acme" not in str(lines)


@pytest.mark.parametrize("path", [ENTITIES_PATH, f"{ENTITIES_PATH}/PIN", WORDS_PATH, f"{WORDS_PATH}/{UNKNOWN}"])
async def test_a_store_that_is_away(
    client: Client, store: Store, monkeypatch: pytest.MonkeyPatch, path: str, context: ApiContext, key: NewKey
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise StoreError("the database is away")

    await patch(client, "EMAIL", autoTranscribe=True)
    for name in ("configuration", "set_redaction", "add_phrase", "remove_phrase"):
        monkeypatch.setattr(store, name, fail)
    await error_of(await client.get(path), 503, "503-01")
    body = {"policies": {"autoTranscribe": False}}
    await error_of(await client.patch(f"{ENTITIES_PATH}/EMAIL", json=body), 503, "503-01")
    await error_of(await client.post(WORDS_PATH, json={"phrase": "a", "soundsLike": []}), 503, "503-01")
    await error_of(await client.delete(f"{WORDS_PATH}/{UNKNOWN}"), 503, "503-01")
    assert Entity.EMAIL in context.configurations.of(key.account_id).policy


@pytest.mark.parametrize("path", ["redaction/redaction-entities", "auto-transcribe/custom-vocabularies"])
async def test_the_superseded_paths_are_none(client: Client, path: str) -> None:
    await error_of(await client.get(f"/configuration/v1/{path}"), 404, "404-01")
