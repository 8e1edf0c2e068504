"""The live calls: media streams attach and leave, start and stop open and close the gates.

An asyncio shell around :class:`gateway.calls.call.Call`. A call's failure never reaches another call; everything here
runs on the event loop, and nothing in it waits for a model, a disk or a peer for longer than it says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

import structlog

from gateway import metrics
from gateway._native import track as track_kernel
from gateway.calls.arrivals import Arrivals
from gateway.calls.call import Call, Stream
from gateway.calls.ledger import Ledger
from gateway.calls.messages import Start
from gateway.calls.model import CallSnapshot, CallState, MediaSocket, Outcome, StartRequest, Status, pending, unknown
from gateway.calls.transcription import Conversations, Transcription
from gateway.clock import monotonic_ms
from gateway.config import LimitSettings
from gateway.delivery.live import Subscription
from gateway.errors import RequestError
from gateway.participants import Track
from gateway.speech.stage import SpeechStage

__all__ = ["Registry"]

log = structlog.get_logger(__name__)

STOP_WAIT_S = 2.0
"""How long a stop waits for utterances in flight."""

PARTING_S = 60.0
"""How long after a hang-up one stop request still gets its summary."""


class Registry:
    """All live calls, by account and guid; implements :class:`gateway.calls.model.CallControl`.

    Args:
        limits: how many calls may be transcribed.
        conversations: what becomes of their words.
        speech: None with ``GATEWAY_ASR__MODEL=none``: audio ends in a checksum.
        store_healthy: whether what is said would be kept.
        look: reads media sockets that have brought no stream yet.
    """

    def __init__(
        self,
        limits: LimitSettings,
        conversations: Conversations,
        speech: SpeechStage | None,
        *,
        store_healthy: Callable[[], bool],
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._limits = limits
        self._conversations = conversations
        self._speech = speech
        self._store_healthy = store_healthy
        self.draining = False
        self._calls = Ledger()
        self._sockets: dict[Stream, MediaSocket] = {}
        self._transcriptions: dict[tuple[Stream, Track], Transcription] = {}
        self._look = look
        self._arrivals = Arrivals()
        self._tasks: set[asyncio.Task[None]] = set()
        # Closed tracks whose utterances are in flight: whoever ends a call waits for all of them.
        self._flushing: dict[Call, set[Transcription]] = {}
        # Hang-ups whose last utterances are in flight; a stop that comes meanwhile waits for its summary.
        self._partings: dict[Call, asyncio.Task[None]] = {}

    # Media streams

    def attach(self, account_id: str, start: Start, socket: MediaSocket) -> tuple[Call, Stream]:
        """A media stream's ``start`` message was read: it belongs to its call from now on.

        The newest start owns a track: an older stream that carries one of its tracks is ended like a hang-up.
        """
        call = self._calls.take(account_id, start.call_sid)
        for older in call.displaced_by(start.tracks):
            log.info("stream displaced", call=call.guid, stream=older.stream_sid)
            displaced = self._sockets.get(older)
            self.detach(call, older, completes=False)
            if call.state is CallState.TRANSCRIBING:
                # The call is gated, whichever socket was displaced: a new start is due (and gets a 200).
                call.state = CallState.GATED
                self._calls.note(call)
                self._end(call, self._part(call, self._close(call, call.streams), last=False, owed=True), "displaced")
            if displaced is not None:
                displaced.displace()
        with_speech = self._speech is not None
        stream = Stream(
            start.stream_sid,
            {t: track_kernel.Track(checksum=not with_speech, keep_pcm=with_speech) for t in sorted(start.tracks)},
            checksums=not with_speech,
        )
        call.attach(stream)
        self._sockets[stream] = socket
        self._calls.note(call)
        log.info("stream attached", call=call.guid, stream=stream.stream_sid, tracks=",".join(sorted(start.tracks)))
        if call.state is CallState.TRANSCRIBING:
            self._open(call, stream)
        self._arrivals.came((account_id, call.guid))
        return call, stream

    def carries(self, account_id: str, start: Start) -> bool:
        """Whether a live stream carries one of these tracks of the call."""
        call = self._calls.get(account_id, start.call_sid)
        return call is not None and bool(call.displaced_by(start.tracks))

    def detach(self, call: Call, stream: Stream, *, completes: bool = True) -> None:
        """A stream has ended, in whatever way; its open utterance is still transcribed."""
        if stream.ended:
            return
        self._sockets.pop(stream, None)
        finishing = self._close(call, [stream])
        last = completes and len(call.streams) == 1 and stream in call.streams
        transcribing = call.state is CallState.TRANSCRIBING
        call.detach(stream)
        if last:
            call.state = CallState.COMPLETED
            call.completed_at_ms = monotonic_ms()
        self._calls.note(call)
        owed = transcribing and not call.pending
        if self._settled(call, finishing):
            # Here and now: with thousands who hang up at once, what is done later is done for all in one turn.
            self._forget(finishing)
            self._conclude(call, last=last, owed=owed and last)
            return
        parting = self._part(call, finishing, last=last, owed=owed and last)
        if last:
            self._end(call, parting, "hang-up")
        else:
            self._spawn(parting, "stream end")

    def _end(self, call: Call, parting: Coroutine[Any, Any, None], name: str) -> None:
        """Transcription of a call ends without a stop request: one that comes soon waits for ``parting``."""
        self._partings[call] = task = self._spawn(parting, name)
        task.add_done_callback(lambda _: self._parted(call, task))

    def _parted(self, call: Call, task: asyncio.Task[None]) -> None:
        # A call that came back and hung up again meanwhile has a newer one.
        if self._partings.get(call) is task:
            del self._partings[call]

    async def _part(self, call: Call, finishing: list[Transcription], *, last: bool, owed: bool) -> None:
        """What follows a hang-up: transcribe what is in flight, then :meth:`_conclude`."""
        await self._finish(call, finishing)
        self._conclude(call, last=last, owed=owed)

    def _settled(self, call: Call, closed: list[Transcription]) -> bool:
        """Whether nothing of the call is in flight, and nobody is about to wait for any of it."""
        if call.pending or call in self._flushing or call in self._partings:
            return False
        delivered = not call.recorded or self._conversations.of(call).drained
        return delivered and all(transcription.finished for transcription in closed)

    def _conclude(self, call: Call, *, last: bool, owed: bool) -> None:
        """All of a stream that has ended is transcribed: keep the summary that is owed to a later stop."""
        if owed and call.state is not CallState.TRANSCRIBING:
            call.parting = call.participants(summary=True)
            call.parted_at_ms = monotonic_ms()
        if not last or call.streams:
            return
        self._conversations.complete(call, "hangup")
        log.info("call completed", call=call.guid, transcripts=call.transcripts)

    # Control

    async def start(self, account_id: str, request: StartRequest) -> Outcome:
        """Start or resume transcription; see :class:`gateway.calls.model.CallControl`."""
        try:
            outcome = await self._start(account_id, request)
        except RequestError as error:
            metrics.STARTS.labels(error.code).inc()
            raise
        status = min((p.status for p in outcome.participants.values()), default=Status.OK)
        metrics.STARTS.labels(str(int(status))).inc()
        return outcome

    async def _start(self, account_id: str, request: StartRequest) -> Outcome:
        # A start often comes right behind its stream, which may have taken the place of another.
        self._look()
        if (call := self._known(account_id, request.guid)) is not None:
            self._catch_up(call)
            if call.state is CallState.TRANSCRIBING:
                raise RequestError(409, "409-201", f"Transcription of call '{request.guid}' has already been started.")
        if call is None or not call.streams:
            if self.draining:
                raise unknown(request.guid)
            await self._arrivals.wait((account_id, request.guid))
            call = self._calls.take(account_id, request.guid)
        refusal = self._conversations.refusal(request) or self._refusal(request)
        if refusal is not None:
            return Outcome(False, call.participants(refusal), refusal.description)
        await self._read_out(call)
        self._catch_up(call)
        if not call.streams:
            # The sweep, or the wait, saw its hang-up.
            raise unknown(request.guid)
        call.begin(request)
        self._conversations.begin(call)
        for stream in call.streams:
            self._open(call, stream)
        self._calls.note(call)
        log.info("transcription started", call=call.guid, redaction=str(request.redaction))
        return Outcome(True, call.participants())

    def _known(self, account_id: str, guid: str) -> Call | None:
        """The call, if it is known; it must not have another request under way."""
        call = self._calls.get(account_id, guid)
        if (account_id, guid) in self._arrivals or (call is not None and call.pending):
            raise pending(guid)
        return call

    def _catch_up(self, call: Call) -> None:
        """Read what Twilio has sent up to now, so that the cut is at the newest timestamp."""
        for stream in list(call.streams):
            if (socket := self._sockets.get(stream)) is not None:
                socket.read_now()

    async def _read_out(self, call: Call) -> None:
        """Wait until tracks that were closed in mid-utterance are read: opening a track's gate empties its queue."""
        unread = [t for t in self._flushing.get(call, ()) if t.stream in call.streams]
        if not unread:
            return
        call.pending = True
        try:
            async with asyncio.timeout(STOP_WAIT_S):
                await asyncio.gather(*(t.read_out(self._speech) for t in unread))
        except TimeoutError:
            log.warning("start goes ahead of audio that is not read", call=call.guid)
        finally:
            call.pending = False

    def _refusal(self, request: StartRequest) -> Status | None:
        """Why a start is refused inside a 200; None if it is not."""
        if self.draining:
            return Status.SHUTTING_DOWN
        if self._speech is not None and request.language.split("-")[0].lower() not in self._speech.languages:
            return Status.LANGUAGE_NOT_SUPPORTED
        full = self._calls.transcribing >= self._limits.calls or (self._speech is not None and self._speech.overloaded)
        return Status.NO_INSTANCES_AVAILABLE if full or not self._store_healthy() else None

    async def stop(self, account_id: str, guid: str) -> Outcome:
        """Pause or end transcription; see :class:`gateway.calls.model.CallControl`."""
        try:
            outcome = await self._stop(account_id, guid)
        except RequestError as error:
            metrics.STOPS.labels(error.code).inc()
            raise
        metrics.STOPS.labels(str(int(Status.OK))).inc()
        return outcome

    async def _stop(self, account_id: str, guid: str) -> Outcome:
        if (call := self._known(account_id, guid)) is None:
            raise unknown(guid)
        if call.state is not CallState.TRANSCRIBING:
            return await self._parting(call)
        call.pending = True
        try:
            self._catch_up(call)
            if call.state is CallState.TRANSCRIBING:
                call.state = CallState.PAUSED
                self._calls.note(call)
            await self._finish(call, self._close(call, call.streams))
            if (parting := self._partings.get(call)) is not None:
                await asyncio.wait({parting})
        finally:
            call.pending = False
        self._calls.note(call)
        log.info("transcription stopped", call=call.guid)
        return Outcome(True, call.participants(summary=True))

    async def _parting(self, call: Call) -> Outcome:
        """Answer the one stop that may follow a hang-up within a minute."""
        if call in self._partings:
            call.pending = True
            try:
                await asyncio.wait({self._partings[call]})
            finally:
                call.pending = False
        parting, call.parting = call.parting, None
        if parting is None or monotonic_ms() - call.parted_at_ms > PARTING_S * 1000:
            raise RequestError(409, "409-201", f"Transcription of call '{call.guid}' is already stopped.")
        return Outcome(True, parting)

    def snapshots(self, account_id: str) -> list[CallSnapshot]:
        """The account's live calls, oldest first."""
        return [call.snapshot() for call in self._calls.live() if call.account_id == account_id]

    def snapshot(self, account_id: str, guid: str) -> CallSnapshot | None:
        """One live call; None if there is none."""
        call = self._calls.get(account_id, guid)
        return call.snapshot() if call is not None and call.streams else None

    def watch(self, account_id: str, guid: str) -> Subscription:
        """Read along; see :class:`gateway.calls.model.CallControl`."""
        call = self._calls.get(account_id, guid)
        if call is None or not call.streams:
            raise RequestError(404, "404-01", "Not found: this account has no such live call")
        return self._conversations.live.subscribe(account_id, guid)

    # Gates

    def _open(self, call: Call, stream: Stream) -> None:
        for track, media in stream.tracks.items():
            if media.gate_open:
                continue
            media.open_gate()
            transcription = Transcription(call, stream, track, media, self._conversations)
            self._transcriptions[stream, track] = transcription
            if self._speech is not None:
                transcription.open(self._speech)

    def _close(self, call: Call, streams: Iterable[Stream]) -> list[Transcription]:
        """Close the gates of ``streams``; what they streamed is added to the participants' tallies."""
        closed = []
        for stream in streams:
            for track, media in stream.tracks.items():
                if not media.gate_open:
                    continue
                media.close_gate()
                transcription = self._transcriptions.get((stream, track))
                if transcription is not None:
                    call.tally(transcription.role).samples += media.received_samples
                    closed.append(transcription)
        return closed

    async def _finish(self, call: Call, closed: list[Transcription]) -> None:
        """Wait until what is in flight on closed tracks, now or before, is transcribed and delivered; 2 s at most."""
        flushing = self._flushing.setdefault(call, set())
        flushing.update(closed)
        try:
            async with asyncio.timeout(STOP_WAIT_S):
                await asyncio.gather(*(t.finish(self._speech) for t in flushing))
                if call.recorded:
                    await self._conversations.of(call).drain(STOP_WAIT_S)
        except TimeoutError:
            log.warning("utterances still in flight after stop", call=call.guid)
        finally:
            if not flushing:
                self._flushing.pop(call, None)
            for transcription in closed:
                if transcription.when_read(partial(self._flushed, call, transcription)):
                    self._flushed(call, transcription)
            self._forget(closed)

    def _forget(self, closed: list[Transcription]) -> None:
        for transcription in closed:
            key = transcription.stream, transcription.track
            # A new start may have taken its place.
            if self._transcriptions.get(key) is transcription:
                del self._transcriptions[key]

    def _flushed(self, call: Call, transcription: Transcription) -> None:
        """The track's queue has been read: a start may open its gate, which empties it."""
        flushing = self._flushing.get(call, set())
        flushing.discard(transcription)
        if not flushing:
            self._flushing.pop(call, None)

    # Life

    @property
    def transcribing(self) -> int:
        """Calls being transcribed."""
        return self._calls.transcribing

    async def idle(self) -> None:
        """Return when no call is being transcribed."""
        await self._calls.idle.wait()

    async def close(self) -> None:
        """End every call as a hang-up would and wait for what is in flight; sockets are closed by their owner."""
        for call in self._calls.live():
            for stream in list(call.streams):
                try:
                    self.detach(call, stream)
                except Exception:
                    log.exception("a call could not be ended", call=call.guid)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_WAIT_S + 1)

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", task=task.get_name(), error=type(error).__name__, exc_info=error)
