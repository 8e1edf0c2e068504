from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from gateway.config import WebhookSettings
from gateway.delivery import sequencer
from gateway.delivery.delivery import CallDelivery, Delivered, Delivery, Transcript, mask, record_outcomes
from gateway.delivery.webhook import WebhookPublisher
from gateway.errors import InternalError
from gateway.ids import new_ulid
from gateway.metrics import REGISTRY
from gateway.participants import RedactionOutput, Role
from gateway.speech.engine import Token
from gateway.store.records import CallRecord, MessageRecord
from gateway.store.store import Store
from gateway.store.writer import Writer
from gateway.text.redacted import Redacted, Revised

from .hook import Answer, Hook, ok, serving

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class DigitMask:
    """Masks digits, and remembers what it saw."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Role]] = []

    def redact(self, text: str, role: Role) -> Redacted:
        self.seen.append((text, role))
        return Redacted(self.preview(text, role))

    def preview(self, text: str, role: Role) -> str:
        return "".join("#" if char.isdigit() else char for char in text)


class Learner(DigitMask):
    """Learns from "that's my PIN" that the utterance before was one."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def redact(self, text: str, role: Role) -> Redacted:
        self.count += 1
        named = "that's my PIN" in text
        revised = (Revised(self.count - 2, "####"),) if named else ()
        return Redacted(text, (), revised, self.count - 1)


class Broken:
    """A redactor that cannot."""

    def redact(self, text: str, role: Role) -> Redacted:
        raise ValueError(text)

    def preview(self, text: str, role: Role) -> str:
        raise ValueError(text)


@dataclass
class Line:
    """The whole way out: a store on a file, its writer, a webhook that really listens."""

    store: Store
    writer: Writer
    hook: Hook
    publisher: WebhookPublisher
    delivery: Delivery
    account_id: str
    shown: list[Delivered] = field(default_factory=list)

    def open(self, redaction: RedactionOutput = RedactionOutput.REDACTED, guid: str = "CA01") -> CallDelivery:
        record = CallRecord(new_ulid(), self.account_id, guid, "en-US", "cust-7", "agent-9", NOON)
        return self.delivery.open(record, redaction, DigitMask())

    async def stored(self, guid: str = "CA01") -> list[MessageRecord]:
        found = await self.store.messages(self.account_id, guid)
        assert found is not None
        return found

    async def settle(self) -> None:
        """Until posts are answered and their outcomes committed."""
        await self.publisher.close(30)
        assert await self.writer.close(30)


@asynccontextmanager
async def laid(folder: Path, answer: Answer = ok) -> AsyncIterator[Line]:
    async with AsyncExitStack() as stack:
        store = await Store.open(f"sqlite:///{folder / 'gateway.db'}", key=bytes(32), busy_timeout_ms=50)
        stack.push_async_callback(store.close)
        key = await store.create_key("test")
        writer = Writer(store)
        stack.push_async_callback(writer.close, 0)
        hook = await stack.enter_async_context(serving(answer))
        settings = WebhookSettings.model_validate({"url": hook.url})
        publisher = WebhookPublisher(settings, on_outcome=record_outcomes(writer))
        stack.push_async_callback(publisher.close)
        shown: list[Delivered] = []
        delivery = Delivery(writer, publisher, shown.append)
        yield Line(store, writer, hook, publisher, delivery, key.account_id, shown)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with laid(tmp_path) as line:
        yield line


def said(text: str, role: Role = Role.CUSTOMER, start_ms: int = 400) -> Transcript:
    external_id = "cust-7" if role is Role.CUSTOMER else "agent-9"
    stream_id = "5ce2b755-3f38-11ed-b755-7aed4b5c38d5"
    return Transcript(role, external_id, stream_id, start_ms, start_ms + 3568, text, NOON)


async def test_an_utterance_is_redacted_stored_posted_and_shown(line: Line) -> None:
    call = line.open()
    call.deliver(call.endpoint(), said("My PIN is 8765."))
    assert await call.drain(30)
    await line.settle()
    # The documented message (reference, "Webhook transcript message"), nothing more.
    assert line.hook.bodies == [
        {
            "type": "transcript",
            "externalConversationId": "CA01",
            "streamId": "5ce2b755-3f38-11ed-b755-7aed4b5c38d5",
            "sender": {"externalId": "cust-7", "role": "customer"},
            "autotranscribeResponse": {
                "message": "transcript",
                "start": 400,
                "end": 3968,
                "utterance": [{"text": "My PIN is ####."}],
            },
        }
    ]
    (stored,) = await line.stored()
    assert (stored.text, stored.unredacted, stored.shown) == ("My PIN is ####.", None, "My PIN is ####.")
    assert (stored.start_ms, stored.end_ms, stored.role, stored.client_timestamp) == (400, 3968, "customer", NOON)
    assert [delivered.message for delivered in line.shown] == [stored]
    assert await line.store.delivery_failures(line.account_id) == []


