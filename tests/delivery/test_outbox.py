from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.config import WebhookSettings
from gateway.delivery.backoff import Backoff
from gateway.delivery.delivery import CallDelivery, Delivery, Transcript
from gateway.delivery.oauth2 import TokenSource
from gateway.delivery.outbox import PERMANENT, Outbox
from gateway.delivery.posts import Post
from gateway.delivery.target import Target
from gateway.errors import StoreError
from gateway.ids import new_ulid
from gateway.metrics import REGISTRY
from gateway.participants import RedactionOutput, Role
from gateway.speech.engine import Token
from gateway.store.outbox import StoredPost, Undelivered
from gateway.store.records import CallRecord, DeliveryRecord
from gateway.store.store import Store
from gateway.store.writer import Writer

from .hook import Answer, Hook, ok, serving
from .issuer import Issuer, issuing
from .speaker import Plain

AT_ONCE = Backoff(first=0, most=0)
NEVER = Backoff(first=1e6, most=1e6)
ALL = Undelivered()


@dataclass
class Line:
    """A store, a target, and gateways that come and go between them."""

    url: str
    store: Store
    hook: Hook
    account_id: str
    backoff: Backoff = AT_ONCE
    settings: dict[str, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def gateway(self, store: Store | None = None, **arguments: Any) -> AsyncIterator[Gateway]:
        writer = Writer(self.store)
        settings = WebhookSettings.model_validate({"url": self.hook.url, **self.settings})
        given = {"backoff": self.backoff, "sweep_seconds": 0.01, **arguments}
        outbox = Outbox(settings, store or self.store, writer, **given)
        await self.store.interrupt_live_calls(keep_posts=True)
        outbox.start()
        try:
            yield Gateway(self, writer, outbox, Delivery(writer, outbox))
        finally:
            await outbox.close()
            await writer.close()

    async def pending(self) -> int:
        return (await self.store.pending_size())[0]

    async def failures(self) -> list[tuple[int, str, str]]:
        """Sequence, outcome and reason, in the order of the calls' posts."""
        found = await self.store.undelivered(ALL, 1000)
        return sorted((record.sequence, record.outcome, record.reason) for _, record in found)


@dataclass
class Gateway:
    line: Line
    writer: Writer
    outbox: Outbox
    delivery: Delivery

    def open(self, guid: str = "CA0", redaction: RedactionOutput = RedactionOutput.REDACTED) -> CallDelivery:
        record = CallRecord(new_ulid(), self.line.account_id, guid, "en-US", "c", "a", datetime.now(UTC))
        return self.delivery.open(record, redaction, Plain())

    async def settled(self) -> None:
        """Until nothing is pending any more."""
        async with asyncio.timeout(30):
            while True:
                if not self.outbox.waiting:
                    await asyncio.shield(self.writer.barrier())
                    if await self.line.pending() == 0:
                        return
                await asyncio.sleep(0)


@asynccontextmanager
async def laid(folder: Path, answer: Answer = ok, **settings: Any) -> AsyncIterator[Line]:
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{folder / 'gateway.db'}"
        store = await Store.open(url, key=bytes(32))
        stack.push_async_callback(store.close)
        account_id = (await store.create_key("test")).account_id
        hook = await stack.enter_async_context(serving(answer))
        yield Line(url, store, hook, account_id, settings=settings)


def say(call: CallDelivery, *texts: str, tokens: tuple[Token, ...] = ()) -> None:
    for text in texts:
        said = Transcript(Role.AGENT, "a", "s", 0, 1, text, datetime.now(UTC), tokens)
        call.deliver(call.endpoint(), said)


class Refusing:
    """Answers ``status`` to what ``refuses`` names, so many times each; then 200."""

    def __init__(self, status: int, *refused: str, times: int = 1) -> None:
        self.status = status
        self.left = Counter(dict.fromkeys(refused, times))

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        text = body["autotranscribeResponse"]["utterance"][0]["text"]
        if self.left[text] > 0:
            self.left[text] -= 1
            return web.Response(status=self.status)
        return web.Response()


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 409, 429, 500, 502, 503])
async def test_a_post_that_fails_is_sent_until_it_is_taken_and_its_call_waits(tmp_path: Path, status: int) -> None:
    refusing = Refusing(status, "two", times=3)
    async with laid(tmp_path, refusing) as line, line.gateway() as gateway:
        say(gateway.open(), "one", "two", "three")
        await gateway.settled()
        assert line.hook.texts == ["one", "two", "two", "two", "two", "three"]
        ids = [request.headers["X-Gateway-Message-Id"] for request in line.hook.requests]
        assert len(set(ids)) == 3
        assert len(set(ids[1:5])) == 1
        assert await line.failures() == []


