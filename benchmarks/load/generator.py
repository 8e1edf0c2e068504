"""The load generator: thousands of paced calls from one recording, in one process.

It measures from outside: what it sends at which time, what comes to its own webhook receiver when, and what the
gateway's counters say about both. A run is bounded in calls and time, and void if the generator itself was late.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.load import counters
from benchmarks.load.call import Call
from benchmarks.load.counters import Sample
from benchmarks.load.pacer import Pacer, percentile
from benchmarks.load.plan import Plan
from benchmarks.load.tally import Spread, Tally
from benchmarks.load.timed import Prober, Timed, failure
from benchmarks.load.voice import Sound
from benchmarks.load.window import Window
from benchmarks.load.wire import sound
from gateway.errors import GatewayError
from gateway.peers.client import GatewayClient
from gateway.peers.receiver import Receiver

__all__ = ["Load", "Progress", "raise_descriptor_limit"]

VOID_PACING_MS = 20.0
SETTLE_SECONDS = 5.0
"""How long the last transcripts and counts are waited for after the last call."""
SAMPLE_SECONDS = 5
"""How often the gateway's counters are looked at."""
SPARE_DESCRIPTORS = 256


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
    behind: int = 0
    """Media messages that were sent and not counted when the gateway was last asked; some are on their way."""
    dropped: int = 0
    """What the gateway's counters of losses have grown by."""
    tick_ms: float = 0.0
    """The gateway's tick, 99th percentile so far."""
    cores: float = 0.0
    """Of the gateway, between the last two looks at its counters."""
    api_ms: float = 0.0
    """The API's 95th percentile so far."""


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
        self.pacer = Pacer(plan.native, plan.coalesced, plan.together)
        self.window = Window(plan.calls, plan.duration, self._look)
        self.sent = 0
        """Frames of the calls that are over: their messages, and what closed their sockets."""
        # On the monotonic clock.
        self._interrupted_at = math.inf
        self._on_ready = on_ready
        self._on_progress = on_progress
        # Calls that are to begin, and those that have begun.
        self._due: set[asyncio.Task[None]] = set()
        self._calls: set[Call] = set()
        self._begun = 0
        self._live = 0
        self._done = 0
        self._gone = False
        self._errors: Counter[str] = Counter()
        self._samples: list[Sample] = []
        self._sampled_sent = 0
        self._looks: list[NDArray[np.int64]] = []
        self._timed: Timed | None = None
        self._gateway: GatewayClient | None = None

    @property
    def interrupted(self) -> bool:
        """Whether nothing more is to be said."""
        return self._interrupted_at < math.inf

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
            Timed(plan.url, plan.api_id, plan.api_secret, plan.context) as timed,
            self.pacer,
        ):
            self._on_ready(receiver.url)
            self._gateway, self._timed = gateway, timed
            await self._sample()
            began, used = time.monotonic(), time.process_time()
            watch = asyncio.create_task(self._watch())
            try:
                async with self._prober(timed) as prober:
                    calls = [asyncio.create_task(self._call(timed, number)) for number in range(plan.calls)]
                    await asyncio.gather(*calls)
                    seconds = time.monotonic() - began
                    used = time.process_time() - used
                self.sent += prober.frames if prober is not None else 0
            finally:
                await self.window.close()
                watch.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watch
            await self._settle()
        return self._report(seconds, used)

    def interrupt(self) -> None:
        """Begin no more calls, and hang up those that live; the report tells of what there was."""
        self._interrupted_at = time.monotonic()
        for task in self._due:
            task.cancel()
        for call in self._calls:
            call.hang_up()

    def _prober(self, timed: Timed) -> contextlib.AbstractAsyncContextManager[Prober | None]:
        if not self.plan.probe:
            return contextlib.nullcontext()
        return Prober(timed, self.plan.context, self.plan.probe, self._failed)

    def _failed(self, kind: str) -> None:
        self._errors[kind] += 1

    async def _call(self, gateway: Timed, number: int) -> None:
        if not await self._begins(number):
            return
        call = Call(self, number)
        self._calls.add(call)
        self._begun += 1
        self._live += 1
        try:
            await call.run(gateway)
            self._done += 1
        except TimeoutError as error:
            self._failed(failure(error))
        except GatewayError as error:
            # Those of a call are named by who raises them; none has a URL or an id in it.
            self._failed(str(error))
        finally:
            self._calls.discard(call)
            self._live -= 1

    async def _begins(self, number: int) -> bool:
        """Wait for a call's turn; false if the run was interrupted before."""
        task = asyncio.current_task()
        assert task is not None
        self._due.add(task)
        try:
            await asyncio.sleep(0.0 if self.interrupted else self.plan.ramp * number / self.plan.calls)
        except asyncio.CancelledError:
            if not self.interrupted:
                raise
        finally:
            self._due.discard(task)
        return not self.interrupted

    async def _look(self) -> None:
        """At both ends of the time when all calls speak: the gateway's counters, and our own lateness."""
        self._looks.append(self.pacer.lateness)
        with contextlib.suppress(GatewayError):
            await self._sample()

    async def _sample(self) -> None:
        assert self._gateway is not None
        sent = self.pacer.messages
        values = await self._gateway.metrics()
        self._samples.append((time.monotonic(), values))
        self._sampled_sent = sent

    async def _watch(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(1)
            turn += 1
            if turn % SAMPLE_SECONDS == 0:
                # A gateway that does not answer now is asked again; the calls say what is wrong with it.
                with contextlib.suppress(GatewayError):
                    await self._sample()
            self._on_progress(self._progress())

    def _progress(self) -> Progress:
        latency, grown = Spread.of(self.tally.latencies_ms), self._grown()
        counted = int(grown.get(counters.MESSAGES, 0))
        seen = counters.server(self._samples[-2:], self.plan.calls, 0.0, 0.0)
        return Progress(
            self._live,
            self._done,
            self._errors.total(),
            self.pacer.messages,
            counted,
            self.tally.posts,
            latency.p50,
            latency.p95,
            percentile(self.pacer.lateness, 0.99),
            behind=max(0, self._sampled_sent - counted),
            dropped=int(sum(counters.dropped(grown).values())),
            tick_ms=counters.percentile(grown, counters.TICKS, 0.99),
            cores=seen.get("cores", 0.0),
            api_ms=self._api(0.0, math.inf)["all"]["p95"],
        )

    def _api(self, begin: float, end: float) -> dict[str, dict[str, Any]]:
        return self._timed.between(begin, end) if self._timed is not None else {}

    def _grown(self) -> dict[str, float]:
        """The growth of every metric up to now."""
        before, now = self._samples[0][1], self._samples[-1][1]
        return {name: value - before.get(name, 0.0) for name, value in now.items()}

    async def _settle(self) -> None:
        """Wait until everything sent is counted and nothing more comes."""
        deadline = time.monotonic() + SETTLE_SECONDS
        posts = -1
        while True:
            try:
                await self._sample()
                self._gone = False
            except GatewayError:
                self._gone = True  # what was counted before is told all the same
            counted = self._grown().get(counters.MESSAGES, 0.0)
            settled = counted >= self.sent and posts == self.tally.posts and not self._gone
            if settled or time.monotonic() > deadline:
                return
            posts = self.tally.posts
            await asyncio.sleep(SETTLE_SECONDS / 10)

    def _report(self, seconds: float, used: float) -> dict[str, Any]:
        grown = self._grown()
        counted, dropped = int(grown.get(counters.MESSAGES, 0.0)), counters.dropped(grown)
        steady = self._steady()
        begin, end = (steady["begin"], steady["end"]) if steady else (math.inf, -math.inf)
        pacing = self._pacing(steady is not None)
        bad = self._bad(counted, dropped, pacing["p99"])
        return {
            "ok": not bad,
            "bad": bad,
            "void": pacing["p99"] > VOID_PACING_MS,
            "calls": {"asked": self.plan.calls, "done": self._done, "errors": dict(self._errors)},
            "seconds": round(seconds, 1),
            "messages": {"sent": self.sent, "counted": counted, "lost": self.sent - counted},
            "dropped": dropped,
            "shed": counters.shed(grown),
            "server": counters.server(self._samples, self.plan.calls, begin, end),
            "steady": steady,
            "apiMs": {"whole": self._api(0.0, math.inf), "steady": self._api(begin, end) if steady else None},
            "decidedMs": counters.decided(grown),
            "latencyMs": asdict(Spread.of(self.tally.latencies_ms)),
            "endOffsetMs": asdict(Spread.of(self.tally.offsets_ms)),
            "transcripts": self.tally.posts,
            "unmatched": self.tally.unmatched,
            "utterancesPerCall": asdict(self.tally.utterances),
            "problems": dict(self.tally.problems),
            "pacingMs": pacing,
            "generator": {
                "native": self.pacer.native,
                "compiled": self.pacer.compiled,
                "realTime": self.pacer.real_time,
                "coalesced": self.plan.coalesced or self.plan.together > 1,
                "together": self.plan.together,
                "cores": round(used / seconds, 3),
                "cpuUsPerMessage": round(used / self.sent * 1e6, 2) if self.sent else 0.0,
            },
        }

    def _bad(self, counted: int, dropped: dict[str, float], late: float) -> list[str]:
        silent = self.plan.transcripts and not self.plan.gated and not self.tally.posts
        failed = {kind for kind in self._errors if kind.startswith("probe ")}
        reasons = (
            (f"void: this generator was {late:.1f} ms late at the 99th percentile", late > VOID_PACING_MS),
            (f"{self.sent - counted} of {self.sent} messages not counted by the gateway", counted != self.sent),
            ("the gateway dropped or failed something", bool(dropped)),
            ("the gateway did not answer at the end: its counters are of before", self._gone),
            (f"interrupted: {self._begun} of {self.plan.calls} calls had begun", self.interrupted),
            ("calls failed", bool(self._errors.keys() - failed)),
            ("probes failed", bool(failed)),
            ("transcripts wrong or twice", bool(self.tally.problems)),
            ("no transcript came: does the gateway post to this run's receiver?", silent),
        )
        return [reason for reason, holds in reasons if holds]

    def _pacing(self, steady: bool) -> dict[str, Any]:
        """How late messages left, ms: of the time when all calls spoke, and of the whole run.

        What voids a run is the former, if there was such a time: figures of a load are told of it, and calls that begin
        are late for the generator's own reasons.
        """
        whole = self.pacer.lateness
        judged = self._looks[1] - self._looks[0] if steady and len(self._looks) > 1 else whole
        of = {
            name: {"p50": percentile(bins, 0.5), "p99": percentile(bins, 0.99)}
            for name, bins in (("judged", judged), ("whole", whole))
        }
        return {**of["judged"], "of": "whole" if judged is whole else "steady", "whole": of["whole"]}

    def _steady(self) -> dict[str, Any] | None:
        """The time when every call spoke, by the monotonic clock, and its latency; None if there was no such time."""
        times = self.window.times
        if times is None or self._interrupted_at < times[1]:
            return None
        begin, end = times
        return {"begin": begin, "end": end, "latencyMs": asdict(self.tally.between(begin, end))}


def raise_descriptor_limit(wanted: int) -> None:
    """As far as this process may; sockets that find none fail and are counted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