async def test_later_words_redact_the_store_again(line: Line) -> None:
    redactor = Learner()
    first, again = (
        CallRecord(new_ulid(), line.account_id, guid, "en-US", "cust-7", "agent-9", NOON) for guid in ("CA01", "CA02")
    )
    before = REGISTRY.get_sample_value("gateway_redaction_revised_total") or 0.0
    call = line.delivery.open(first, RedactionOutput.REDACTED, redactor)
    for text in ("hello", "8765"):
        call.deliver(call.endpoint(), said(text))
    # The same redactor in the next session of the call: its utterances go on.
    later = line.delivery.open(again, RedactionOutput.REDACTED, redactor)
    later.deliver(later.endpoint(), said("that's my PIN"))
    assert await call.drain(30)
    assert await later.drain(30)
    await line.settle()
    assert [one.text for one in await line.stored("CA01")] == ["hello", "####"]
    assert [one.text for one in await line.stored("CA02")] == ["that's my PIN"]
    assert (REGISTRY.get_sample_value("gateway_redaction_revised_total") or 0.0) - before == 1


@pytest.mark.parametrize(
    ("redaction", "told"),
    [
        (RedactionOutput.REDACTED, ["8765", "####", "that's my PIN"]),
        (RedactionOutput.UNREDACTED, ["8765", "that's my PIN"]),
    ],
)
async def test_later_words_redact_what_is_shown_live(line: Line, redaction: RedactionOutput, told: list[str]) -> None:
    record = CallRecord(new_ulid(), line.account_id, "CA01", "en-US", "cust-7", "agent-9", NOON)
    seen: list[tuple[str, str]] = []
    line.delivery.on_message = lambda one: seen.append((one.message.message_id, one.message.shown))
    call = line.delivery.open(record, redaction, Learner())
    for text in ("8765", "that's my PIN"):
        call.deliver(call.endpoint(), said(text))
        assert await call.drain(30)
    assert [text for _, text in seen] == told
    assert len({message_id for message_id, _ in seen}) == 2


async def test_what_is_not_shown_yet_is_shown_once_as_it_is_to_be_seen(line: Line) -> None:
    record = CallRecord(new_ulid(), line.account_id, "CA01", "en-US", "cust-7", "agent-9", NOON)
    seen: list[str] = []
    line.delivery.on_message = lambda one: seen.append(one.message.shown)
    call = line.delivery.open(record, RedactionOutput.REDACTED, Learner())
    for text in ("8765", "that's my PIN"):
        call.deliver(call.endpoint(), said(text))
    assert await call.drain(30)
    assert seen == ["####", "that's my PIN"]


@pytest.mark.parametrize(
    ("redaction", "second"),
    [
        (RedactionOutput.REDACTED, {"text": "####"}),
        (RedactionOutput.BOTH, {"text": "####", "unredactedText": "8765"}),
        (RedactionOutput.UNREDACTED, {"text": "8765"}),
    ],
)
async def test_later_words_redact_posts_that_wait(
    tmp_path: Path, redaction: RedactionOutput, second: dict[str, str]
) -> None:
    opened = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await opened.wait()
        return await ok(request)

    async with laid(tmp_path, answer) as line:
        record = CallRecord(new_ulid(), line.account_id, "CA01", "en-US", "cust-7", "agent-9", NOON)
        call = line.delivery.open(record, redaction, Learner())
        for text in ("hello", "8765", "that's my PIN"):
            call.deliver(call.endpoint(), said(text))
        await line.hook.came(1)
        opened.set()
        await line.settle()
        assert line.hook.bodies[1]["autotranscribeResponse"]["utterance"] == [second]


