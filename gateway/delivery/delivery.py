"""From a recognised utterance to the store, then to the webhook and the live view; in order within a call.

At its endpoint an utterance takes its number (:meth:`CallDelivery.endpoint`), and with it the redaction that holds
then. When its text is there (:meth:`CallDelivery.deliver`) and its turn has come it is redacted, handed to the
writer, and posted as soon as it is committed. A commit that takes too long holds the post up no further.
"""

from __future__ import annotations

import asyncio
import logging
import string
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary

from gateway.delivery.payload import tokens_json, transcript_body
from gateway.delivery.posts import Post, Unsent
from gateway.delivery.sequencer import Released, Sequencer
from gateway.delivery.webhook import OnOutcome
from gateway.errors import InternalError
from gateway.ids import new_ulid
from gateway.metrics import LATE_TRANSCRIPTS, REDACTION_FAILED, REVISED, TRANSCRIPTS
from gateway.participants import RedactionOutput, Role
from gateway.speech.engine import Token
from gateway.store.records import CallRecord, DeliveryRecord, MessageRecord, RevisionRecord
from gateway.store.rows import Record
from gateway.text.redacted import Redacted

__all__ = [
    "CallDelivery",
    "Delivered",
    "Delivery",
    "OnMessage",
    "Publisher",
    "RecordWriter",
    "Redactor",
    "Transcript",
    "mask",
    "record_outcomes",
]

logger = logging.getLogger(__name__)

# How long a post waits for its commit, from its release on (design, "Store").
COMMIT_SECONDS = 1.0

# Messages of a call that may still be redacted anew; a redactor remembers fewer.
_REVISABLE = 32

_KEPT = frozenset(string.punctuation + string.whitespace)


class Redactor(Protocol):
    """Hides what must not be shown in one call's texts; keeps what it needs of earlier turns."""

    def redact(self, text: str, role: Role) -> Redacted:
        """The text with what is sensitive masked; quick, and on the event loop."""

    def preview(self, text: str, role: Role) -> str:
        """The same for a text that may stop anywhere; nothing is remembered."""


class RecordWriter(Protocol):
    """What delivery needs of :class:`gateway.store.writer.Writer`."""

    def submit(self, record: Record) -> asyncio.Future[None]:
        """Queue a record; the future is done when it is committed, or ends in a StoreError."""


class Publisher(Protocol):
    """What delivery needs of :class:`gateway.delivery.webhook.WebhookPublisher`."""

    unsent: Unsent
    """Posts that wait, there or on the way there."""

    def publish(self, post: Post) -> None:
        """Send the post when its turn comes."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """One recognised utterance. Offsets are ms on the call's clock; ``text`` is as recognised, not redacted.

    ``client_timestamp`` is the wall time at which it began; ``tokens`` are given where the start asked for them.
    """

    role: Role
    external_id: str
    stream_id: str
    start_ms: int
    end_ms: int
    text: str
    client_timestamp: datetime
    tokens: tuple[Token, ...] = ()


@dataclass(slots=True)
class Delivered:
    """A message as it is stored by now, for the live view; ``late`` if later ones went before it."""

    call: CallRecord
    message: MessageRecord
    late: bool
    shown: bool = False


OnMessage = Callable[[Delivered], None]


@dataclass(frozen=True, slots=True)
class _Terms:
    """What held for an utterance at its endpoint."""

    redaction: RedactionOutput
    redactor: Redactor
    at: float


@dataclass(frozen=True, slots=True)
class _Item:
    transcript: Transcript
    terms: _Terms


@dataclass(frozen=True, slots=True)
class _Outgoing:
    delivered: Delivered
    post: Post | None
    committed: asyncio.Future[None]
    give_up_at: float


def mask(text: str) -> str:
    """Every letter and digit as ``#``: what is shown when redaction fails."""
    return "".join(char if char in _KEPT else "#" for char in text)


def record_outcomes(writer: RecordWriter) -> OnOutcome:
    """For :class:`~gateway.delivery.webhook.WebhookPublisher`: write down how each post ended."""

    def on_outcome(post: Post, outcome: str, reason: str) -> None:
        writer.submit(_delivery_record(post, outcome, reason))

    return on_outcome


def _delivery_record(post: Post, outcome: str, reason: str) -> DeliveryRecord:
    now = datetime.now(UTC)
    return DeliveryRecord(post.delivery_id, post.call_id, post.message_id, post.sequence, outcome, reason, now)


