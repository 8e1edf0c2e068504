"""Whole calls in real time: `gateway simulate` as its own process, the default models, a real webhook target."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import jiwer
import pytest
from whisper_normalizer.english import EnglishTextNormalizer

from tests.harness import MODELS, SAMPLE, SPEECH, Customer, Receiver, gateway_running, settings_for, webhook_receiver

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (MODELS / "silero-vad").is_dir(), reason="the models are not fetched (`make models`)"),
]

REFERENCE = json.loads(SAMPLE.with_suffix(".json").read_text())
WORD_ERROR_RATE = 0.08
OFFSET_MS = 150


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
async def customer(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Customer]:
    settings = settings_for(tmp_path, asr={"model": "moonshine-tiny-en"}, webhook={"url": receiver.url})
    async with gateway_running(settings) as customer:
        yield customer


async def simulate(customer: Customer, wav: Path, *options: str) -> dict[str, Any]:
    """Play a recording into the gateway, and return what `simulate --json` says of it."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("gateway")),
        "simulate",
        str(wav),
        "--json",
        f"--url={customer.gateway.public_url_of('http')}",
        *options,
        env={**os.environ, "GATEWAY_API_ID": customer.key.api_id, "GATEWAY_API_SECRET": customer.key.api_secret},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    document: dict[str, Any] = json.loads(out)
    return document


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    normalise = EnglishTextNormalizer()
    rate: float = jiwer.wer([normalise(text) for text in references], [normalise(text) for text in hypotheses])
    return rate


def texts(posts: Sequence[dict[str, Any]], role: str) -> list[dict[str, Any]]:
    return [post["autotranscribeResponse"] for post in posts if post["sender"]["role"] == role]


def said(spoken: Sequence[dict[str, Any]]) -> str:
    return " ".join(one["utterance"][0]["text"] for one in spoken)


def assert_once_and_in_order(posts: Sequence[dict[str, Any]], messages: Sequence[dict[str, Any]]) -> None:
    """Every post is a message and every message was posted; ends never go back on a track."""
    posted = sorted(post["autotranscribeResponse"]["utterance"][0]["text"] for post in posts)
    assert posted == sorted(message["text"] for message in messages)
    assert len({message["messageId"] for message in messages}) == len(messages)
    for role in ("customer", "agent"):
        spoken = texts(posts, role)
        for before, after in itertools.pairwise(spoken):
            assert before["start"] < before["end"] <= after["start"] < after["end"]


def turn_borders(role: str) -> list[tuple[int, int]]:
    return [(turn["start_ms"], turn["end_ms"]) for turn in REFERENCE["turns"] if turn["speaker"] == role]


async def test_the_sample_call(customer: Customer, receiver: Receiver) -> None:
    """Played unredacted and redacted at the same time, on one socket and on two."""
    plain, hidden = await asyncio.gather(
        simulate(customer, SAMPLE, "--redaction-output=unredacted"),
        simulate(customer, SAMPLE, "--redaction-output=redacted", "--sockets=two"),
    )
    posts = [post for post in receiver.posts if post["externalConversationId"] == plain["callSid"]]
    assert_once_and_in_order(posts, plain["messages"])
    references, hypotheses = [], []
    for role in ("customer", "agent"):
        spoken = texts(posts, role)
        references.append(" ".join(turn["text"] for turn in REFERENCE["turns"] if turn["speaker"] == role))
        hypotheses.append(said(spoken))
        for start_ms, end_ms in turn_borders(role):
            assert min(abs(one["start"] - start_ms) for one in spoken) <= OFFSET_MS
            assert min(abs(one["end"] - end_ms) for one in spoken) <= OFFSET_MS
    rate = word_error_rate(references, hypotheses)
    print(f"sample call: word error rate {rate:.1%}, {len(posts)} utterances")
    assert rate <= WORD_ERROR_RATE
    # What must not be seen is seen nowhere: not in a post, not in the messages.
    shown = json.dumps([post for post in receiver.posts if post["externalConversationId"] == hidden["callSid"]])
    for text in (shown, json.dumps(hidden["messages"])):
        assert "####" in text
    told = " ".join(message["text"] for message in hidden["messages"]).lower()
    secrets = {
        turn["secret"]["kind"]: turn["secret"]["written"].lower() for turn in REFERENCE["turns"] if "secret" in turn
    }
    assert set(secrets) == {"card", "pin", "phone", "email"}
    # E-mail addresses are hidden only where an account has turned that on.
    assert secrets.pop("email") in told
    for secret in secrets.values():
        for part in secret.replace("-", " ").split():
            assert part not in told


@pytest.mark.skipif(not SPEECH.is_dir(), reason="the measuring speech is not beside the project")
async def test_a_long_reading(customer: Customer, receiver: Receiver) -> None:
    manifest = json.loads((SPEECH / "manifest.json").read_text())["utterances"]
    entry = next(entry for entry in manifest if entry["id"] == "two-cities")
    document = await simulate(customer, SPEECH / entry["file"], "--redaction-output=unredacted")
    assert_once_and_in_order(receiver.posts, document["messages"])
    rate = word_error_rate([entry["text"]], [said(texts(receiver.posts, "customer"))])
    print(f"two-cities: word error rate {rate:.1%}, {len(receiver.posts)} utterances")
    assert rate <= WORD_ERROR_RATE
