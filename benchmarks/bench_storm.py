"""What does a storm of connections, or everybody hanging up at once, do to a gateway and to the calls that it carries?

A gateway without a model on one core carries some calls that stream; from the other core 2,000 sockets connect within
5 s, send their ``start``, are started through the API, and all hang up in the same instant: in one round by the end of
their TCP connections, in the next by resets. Of several rounds that is told in which this process was the least late;
what any of them lost is told. Meanwhile another process asks for a stream URL 50 times a second. Each upgrade counts
from when it was due, whatever became of those before it. At last the calls that streamed all along stop, and every
message of theirs must have been counted. Once more with in-process TLS, fewer sockets, and fewer calls, since their
sender writes through Python there.

    python -m benchmarks.bench_storm [--sockets 2000] [--seconds 5] [--carried 300] [--tls-sockets 500]
                                     [--tls-carried 20] [--rounds 2] [--json] [--keep]

Exit code 1 if anything was refused or lost, or every socket is not gone in time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.audio.files import SAMPLE
from benchmarks.ingest.servers import Certificate
from benchmarks.load import counters
from benchmarks.load.asking import Asking
from benchmarks.load.counters import Metrics
from benchmarks.load.crowd import Caller, Crowd, Ending
from benchmarks.load.generator import VOID_PACING_MS, raise_descriptor_limit
from benchmarks.load.pacer import Pacer, percentile
from benchmarks.load.tally import Spread
from benchmarks.load.voice import Sound
from benchmarks.load.wire import sound
from benchmarks.machine import machine
from benchmarks.memory import held
from benchmarks.process import free_port, gateway
from gateway.peers import recording as recordings
from gateway.peers.client import GatewayClient

__all__ = ["Storm", "main", "measure", "table"]

RESULT = Path(__file__).parent / "results" / "storm.json"
ASK_S = 0.02
LOOK_S = 0.05
GONE_S = 20.0
"""How long hung-up calls may take until they are over."""
SETTLE_S = 2.0
ENDINGS = (Ending.FIN, Ending.RST)
CALLS = "gateway_calls{"
COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Storm:
    """A run: ``sockets`` connect evenly within ``seconds`` while ``carried`` calls stream."""

    sockets: int
    seconds: float
    carried: int
    tls: bool = False
    rounds: int = 1
    seed: int = 1


class _Run:
    """One gateway, what it carries, and its rounds."""

    def __init__(
        self, storm: Storm, pid: int, client: GatewayClient, pacer: Pacer, crowd: Crowd, asking: Asking
    ) -> None:
        self._storm = storm
        self._pid = pid
        self._client = client
        self._pacer = pacer
        self._crowd = crowd
        self._asking = asking

    async def run(self, speech: Sound) -> dict[str, Any]:
        first = await self._client.metrics()
        carried = await self._crowd.open(self._storm.carried, self._storm.carried / 100)
        await self._crowd.start(carried)
        self._crowd.play(carried, speech, 600.0)
        # Pools and caches fill: what is measured is the storm, not the first calls of a gateway's life.
        await asyncio.sleep(SETTLE_S)
        self._crowd.upgrades_ms.clear()
        self._crowd.late_ms.clear()
        async with self._asking:
            found = [await self._round(ending) for ending in ENDINGS * self._storm.rounds]
        await self._crowd.hang_up(carried, Ending.STOP)
        await self._until(0)
        await asyncio.sleep(SETTLE_S)
        last = await self._client.metrics()
        grown = {name: value - first.get(name, 0.0) for name, value in last.items()}
        return {
            **{name: value for name, value in asdict(self._storm).items() if name != "rounds"},
            "rounds": found,
            "messages": {"sent": self._crowd.sent, "counted": int(grown[counters.MESSAGES])},
            "dropped": counters.dropped(grown),
            "pacingMs": {"p99": percentile(self._pacer.lateness, 0.99)},
            "apiFailed": self._asking.failed,
            "errors": dict(self._crowd.errors),
        }

    async def _round(self, ending: Ending) -> dict[str, Any]:
        storm, crowd = self._storm, self._crowd
        before, resident = await self._client.metrics(), held(self._pid).rss
        begun = time.monotonic()
        callers = await crowd.open(storm.sockets, storm.seconds)
        opened, asked = await self._client.metrics(), self._asked(begun)
        starts = await crowd.start(callers)
        await self._until(storm.carried + len(callers))
        full, started = held(self._pid).rss, await self._client.metrics()
        begun = time.monotonic()
        gone = await self._hang_up(callers, ending)
        took = time.monotonic() - begun
        over, ended = await self._client.metrics(), self._asked(begun)
        await asyncio.sleep(SETTLE_S)
        upgrades, late = crowd.upgrades_ms[:], crowd.late_ms[:]
        crowd.upgrades_ms.clear()
        crowd.late_ms.clear()
        return {
            "ending": ending,
            "admitted": len(callers),
            "share": len(callers) / storm.sockets,
            "upgradeMs": asdict(Spread.of(upgrades)),
            "lateMs": asdict(Spread.of(late)),
            "apiMs": asked,
            "tickMs": _ticks(before, opened),
            "startMs": asdict(Spread.of(starts)),
            "gone": gone,
            "goneSeconds": round(took, 2),
            "apiWhileGoingMs": ended,
            "tickWhileGoingMs": _ticks(started, over),
            "kibPerCall": round((full - resident) / max(1, len(callers)), 1),
            "leftKibPerCall": round((held(self._pid).rss - resident) / max(1, len(callers)), 1),
        }

    def _asked(self, begun: float) -> dict[str, float]:
        return asdict(Spread.of(self._asking.between(begun, time.monotonic())))

    async def _hang_up(self, callers: list[Caller], ending: Ending) -> bool:
        await self._crowd.hang_up(callers, ending)
        return await self._until(self._storm.carried)

    async def _until(self, calls: int) -> bool:
        """Wait until so many calls live, on as many sockets; false if that takes too long."""
        deadline = time.monotonic() + GONE_S
        while time.monotonic() < deadline:
            values = await self._client.metrics()
            live = sum(value for name, value in values.items() if name.startswith(CALLS) and COMPLETED not in name)
            if (values["gateway_sockets"], live) == (calls, calls):
                return True
            await asyncio.sleep(LOOK_S)
        return False


def _ticks(before: Metrics, after: Metrics) -> dict[str, float]:
    grown = {name: value - before.get(name, 0.0) for name, value in after.items() if name.startswith(counters.TICKS)}
    return {name: counters.percentile(grown, counters.TICKS, share) for name, share in (("p50", 0.5), ("p99.9", 0.999))}


@asynccontextmanager
async def _gateway(storm: Storm, core: int | None) -> AsyncIterator[_Run]:
    settings = {"GATEWAY_ASR__MODEL": "none", "GATEWAY_DRAIN_SECONDS": "0"}
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        folder = Path(name)
        certificate = Certificate(folder) if storm.tls else None
        context = certificate.context if certificate is not None else None
        if certificate is not None:
            settings |= {"GATEWAY_TLS__CERT": str(certificate.cert), "GATEWAY_TLS__KEY": str(certificate.key)}
        async with gateway(folder / "data", free_port(), core, settings) as (process, url):
            key = json.loads((folder / "data" / "first-key.json").read_text())
            async with (
                GatewayClient(url, key["apiId"], key["apiSecret"], context) as client,
                Pacer(native=not storm.tls) as pacer,
            ):
                cert = str(certificate.cert) if certificate is not None else None
                asking = Asking(url, key["apiId"], key["apiSecret"], ASK_S, cert)
                yield _Run(storm, process.pid, client, pacer, Crowd(client, pacer, context, storm.seed), asking)


async def measure(storm: Storm, core: int | None = None) -> dict[str, Any]:
    """One gateway, both rounds.

    Args:
        storm: how many sockets, and when.
        core: the gateway's only one; None for all.
    """
    async with _gateway(storm, core) as run:
        found = await run.run(sound(recordings.load(SAMPLE)))
    return found | {"bad": bad(found)}


def bad(found: dict[str, Any]) -> list[str]:
    """What was refused, lost, or not measured well."""
    messages, reasons = found["messages"], []
    if messages["sent"] != messages["counted"]:
        reasons.append(f"{messages['sent'] - messages['counted']} of {messages['sent']} messages not counted")
    if found["dropped"]:
        reasons.append(f"dropped or failed: {found['dropped']}")
    if found["errors"]:
        reasons.append(f"errors: {found['errors']}")
    if found["apiFailed"]:
        reasons.append(f"{found['apiFailed']} requests failed")
    for each in found["rounds"]:
        if each["share"] < 1:
            reasons.append(f"{each['ending']}: {found['sockets'] - each['admitted']} sockets not admitted")
        if not each["gone"]:
            reasons.append(f"{each['ending']}: calls were not over within {GONE_S:.0f} s")
    for each in told(found):
        if each["lateMs"]["p99"] > VOID_PACING_MS:
            late = each["lateMs"]["p99"]
            reasons.append(f"{each['ending']}: void, this process began connecting {late:.0f} ms late at p99")
    return reasons


def told(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each ending the round in which this process was the least late; what any round lost is told all the same."""
    rounds = [[each for each in found["rounds"] if each["ending"] == ending] for ending in ENDINGS]
    return [min(of_ending, key=lambda each: float(each["lateMs"]["p99"])) for of_ending in rounds]