class Delivery:
    """All calls' way out.

    Args:
        writer: the store's writer.
        publisher: the webhook; None without one.
        on_message: told about each message after its commit, on the loop; for the live view.
    """

    def __init__(
        self, writer: RecordWriter, publisher: Publisher | None = None, on_message: OnMessage | None = None
    ) -> None:
        self.writer = writer
        self.publisher = publisher
        self.on_message = on_message
        self._calls: WeakValueDictionary[str, CallDelivery] = WeakValueDictionary()
        # A redactor outlives a hang-up, and its utterances may belong to the session before: by their ordinals.
        self._messages: WeakKeyDictionary[Redactor, OrderedDict[int, Delivered]] = WeakKeyDictionary()

    def open(self, call: CallRecord, redaction: RedactionOutput, redactor: Redactor) -> CallDelivery:
        """The way out of one call, which is written to the store as live.

        Opened again for the same ``call_id`` (a resume) it is the same one: its numbers go on, and the new terms hold
        for the utterances that end from now on.
        """
        self.writer.submit(call)
        known = self._calls.get(call.call_id)
        if known is not None:
            known.renew(call, redaction, redactor)
            return known
        opened = CallDelivery(self, call, redaction, redactor)
        self._calls[call.call_id] = opened
        return opened

    def revise(self, redactor: Redactor, redacted: Redacted, delivered: Delivered) -> None:
        """Write the earlier messages anew that this one showed to hold a secret; who reads along is told them again.

        What was posted can't be taken back; the store, what is made from it, and posts that wait can.
        """
        kept = self._messages.setdefault(redactor, OrderedDict())
        for revised in redacted.revised:
            earlier = kept.get(revised.utterance)
            if earlier is not None:
                message_id = earlier.message.message_id
                earlier.message = replace(earlier.message, text=revised.text)
                self.writer.submit(RevisionRecord(message_id, revised.text))
                if self.publisher is not None:
                    self.publisher.unsent.revise(message_id, revised.text)
                if earlier.shown and not earlier.message.show_unredacted:
                    self.show(earlier)
                REVISED.inc()
        if redacted.utterance >= 0:
            kept[redacted.utterance] = delivered
            while len(kept) > _REVISABLE:
                kept.popitem(last=False)

    def show(self, delivered: Delivered) -> None:
        """Tell a message, or its new text, to who reads along."""
        delivered.shown = True
        if self.on_message is not None:
            try:
                self.on_message(delivered)
            except Exception as error:
                logger.error("live view failed (%s)", type(error).__name__)