@pytest.mark.parametrize(
    ("redaction", "utterance", "shown"),
    [
        (RedactionOutput.REDACTED, {"text": "PIN ####"}, "PIN ####"),
        (RedactionOutput.BOTH, {"text": "PIN ####", "unredactedText": "PIN 8765"}, "PIN ####"),
        (
            RedactionOutput.UNREDACTED,
            {"text": "PIN 8765", "tokens": [{"content": "PIN", "start": 400, "end": 600, "confidence": 0.988}]},
            "PIN 8765",
        ),
    ],
)
async def test_a_start_says_which_texts_are_given(
    line: Line, redaction: RedactionOutput, utterance: dict[str, object], shown: str
) -> None:
    call = line.open(redaction)
    call.deliver(call.endpoint(), replace(said("PIN 8765"), tokens=(Token("PIN", 400, 600, 0.98765),)))
    assert await call.drain(30)
    await line.settle()
    assert line.hook.bodies[0]["autotranscribeResponse"]["utterance"] == [utterance]
    (stored,) = await line.stored()
    assert (stored.text, stored.shown) == ("PIN ####", shown)


async def test_utterances_go_out_in_the_order_of_their_endpoints(line: Line) -> None:
    call = line.open()
    numbers = [call.endpoint() for _ in range(4)]
    for number in reversed(numbers):
        call.deliver(number, said(f"turn {'abcd'[number]}", Role.AGENT if number % 2 else Role.CUSTOMER))
    assert await call.drain(30)
    await line.settle()
    assert line.hook.texts == ["turn a", "turn b", "turn c", "turn d"]
    assert [stored.sequence for stored in await line.stored()] == [0, 1, 2, 3]
    assert [delivered.message.text for delivered in line.shown] == line.hook.texts


@pytest.mark.parametrize("nothing", [None, said(""), said("  \n")])
async def test_nothing_said_is_nothing_delivered(line: Line, nothing: Transcript | None) -> None:
    call = line.open()
    silent, spoken = call.endpoint(), call.endpoint()
    call.deliver(spoken, said("Hello."))
    call.deliver(silent, nothing)
    assert await call.drain(30)
    await line.settle()
    assert line.hook.texts == ["Hello."]
    assert [stored.sequence for stored in await line.stored()] == [1]


async def test_a_late_one_holds_nobody_up_for_ever(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer.Sequencer.__init__, "__defaults__", (0.02,))
    call = line.open()
    late, punctual = call.endpoint(), call.endpoint()
    call.deliver(punctual, said("on time"))
    await line.hook.came(1)
    call.deliver(late, said("late"))
    assert await call.drain(30)
    await line.settle()
    assert line.hook.texts == ["on time", "late"]
    assert [delivered.late for delivered in line.shown] == [False, True]
    assert [stored.text for stored in await line.stored()] == ["late", "on time"]


async def test_an_utterance_is_delivered_once_and_only_if_announced(line: Line) -> None:
    call = line.open()
    number = call.endpoint()
    call.deliver(number, said("Hello."))
    for wrong in (number, number + 1):
        with pytest.raises(InternalError):
            call.deliver(wrong, said("Hello."))
    assert await call.drain(30)


async def test_drain_ends_at_its_time_when_a_text_does_not_come(line: Line) -> None:
    call = line.open()
    number = call.endpoint()
    assert not await call.drain(0.01)
    call.deliver(number, None)
    assert await call.drain(30)


async def test_a_resumed_call_goes_on_with_its_numbers_under_its_new_terms(line: Line) -> None:
    call = line.open()
    earlier = call.endpoint()
    again = line.delivery.open(replace(call.call, agent_id="agent-10"), RedactionOutput.UNREDACTED, DigitMask())
    assert again is call
    later = again.endpoint()
    again.deliver(later, said("after 22"))
    # Ended while the call was redacted: stays so, whenever its text comes.
    again.deliver(earlier, said("before 11"))
    assert await again.drain(30)
    await line.settle()
    assert line.hook.texts == ["before ##", "after 22"]
    assert [stored.unredacted for stored in await line.stored()] == [None, "after 22"]
    record = await line.store.call(line.account_id, "CA01")
    assert record is not None
    assert record.agent_id == "agent-10"


