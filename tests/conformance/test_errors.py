"""Every error code that is not a wrong field's (test_contract.py), and every status of a start, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.calls import arrivals
from gateway.speech.vocabulary import MAX_ENTRIES
from tests.conformance.test_contract import assert_error
from tests.harness import Customer, Twilio, gateway_running, new_sid, settings_for

START = "/mg-autotranscribe/v1/start-streaming"
WORDS = "/configuration/v1/custom-vocabularies"
ENTITIES = "/configuration/v1/redaction-entities"


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Customer]:
    """A gateway of the test's own, whose state it may change."""
    async with gateway_running(settings_for(tmp_path)) as customer:
        yield customer


async def refused(customer: Customer, method: str, path: str, status: int, code: str, **request: Any) -> str:
    found, answer = await customer.request(method, path, **request)
    assert_error(found, answer, status, code)
    message: str = answer["error"]["message"]
    return message


async def test_400_202_for_what_does_not_go_together(fresh: Customer) -> None:
    """§ 1.2: detailedToken with redacted, redacted_and_unredacted, and with the default."""
    for redaction in ({}, {"redactionOutput": "redacted"}, {"redactionOutput": "redacted_and_unredacted"}):
        status, answer = await fresh.start("CA1", autotranscribeParams={"detailedToken": True, **redaction})
        assert_error(status, answer, 400, "400-202")


async def test_400_203_for_a_call_that_is_not_there(fresh: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "START_WAIT_S", 0.01)
    for answer in (await fresh.start("CA1"), await fresh.stop("CA1")):
        assert_error(*answer, 400, "400-203")


async def test_400_for_what_no_field_is(fresh: Customer) -> None:
    assert "externalId" in await refused(fresh, "GET", "/conversation/v1/conversation/messages", 400, "400-01")
    body = {"feed": "utterances", "version": "1", "format": "jsonl", "date": "2 March"}
    message = await refused(fresh, "POST", "/fileexporter/v1/static/listfeedfiles", 400, "400-03", json=body)
    assert message == "ERROR - [Path '/date'] must be a day such as 2026-03-02"
    answer = await fresh.start("CA1", twilioParams={"trackMap": {"inbound": "agent", "outbound": "agent"}})
    assert_error(*answer, 400, "400-201")


async def test_401_01_for_a_revoked_key(fresh: Customer) -> None:
    assert await fresh.gateway.store.revoke_key(fresh.key.api_id)
    await refused(fresh, "GET", "/v1/health", 401, "401-01")


async def test_403_01_for_what_is_locked_or_altered(fresh: Customer) -> None:
    for entity in ("CREDIT_CARD_NUMBER", "CVV"):
        off = {"policies": {"autoTranscribe": False}}
        await refused(fresh, "PATCH", f"{ENTITIES}/{entity}", 403, "403-01", json=off)
    file = "/fileexporter/v1/files/A/utterances/version=1/format=jsonl/dt=2026-03-02/hr=09/utterances.jsonl"
    await refused(fresh, "GET", f"{file}?expires=9999999999&signature=altered", 403, "403-01")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/conversation/v1/conversation/messages?externalId=CA1", None),
        ("GET", "/gateway/v1/calls/CA1", None),
        ("GET", "/gateway/v1/calls/CA1/live", None),
        ("GET", f"{ENTITIES}/SHOE_SIZE", None),
        ("PATCH", f"{ENTITIES}/SHOE_SIZE", {"policies": {}}),
        ("GET", f"{WORDS}/01GMXE90AEV7H3J4DPBDKB1R79", None),
        ("DELETE", f"{WORDS}/01GMXE90AEV7H3J4DPBDKB1R79", None),
        ("POST", "/fileexporter/v1/static/listfeedversions", {"feed": "shoes"}),
        ("POST", "/fileexporter/v1/static/listfeedformats", {"feed": "utterances", "version": "3"}),
        ("POST", "/fileexporter/v1/static/listfeeddates", {"feed": "utterances", "version": "1", "format": "xls"}),
        ("GET", "/autotranscribe/v1/streaming-url", None),
    ],
)
async def test_404_01_for_what_is_not_there(fresh: Customer, method: str, path: str, body: Any) -> None:
    await refused(fresh, method, path, 404, "404-01", json=body)


