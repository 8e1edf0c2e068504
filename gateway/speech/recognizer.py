"""The recognizer: decodes of many calls, in deadline order and in batches, on worker threads.

Everything but the model runs on the event loop or under a lock that is held for microseconds: the loop submits and
gets results by ``call_soon_threadsafe``, and never waits for a decode. Finals go before speculative decodes before
partials, and within a kind the earliest deadline first. Under overload the optional kinds are given up, speculative
decodes before partials: they resolve with :class:`Shed`. Then new starts are refused: :attr:`Recognizer.overloaded`.
That keeps a final from being refused, which happens only by a queue full of finals (:class:`RecognizerFull`).
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import math
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from gateway import metrics
from gateway.errors import GatewayError, InternalError
from gateway.speech.engine import Engine, Hypothesis, Job, Kind, Session

__all__ = ["Recognizer", "RecognizerFull", "Shed"]

log = structlog.get_logger(__name__)

_NICENESS = 10
"""Added to a worker's nice value: beside 20 ms ticks on two cores it halves how late the worst tick is."""

# A batch costs what its longest row costs in every step, so rows of like length go together: up to twice the
# shortest, and within two seconds of each other in any case.
_LENGTH_RATIO = 2
_LENGTH_SLACK_MS = 2000

# Audio of a batch, padding counted: at a real-time factor of 0.007 about a tenth of a second of work, for which
# whoever comes next has to wait.
_BATCH_AUDIO_MS = 16_000
_PARTIAL_AUDIO_MS = 8_000
"""The same of partials, which a final should not have to wait for."""


# A final that is later than this behind its deadline is what a listener notices; it is over when none was for a while.
_LATE_S = 0.4
_LATE_HOLD_S = 5.0

# How much of the workers' time may go by before second hearings are left out, and over how long that is looked at. At
# half the time a decode waits for another as long as it takes itself, and a second hearing takes as long as three.
_BUSY_SHARE = 0.4
_BUSY_OVER_S = 3.0

# Optional work is refused earlier than new starts: by finals in eighths of the queue (starts: six), and by how late the
# first of them is (starts: _LATE_S). A guess that is given up costs a tenth of a second at the end of an utterance, and
# saves a decode where the speaker goes on.
_ROOM_EIGHTHS = {Kind.SPECULATIVE: 4, Kind.PARTIAL: 5}
_OPTIONAL_LATE_S = {Kind.SPECULATIVE: 0.0, Kind.PARTIAL: 0.2}


class RecognizerFull(InternalError):  # noqa: N818 - a state of the queue, named as asyncio.QueueFull is
    """The queue is full of finals: admission, which refuses starts at three quarters, did not hold."""


class Shed(GatewayError):  # noqa: N818 - what became of the decode, not a failure of it
    """The decode was given up unread: optional work under overload, or the recognizer is closing."""


@dataclass(order=True, slots=True)
class _Waiting:
    """A decode in the queue; the order is the order of work."""

    kind: Kind
    deadline: float
    sequence: int
    session: Session = field(compare=False)
    future: asyncio.Future[Hypothesis] = field(compare=False)
    duration_ms: int = field(compare=False)