async def test_redaction_that_fails_hides_everything(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    record = CallRecord(new_ulid(), line.account_id, "CA01", "en-US", "cust-7", "agent-9", NOON)
    call = line.delivery.open(record, RedactionOutput.REDACTED, Broken())
    before = REGISTRY.get_sample_value("gateway_redaction_failed_total") or 0.0
    call.deliver(call.endpoint(), said("My PIN is 8765, señor."))
    assert await call.drain(30)
    await line.settle()
    assert line.hook.texts == ["## ### ## ####, #####."]
    assert [stored.text for stored in await line.stored()] == ["## ### ## ####, #####."]
    assert (REGISTRY.get_sample_value("gateway_redaction_failed_total") or 0.0) - before == 1
    assert "8765" not in caplog.text
    assert "ValueError" in caplog.text


def test_mask_hides_what_no_english_text_has() -> None:
    assert mask("Zoë: 12.50 € – ٣٤!") == "###: ##.## # # ##!"


async def test_a_live_view_that_fails_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with laid(tmp_path) as line:
        line.delivery.on_message = _fail
        call = line.open()
        call.deliver(call.endpoint(), said("one"))
        call.deliver(call.endpoint(), said("two"))
        assert await call.drain(30)
        await line.settle()
        assert line.hook.texts == ["one", "two"]
    assert "live view failed (RuntimeError)" in caplog.text


def _fail(_delivered: Delivered) -> None:
    raise RuntimeError


async def test_what_is_posted_is_committed_already(tmp_path: Path) -> None:
    seen: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        # As another process would after kill -9: only what is committed counts.
        with sqlite3.connect(tmp_path / "gateway.db") as plain:
            seen.append(plain.execute("SELECT count(*) FROM messages").fetchone()[0])
        plain.close()
        return await ok(request)

    async with laid(tmp_path, answer) as line:
        call = line.open()
        for number in range(5):
            call.deliver(call.endpoint(), said(f"turn {'abcde'[number]}"))
            await line.hook.came(number + 1)
        await line.settle()
    assert seen == [1, 2, 3, 4, 5]


async def test_a_post_is_pending_in_the_store_until_it_is_answered(tmp_path: Path) -> None:
    opened = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await opened.wait()
        return await ok(request)

    async with laid(tmp_path, answer) as line:
        call = line.open()
        call.deliver(call.endpoint(), said("Hello."))
        await line.hook.came(1)
        assert outcomes(tmp_path) == [("pending", "")]
        opened.set()
        await line.settle()
        assert outcomes(tmp_path) == [("delivered", "")]


def outcomes(folder: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(folder / "gateway.db") as plain:
        found = plain.execute("SELECT outcome, reason FROM deliveries ORDER BY sequence").fetchall()
    plain.close()
    return found


async def test_without_a_webhook_messages_are_stored_and_shown(line: Line) -> None:
    shown: list[Delivered] = []
    delivery = Delivery(line.writer, None, shown.append)
    record = CallRecord(new_ulid(), line.account_id, "CA01", "en-US", "cust-7", "agent-9", NOON)
    call = delivery.open(record, RedactionOutput.REDACTED, DigitMask())
    call.deliver(call.endpoint(), said("Hello."))
    assert await call.drain(30)
    assert [delivered.message for delivered in shown] == await line.stored()


async def test_a_dead_database_holds_no_post_up_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.delivery.delivery.COMMIT_SECONDS", 0.05)
    async with laid(tmp_path) as line:
        call = line.open()
        await line.writer.submit(call.call)
        lock = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        for text in ("one", "two", "three"):
            call.deliver(call.endpoint(), said(text))
        await line.hook.came(3)
        assert line.hook.texts == ["one", "two", "three"]
        assert await line.stored() == []
        lock.close()
        await line.settle()
        assert [stored.text for stored in await line.stored()] == ["one", "two", "three"]
        assert outcomes(tmp_path) == [("delivered", "")] * 3


async def test_one_calls_trouble_does_not_reach_another(line: Line) -> None:
    stuck, free = line.open(guid="CA01"), line.open(guid="CA02")
    stuck.endpoint()
    stuck.deliver(stuck.endpoint(), said("waits"))
    free.deliver(free.endpoint(), said("goes"))
    assert await free.drain(30)
    await line.hook.came(1)
    assert line.hook.texts == ["goes"]
    assert not await stuck.drain(0)


async def test_a_preview_follows_the_terms_and_leaves_no_trace(line: Line) -> None:
    redactor = DigitMask()
    record = CallRecord(new_ulid(), line.account_id, "CA01", "en-US", "cust-7", "agent-9", NOON)
    call = line.delivery.open(record, RedactionOutput.BOTH, redactor)
    assert call.preview("My PIN is 87", Role.CUSTOMER) == "My PIN is ##"
    call = line.delivery.open(record, RedactionOutput.UNREDACTED, redactor)
    assert call.preview("My PIN is 87", Role.CUSTOMER) == "My PIN is 87"
    call = line.delivery.open(record, RedactionOutput.REDACTED, Broken())
    assert call.preview("My PIN is 87.", Role.CUSTOMER) == "## ### ## ##."
    assert redactor.seen == []
    await line.settle()
    assert await line.stored() == []
    assert line.hook.bodies == []
    assert line.shown == []