@pytest.mark.parametrize("status", sorted(PERMANENT))
async def test_what_will_never_do_is_given_up_at_once(tmp_path: Path, status: int) -> None:
    async with laid(tmp_path, Refusing(status, "two", times=1)) as line, line.gateway() as gateway:
        say(gateway.open(), "one", "two", "three")
        await gateway.settled()
        assert line.hook.texts == ["one", "two", "three"]
        assert await line.failures() == [(1, "failed", f"status {status}")]


async def test_other_calls_go_on(tmp_path: Path) -> None:
    async with laid(tmp_path, Refusing(500, "bad")) as line:
        line.backoff = NEVER
        async with line.gateway() as gateway:
            say(gateway.open("CA0"), "bad", "behind")
            await line.hook.came(1)
            say(gateway.open("CA1"), "one", "two")
            await line.hook.came(3)
            assert line.hook.texts == ["bad", "one", "two"]
            while gateway.outbox.waiting > 2:
                await asyncio.sleep(0)


async def test_a_dead_target_is_asked_less_and_less(tmp_path: Path) -> None:
    waits: list[int] = []

    class Recording(Backoff):
        def delay(self, failures: int) -> float:
            waits.append(failures)
            return 0.0

    async with (
        laid(tmp_path, Refusing(500, "one", "two", times=4)) as line,
        line.gateway(backoff=Recording()) as gateway,
    ):
        say(gateway.open(), "one", "two")
        await gateway.settled()
        assert waits == [1, 2, 3, 4] * 2


def test_waits_double_up_to_their_bound_and_are_spread() -> None:
    least, most = Backoff(1, 60, lambda: 0.0), Backoff(1, 60, lambda: 0.999)
    assert [least.delay(number) for number in (1, 2, 3, 7, 1000)] == [0.5, 1, 2, 30, 30]
    assert most.delay(1) == pytest.approx(1, abs=0.01)
    assert most.delay(7) == pytest.approx(60, abs=0.1)


async def test_retry_after_holds_all_calls_off(tmp_path: Path) -> None:
    times: list[float] = []

    async def answer(_request: web.Request) -> web.StreamResponse:
        times.append(asyncio.get_running_loop().time())
        return web.Response(status=503, headers={"Retry-After": "1"}) if len(times) == 1 else web.Response()

    async with laid(tmp_path, answer) as line, line.gateway() as gateway:
        say(gateway.open("CA0"), "one")
        while not gateway.outbox.held:
            await asyncio.sleep(0)
        say(gateway.open("CA1"), "two")
        await gateway.settled()
        assert sorted(line.hook.texts) == ["one", "one", "two"]
        # Of this one a lower bound is certain: nothing was sent in the second that was asked for.
        assert times[1] - times[0] >= 0.99


async def test_what_is_too_old_becomes_a_failure(tmp_path: Path) -> None:
    async with laid(tmp_path, retry_for=60) as line, line.gateway() as gateway:
        say(gateway.open(), "new")
        await gateway.settled()
        old = datetime.now(UTC) - timedelta(seconds=61)
        async with asyncio.timeout(30):
            # While the outbox still looks for what an earlier process left, posts are left to the database; and these
            # are not in there.
            while not gateway.outbox.waiting:
                call = gateway.open(new_ulid())
                gateway.outbox.publish(Post(new_ulid(), call.call.call_id, new_ulid(), 7, b"{}", None, old))
                if not gateway.outbox.waiting:
                    await gateway.writer.barrier()
        await gateway.settled()
        assert line.hook.texts == ["new"]
        assert await line.failures() == [(7, "failed", "expired")]


async def test_what_was_left_behind_too_long_ago_becomes_a_failure(tmp_path: Path) -> None:
    async with laid(tmp_path, Refusing(500, "old"), retry_for=60) as line:
        line.backoff = NEVER
        async with line.gateway() as gateway:
            say(gateway.open(), "old")
            await line.hook.came(1)
        [call_id] = await line.store.pending_calls(10)
        [stored] = await line.store.pending_posts(call_id, 10)
        record = stored.delivery
        long_ago = replace(record, outcome="pending", at=datetime.now(UTC) - timedelta(hours=1))
        await line.store.record_delivery(long_ago)
        async with line.gateway() as gateway:
            await gateway.settled()
        assert line.hook.texts == ["old"]
        assert await line.failures() == [(0, "failed", "expired after status 500")]


