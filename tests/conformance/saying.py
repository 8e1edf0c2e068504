"""Texts put in where the recognizer's come in, into a call that was started over the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.delivery.delivery import Transcript
from gateway.participants import Role
from gateway.speech.engine import Token
from tests.harness import Customer, Twilio

__all__ = ["Started", "start"]


@dataclass
class Started:
    """A call that was started, and its participants' streams."""

    customer: Customer
    guid: str
    streams: dict[str, str]
    senders: dict[str, str]

    async def say(
        self,
        text: str,
        role: Role = Role.CUSTOMER,
        start_ms: int = 400,
        end_ms: int = 3968,
        *,
        tokens: tuple[Token, ...] = (),
    ) -> None:
        """A participant's utterance, as the recognizer would hand it over; returns when it is stored."""
        call = self.customer.gateway.registry._calls.get(self.customer.key.account_id, self.guid)
        assert call is not None
        delivery = self.customer.gateway.registry._conversations.of(call)
        now = datetime.now(UTC)
        said = Transcript(role, self.senders[role], self.streams[role], start_ms, end_ms, text, now, tokens)
        delivery.deliver(delivery.endpoint(), said)
        assert await delivery.drain(10)


async def start(customer: Customer, twilio: Twilio, agent_id: str = "RE223444211993", **params: Any) -> Started:
    """Start the call of ``twilio``; ``params`` are its autotranscribeParams."""
    await twilio.settle()
    senders = {"customer": "TT9833237", "agent": agent_id}
    status, answer = await customer.start(
        twilio.call_sid, customerId=senders["customer"], agentId=agent_id, autotranscribeParams=params
    )
    assert (status, answer["isOk"]) == (200, True)
    streams = {role: part["streamId"] for role, part in answer["autotranscribeResponse"].items()}
    return Started(customer, twilio.call_sid, streams, senders)
