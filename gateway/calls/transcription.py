"""From a started track to delivered transcripts: who speaks, when, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from gateway.calls.call import Call, Stream
from gateway.calls.configuration import AccountConfiguration
from gateway.calls.model import StartRequest, Status
from gateway.clock import monotonic_ms
from gateway.delivery.delivery import CallDelivery, Delivery, Redactor, Transcript
from gateway.delivery.live import LivePartial, LiveView
from gateway.ids import new_ulid
from gateway.participants import RedactionOutput, Role, Track
from gateway.speech.engine import DecodeOptions, Hypothesis, Token
from gateway.speech.partials import Partial
from gateway.speech.stage import OpenTrack, SpeechStage
from gateway.speech.track import Segment
from gateway.speech.words import placed
from gateway.store.records import CallRecord
from gateway.store.writer import Writer
from gateway.text.formatting import Formatter
from gateway.text.policy import Policy

if TYPE_CHECKING:
    from gateway._native.track_py import Track as TrackMedia

__all__ = ["CallRedactor", "Conversations", "Transcription"]


class CallRedactor(Redactor, Protocol):
    """Redaction of one call, whose policy may change from start to start."""

    policy: Policy


@dataclass(frozen=True, slots=True)
class _Session:
    """A conversation that is live; ``configuration`` is the account's, as it was at the last start."""

    record: CallRecord
    delivery: CallDelivery
    configuration: AccountConfiguration


def _nothing_set(_account_id: str) -> AccountConfiguration:
    return AccountConfiguration()


class Conversations:
    """The record of each started call, and its way out.

    A call that is started again after its hang-up is a new session of the same conversation: the store shows one.

    Args:
        delivery: the way out.
        writer: the store's writer.
        redactor: makes a call's redaction.
        live: who reads along; finals reach it by way of ``delivery``.
        configured: what an account has configured; asked at every start.
        always_redacted: starts that ask for unredacted text are refused.
    """

    def __init__(
        self,
        delivery: Delivery,
        writer: Writer,
        redactor: Callable[[Policy], CallRedactor],
        live: LiveView | None = None,
        *,
        configured: Callable[[str], AccountConfiguration] = _nothing_set,
        always_redacted: bool = False,
        formatting: bool = True,
    ) -> None:
        self.live = live or LiveView()
        self._delivery = delivery
        self._writer = writer
        self._redactor = redactor
        self._formatting = formatting
        self._configured = configured
        self._always_redacted = always_redacted
        self._open: dict[str, _Session] = {}
        # Kept over a hang-up: who was asked for a PIN may say it on the next stream of the call.
        self._redactors: WeakKeyDictionary[Call, CallRedactor] = WeakKeyDictionary()

    def refusal(self, request: StartRequest) -> Status | None:
        """Why a start is refused inside a 200; None if it is not."""
        refused = self._always_redacted and request.redaction is not RedactionOutput.REDACTED
        return Status.ALWAYS_REDACTED if refused else None

    def begin(self, call: Call) -> None:
        """A start was accepted: open the session, or go on with the one that was paused."""
        request = call.request
        if request is None:
            return
        before = self._open.get(call.call_id) if call.recorded else None
        if before is None:
            call.call_id = new_ulid()
            call.recorded = True
        configuration = self._configured(call.account_id)
        redactor = self._redactors.get(call)
        if redactor is None:
            redactor = self._redactors[call] = self._redactor(configuration.policy)
        redactor.policy = configuration.policy
        record = CallRecord(
            call_id=call.call_id,
            account_id=call.account_id,
            guid=call.guid,
            language=request.language,
            customer_id=request.customer_id,
            agent_id=request.agent_id,
            started_at=before.record.started_at if before is not None else datetime.now(UTC),
        )
        delivery = self._delivery.open(record, request.redaction, redactor)
        self._open[call.call_id] = _Session(record, delivery, configuration)

    def of(self, call: Call) -> CallDelivery:
        """The way out of a started call."""
        return self._open[call.call_id].delivery

    def options(self, call: Call) -> DecodeOptions:
        """What a started call asks of its decodes."""
        detailed = call.request is not None and call.request.detailed_token
        return DecodeOptions(word_times=detailed, vocabulary=self._open[call.call_id].configuration.vocabulary)

    def formatter(self, call: Call) -> Formatter:
        """How a started call's texts are written."""
        return Formatter(enabled=self._formatting, language=self._open[call.call_id].record.language)

    def complete(self, call: Call, reason: str) -> None:
        """The call has ended; what is still on its way is delivered all the same."""
        self.live.end(call.account_id, call.guid, reason)
        if not call.recorded:
            return
        record = self._open.pop(call.call_id).record
        call.recorded = False
        self._writer.submit(replace(record, completed_at=datetime.now(UTC), completed_reason=reason))