async def test_memory_is_bounded_and_the_rest_is_read_back_in_order(tmp_path: Path) -> None:
    opened = asyncio.Event()

    async def answer(_request: web.Request) -> web.StreamResponse:
        await opened.wait()
        return web.Response()

    async with laid(tmp_path, answer, queue_items=3) as line, line.gateway() as gateway:
        most = 0
        calls = [gateway.open(f"CA{number}") for number in range(5)]
        for turn in range(12):
            for number, call in enumerate(calls):
                say(call, f"{number} {turn:02}")
                await call.drain(30)
                most = max(most, gateway.outbox.waiting)
        opened.set()
        await gateway.settled()
        by_call = defaultdict(list)
        for text in line.hook.texts:
            who, when = text.split()
            by_call[who].append(when)
        # Each once, though at least once is all that is promised.
        assert dict(by_call) == {str(number): [f"{turn:02}" for turn in range(12)] for number in range(5)}
        assert most == 3


async def test_bytes_in_memory_are_bounded(tmp_path: Path) -> None:
    opened = asyncio.Event()

    async def answer(_request: web.Request) -> web.StreamResponse:
        await opened.wait()
        return web.Response()

    async with laid(tmp_path, answer, queue_bytes=64 * 1024) as line, line.gateway() as gateway:
        call = gateway.open()
        texts = [f"{turn} " + "x" * 20_000 for turn in range(12)]
        for text in texts:
            say(call, text)
            await call.drain(30)
        # The one with which the bound is reached is kept as well.
        assert 0 < gateway.outbox.waiting <= 4
        opened.set()
        await gateway.settled()
        assert line.hook.texts == texts


async def test_what_is_left_is_taken_up_at_the_next_start_in_order(tmp_path: Path) -> None:
    async with laid(tmp_path, Refusing(500, "0 0", "1 0")) as line:
        line.backoff = NEVER
        async with line.gateway() as gateway:
            for number in range(2):
                say(gateway.open(f"CA{number}"), *(f"{number} {turn}" for turn in range(100)))
            await line.hook.came(2)
            await asyncio.shield(gateway.writer.barrier())
        assert sorted(line.hook.texts) == ["0 0", "1 0"]
        assert await line.pending() == 200
        line.hook.bodies.clear()
        async with line.gateway() as gateway:
            # A new call does not wait for the old ones' end.
            say(gateway.open("CA3"), "new")
            await gateway.settled()
        for number in range(2):
            turns = [text for text in line.hook.texts if text.startswith(f"{number} ")]
            assert turns == [f"{number} {turn}" for turn in range(100)]
        assert line.hook.texts.count("new") == 1
        assert await line.failures() == []


async def test_at_most_once_drops_what_an_outbox_left(tmp_path: Path) -> None:
    async with laid(tmp_path, Refusing(500, "one")) as line:
        line.backoff = NEVER
        async with line.gateway() as gateway:
            say(gateway.open(), "one")
            await line.hook.came(1)
        await line.store.interrupt_live_calls()
        assert await line.failures() == [(0, "dropped", "gateway_restart")]


