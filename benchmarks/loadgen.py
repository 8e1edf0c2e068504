"""The load generator: thousands of paced calls from one recording, in one process.

It measures from outside: what it sends at which time, what comes to its own webhook receiver when, and what the
gateway's counters say about both. A run is bounded in calls and time, and void if the generator itself was late.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit

from benchmarks import counters
from benchmarks.counters import Sample
from benchmarks.labels import Ends
from benchmarks.pacer import Line, Pacer, percentile
from benchmarks.tally import Spread, Tally, Watched
from benchmarks.voice import Script, Sound, frame
from benchmarks.wire import MediaSocket, sound
from gateway.errors import GatewayError, UsageError
from gateway.participants import Track
from gateway.peers.client import ApiError, GatewayClient
from gateway.peers.emitter import FRAME_MS, Ending, Form, Identity, Manner, closing, opening
from gateway.peers.receiver import Receiver
from gateway.peers.recording import Recording

__all__ = ["MAX_CALLS", "MAX_SECONDS", "Load", "Plan", "Progress", "raise_descriptor_limit"]

MAX_CALLS = 5000
MAX_SECONDS = 3600
MAX_GAIN_DB = 24
VOID_PACING_MS = 20.0
SETTLE_SECONDS = 5.0
"""How long the last transcripts and counts are waited for after the last call."""
SAMPLE_SECONDS = 5
"""How often the gateway's counters are looked at."""
OVERTIME_SECONDS = 30.0
"""A call that is not played by so long after its time has failed."""
CONNECT_SECONDS = 30.0
SPARE_DESCRIPTORS = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """A run. ``ramp`` is the time over which calls begin, ``duration`` how long each lasts, in seconds.

    ``transcripts`` tells whether any are awaited: a gateway with model ``none`` makes none. Each call is up to
    ``gain_db`` whole decibels louder or quieter. ``gated`` calls are never started. ``coalesced`` writes both tracks'
    messages at once. ``manner`` is how the wire behaves, whose seed is not used; ``odd`` sends payloads of any length.
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
    gated: bool = False
    coalesced: bool = False
    manner: Manner = field(default_factory=Manner)
    odd: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.calls <= MAX_CALLS:
            raise UsageError(f"--calls {self.calls}: must be 1 to {MAX_CALLS}")
        if not 0 <= self.ramp <= MAX_SECONDS or not 1 <= self.duration <= MAX_SECONDS:
            raise UsageError(f"--ramp and --duration must be at most {MAX_SECONDS} s, --duration at least 1")
        if not 0 <= self.gain_db <= MAX_GAIN_DB:
            raise UsageError(f"--gain {self.gain_db}: must be 0 to {MAX_GAIN_DB} dB")
        if self.manner.form is not Form.TWILIO:
            raise UsageError("a load speaks Twilio's form only")
        if not 0 <= self.manner.drop <= 1:
            raise UsageError(f"--gaps {self.manner.drop}: must be 0 to 1")

    @property
    def native(self) -> bool:
        """Whether the sender can write to the sockets: under TLS it cannot."""
        return urlsplit(self.url).scheme == "http"


@dataclass(frozen=True, slots=True)
class Progress:
    """How a run stands."""

    live: int
    done: int
    failed: int
    sent: int
    """Media messages."""
    counted: int
    """Messages that the gateway had read when it was last asked."""
    transcripts: int
    p50_ms: float
    p95_ms: float
    late_ms: float
    """The generator's own lateness, 99th percentile so far."""


