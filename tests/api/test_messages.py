"""Transcripts and calls, from the real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.store.crypto import TextCipher
from gateway.store.records import CallRecord, MessageRecord, NewKey
from gateway.store.store import Store
from gateway.store.writer import Writer
from tests.api.conftest import WHEN, Client, Desk, error_of

MESSAGES = "/conversation/v1/conversation/messages"
CALLS = "/gateway/v1/calls"


@pytest.fixture
async def writer(store: Store) -> AsyncIterator[Writer]:
    writer = Writer(store)
    writer.start()
    yield writer
    await writer.close()


@pytest.fixture
def record(key: NewKey) -> CallRecord:
    return CallRecord("01CALL", key.account_id, "CA1", "en-US", "c-1", "a-1", WHEN)


def message(sequence: int, start_ms: int, text: str = "Hello.") -> MessageRecord:
    return MessageRecord(
        message_id=f"01MSG{sequence:05}",
        call_id="01CALL",
        sequence=sequence,
        stream_id="sid",
        role="agent",
        external_id="a-1",
        start_ms=start_ms,
        end_ms=start_ms + 900,
        text=text,
        client_timestamp=WHEN + timedelta(milliseconds=start_ms),
        created_timestamp=WHEN + timedelta(milliseconds=start_ms + 1000),
    )


async def test_messages(client: Client, store: Store, writer: Writer, record: CallRecord) -> None:
    await store.open_call(record)
    await writer.submit(message(2, 4000, "My number is ####."))
    await writer.submit(message(1, 1000))
    response = await client.get(MESSAGES, params={"externalId": "CA1"})
    assert response.status == 200
    items = (await response.json())["items"]
    assert items[0] == {
        "text": "Hello.",
        "sender": {"role": "agent", "externalId": "a-1"},
        "messageId": "01MSG00001",
        "createdTimestamp": "2026-03-01T12:00:02.123Z",
        "clientTimestamp": "2026-03-01T12:00:01.123Z",
    }
    assert [item["text"] for item in items] == ["Hello.", "My number is ####."]


async def test_unredacted_where_the_start_asked(
    client: Client, store: Store, writer: Writer, record: CallRecord
) -> None:
    await store.open_call(record)
    await writer.submit(replace(message(1, 0, "PIN ####."), unredacted="PIN 1234.", show_unredacted=True))
    await writer.submit(replace(message(2, 1, "PIN ####."), unredacted="PIN 1234.", show_unredacted=False))
    body = await (await client.get(MESSAGES, params={"externalId": "CA1"})).json()
    assert [item["text"] for item in body["items"]] == ["PIN 1234.", "PIN ####."]


async def test_another_store_key_says_so(client: Client, store: Store, writer: Writer, record: CallRecord) -> None:
    await store.open_call(record)
    await writer.submit(replace(message(1, 0, "PIN ####."), unredacted="PIN 1234.", show_unredacted=False))
    store.cipher = TextCipher(bytes(32))
    body = await (await client.get(MESSAGES, params={"externalId": "CA1"})).json()
    assert [item["text"] for item in body["items"]] == ["PIN ####."]
    await writer.submit(replace(message(2, 1, "PIN ####."), unredacted="PIN 1234.", show_unredacted=True))
    store.cipher = TextCipher(bytes(range(32)))
    told = await error_of(await client.get(MESSAGES, params={"externalId": "CA1"}), 500, "500-01")
    assert "GATEWAY_STORE_KEY" in told
    assert "try again" not in told


async def test_the_first_thousand(client: Client, store: Store, writer: Writer, record: CallRecord) -> None:
    await store.open_call(record)
    for sequence in range(1005):
        done = writer.submit(message(sequence, sequence))
    await done
    body = await (await client.get(MESSAGES, params={"externalId": "CA1"})).json()
    assert len(body["items"]) == 1000
    assert body["items"][-1]["messageId"] == "01MSG00999"


async def test_live_and_not_started_is_empty(client: Client, desk: Desk, key: NewKey) -> None:
    desk.connect(key.account_id, "CA1")
    response = await client.get(MESSAGES, params={"externalId": "CA1"})
    assert await response.json() == {"items": []}


async def test_another_accounts_call_does_not_exist(
    client: Client, store: Store, desk: Desk, record: CallRecord
) -> None:
    other = await store.create_key("other", "other")
    await store.open_call(replace(record, account_id=other.account_id))
    desk.connect(other.account_id, "CA2")
    for guid in ("CA1", "CA2", "CA3"):
        await error_of(await client.get(MESSAGES, params={"externalId": guid}), 404, "404-01")
        await error_of(await client.get(f"{CALLS}/{guid}"), 404, "404-01")
    assert await (await client.get(CALLS)).json() == {"items": []}


@pytest.mark.parametrize("query", ["", "?externalid=CA1", "?externalId=", "?externalId=a&externalId=b"])
async def test_external_id_is_needed(client: Client, query: str) -> None:
    message = await error_of(await client.get(MESSAGES + query), 400, "400-01")
    assert "externalId" in message


async def test_an_external_id_of_any_length(client: Client) -> None:
    await error_of(await client.get(MESSAGES, params={"externalId": "x" * 256}), 400, "400-01")
    await error_of(await client.get(MESSAGES, params={"externalId": "x" * 255}), 404, "404-01")


@pytest.mark.parametrize("guid", ["a'b", "a%b", 'a"b', "CA1; drop table calls", "名前", "\x00"])
async def test_odd_ids_are_just_unknown(client: Client, guid: str) -> None:
    await error_of(await client.get(MESSAGES, params={"externalId": guid}), 404, "404-01")


async def test_calls_live_then_stored(
    client: Client, store: Store, desk: Desk, key: NewKey, record: CallRecord
) -> None:
    await store.open_call(record)
    before = replace(record, call_id="02CALL", guid="CA0", started_at=WHEN - timedelta(hours=1))
    await store.open_call(replace(before, completed_at=WHEN, completed_reason="hangup"))
    desk.connect(key.account_id, "CA1")
    items = (await (await client.get(CALLS)).json())["items"]
    stored = {"language": "en-US", "customerId": "c-1", "agentId": "a-1"}
    assert items == [
        {
            "guid": "CA1",
            "state": "gated",
            "live": {
                "connectedAt": "2026-03-01T12:00:00.123Z",
                "sockets": 1,
                "transcripts": 3,
                "tracks": [
                    {
                        "track": "inbound",
                        "role": "customer",
                        "streamSid": "MZ1",
                        "connected": True,
                        "receivedMs": 1000,
                        "filledMs": 20,
                        "samples": 8160,
                    }
                ],
            },
            "stored": {"callId": "01CALL", "startedAt": "2026-03-01T12:00:00.123Z", **stored},
        },
        {
            "guid": "CA0",
            "state": "completed",
            "stored": {
                "callId": "02CALL",
                "startedAt": "2026-03-01T11:00:00.123Z",
                "completedAt": "2026-03-01T12:00:00.123Z",
                "completedReason": "hangup",
                **stored,
            },
        },
    ]
    assert len((await (await client.get(CALLS, params={"limit": "1"})).json())["items"]) == 1


async def test_several_sessions_are_one_call_with_the_id_of_the_first(
    client: Client, store: Store, record: CallRecord
) -> None:
    await store.open_call(replace(record, call_id="00CALL", started_at=WHEN - timedelta(hours=1)))
    await store.open_call(replace(record, agent_id="a-2"))
    items = (await (await client.get(CALLS)).json())["items"]
    stored = [(item["stored"]["callId"], item["stored"]["startedAt"], item["stored"]["agentId"]) for item in items]
    assert stored == [("00CALL", "2026-03-01T11:00:00.123Z", "a-2")]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "1_0", "１", "1.5", "99999"])
async def test_limits(client: Client, limit: str) -> None:
    await error_of(await client.get(CALLS, params={"limit": limit}), 400, "400-01")


async def test_one_call(client: Client, store: Store, record: CallRecord) -> None:
    await store.open_call(record)
    body = await (await client.get(f"{CALLS}/CA1/")).json()
    assert body["state"] == "completed"
    assert body["stored"]["callId"] == "01CALL"
    assert body["deliveryFailures"] == []
    assert "live" not in body


async def test_a_call_that_is_only_live(client: Client, desk: Desk, key: NewKey) -> None:
    desk.connect(key.account_id, "CA/1")
    body = await (await client.get(f"{CALLS}/CA%2F1")).json()
    assert body["guid"] == "CA/1"
    assert body["state"] == "gated"
    assert "stored" not in body
