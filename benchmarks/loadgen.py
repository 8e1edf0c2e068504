"""The load generator: many paced calls from one recording, in one process.

It measures from outside: what it sends at which time, what comes to its own webhook receiver when, and what the
gateway's counters say about both. A run is bounded in calls and time, and void if the generator itself was late.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from ssl import SSLContext
from typing import Any

import numpy as np

from benchmarks.labels import Ends
from benchmarks.tally import Spread, Tally, Watched
from benchmarks.wire import MediaSocket, Payloads, Voice, frame
from gateway.errors import GatewayError, UsageError
from gateway.peers.client import ApiError, GatewayClient
from gateway.peers.emitter import FRAME_MS, Identity, Manner, closing, opening
from gateway.peers.receiver import Receiver
from gateway.peers.recording import Recording

__all__ = ["MAX_CALLS", "MAX_SECONDS", "Load", "Plan", "Progress"]

MAX_CALLS = 5000
MAX_SECONDS = 3600
MAX_GAIN_DB = 24
VOID_PACING_MS = 20.0
SETTLE_SECONDS = 5.0
"""How long the last transcripts and counts are waited for after the last call."""
OVERTIME_SECONDS = 30.0
"""A call that is not played by so long after its time has failed."""
MAX_UNSENT = 1024 * 1024
"""Bytes that the gateway may be behind with on one socket before the call is given up as stalled."""

# Counters of the gateway that should not move in a run without faults.
LOSSES = (
    "gateway_audio_dropped_samples_total",
    "gateway_asr_shed_total",
    "gateway_asr_failed_total",
    "gateway_wire_skipped_total",
    "gateway_webhook_dropped_total",
    "gateway_store_dropped_total",
    "gateway_store_failed_total",
)
# A speculative or partial decode is optional work: giving it up loses nothing.
OPTIONAL = ('kind="speculative"', 'kind="partial"')
SHED = "gateway_asr_shed_total"
MESSAGES = "gateway_wire_messages_total"
DELIVERY = "gateway_delivery_seconds_bucket"


def percentile(metrics: Mapping[str, float], name: str, share: float) -> float:
    """In ms, from a histogram of seconds: read off a straight line within the bucket that holds it; 0 of nothing.

    Args:
        metrics: ``name{le="0.1"}`` and its like, cumulative.
        name: of the buckets.
        share: 0 to 1.
    """
    found = re.compile(rf'{name}{{le="([^"]+)"}}')
    buckets = sorted((float(match[1]), count) for key, count in metrics.items() if (match := found.fullmatch(key)))
    wanted = share * buckets[-1][1] if buckets else 0.0
    low, below = 0.0, 0.0
    for edge, count in buckets:
        if wanted and count >= wanted:
            within = (wanted - below) / (count - below) if edge < math.inf else 0.0
            return round(1000 * (low + within * (edge - low if edge < math.inf else 0.0)), 1)
        low, below = edge, count
    return 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A run. ``ramp`` is the time over which calls begin, ``duration`` how long each lasts, in seconds.

    ``transcripts`` tells whether any are awaited: a gateway with model ``none`` makes none. Each call is up to
    ``gain_db`` whole decibels louder or quieter.
    """

    url: str
    api_id: str
    api_secret: str
    recording: Recording
    ends: Ends
    calls: int
    ramp: float
    duration: float
    webhook_port: int = 0
    seed: int = 1
    transcripts: bool = True
    context: SSLContext | None = None
    gain_db: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.calls <= MAX_CALLS:
            raise UsageError(f"--calls {self.calls}: must be 1 to {MAX_CALLS}")
        if not 0 <= self.ramp <= MAX_SECONDS or not 1 <= self.duration <= MAX_SECONDS:
            raise UsageError(f"--ramp and --duration must be at most {MAX_SECONDS} s, --duration at least 1")
        if not 0 <= self.gain_db <= MAX_GAIN_DB:
            raise UsageError(f"--gain {self.gain_db}: must be 0 to {MAX_GAIN_DB} dB")


@dataclass(frozen=True, slots=True)
class Progress:
    """How a run stands."""

    live: int
    done: int
    failed: int
    sent: int
    transcripts: int
    p50_ms: float
    p95_ms: float
    late_ms: float
    """The generator's own lateness, 99th percentile so far."""


