"""Texts of posts that wait."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import orjson
from aiohttp import web

from gateway.delivery.posts import Post, Unsent
from gateway.participants import RedactionOutput

from .test_outbox import Line, laid, say


def a_post(message_id: str, *, redacted: bool = True) -> Post:
    body = orjson.dumps({"autotranscribeResponse": {"utterance": [{"text": "It is 8765, Zoë."}]}})
    return Post(f"d-{message_id}", "call", message_id, 0, body, None, datetime.now(UTC), redacted)


def text_of(post: Post) -> str:
    text: str = orjson.loads(post.body)["autotranscribeResponse"]["utterance"][0]["text"]
    return text


def test_a_revision_reaches_a_post_that_waits_and_one_that_is_read_back_meanwhile() -> None:
    unsent = Unsent()
    waits, read_back, other = a_post("m1"), a_post("m1"), a_post("m2")
    unsent.add(waits)
    unsent.add(other)
    unsent.revise("m1", "It is ####, Zoë.")
    unsent.add(read_back)
    assert text_of(waits) == text_of(read_back) == "It is ####, Zoë."
    assert text_of(other) == "It is 8765, Zoë."
    # What bounds count stays as it was counted.
    assert waits.size == other.size


def test_a_post_of_unredacted_text_stays_as_it_is() -> None:
    unsent = Unsent()
    first, later = a_post("m1", redacted=False), a_post("m1", redacted=False)
    unsent.add(first)
    unsent.revise("m1", "It is ####.")
    unsent.add(later)
    assert text_of(first) == text_of(later) == "It is 8765, Zoë."


def test_nothing_is_held_for_ever() -> None:
    unsent = Unsent()
    for number in range(3000):
        unsent.add(a_post(f"m{number}"))
        unsent.revise(f"m{number}", "####")
    assert len(unsent._posts) == 0
    assert len(unsent._revised) == 1024


async def test_the_next_try_has_the_newest_text(tmp_path: Path) -> None:
    revised = asyncio.Event()

    async def answer(_request: web.Request) -> web.StreamResponse:
        await revised.wait()
        return web.Response(status=200 if len(line.hook.bodies) > 1 else 500)

    line: Line
    async with laid(tmp_path, answer) as line, line.gateway() as gateway:
        call = gateway.open(redaction=RedactionOutput.REDACTED)
        say(call, "8765")
        await line.hook.came(1)
        [post] = [lane.posts[0] for lane in gateway.outbox._lanes.values()]
        gateway.outbox.unsent.revise(post.message_id, "####")
        revised.set()
        await gateway.settled()
    assert line.hook.texts == ["8765", "####"]