class Transcription:
    """One track from a start to the next stop; a :class:`~gateway.speech.stage.SpeechListener`."""

    def __init__(
        self, call: Call, stream: Stream, track: Track, media: TrackMedia, conversations: Conversations
    ) -> None:
        self.call = call
        self.stream = stream
        self.track = track
        self.role: Role = call.role_of(track)
        self._media = media
        self._delivery = conversations.of(call)
        self._live = conversations.live
        self._formatter = conversations.formatter(call)
        # The partial that is shown, and the sample at which its utterance begins.
        self._shown: tuple[int, LivePartial] | None = None
        self._stream_id = call.stream_id(self.role)
        self._external_id = call.external_id(self.role)
        self._options = conversations.options(call)
        # Of this start: what comes after a stop is outside its summary.
        self._tally = call.tally(self.role)
        self._open: OpenTrack | None = None
        # Utterances that have ended and have no text yet.
        self._unread = 0
        self._read = asyncio.Event()
        self._read.set()

    def open(self, speech: SpeechStage) -> None:
        """Begin to transcribe; the track's gate has just been opened."""
        self._open = speech.open(self._media, self, self._options)

    @property
    def finished(self) -> bool:
        """Whether :meth:`finish` would return at once."""
        return self._read.is_set() and (self._open is None or self._open.done.done())

    async def finish(self, speech: SpeechStage | None) -> None:
        """Return when everything said before the gate was closed has its text."""
        await self.read_out(speech)
        await self._read.wait()

    def when_read(self, call: Callable[[], None]) -> bool:
        """Whether the track's queue has been read; if not, ``call`` is called when it is."""
        if self._open is None or self._open.done.done():
            return True
        self._open.done.add_done_callback(lambda _: call())
        return False

    async def read_out(self, speech: SpeechStage | None) -> None:
        """Return when the track's queue has been read, up to where its gate was closed."""
        if self._open is not None and speech is not None:
            await speech.finish(self._open)

    @property
    def wants_partials(self) -> bool:
        """Whether somebody reads along."""
        return self._live.watched(self.call.account_id, self.call.guid)

    def on_partial(self, partial: Partial) -> None:
        """What the open utterance says so far: shown, and kept nowhere."""
        text = self._delivery.preview(partial.text, self.role)
        # What is hidden at the end of the sure part may look otherwise with what follows.
        stable = _agreeing(text, self._delivery.preview(partial.text[: partial.stable], self.role))
        start_ms = self.call.offset_ms(self.stream, partial.start)
        live = LivePartial(self.role, self._external_id, self._stream_id, start_ms, text, stable, partial.revision)
        self._shown = partial.start, live
        self._live.partial(self.call.account_id, self.call.guid, live)

    def _replace(self, segment: Segment, *, empty: bool) -> None:
        """The final text of ``segment`` is there: an empty one replaces no partial by itself."""
        if self._shown is None or self._shown[0] >= segment.end:
            return
        shown, self._shown = self._shown[1], None
        if empty:
            nothing = replace(shown, text="", stable=0, revision=shown.revision + 1)
            self._live.partial(self.call.account_id, self.call.guid, nothing)

    def on_segment(self, segment: Segment) -> object:
        """An utterance has ended: it takes its place in the order of the call."""
        self._unread += 1
        self._read.clear()
        return self._delivery.endpoint()

    def on_text(self, mark: object, segment: Segment, hypothesis: Hypothesis | None) -> None:
        """Its text is there, or it could not be recognised."""
        assert isinstance(mark, int)  # noqa: S101 - what on_segment returned
        transcript = None
        if hypothesis is not None and hypothesis.text:
            transcript = self._transcript(segment, hypothesis)
            self._tally.transcripts += 1
            self.call.transcripts += 1
        self._replace(segment, empty=transcript is None or not transcript.text.strip())
        self._delivery.deliver(mark, transcript)
        self._unread -= 1
        if not self._unread:
            self._read.set()

    def _transcript(self, segment: Segment, hypothesis: Hypothesis) -> Transcript:
        start_ms = self.call.offset_ms(self.stream, segment.start)
        end_ms = max(start_ms + 1, self.call.offset_ms(self.stream, segment.end))
        anchor_ms = self.stream.anchor_ms or 0
        age_ms = monotonic_ms() - (anchor_ms + segment.start // 8)
        return Transcript(
            role=self.role,
            external_id=self._external_id,
            stream_id=self._stream_id,
            start_ms=start_ms,
            end_ms=end_ms,
            text=self._formatter.text(hypothesis.text).text,
            client_timestamp=datetime.now(UTC) - timedelta(milliseconds=age_ms),
            tokens=self._formatter.tokens(self._words(segment, hypothesis, start_ms, end_ms)),
        )

    def _words(self, segment: Segment, hypothesis: Hypothesis, start_ms: int, end_ms: int) -> tuple[Token, ...]:
        """The words with their places on the call's clock, within the utterance, where the start asked for them."""
        if not self._options.word_times:
            return ()
        return placed(hypothesis.tokens, self.call.offset_ms(self.stream, segment.pcm_start), start_ms, end_ms)


def _agreeing(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))
