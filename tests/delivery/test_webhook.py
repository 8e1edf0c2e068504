from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web

from gateway.config import WebhookSettings
from gateway.delivery.posts import Post
from gateway.delivery.webhook import WebhookPublisher, result_label

from .hook import serving


class Outcomes:
    """What a publisher says became of its posts."""

    def __init__(self) -> None:
        self.all: list[tuple[int, str, str]] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, post: Post, outcome: str, reason: str) -> None:
        self.all.append((post.sequence, outcome, reason))
        task = asyncio.create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def number(self, count: int) -> list[tuple[int, str, str]]:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: len(self.all) >= count)
        return self.all


def post(sequence: int, call: str = "call-1", size: int = 0) -> Post:
    body = orjson.dumps({"call": call, "n": sequence, "pad": "x" * size})
    return Post(f"{call}-{sequence}", call, f"m{sequence}", sequence, body, asyncio.get_running_loop().time())


@asynccontextmanager
async def publishing(url: str, **settings: Any) -> AsyncIterator[tuple[WebhookPublisher, Outcomes]]:
    outcomes = Outcomes()
    publisher = WebhookPublisher(WebhookSettings.model_validate({"url": url, **settings}), on_outcome=outcomes)
    try:
        yield publisher, outcomes
    finally:
        await publisher.close()