class _Call:
    """One call from its stream URL to its close."""

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._dice = random.Random(f"{load.plan.seed}:{number}")
        self._first_frame = self._dice.randrange(load.sound.frames)
        self._gain_db = self._dice.randint(-load.plan.gain_db, load.plan.gain_db)
        self.identity = Identity.random()
        self._line: Line | None = None
        self._lost: str | None = None

    async def run(self, gateway: GatewayClient) -> None:
        """Play the call.

        Raises:
            GatewayError: with the kind of failure as its message.
        """
        load, plan, stream_sid = self._load, self._load.plan, self.identity.stream_sids[0]
        socket = await MediaSocket.open(await gateway.stream_url(), self._on_lost, plan.context, CONNECT_SECONDS)
        try:
            tracks = tuple(map(Track, load.sound.tracks))
            for message in opening(self.identity, tracks, plan.manner, stream_sid):
                socket.write(frame(message.encode()))
            streams = {} if plan.gated else await self._start(gateway)
            sequence = await self._play(socket, streams)
            if not plan.gated:
                await gateway.stop(self.identity.call_sid)
            if plan.manner.ending is Ending.STOP:
                socket.write(frame(closing(self.identity, sequence + 1, stream_sid).encode()))
            if plan.manner.ending is Ending.RESET:
                socket.reset()
        finally:
            if self._line is not None:
                load.pacer.leave(self._line)
            await socket.close()
            load.sent += socket.frames

    async def _start(self, gateway: GatewayClient) -> dict[str, str]:
        answer = await gateway.start(self.identity.call_sid, "customer", "agent")
        parts = answer.get("autotranscribeResponse") or {}
        if answer.get("isOk") is not True:
            codes = sorted({str(part["status"]["code"]) for part in parts.values()})
            raise GatewayError(f"start {' '.join(codes)}")
        return {role: part["streamId"] for role, part in parts.items()}

    async def _play(self, socket: MediaSocket, streams: dict[str, str]) -> int:
        """All media; the last ``sequenceNumber``."""
        load, plan = self._load, self._load.plan
        if self._lost is not None:
            raise GatewayError(self._lost)
        line = self._line = load.pacer.play(socket, self._script())
        load.tally.watch(self.identity.call_sid, Watched(streams, self._first_frame, line.begin))
        await asyncio.wait_for(line.over, plan.duration + plan.manner.stall_ms / 1000 + OVERTIME_SECONDS)
        outcome = load.pacer.leave(line)
        return outcome.sequence if outcome is not None else 1

    def _script(self) -> Script:
        plan, manner = self._load.plan, self._load.plan.manner
        first = manner.first_timestamp_ms
        return Script(
            self._load.at(self._gain_db),
            self.identity.stream_sids[0].encode(),
            self._first_frame,
            frames=int(plan.duration * 1000 / FRAME_MS),
            stamp=self._dice.randint(100, 170) if first is None else first,
            seed=self._dice.getrandbits(64),
            jitter_ms=manner.jitter_ms,
            drop=manner.drop,
            send_silence=manner.send_silence,
            odd=plan.odd,
            stall_at_ms=manner.stall_at_ms,
            stall_ms=manner.stall_ms,
        )

    def _on_lost(self, why: str) -> None:
        self._lost = why
        if self._line is not None and not self._line.over.done():
            self._line.over.set_exception(GatewayError(why))


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
        self.sound = sound(plan.recording)
        gains = range(-plan.gain_db, plan.gain_db + 1)
        self._louder = {gain: sound(plan.recording, gain) if gain else self.sound for gain in gains}
        self.tally = Tally(plan.ends, self.sound.frames)
        self.pacer = Pacer(plan.native, plan.coalesced)
        self.sent = 0
        """Frames of the calls that are over: their messages, and what closed their sockets."""
        self._on_ready = on_ready
        self._on_progress = on_progress
        self._live = 0
        self._done = 0
        self._errors: Counter[str] = Counter()
        self._samples: list[Sample] = []

    def at(self, gain_db: int) -> Sound:
        """The recording, louder or quieter."""
        return self._louder[gain_db]

    async def run(self) -> dict[str, Any]:
        """Run it; the report, whose ``ok`` tells whether nothing was lost, wrong or void.

        Raises:
            GatewayError: the gateway cannot be reached, or the webhook port cannot be had.
        """
        plan = self.plan
        raise_descriptor_limit(3 * plan.calls + SPARE_DESCRIPTORS)
        async with (
            Receiver(plan.webhook_port, self.tally.post) as receiver,
            GatewayClient(plan.url, plan.api_id, plan.api_secret, plan.context) as gateway,
            self.pacer,
        ):
            self._on_ready(receiver.url)
            await self._sample(gateway)
            began, used = time.monotonic(), time.process_time()
            watch = asyncio.create_task(self._watch(gateway))
            try:
                calls = [asyncio.create_task(self._call(gateway, number)) for number in range(plan.calls)]
                await asyncio.gather(*calls)
                seconds = time.monotonic() - began
                used = time.process_time() - used
            finally:
                watch.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watch
            await self._settle(gateway)
        return self._report(seconds, used)

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

    async def _sample(self, gateway: GatewayClient) -> None:
        values = await gateway.metrics()
        self._samples.append((time.monotonic(), values))

    async def _watch(self, gateway: GatewayClient) -> None:
        turn = 0
        while True:
            await asyncio.sleep(1)
            turn += 1
            if turn % SAMPLE_SECONDS == 0:
                # A gateway that does not answer now is asked again; the calls say what is wrong with it.
                with contextlib.suppress(GatewayError):
                    await self._sample(gateway)
            self._on_progress(self._progress())

    def _progress(self) -> Progress:
        latency = Spread.of(self.tally.latencies_ms)
        return Progress(
            self._live,
            self._done,
            self._errors.total(),
            self.pacer.messages,
            int(self._grown().get(counters.MESSAGES, 0)),
            self.tally.posts,
            latency.p50,
            latency.p95,
            percentile(self.pacer.lateness, 0.99),
        )

    def _grown(self) -> dict[str, float]:
        """The growth of every metric up to now."""
        before, now = self._samples[0][1], self._samples[-1][1]
        return {name: value - before.get(name, 0.0) for name, value in now.items()}

    async def _settle(self, gateway: GatewayClient) -> None:
        """Wait until everything sent is counted and nothing more comes."""
        deadline = time.monotonic() + SETTLE_SECONDS
        posts = -1
        while True:
            await self._sample(gateway)
            counted = self._grown().get(counters.MESSAGES, 0.0)
            if (counted >= self.sent and posts == self.tally.posts) or time.monotonic() > deadline:
                return
            posts = self.tally.posts
            await asyncio.sleep(SETTLE_SECONDS / 10)

    def _report(self, seconds: float, used: float) -> dict[str, Any]:
        grown, late = self._grown(), percentile(self.pacer.lateness, 0.99)
        counted = int(grown.get(counters.MESSAGES, 0.0))
        dropped = counters.dropped(grown)
        steady = self._steady()
        begin, end = (steady["begin"], steady["end"]) if steady else (0.0, 0.0)
        silent = self.plan.transcripts and not self.plan.gated and not self.tally.posts
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
            "shed": counters.shed(grown),
            "server": counters.server(self._samples, self.plan.calls, begin, end),
            "steady": steady,
            "decidedMs": counters.decided(grown),
            "latencyMs": asdict(Spread.of(self.tally.latencies_ms)),
            "endOffsetMs": asdict(Spread.of(self.tally.offsets_ms)),
            "transcripts": self.tally.posts,
            "unmatched": self.tally.unmatched,
            "utterancesPerCall": asdict(self.tally.utterances),
            "problems": dict(self.tally.problems),
            "pacingMs": {"p50": percentile(self.pacer.lateness, 0.5), "p99": late},
            "generator": {
                "native": self.pacer.native,
                "coalesced": self.plan.coalesced,
                "cores": round(used / seconds, 3),
                "cpuUsPerMessage": round(used / self.sent * 1e6, 2) if self.sent else 0.0,
            },
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


def raise_descriptor_limit(wanted: int) -> None:
    """As far as this process may; sockets that find none fail and are counted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