class CallDelivery:
    """The way out of one call. Made by :meth:`Delivery.open`; used on the event loop only."""

    def __init__(self, delivery: Delivery, call: CallRecord, redaction: RedactionOutput, redactor: Redactor) -> None:
        self._delivery = delivery
        self._call = call
        self._redaction = redaction
        self._redactor = redactor
        self._sequencer: Sequencer[_Item] = Sequencer()
        self._terms: dict[int, _Terms] = {}
        self._timer: asyncio.TimerHandle | None = None
        # Released, and waiting for its commit; its task lives while there is any.
        self._outgoing: deque[_Outgoing] = deque()
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @property
    def call(self) -> CallRecord:
        """The call as it was last opened."""
        return self._call

    def renew(self, call: CallRecord, redaction: RedactionOutput, redactor: Redactor) -> None:
        """New terms for the utterances that end from now on."""
        self._call, self._redaction, self._redactor = call, redaction, redactor

    def preview(self, text: str, role: Role) -> str:
        """What may be shown of an unfinished text, on the terms that hold now."""
        if self._redaction is RedactionOutput.UNREDACTED:
            return text
        return _previewed(self._redactor, text, role)

    def endpoint(self) -> int:
        """An utterance has ended: its number. :meth:`deliver` is owed for it."""
        sequence = self._sequencer.next()
        now = asyncio.get_running_loop().time()
        self._terms[sequence] = _Terms(self._redaction, self._redactor, now)
        return sequence

    def deliver(self, sequence: int, transcript: Transcript | None) -> None:
        """The utterance's text is there; None, or one without text, if nothing was said.

        Raises:
            InternalError: the number is not one of :meth:`endpoint`, or was delivered already.
        """
        terms = self._terms.pop(sequence, None)
        if terms is None:
            msg = f"utterance {sequence} was never announced, or is delivered twice"
            raise InternalError(msg)
        item = _Item(transcript, terms) if transcript is not None and transcript.text.strip() else None
        self._release(self._sequencer.resolve(sequence, item, asyncio.get_running_loop().time()))

    @property
    def drained(self) -> bool:
        """Whether :meth:`drain` has nothing to wait for."""
        return not (self._sequencer.pending or self._outgoing)

    async def drain(self, timeout: float) -> bool:
        """Wait until every utterance that has ended is committed and handed to the webhook; False if time ran out.

        What was passed over for coming too late is not waited for.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self.drained:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _expire(self) -> None:
        self._timer = None
        self._release(self._sequencer.expire(asyncio.get_running_loop().time()))

    def _release(self, released: list[Released[_Item]]) -> None:
        for one in released:
            self._send(one)
        if self._outgoing and self._task is None:
            self._task = asyncio.create_task(self._run(), name="call-delivery")
        self._set_timer()
        self._changed.set()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._sequencer.next_deadline
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _send(self, released: Released[_Item]) -> None:
        """Redact, hand to the writer, and put in line for the post."""
        transcript, terms = released.item.transcript, released.item.terms
        TRANSCRIPTS.labels(transcript.role.value).inc()
        if released.late:
            LATE_TRANSCRIPTS.inc()
        redacted = _redacted(terms.redactor, transcript.text, transcript.role)
        message = _message(self._call, released.sequence, transcript, redacted.text, terms.redaction)
        post = None
        if self._delivery.publisher is not None:
            if terms.redaction is RedactionOutput.UNREDACTED:
                message = replace(message, tokens=tokens_json(transcript.tokens))
            body = transcript_body(self._call, message, terms.redaction, transcript.text, transcript.tokens)
            call_id, message_id = message.call_id, message.message_id
            shows_redacted = terms.redaction is not RedactionOutput.UNREDACTED
            post = Post(new_ulid(), call_id, message_id, released.sequence, body, terms.at, redacted=shows_redacted)
            self._delivery.publisher.unsent.add(post)
            # Before its message: what is committed of the two after a crash is a post too many, never one too few.
            self._delivery.writer.submit(_delivery_record(post, "pending", ""))
        committed = self._delivery.writer.submit(message)
        delivered = Delivered(self._call, message, released.late)
        self._delivery.revise(terms.redactor, redacted, delivered)
        give_up_at = asyncio.get_running_loop().time() + COMMIT_SECONDS
        self._outgoing.append(_Outgoing(delivered, post, committed, give_up_at))

    async def _run(self) -> None:
        try:
            while self._outgoing:
                try:
                    await self._pass_on(self._outgoing[0])
                finally:
                    self._outgoing.popleft()
                    self._changed.set()
        finally:
            self._task = None

    async def _pass_on(self, outgoing: _Outgoing) -> None:
        """Wait for the commit, but not for ever; then post and show."""
        left = outgoing.give_up_at - asyncio.get_running_loop().time()
        if not outgoing.committed.done() and left > 0:
            await asyncio.wait({outgoing.committed}, timeout=left)
        if outgoing.post is not None and self._delivery.publisher is not None:
            self._delivery.publisher.publish(outgoing.post)
        self._delivery.show(outgoing.delivered)


def _redacted(redactor: Redactor, text: str, role: Role) -> Redacted:
    try:
        return redactor.redact(text, role)
    except Exception as error:
        return Redacted(_masked(text, error))


def _previewed(redactor: Redactor, text: str, role: Role) -> str:
    try:
        return redactor.preview(text, role)
    except Exception as error:
        return _masked(text, error)


def _masked(text: str, error: Exception) -> str:
    """The whole text masked: anything may be wrong in a redactor, and the one wrong answer is the text itself.

    The traceback stays out of the log: an exception's message may quote the text.
    """
    REDACTION_FAILED.inc()
    logger.error("redaction failed (%s), an utterance is masked entirely", type(error).__name__)
    return mask(text)


def _message(
    call: CallRecord, sequence: int, transcript: Transcript, text: str, redaction: RedactionOutput
) -> MessageRecord:
    return MessageRecord(
        message_id=new_ulid(),
        call_id=call.call_id,
        sequence=sequence,
        stream_id=transcript.stream_id,
        role=transcript.role.value,
        external_id=transcript.external_id,
        start_ms=transcript.start_ms,
        end_ms=transcript.end_ms,
        text=text,
        client_timestamp=transcript.client_timestamp,
        created_timestamp=datetime.now(UTC),
        unredacted=None if redaction is RedactionOutput.REDACTED else transcript.text,
        show_unredacted=redaction is RedactionOutput.UNREDACTED,
    )