async def test_405_01_names_the_method(fresh: Customer) -> None:
    assert "POST" in await refused(fresh, "GET", START, 405, "405-01")


async def test_409_01_and_422_01_for_phrases(fresh: Customer) -> None:
    phrase = {"phrase": "IEEE", "soundsLike": ["I triple E"]}
    assert (await fresh.request("POST", WORDS, json=phrase))[0] == 201
    await refused(fresh, "POST", WORDS, 409, "409-01", json={**phrase, "phrase": "ieee"})
    for number in range(1, MAX_ENTRIES):
        await fresh.gateway.store.add_phrase(fresh.key.account_id, f"word {number}", (), limit=MAX_ENTRIES)
    await refused(fresh, "POST", WORDS, 422, "422-01", json={**phrase, "phrase": "one too many"})


async def test_409_201_for_a_second_start_and_a_second_stop(fresh: Customer) -> None:
    async with Twilio.connected(await fresh.stream_url()) as twilio:
        await twilio.settle()
        guid = twilio.call_sid
        assert (await fresh.start(guid))[0] == 200
        assert_error(*await fresh.start(guid), 409, "409-201")
        assert (await fresh.stop(guid))[0] == 200
        assert_error(*await fresh.stop(guid), 409, "409-201")


async def test_409_202_for_a_request_beside_another(fresh: Customer) -> None:
    guid = new_sid("CA")
    waiting = asyncio.create_task(fresh.start(guid))
    while (fresh.key.account_id, guid) not in fresh.gateway.registry._arrivals:
        await asyncio.sleep(0)
    assert_error(*await fresh.start(guid), 409, "409-202")
    assert_error(*await fresh.stop(guid), 409, "409-202")
    async with Twilio.connected(await fresh.stream_url(), guid):
        assert (await waiting)[0] == 200


# --- refusals inside a 200


async def started(customer: Customer, **fields: Any) -> tuple[bool, set[tuple[int, str]], str | None]:
    """Start a new call: isOk, what the participants' statuses are, and errorMessage."""
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        status, answer = await customer.start(twilio.call_sid, **fields)
        assert status == 200
        parts = answer["autotranscribeResponse"]
        assert set(parts) == {"customer", "agent"}
        statuses = {(part["status"]["code"], part["status"]["description"]) for part in parts.values()}
        return answer["isOk"], statuses, answer.get("errorMessage")


async def test_1000(fresh: Customer) -> None:
    assert await started(fresh) == (True, {(1000, "OK")}, None)


@pytest.mark.parametrize("redaction", ["unredacted", "redacted_and_unredacted"])
async def test_4094_where_all_is_redacted(tmp_path: Path, redaction: str) -> None:
    async with gateway_running(settings_for(tmp_path, redaction={"always": True})) as customer:
        ok, ((code, words),), message = await started(customer, autotranscribeParams={"redactionOutput": redaction})
        assert (ok, code, message) == (False, 4094, words)
        assert (await started(customer))[0] is True


async def test_5001_while_it_shuts_down(fresh: Customer) -> None:
    async with Twilio.connected(await fresh.stream_url()) as twilio:
        await twilio.settle()
        fresh.gateway.registry.draining = True
        status, answer = await fresh.start(twilio.call_sid)
    assert (status, answer["isOk"]) == (200, False)
    assert answer["autotranscribeResponse"]["customer"]["status"] == {
        "code": 5001,
        "description": "Service shutting down",
    }


async def test_5002_where_it_is_full(tmp_path: Path) -> None:
    async with (
        gateway_running(settings_for(tmp_path, limits={"tick_ms": 10, "calls": 1})) as customer,
        Twilio.connected(await customer.stream_url()) as first,
    ):
        await first.settle()
        assert (await customer.start(first.call_sid))[1]["isOk"] is True
        full = "No instances available"
        assert await started(customer) == (False, {(5002, full)}, full)
