"""What an account configures over HTTP holds for its next start on a media socket: on this gateway, and on another."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.calls import configuration
from gateway.calls.configuration import AccountConfiguration
from gateway.config import Settings
from gateway.server.app import running
from gateway.speech.vocabulary import Phrase
from gateway.text.policy import DEFAULT, Entity
from gateway.text.redaction import Redactor
from tests.harness import Customer, Twilio, gateway_running, settings_for

EMAIL = "/configuration/v1/redaction-entities/EMAIL"
WORDS = "/configuration/v1/custom-vocabularies"


def started(customer: Customer, guid: str) -> tuple[Redactor, AccountConfiguration]:
    """What a call that was started redacts by, and what its account had configured then."""
    conversations = customer.gateway.registry._conversations
    for session in conversations._open.values():
        if (session.record.account_id, session.record.guid) == (customer.key.account_id, guid):
            assert isinstance(session.delivery._redactor, Redactor)
            return session.delivery._redactor, session.configuration
    raise AssertionError(f"{guid} was not started")


async def configure(customer: Customer) -> None:
    assert (await customer.request("PATCH", EMAIL, json={"policies": {"autoTranscribe": True}}))[0] == 200
    assert (await customer.request("POST", WORDS, json={"phrase": "IEEE", "soundsLike": ["I triple E"]}))[0] == 201


async def test_the_next_start_takes_it(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer, aiohttp.ClientSession() as session:
        other = Customer(customer.gateway, await customer.gateway.store.create_key("test", "other"), session)
        async with (
            Twilio.connected(await customer.stream_url()) as twilio,
            Twilio.connected(await other.stream_url(), twilio.call_sid) as others,
        ):
            guid = twilio.call_sid
            assert others.call_sid == guid
            assert (await customer.start(guid))[0] == (await other.start(guid))[0] == 200
            redactor, before = started(customer, guid)
            await configure(customer)
            # What was started keeps what held then.
            assert (redactor.policy, before) == (DEFAULT, AccountConfiguration())
            for one in (customer, other):
                assert (await one.stop(guid))[0] == (await one.start(guid))[0] == 200
            again, configured = started(customer, guid)
            assert again is redactor
            assert Entity.EMAIL in redactor.policy
            assert configured.vocabulary == (Phrase("IEEE", ("I triple E",)),)
            _, untouched = started(other, guid)
            assert untouched == AccountConfiguration()


async def test_another_gateway_of_the_database_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "RELOAD_S", 0.01)
    shared = {"database_url": f"sqlite:///{tmp_path / 'shared.db'}", "store_key": "00" * 32}

    def settings(name: str) -> Settings:
        return settings_for(tmp_path / name, **shared)

    async with gateway_running(settings("one")) as customer, running(settings("two")) as beside:
        await configure(customer)
        async with asyncio.timeout(30):
            while Entity.EMAIL not in beside.configurations.of(customer.key.account_id).policy:
                await asyncio.sleep(0.01)
    # And one that is started later has it from its first call on.
    async with running(settings("three")) as later:
        configured = later.configurations.of(customer.key.account_id)
        assert Entity.EMAIL in configured.policy
        assert [phrase.phrase for phrase in configured.vocabulary] == ["IEEE"]


@pytest.mark.parametrize("output", ["unredacted", "redacted_and_unredacted"])
async def test_a_gateway_that_always_redacts(tmp_path: Path, output: str) -> None:
    async with (
        gateway_running(settings_for(tmp_path, redaction={"always": True})) as customer,
        Twilio.connected(await customer.stream_url()) as twilio,
    ):
        guid = twilio.call_sid
        status, body = await customer.start(guid, autotranscribeParams={"redactionOutput": output})
        assert (status, body["isOk"]) == (200, False)
        both: dict[str, Any] = body["autotranscribeResponse"]
        assert {role: part["status"]["code"] for role, part in both.items()} == {"customer": 4094, "agent": 4094}
        assert body["errorMessage"] == both["agent"]["status"]["description"]
        # The call stays gated: there is nothing to stop, and a start that is allowed is taken.
        status, error = await customer.stop(guid)
        assert (status, error["error"]["code"]) == (409, "409-201")
        status, body = await customer.start(guid)
        assert (status, body["isOk"]) == (200, True)