def table(document: dict[str, Any]) -> str:
    """The result for a terminal."""
    lines = [f"{document['machine']}; load average {document['loadAverage']:.1f}"]
    for storm in document["storms"]:
        wire = "TLS" if storm["tls"] else "plain"
        lines.append(
            f"{wire}: {storm['sockets']} sockets in {storm['seconds']:g} s, {storm['carried']} calls streaming; "
            f"{storm['messages']['counted']:,} of {storm['messages']['sent']:,} messages counted"
        )
        for each in told(storm):
            lines += [
                f"  {each['ending']}: admitted {each['share']:.1%}; upgrade {_shown(each['upgradeMs'])} ms",
                f"       stream URL meanwhile {_shown(each['apiMs'])} ms; tick p99.9 {each['tickMs']['p99.9']:g} ms",
                f"       starts {_shown(each['startMs'])} ms; {each['kibPerCall']} KiB a call",
                f"       hung up: all over after {each['goneSeconds']:g} s; stream URL meanwhile "
                f"{_shown(each['apiWhileGoingMs'])} ms; tick p99.9 {each['tickWhileGoingMs']['p99.9']:g} ms; "
                f"{each['leftKibPerCall']} KiB a call left",
            ]
        lines += [f"  NOT GOOD: {reason}" for reason in storm["bad"]]
    return "\n".join(lines)