def _raw(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


@pytest.mark.parametrize("redaction", list(RedactionOutput))
async def test_a_body_made_again_is_the_one_first_sent(tmp_path: Path, redaction: RedactionOutput) -> None:
    tokens = (Token("PIN", 400, 600, 0.98765), Token("8765.", 700, 900, 0.5))
    async with laid(tmp_path, Refusing(500, "PIN 8765.")) as line:
        line.backoff = NEVER
        async with line.gateway() as gateway:
            say(gateway.open(redaction=redaction), "PIN 8765.", tokens=tokens)
            await line.hook.came(1)
        async with line.gateway() as gateway:
            await gateway.settled()
        first, second = [await request.read() for request in line.hook.requests]
        assert first == second
        # Neither text nor words lie open in the database.
        assert b"confidence" not in _raw(tmp_path)


async def test_a_message_that_was_never_committed_is_named(tmp_path: Path) -> None:
    async with laid(tmp_path) as line:
        async with line.gateway() as gateway:
            call = gateway.open()
            say(call, "one")
            await gateway.settled()
        lone = DeliveryRecord(new_ulid(), call.call.call_id, new_ulid(), 5, "pending", "", datetime.now(UTC))
        await line.store.record_delivery(lone)
        async with line.gateway() as gateway:
            await gateway.settled()
        assert await line.failures() == [(5, "dropped", "message_lost")]


async def test_a_text_under_another_key_holds_nobody_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with laid(tmp_path, Refusing(500, "secret", "open")) as line:
        line.backoff = NEVER
        async with line.gateway() as gateway:
            say(gateway.open("CA0", RedactionOutput.UNREDACTED), "secret")
            say(gateway.open("CA1"), "open")
            await line.hook.came(2)
        other = await Store.open(line.url, key=b"k" * 32)
        async with line.gateway(other) as gateway:
            await gateway.settled()
        await other.close()
        assert sorted(line.hook.texts) == ["open", "open", "secret"]
        assert await line.failures() == [(0, "dropped", "unreadable")]
        assert "GATEWAY_STORE_KEY" in caplog.text


async def test_a_database_that_is_away_for_a_while_loses_nothing(tmp_path: Path) -> None:
    class Away(Store):
        """Cannot be read a few times."""

        left = 6

        async def pending_posts(self, call_id: str, limit: int) -> list[StoredPost]:
            self._fail()
            return await super().pending_posts(call_id, limit)

        async def pending_calls(self, limit: int) -> list[str]:
            self._fail()
            return await super().pending_calls(limit)

        def _fail(self) -> None:
            if self.left:
                self.left -= 1
                msg = "the database cannot be read: disk I/O error"
                raise StoreError(msg)

    async with laid(tmp_path, queue_items=1) as line:
        away = await Away.open(line.url, key=bytes(32))
        async with line.gateway(away) as gateway:
            call = gateway.open()
            say(call, *(str(turn) for turn in range(9)))
            await call.drain(30)
            await gateway.settled()
        await away.close()
        assert line.hook.texts == [str(turn) for turn in range(9)]
        assert away.left == 0


async def test_what_is_pending_is_measured(tmp_path: Path) -> None:
    async with laid(tmp_path, Refusing(500, "one")) as line:
        line.backoff = NEVER
        async with line.gateway() as gateway:
            say(gateway.open(), "one", "two")
            while REGISTRY.get_sample_value("gateway_webhook_outbox") != 2:
                await asyncio.sleep(0.001)
            oldest = REGISTRY.get_sample_value("gateway_webhook_outbox_oldest_seconds")
            assert oldest is not None
            assert 0 <= oldest < 60


async def test_failures_are_logged_without_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with laid(tmp_path, Refusing(500, "said in confidence")) as line, line.gateway() as gateway:
        say(gateway.open(), "said in confidence")
        await gateway.settled()
    assert "post failed (status 500), next try in 0.0 s" in caplog.text
    assert "confidence" not in caplog.text


async def test_without_a_token_posts_wait(tmp_path: Path) -> None:
    async def reply(issuer: Issuer) -> web.StreamResponse:
        return web.Response(status=503) if len(issuer.requests) < 4 else issuer.token()

    async with laid(tmp_path) as line, issuing(reply=reply) as issuer:
        line.settings = {
            "auth": "oauth2",
            "oauth2_token_url": issuer.url,
            "oauth2_client_id": "x",
            "oauth2_client_secret": "y",
        }
        settings = WebhookSettings.model_validate({"url": line.hook.url, **line.settings})
        target = Target(settings, tokens=TokenSource(settings, backoff=AT_ONCE))
        async with line.gateway(target=target) as gateway:
            say(gateway.open(), "one", "two")
            await gateway.settled()
        assert line.hook.texts == ["one", "two"]
        assert len(issuer.requests) == 4
        retried = REGISTRY.get_sample_value("gateway_webhook_retries_total", {"reason": "oauth2_status 5xx"})
        assert retried is not None
        assert retried >= 3


@pytest.mark.parametrize("seed", range(4))
async def test_each_post_is_taken_once_and_in_order_whatever_fails(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    taken: dict[str, list[int]] = defaultdict(list)

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        guid, turn = body["autotranscribeResponse"]["utterance"][0]["text"].split()
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if chance.random() < 0.3:
            return web.Response(status=500)
        taken[guid].append(int(turn))
        return web.Response()

    # More calls than lanes, more posts than room.
    async with laid(tmp_path, answer, queue_items=3, connections=2) as line, line.gateway() as gateway:
        calls = [gateway.open(f"CA{number}") for number in range(5)]
        turns = [0] * 5
        for _ in range(100):
            number = chance.randrange(5)
            say(calls[number], f"CA{number} {turns[number]}")
            turns[number] += 1
            for _ in range(chance.randrange(30)):
                await asyncio.sleep(0)
        for call in calls:
            assert await call.drain(30)
        await gateway.settled()
    assert taken == {f"CA{number}": list(range(count)) for number, count in enumerate(turns) if count}


def test_the_guide_names_what_is_given_up_at_once() -> None:
    guide = " ".join((Path(__file__).parents[2] / "docs/webhooks.md").read_text("utf-8").split())
    *most, last = map(str, sorted(PERMANENT))
    assert f"The statuses {', '.join(most)} and {last} say that the request will never do" in guide
