"""The posted message (§ 4.1) and what Messages shows, for every redactionOutput and detailedToken.

Texts are put in where the recognizer's come in; redaction, order, store, webhook and the API are the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.speech.engine import Token
from tests.conformance.saying import start
from tests.harness import Customer, Receiver, Twilio, gateway_running, settings_for, webhook_receiver

SAID, SHOWN = "My PIN is 5614.", "My PIN is ####."
WORDS = ("My", "PIN", "is", "5614.")
TOKENS = tuple(Token(word, 400 + 200 * n, 560 + 200 * n, 0.98761) for n, word in enumerate(WORDS))
POSTED_TOKENS = [
    {"content": token.content, "start": token.start_ms, "end": token.end_ms, "confidence": 0.988} for token in TOKENS
]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
async def customer(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Customer]:  # in place of the module's
    async with gateway_running(settings_for(tmp_path, webhook={"url": receiver.url})) as customer:
        yield customer


@pytest.mark.parametrize(
    ("params", "utterance", "message"),
    [
        ({}, {"text": SHOWN}, SHOWN),
        ({"redactionOutput": "redacted", "detailedToken": False}, {"text": SHOWN}, SHOWN),
        ({"redactionOutput": "unredacted"}, {"text": SAID}, SAID),
        (
            {"redactionOutput": "unredacted", "detailedToken": True},
            {"text": SAID, "tokens": POSTED_TOKENS},
            SAID,
        ),
        ({"redactionOutput": "redacted_and_unredacted"}, {"text": SHOWN, "unredactedText": SAID}, SHOWN),
    ],
    ids=["default", "redacted", "unredacted", "unredacted-tokens", "both"],
)
async def test_what_is_posted(
    customer: Customer, receiver: Receiver, params: dict[str, Any], utterance: dict[str, Any], message: str
) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        call = await start(customer, twilio, **params)
        # The recognizer gives words with times to starts that ask for them only.
        await call.say(SAID, tokens=TOKENS if params.get("detailedToken") else ())
        (post,) = await receiver.wait_for(1)
        assert post == {
            "type": "transcript",
            "externalConversationId": call.guid,
            "streamId": call.streams["customer"],
            "sender": {"externalId": "TT9833237", "role": "customer"},
            "autotranscribeResponse": {"message": "transcript", "start": 400, "end": 3968, "utterance": [utterance]},
        }
        status, answer = await customer.messages(call.guid)
        assert status == 200
        ((item,),) = answer.values()
        assert item["text"] == message
        assert item["sender"] == {"role": "customer", "externalId": "TT9833237"}


@pytest.mark.parametrize("params", [{}, {"redactionOutput": "redacted_and_unredacted"}])
async def test_words_with_times_never_go_with_hidden_text(
    customer: Customer, receiver: Receiver, params: dict[str, Any]
) -> None:
    """Even if a recognizer gave them unasked: they would tell what is hidden."""
    async with Twilio.connected(await customer.stream_url()) as twilio:
        call = await start(customer, twilio, **params)
        await call.say(SAID, tokens=TOKENS)
        (post,) = await receiver.wait_for(1)
        (utterance,) = post["autotranscribeResponse"]["utterance"]
        assert "tokens" not in utterance
        assert utterance["text"] == SHOWN


async def test_terms_change_from_start_to_start(customer: Customer, receiver: Receiver) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        for redaction in ("unredacted", "redacted"):
            call = await start(customer, twilio, redactionOutput=redaction)
            await call.say(SAID)
            assert (await customer.stop(call.guid))[0] == 200
        posts = await receiver.wait_for(2)
        assert [post["autotranscribeResponse"]["utterance"] for post in posts] == [[{"text": SAID}], [{"text": SHOWN}]]
        _, answer = await customer.messages(call.guid)
        assert [item["text"] for item in answer["items"]] == [SAID, SHOWN]


async def test_one_post_an_utterance(customer: Customer, receiver: Receiver) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        call = await start(customer, twilio)
        for number in range(20):
            await call.say(f"Line {'abcdefghijklmnopqrst'[number]}.")
        posts = await receiver.wait_for(20)
        assert await asyncio.wait_for(customer.messages(call.guid), 10)
        texts = [post["autotranscribeResponse"]["utterance"][0]["text"] for post in posts]
        assert texts == [f"Line {letter}." for letter in "abcdefghijklmnopqrst"]
