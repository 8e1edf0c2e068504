"""The transcript of a call (§ 2): how much, for how long, of which legs, and whose."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from gateway.participants import Role
from gateway.store.records import CallRecord
from tests.conformance.saying import start
from tests.conformance.test_contract import assert_error
from tests.export.samples import a_call, a_message
from tests.harness import Customer, Twilio, gateway_running, new_sid, settings_for


@pytest.fixture
async def customer(tmp_path: Path) -> AsyncIterator[Customer]:  # in place of the module's
    async with gateway_running(settings_for(tmp_path)) as customer:
        yield customer


async def texts(customer: Customer, guid: str) -> list[str]:
    status, answer = await customer.messages(guid)
    assert status == 200, answer
    return [item["text"] for item in answer["items"]]


async def test_the_first_thousand_by_start_and_sequence(customer: Customer) -> None:
    """1,001 messages, written in another order; two begin at the same time; the one that is left out is the last."""
    call = a_call("CA1", customer.key.account_id, datetime.now(UTC))
    await customer.gateway.store.open_call(call)
    said = []
    for n in range(1001):
        message = a_message(call, n, call.started_at, f"Line {n:04}.")
        # 500 and 501 begin together: their numbers tell which is first.
        start_ms = 100 * (500 if n == 501 else n)
        said.append(replace(message, start_ms=start_ms, end_ms=start_ms + 50))
    random.Random(4).shuffle(said)
    await asyncio.gather(*(customer.gateway.writer.submit(message) for message in said))
    assert await texts(customer, "CA1") == [f"Line {n:04}." for n in range(1000)]


async def test_transcripts_are_kept_for_seven_days(tmp_path: Path) -> None:
    """Seven days from the end of the call; a call that goes on is kept, however long ago it began."""
    now = datetime.now(UTC)
    ended = {"CA-old": timedelta(days=7, minutes=1), "CA-new": timedelta(days=7, minutes=-1)}
    async with gateway_running(settings_for(tmp_path)) as customer:
        account = customer.key.account_id
        for guid, ago in ended.items():
            await kept(customer, a_call(guid, account, now - timedelta(days=8)), now - ago)
        await kept(customer, a_call("CA-twice", account, now - timedelta(days=9)), now - timedelta(days=8))
        # Its second leg ended later: the conversation stays whole.
        await kept(customer, a_call("CA-twice", account, now - timedelta(days=2)), now - timedelta(days=1))
        assert customer.gateway.settings.retention.messages_days == 7
    # A gateway removes what is old when it starts, and every hour.
    async with gateway_running(settings_for(tmp_path)) as customer, asyncio.timeout(30):
        while (await customer.messages("CA-old"))[0] == 200:
            await asyncio.sleep(0)
        assert_error(*await customer.messages("CA-old"), 404, "404-01")
        assert_error(*await customer.request("GET", "/gateway/v1/calls/CA-old"), 404, "404-01")
        assert await texts(customer, "CA-new") == ["Hello."]
        assert await texts(customer, "CA-twice") == ["Hello.", "Hello."]


async def kept(customer: Customer, call: CallRecord, completed_at: datetime) -> None:
    await customer.gateway.store.open_call(call)
    await customer.gateway.writer.submit(a_message(call, 1, call.started_at))
    await customer.gateway.store.open_call(replace(call, completed_at=completed_at, completed_reason="hangup"))


async def test_all_legs_of_a_call_are_one_transcript(customer: Customer) -> None:
    """A transfer within the stream (another agentId), then a second stream after the hang-up of the first."""
    guid = new_sid("CA")
    async with Twilio.connected(await customer.stream_url(), guid) as twilio:
        first = await start(customer, twilio, "agent-1")
        await first.say("I need help.", start_ms=400, end_ms=900)
        await first.say("I will put you through.", Role.AGENT, 1000, 2000)
        assert (await customer.stop(guid))[0] == 200
        second = await start(customer, twilio, "agent-2")
        assert second.streams["customer"] == first.streams["customer"]
        assert second.streams["agent"] != first.streams["agent"]
        await second.say("This is the second agent.", Role.AGENT, 9000, 9900)
    async with Twilio.connected(await customer.stream_url(), guid) as twilio:
        third = await start(customer, twilio, "agent-2")
        # The new leg may begin earlier on its own clock: legs come one after the other all the same.
        await third.say("We were cut off.", start_ms=10, end_ms=900)
        live = await customer.messages(guid)
    _, answer = await customer.messages(guid)
    assert answer == live[1]
    assert [(item["sender"]["externalId"], item["text"]) for item in answer["items"]] == [
        ("TT9833237", "I need help."),
        ("agent-1", "I will put you through."),
        ("agent-2", "This is the second agent."),
        ("TT9833237", "We were cut off."),
    ]
    times = [item["clientTimestamp"] for item in answer["items"]]
    assert times == sorted(times)
    assert len({item["messageId"] for item in answer["items"]}) == 4


async def test_a_live_call_shows_what_there_is(customer: Customer) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        assert await texts(customer, twilio.call_sid) == []
        call = await start(customer, twilio)
        assert await texts(customer, call.guid) == []
        await call.say("Hello.")
        assert await texts(customer, call.guid) == ["Hello."]
        await call.say("Is anybody there?", start_ms=5000, end_ms=6000)
        assert await texts(customer, call.guid) == ["Hello.", "Is anybody there?"]


async def test_an_unknown_call(customer: Customer) -> None:
    assert_error(*await customer.messages(new_sid("CA")), 404, "404-01")


async def test_accounts_own_calls_and_keys_belong_to_accounts(customer: Customer) -> None:
    """One guid, two accounts: each sees its own, by any of its keys; and a third account sees none."""
    gateway = customer.gateway
    async with aiohttp.ClientSession() as session:

        async def with_key(account: str | None) -> Customer:
            return Customer(gateway, await gateway.store.create_key("another", account), session)

        colleague, other, stranger = await with_key(None), await with_key("other"), await with_key("third")
        assert colleague.key.account_id == customer.key.account_id != other.key.account_id
        guid = new_sid("CA")
        async with (
            Twilio.connected(await customer.stream_url(), guid) as ours,
            Twilio.connected(await other.stream_url(), guid) as theirs,
        ):
            await (await start(customer, ours)).say("Ours.")
            # Before the other account has said anything, and after.
            assert await texts(other, guid) == []
            await (await start(other, theirs)).say("Theirs.")
            for one, expected in ((customer, "Ours."), (colleague, "Ours."), (other, "Theirs.")):
                assert await texts(one, guid) == [expected]
            assert_error(*await stranger.messages(guid), 404, "404-01")
            assert_error(*await stranger.stop(guid), 400, "400-203")
            # A key of the account that did not start it may stop it; the other's call goes on.
            assert (await colleague.stop(guid))[0] == 200
            assert (await other.request("GET", f"/gateway/v1/calls/{guid}"))[1]["state"] == "transcribing"
        only_ours = new_sid("CA")
        async with Twilio.connected(await customer.stream_url(), only_ours) as ours:
            await (await start(customer, ours)).say("Ours alone.")
            for path in ("conversation/v1/conversation/messages?externalId=", "gateway/v1/calls/"):
                assert_error(*await other.request("GET", f"/{path}{only_ours}"), 404, "404-01")
            assert_error(*await other.request("GET", f"/gateway/v1/calls/{only_ours}/live"), 404, "404-01")
        for one, guids in ((colleague, {guid, only_ours}), (other, {guid}), (stranger, set())):
            _, answer = await one.request("GET", "/gateway/v1/calls")
            assert {item["guid"] for item in answer["items"]} == guids