class Valve:
    """Answers wait until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, _request: web.Request) -> web.StreamResponse:
        await self.opened.wait()
        return web.Response()


async def test_a_post_arrives_as_json() -> None:
    async with serving() as hook, publishing(hook.url) as (publisher, outcomes):
        publisher.publish(post(7))
        assert await outcomes.number(1) == [(7, "delivered", "")]
        assert hook.bodies == [{"call": "call-1", "n": 7, "pad": ""}]
        request = hook.requests[0]
        assert (request.method, request.content_type) == ("POST", "application/json")
        assert request.headers["User-Agent"].startswith("gateway/")


async def test_a_call_has_one_post_in_flight_and_keeps_its_order() -> None:
    valve = Valve()
    async with serving(valve) as hook, publishing(hook.url) as (publisher, outcomes):
        for number in range(5):
            publisher.publish(post(number))
        await hook.came(1)
        assert (hook.in_flight, publisher.waiting) == (1, 4)
        valve.opened.set()
        assert await outcomes.number(5) == [(number, "delivered", "") for number in range(5)]
        assert [body["n"] for body in hook.bodies] == list(range(5))
        assert hook.most_in_flight == 1


async def test_calls_do_not_wait_for_each_other() -> None:
    valve = Valve()

    async def answer(request: web.Request) -> web.StreamResponse:
        slow = (await request.json())["call"] == "slow"
        return await valve(request) if slow else web.Response()

    async with serving(answer) as hook, publishing(hook.url) as (publisher, outcomes):
        publisher.publish(post(0, "slow"))
        publisher.publish(post(1, "slow"))
        for number in range(10, 13):
            publisher.publish(post(number, "quick"))
        assert await outcomes.number(3) == [(number, "delivered", "") for number in range(10, 13)]
        valve.opened.set()
        assert (await outcomes.number(5))[3:] == [(0, "delivered", ""), (1, "delivered", "")]


async def test_posts_in_flight_are_bounded_on_the_whole() -> None:
    valve = Valve()
    async with serving(valve) as hook, publishing(hook.url, connections=3) as (publisher, outcomes):
        for number in range(9):
            publisher.publish(post(number, f"call-{number}"))
        await hook.came(3)
        assert (hook.in_flight, publisher.waiting) == (3, 6)
        valve.opened.set()
        await outcomes.number(9)
        assert hook.most_in_flight == 3
        assert publisher.waiting == 0


async def test_the_oldest_waiting_is_dropped_for_the_newest() -> None:
    valve = Valve()
    async with serving(valve) as hook, publishing(hook.url, queue_items=2, connections=1) as (publisher, outcomes):
        publisher.publish(post(0))
        publisher.publish(post(1))
        publisher.publish(post(2, "call-2"))
        publisher.publish(post(3))
        publisher.publish(post(4, "call-3"))
        assert outcomes.all == [(1, "dropped", "queue_full"), (2, "dropped", "queue_full")]
        assert publisher.waiting == 2
        valve.opened.set()
        assert sorted((await outcomes.number(5))[2:]) == [
            (0, "delivered", ""),
            (3, "delivered", ""),
            (4, "delivered", ""),
        ]
        # The call whose only post was dropped is as good as new.
        publisher.publish(post(5, "call-2"))
        assert (await outcomes.number(6))[-1] == (5, "delivered", "")
        assert len(hook.bodies) == 4


async def test_waiting_bytes_are_bounded() -> None:
    valve = Valve()
    async with serving(valve) as hook, publishing(hook.url, queue_bytes=64 * 1024) as (publisher, outcomes):
        publisher.publish(post(0))
        await hook.came(1)
        for number in range(1, 6):
            publisher.publish(post(number, size=20_000))
        assert outcomes.all == [(1, "dropped", "queue_full"), (2, "dropped", "queue_full")]
        valve.opened.set()
        await outcomes.number(6)


async def _redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect("/elsewhere")


async def _error(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text="no")


async def _cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _created(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (_redirect, ("failed", "status 307")),
        (_error, ("failed", "status 500")),
        (_cut, ("failed", "disconnected")),
        (_created, ("delivered", "")),
    ],
)
async def test_what_the_target_does_is_the_outcome_and_never_repeated(answer: Any, outcome: tuple[str, str]) -> None:
    async with serving(answer) as hook, publishing(hook.url) as (publisher, outcomes):
        publisher.publish(post(0))
        publisher.publish(post(1))
        assert await outcomes.number(2) == [(0, *outcome), (1, *outcome)]
        assert [body["n"] for body in hook.bodies] == [0, 1]


async def test_a_target_that_never_answers_times_out_and_the_next_goes() -> None:
    valve = Valve()
    async with serving(valve) as hook, publishing(hook.url, timeout=0.1) as (publisher, outcomes):
        publisher.publish(post(0))
        publisher.publish(post(1))
        assert await outcomes.number(2) == [(0, "failed", "timeout"), (1, "failed", "timeout")]
        assert len(hook.bodies) == 2
        valve.opened.set()


async def test_nobody_listening_is_connect(unused_tcp_port: int) -> None:
    async with publishing(f"http://127.0.0.1:{unused_tcp_port}/") as (publisher, outcomes):
        publisher.publish(post(0))
        assert await outcomes.number(1) == [(0, "failed", "connect")]


async def test_failures_are_logged_without_path_secret_or_text(caplog: pytest.LogCaptureFixture) -> None:
    settings = {"auth": "secret", "secret_value": "hunter2", "secret_in": "query", "secret_name": "key"}
    async with serving(_error) as hook, publishing(hook.url, **settings) as (publisher, outcomes):
        publisher.publish(post(0, "said in confidence"))
        await outcomes.number(1)
        origin = hook.url.removesuffix("/hook")
    assert caplog.messages == [f"webhook {origin}: post failed (status 500)"]


async def test_closing_sends_what_waits() -> None:
    async with serving() as hook, publishing(hook.url) as (publisher, outcomes):
        for number in range(20):
            publisher.publish(post(number))
        await publisher.close(30)
        assert outcomes.all == [(number, "delivered", "") for number in range(20)]
        publisher.publish(post(20))
        assert outcomes.all[-1] == (20, "dropped", "shutdown")


async def test_closing_gives_up_at_its_deadline_and_says_so() -> None:
    valve = Valve()
    async with serving(valve) as hook, publishing(hook.url) as (publisher, outcomes):
        for number in range(3):
            publisher.publish(post(number))
        await hook.came(1)
        await publisher.close(0.05)
        assert sorted(outcomes.all) == [
            (0, "failed", "shutdown"),
            (1, "dropped", "shutdown"),
            (2, "dropped", "shutdown"),
        ]
        valve.opened.set()


async def test_the_test_post_is_a_transcript_that_says_so() -> None:
    async with serving() as hook, publishing(hook.url) as (publisher, outcomes):
        result = await publisher.send_test()
        assert (result.ok, result.status, result.reason) == (True, 200, "")
        assert result.ms > 0
        assert hook.bodies[0]["externalConversationId"] == "gateway-webhook-test"
        assert hook.texts[0].startswith("Test of the webhook")
        assert outcomes.all == []


async def test_the_test_post_tells_a_refusal() -> None:
    async with serving(_error) as hook, publishing(hook.url) as (publisher, _):
        result = await publisher.send_test()
        assert (result.ok, result.status, result.reason) == (False, 500, "status 500")


def test_reasons_make_few_labels() -> None:
    for reason, label in (
        ("timeout", "timeout"),
        ("status 503", "status 5xx"),
        ("oauth2_status 401", "oauth2_status 4xx"),
        ("expired after status 503", "expired"),
    ):
        assert result_label(reason) == label