class Lateness:
    """Distribution of how late messages left, in bins of 0.1 ms up to 1 s; constant memory."""

    def __init__(self) -> None:
        self._bins = np.zeros(10_001, np.int64)

    def add(self, seconds: float) -> None:
        """Count one message."""
        self._bins[min(max(int(seconds * 10_000), 0), 10_000)] += 1

    def percentile(self, share: float) -> float:
        """In ms; the upper edge of the bin that holds it."""
        total = int(self._bins.sum())
        if not total:
            return 0.0
        return float(np.searchsorted(np.cumsum(self._bins), math.ceil(total * share)) + 1) / 10


class _Call:
    """One call from its stream URL to its close."""

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._dice = random.Random(f"{load.plan.seed}:{number}")
        self._first_frame = self._dice.randrange(load.payloads.frames)
        self._gain_db = self._dice.randint(-load.plan.gain_db, load.plan.gain_db)
        self.identity = Identity.random()
        self._over = asyncio.get_running_loop().create_future()
        self._begin = 0.0
        self._frames = 0

    async def run(self, gateway: GatewayClient) -> None:
        """Play the call.

        Raises:
            GatewayError: with the kind of failure as its message.
        """
        plan = self._load.plan
        socket = await MediaSocket.open(await gateway.stream_url(), self._lost, plan.context)
        stream_sid = self.identity.stream_sids[0]
        try:
            for message in opening(self.identity, self._load.payloads.tracks, Manner(), stream_sid):
                self._send(socket, frame(message.encode()))
            voice = Voice(self._load.at(self._gain_db), stream_sid, self._first_frame, self._dice)
            await self._start(gateway)
            self._tick(socket, voice)
            await asyncio.wait_for(self._over, plan.duration + OVERTIME_SECONDS)
            await gateway.stop(self.identity.call_sid)
            self._send(socket, frame(closing(self.identity, voice.sequence + 1, stream_sid).encode()))
        finally:
            # The socket may have ended before the call was played: whatever failed first is told, and this no more.
            if not self._over.cancel() and not self._over.cancelled():
                self._over.exception()
            await socket.close()
            self._load.sent += socket.frames

    async def _start(self, gateway: GatewayClient) -> None:
        guid = self.identity.call_sid
        answer = await gateway.start(guid, "customer", "agent")
        parts = answer.get("autotranscribeResponse") or {}
        if answer.get("isOk") is not True:
            codes = sorted({str(part["status"]["code"]) for part in parts.values()})
            raise GatewayError(f"start {' '.join(codes)}")
        self._frames = int(self._load.plan.duration * 1000 / FRAME_MS)
        self._begin = time.monotonic()
        streams = {role: part["streamId"] for role, part in parts.items()}
        self._load.tally.watch(guid, Watched(streams, self._first_frame, self._begin))

    def _lost(self, why: str) -> None:
        if not self._over.done():
            self._over.set_exception(GatewayError(why))

    def _send(self, socket: MediaSocket, data: bytes) -> None:
        if not socket.lost:
            socket.write(data)
            self._load.playing += 1

    def _tick(self, socket: MediaSocket, voice: Voice) -> None:
        if self._over.done() or socket.lost:
            return
        if socket.unsent > MAX_UNSENT:
            self._over.set_exception(GatewayError("stalled"))
            return
        now = time.monotonic()
        while voice.sent < self._frames:
            due = self._begin + voice.sent * FRAME_MS / 1000
            if due > now:
                asyncio.get_running_loop().call_later(due - now, self._tick, socket, voice)
                return
            for data in voice.next():
                self._load.lateness.add(now - due)
                self._send(socket, data)
        self._over.set_result(None)