def _shown(spread: dict[str, float]) -> str:
    return f"p50 {spread['p50']:g} p95 {spread['p95']:g} p99 {spread['p99']:g} max {spread['most']:g}"


def main(arguments: list[str] | None = None) -> int:
    """Run, print, keep the result if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench_storm", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--sockets", type=int, default=2000, help="that connect")
    parser.add_argument("--seconds", type=float, default=5.0, help="in which they do")
    parser.add_argument("--carried", type=int, default=300, help="calls that stream meanwhile")
    parser.add_argument("--tls-sockets", type=int, default=500, help="the same under TLS; 0 leaves it out")
    parser.add_argument("--tls-carried", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2, help="of each ending; the one that was sent best is told")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="write the result into benchmarks/results/")
    options = parser.parse_args(arguments)
    if min(options.sockets, options.carried, options.tls_carried, options.rounds) < 1 or options.tls_sockets < 0:
        parser.error("--sockets, --carried, --tls-carried and --rounds must be at least 1")
    if options.seconds <= 0:
        parser.error("--seconds must be more than 0")
    # A socket that streams has a second descriptor: its sender's.
    raise_descriptor_limit(options.sockets + 2 * options.carried + 512)
    sizes = [(options.sockets, options.carried, False)]
    if options.tls_sockets:
        sizes.append((options.tls_sockets, options.tls_carried, True))
    storms = [
        Storm(sockets, options.seconds, carried, tls, options.rounds, options.seed) for sockets, carried, tls in sizes
    ]
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[1]})
    found = []
    for storm in storms:
        if sys.stderr.isatty():
            print(f"… {'TLS' if storm.tls else 'plain'}", file=sys.stderr, flush=True)
        found.append(uvloop.run(measure(storm, cores[0])))
    document = {"machine": machine(), "loadAverage": os.getloadavg()[0], "storms": found}
    text = json.dumps(document, indent=1)
    if options.keep:
        RESULT.write_text(text + "\n", encoding="utf-8")
    print(text if options.json else table(document))
    return int(any(storm["bad"] for storm in found))


if __name__ == "__main__":
    sys.exit(main())