class Recognizer:
    """Runs an engine for many tracks.

    Args:
        engine: the loaded model.
        threads: worker threads.
        max_batch: most decodes of one batch.
        queue: most decodes that wait.
        loop: the event loop that submits and gets the results.
    """

    def __init__(
        self, engine: Engine, *, threads: int, max_batch: int, queue: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._engine = engine
        self._max_batch = max_batch
        self._capacity = queue
        self._loop = loop
        self._lock = threading.Condition()
        self._waiting: list[_Waiting] = []  # sorted; under the lock
        self._counts = dict.fromkeys(Kind, 0)  # under the lock
        self._open = False  # under the lock
        self._sequence = 0
        self._late_until = 0.0
        # Seconds of work, fading; as of when.
        self._busy_s = 0.0
        self._busy_since = time.monotonic()
        self._workers = [
            threading.Thread(target=self._work, name=f"recognizer-{number}", daemon=True) for number in range(threads)
        ]

    @property
    def depth(self) -> int:
        """Decodes that wait."""
        return len(self._waiting)

    @property
    def overloaded(self) -> bool:
        """Whether new starts should be refused: finals fill three quarters of the queue, or have lately been late."""
        self._look_at_lateness(self._waiting)
        return self._crowded or time.monotonic() < self._late_until

    @property
    def behind(self) -> bool:
        """Whether finals wait: all workers are busy, and what nobody waits for can be left out."""
        return self._counts[Kind.FINAL] > 0

    @property
    def busy(self) -> bool:
        """Whether the workers were at work for over two fifths of the last seconds: no time for what is only better."""
        idle = time.monotonic() - self._busy_since
        return self._busy_s * math.exp(-idle / _BUSY_OVER_S) > _BUSY_SHARE * _BUSY_OVER_S * len(self._workers)

    @property
    def _crowded(self) -> bool:
        return 4 * self._counts[Kind.FINAL] >= 3 * self._capacity

    def _look_at_lateness(self, waiting: Sequence[_Waiting]) -> None:
        """The first that waits is the most urgent: if it is late, so will be what new calls add."""
        now = time.monotonic()
        if waiting and waiting[0].kind is Kind.FINAL and now > waiting[0].deadline + _LATE_S:
            self._late_until = now + _LATE_HOLD_S

    def start(self) -> None:
        """Start the workers."""
        self._open = True
        for worker in self._workers:
            worker.start()

    async def close(self) -> None:
        """Shed what waits, let the workers finish what they have, and wait for them without blocking the loop."""
        with self._lock:
            self._open = False
            waiting, self._waiting = self._waiting, []
            self._counts = dict.fromkeys(Kind, 0)
            self._lock.notify_all()
        for item in waiting:
            self._shed(item, "the recognizer is closing")
        self._show_depth()
        for worker in self._workers:
            if worker.is_alive():
                await asyncio.to_thread(worker.join)

    def submit(self, session: Session, kind: Kind, deadline: float) -> asyncio.Future[Hypothesis]:
        """Ask for a decode of what ``session`` holds now; call it on the event loop.

        Args:
            session: one of the engine's; it must not be stepped elsewhere meanwhile.
            kind: what the decode is for.
            deadline: when its result is wanted, by ``time.monotonic()``; it orders, it never drops.

        Returns:
            A future of the hypothesis. It fails with :class:`Shed` if the decode is given up, and with
            :class:`~gateway.errors.InternalError` if the engine could not do it. Cancelling it takes the decode out
            of the queue; one that a worker has begun runs on unread.

        Raises:
            RecognizerFull: a final found only finals in a full queue.
            InternalError: the recognizer is not running.
        """
        future: asyncio.Future[Hypothesis] = self._loop.create_future()
        self._sequence += 1
        item = _Waiting(kind, deadline, self._sequence, session, future, session.duration_ms)
        with self._lock:
            if not self._open:
                msg = "the recognizer is not running: call start() first, and submit nothing after close()"
                raise InternalError(msg)
            victim = self._make_room(item)
            if victim is not item:
                bisect.insort(self._waiting, item)
                self._counts[kind] += 1
                self._lock.notify()
        if victim is not None:
            self._shed(victim, "the recognizer has no room for optional work")
        if victim is not item:
            future.add_done_callback(lambda _future: self._forget(item))
        self._show_depth()
        return future

    def promote(self, future: asyncio.Future[Hypothesis], deadline: float) -> None:
        """A speculative decode has become what is waited for: it goes with the finals, if no worker has begun it."""
        with self._lock:
            for at, item in enumerate(self._waiting):
                if item.future is future:
                    del self._waiting[at]
                    self._counts[item.kind] -= 1
                    item.kind, item.deadline = Kind.FINAL, deadline
                    bisect.insort(self._waiting, item)
                    self._counts[Kind.FINAL] += 1
                    break
        self._show_depth()

    def _refuses(self, kind: Kind) -> bool:
        """Under the lock: whether there is too much to do for optional work of that kind."""
        if kind is Kind.FINAL:
            return False
        if 8 * self._counts[Kind.FINAL] >= _ROOM_EIGHTHS[kind] * self._capacity:
            return True
        first = self._waiting[0] if self._counts[Kind.FINAL] else None
        return first is not None and time.monotonic() > first.deadline + _OPTIONAL_LATE_S[kind]

    def _make_room(self, item: _Waiting) -> _Waiting | None:
        """Under the lock: who has to go for ``item`` to wait; ``item`` itself if it is the least wanted."""
        if self._refuses(item.kind):
            return item
        if len(self._waiting) < self._capacity:
            return None
        finals, guesses = self._counts[Kind.FINAL], self._counts[Kind.SPECULATIVE]
        # Guesses go first, the last of them; the queue is sorted.
        at = finals + guesses - 1 if guesses else len(self._waiting) - 1
        last = self._waiting[at]
        if last.kind is Kind.FINAL and item.kind is Kind.FINAL:
            metrics.ASR_SHED.labels(Kind.FINAL.name.lower()).inc()
            msg = f"all {self._capacity} places of the recognizer's queue hold finals; see GATEWAY_ASR__QUEUE"
            raise RecognizerFull(msg)
        if item.kind is not Kind.FINAL and _before(item, last):
            return item
        del self._waiting[at]
        self._counts[last.kind] -= 1
        return last

    def _forget(self, item: _Waiting) -> None:
        """On the loop: a cancelled decode leaves the queue if no worker has taken it."""
        if not item.future.cancelled():
            return
        with self._lock:
            at = bisect.bisect_left(self._waiting, item)
            if at < len(self._waiting) and self._waiting[at] is item:
                del self._waiting[at]
                self._counts[item.kind] -= 1
        self._show_depth()

    def _shed(self, item: _Waiting, reason: str) -> None:
        metrics.ASR_SHED.labels(item.kind.name.lower()).inc()
        self._deliver([(item, Shed(f"{item.kind.name.lower()} decode given up: {reason}"))])

    def _show_depth(self) -> None:
        for kind in Kind:
            metrics.ASR_QUEUE.labels(kind.name.lower()).set(self._counts[kind])

    def _deliver(self, results: Sequence[tuple[_Waiting, Hypothesis | GatewayError]]) -> None:
        """On the loop: hand results to whoever still wants them."""
        for item, result in results:
            if item.future.done():
                continue
            if isinstance(result, Hypothesis):
                item.future.set_result(result)
            else:
                item.future.set_exception(result)
                # It is counted here; a caller that no longer looks must not make asyncio log it.
                item.future.exception()
        self._show_depth()

    def _work(self) -> None:
        """A worker's life."""
        # Linux sets niceness by thread; elsewhere the worker keeps its own.
        with contextlib.suppress(OSError, AttributeError):
            thread = threading.get_native_id()
            nice = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS
            os.setpriority(os.PRIO_PROCESS, thread, min(nice, 19))
        while batch := self._take():
            began = time.monotonic()
            results = self._step(batch)
            self._worked(began)
            # The loop may be closed at the end of a process that did not close us.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._deliver, results)

    def _worked(self, began: float) -> None:
        now = time.monotonic()
        with self._lock:
            faded = self._busy_s * math.exp(-(now - self._busy_since) / _BUSY_OVER_S)
            self._busy_s, self._busy_since = faded + now - began, now

    def _take(self) -> list[_Waiting]:
        """Wait for work and take a batch; empty when the recognizer closes."""
        with self._lock:
            while self._open and not self._waiting:
                self._lock.wait()
            if not self._open:
                return []
            self._look_at_lateness(self._waiting)
            batch = _choose(self._waiting, self._max_batch)
            chosen = {item.sequence for item in batch}
            self._waiting = [item for item in self._waiting if item.sequence not in chosen]
            for item in batch:
                self._counts[item.kind] -= 1
            return batch

    def _step(self, batch: list[_Waiting]) -> list[tuple[_Waiting, Hypothesis | GatewayError]]:
        """Decode a batch; if it fails, its decodes one by one, so that a bad one fails alone."""
        started = time.perf_counter()
        try:
            hypotheses = self._engine.step([Job(item.session, item.kind) for item in batch])
            return list(zip(batch, hypotheses, strict=True))
        except Exception as error:
            if len(batch) > 1:
                return [result for item in batch for result in self._step([item])]
            # The message may hold what was said; its type and place do not.
            log.error("decode failed", error=type(error).__name__, duration_ms=batch[0].duration_ms)
            metrics.ASR_FAILED.inc()
            return [(batch[0], InternalError(f"the engine could not decode this utterance ({type(error).__name__})"))]
        finally:
            metrics.ASR_BATCH.observe(len(batch))
            metrics.ASR_SECONDS.observe(time.perf_counter() - started)


def _before(item: _Waiting, other: _Waiting) -> bool:
    """Whether ``item`` is given up before ``other``: guesses first, finals last, of one kind the later one."""
    if item.kind is other.kind:
        return item > other
    return other.kind is Kind.FINAL or item.kind is Kind.SPECULATIVE


def _choose(waiting: Sequence[_Waiting], most: int) -> list[_Waiting]:
    """The first decode in order of work, and those after it that may share its batch.

    Partials do not ride along with what an utterance's end waits for: they would make it later.
    """
    batch: list[_Waiting] = []
    shortest = longest = 0
    most_ms = _BATCH_AUDIO_MS
    for item in waiting:
        if not batch:
            most_ms = _PARTIAL_AUDIO_MS if item.kind is Kind.PARTIAL else _BATCH_AUDIO_MS
            shortest = longest = item.duration_ms
        elif (item.kind is Kind.PARTIAL) != (batch[0].kind is Kind.PARTIAL):
            break
        low, high = min(shortest, item.duration_ms), max(longest, item.duration_ms)
        alike = high <= max(_LENGTH_RATIO * low, low + _LENGTH_SLACK_MS)
        if batch and not (alike and high * (len(batch) + 1) <= most_ms):
            continue
        batch.append(item)
        shortest, longest = low, high
        if len(batch) == most:
            break
    return batch