class Load:
    """One run.

    Args:
        plan: what to run.
        on_ready: told the webhook's URL before the first call.
        on_progress: told once a second how it stands.
    """

    def __init__(
        self,
        plan: Plan,
        on_ready: Callable[[str], None] = lambda url: None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.plan = plan
        self.payloads = Payloads(plan.recording)
        gains = range(-plan.gain_db, plan.gain_db + 1)
        self._louder = {gain: Payloads(plan.recording, gain) if gain else self.payloads for gain in gains}
        self.tally = Tally(plan.ends, self.payloads.frames)
        self.lateness = Lateness()
        self.playing = 0
        """Messages written so far."""
        self.sent = 0
        """Frames of the calls that are over: their messages, and what closed their sockets."""
        self._on_ready = on_ready
        self._on_progress = on_progress
        self._live = 0
        self._done = 0
        self._errors: Counter[str] = Counter()

    def at(self, gain_db: int) -> Payloads:
        """The recording, louder or quieter."""
        return self._louder[gain_db]

    async def run(self) -> dict[str, Any]:
        """Run it; the report, whose ``ok`` tells whether nothing was lost, wrong or void.

        Raises:
            GatewayError: the gateway cannot be reached, or the webhook port cannot be had.
        """
        plan = self.plan
        async with (
            Receiver(plan.webhook_port, self.tally.post) as receiver,
            GatewayClient(plan.url, plan.api_id, plan.api_secret, plan.context) as gateway,
        ):
            self._on_ready(receiver.url)
            before = await gateway.metrics()
            began = time.monotonic()
            watch = asyncio.create_task(self._watch())
            try:
                calls = [asyncio.create_task(self._call(gateway, number)) for number in range(plan.calls)]
                await asyncio.gather(*calls)
                seconds = time.monotonic() - began
                counted = await self._settle(gateway, before)
            finally:
                watch.cancel()
        return self._report(counted, seconds)

    async def _call(self, gateway: GatewayClient, number: int) -> None:
        await asyncio.sleep(self.plan.ramp * number / self.plan.calls)
        self._live += 1
        try:
            await _Call(self, number).run(gateway)
            self._done += 1
        except ApiError as error:
            self._errors[f"api {error.code}"] += 1
        except GatewayError as error:
            self._errors[str(error)] += 1
        except TimeoutError:
            self._errors["timeout"] += 1
        finally:
            self._live -= 1

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._on_progress(self._progress())

    def _progress(self) -> Progress:
        latency = Spread.of(self.tally.latencies_ms)
        failed = self._errors.total()
        late = self.lateness.percentile(0.99)
        return Progress(self._live, self._done, failed, self.playing, self.tally.posts, latency.p50, latency.p95, late)

    async def _settle(self, gateway: GatewayClient, before: dict[str, float]) -> dict[str, float]:
        """Wait until everything sent is counted and nothing more comes; the growth of every counter."""
        deadline = time.monotonic() + SETTLE_SECONDS
        posts = -1
        while True:
            now = await gateway.metrics()
            grown = {name: value - before.get(name, 0.0) for name, value in now.items()}
            settled = grown.get(MESSAGES, 0.0) >= self.sent and posts == self.tally.posts
            if settled or time.monotonic() > deadline:
                return grown
            posts = self.tally.posts
            await asyncio.sleep(SETTLE_SECONDS / 10)

    def _report(self, grown: dict[str, float], seconds: float) -> dict[str, Any]:
        counted = int(grown.get(MESSAGES, 0.0))
        dropped = {
            name: value
            for name, value in grown.items()
            if value and name.startswith(LOSSES) and not any(kind in name for kind in OPTIONAL)
        }
        late = self.lateness.percentile(0.99)
        latency = asdict(Spread.of(self.tally.latencies_ms))
        silent = self.plan.transcripts and not self.tally.posts
        bad = [
            reason
            for reason, holds in (
                (f"void: this generator was {late:.1f} ms late at the 99th percentile", late > VOID_PACING_MS),
                (f"{self.sent - counted} of {self.sent} messages not counted by the gateway", counted != self.sent),
                ("the gateway dropped or failed something", bool(dropped)),
                ("calls failed", bool(self._errors)),
                ("transcripts wrong or twice", bool(self.tally.problems)),
                ("no transcript came: does the gateway post to this run's receiver?", silent),
            )
            if holds
        ]
        return {
            "ok": not bad,
            "bad": bad,
            "void": late > VOID_PACING_MS,
            "calls": {"asked": self.plan.calls, "done": self._done, "errors": dict(self._errors)},
            "seconds": round(seconds, 1),
            "messages": {"sent": self.sent, "counted": counted, "lost": self.sent - counted},
            "dropped": dropped,
            "shed": {name: value for name, value in grown.items() if value and name.startswith(SHED)},
            "steady": self._steady(),
            "decidedMs": {f"p{share:.0f}": percentile(grown, DELIVERY, share / 100) for share in (50, 95)},
            "latencyMs": latency,
            "endOffsetMs": asdict(Spread.of(self.tally.offsets_ms)),
            "transcripts": self.tally.posts,
            "unmatched": self.tally.unmatched,
            "utterancesPerCall": asdict(self.tally.utterances),
            "problems": dict(self.tally.problems),
            "pacingMs": {"p50": self.lateness.percentile(0.5), "p99": late},
        }

    def _steady(self) -> dict[str, Any] | None:
        """The time when every call spoke, by the monotonic clock, and its latency; None if there was no such time."""
        begins = [call.begin for call in self.tally.calls.values()]
        if len(begins) < self.plan.calls:
            return None
        begin, end = max(begins), min(begins) + self.plan.duration
        if begin >= end:
            return None
        return {"begin": begin, "end": end, "latencyMs": asdict(self.tally.between(begin, end))}
