"""What does one Twilio message cost, from the socket to PCM on the clock, and what would it cost with other servers?

    python -m benchmarks.bench_ingest [--sockets 300 1000 3000] [--tls 100 300] [--rows NAME…]
                                      [--seconds 3] [--rounds 2] [--recording FILE] [--write 1] [--json] [--keep]

Each server has a process and a core of its own, the load the other core. Every socket brings both tracks, 100 messages
a second, each in a write of its own, paced; with 2,000 sockets and more, to which one core cannot send so, two frames
of both tracks are one write. What counts begins a second after the last socket's first message.
Processor time is user and system of all the server's threads by the kernel's clock, over the messages of that time.
Rows take turns within a round, and the least of the rounds is told. All servers but the bare ones parse the JSON and
decode base64 and μ-law; the sum of the PCM is compared with what was said. Loopback has the sender's core do a part of
the receiving, for all rows alike.

A row whose load was over 20 ms late at the 99th percentile is void. A server that uses all its core is saturated: it
then reads many messages at a time, which makes each of them cheaper than keeping up would be.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.audio.files import SAMPLE
from benchmarks.ingest import measurement, report
from benchmarks.ingest.measurement import Expected, measure
from benchmarks.ingest.report import ROWS, SECURE, Row
from benchmarks.ingest.servers import PICOWS, Certificate, started
from benchmarks.load.plan import MAX_CALLS
from benchmarks.load.wire import sound
from benchmarks.machine import machine
from gateway import config
from gateway.errors import GatewayError
from gateway.peers import recording as recordings

__all__ = ["Plan", "main", "run"]

MANY = 2000
"""Sockets, for which one core can no longer send a write a message in time."""
RESULTS = Path(__file__).parent / "results"
DEFAULT = ("gated", "started", "bare", "picows", "websockets", "aiohttp")
DEFAULT_SECURE = ("tls-gated", "tls-started", "tls-bare", "tls-nginx")
Case = tuple[str, int]
"""A row's name and its sockets."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How rows are measured.

    Args:
        recording: what is said.
        seconds: that count, of each measurement.
        rounds: how often each row is measured.
        cores: the servers', and this process's; None for any.
        write: messages in one write; None for as many as a core can send in time.
    """

    recording: Path
    seconds: float
    rounds: int
    cores: tuple[int | None, int | None] = (None, None)
    write: int | None = None

    def together(self, calls: int) -> int:
        """Messages in one write, with so many calls."""
        return self.write or (1 if calls < MANY else 4)

    def frames(self, calls: int) -> int:
        """Of 20 ms, that each of so many calls says; the more there are, the longer it takes until all speak."""
        spare = measurement.SPARE_SECONDS * (1 + calls / 1000)
        # An even number, for two are one write.
        return round((measurement.WARM_SECONDS + self.seconds + spare) * 25) * 2


async def one(case: Case, expected: Expected, plan: Plan) -> Row:
    """A measurement with a server of its own.

    Raises:
        GatewayError: its server cannot be had here, or a socket or a start failed.
    """
    name, _ = case
    start = name.removeprefix("tls-") in ("started", "nginx")
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as place:
        folder = Path(place)
        (folder / "data").mkdir()
        async with started(name, folder / "data", plan.cores[0], Certificate(folder)) as server:
            row = await measure(server, expected, plan.seconds, start=start, write=plan.together(case[1]))
    row.name = name
    return row


def run(cases: Sequence[Case], plan: Plan) -> tuple[dict[Case, list[Row]], dict[str, str]]:
    """All rounds of all cases that can be had, in the order in which they take turns, and why the others cannot.

    A case whose rounds are all void has one more.
    """
    said = sound(recordings.load(plan.recording))
    found: dict[Case, list[Row]] = {}
    without: dict[str, str] = {}
    done = 0

    def turn(case: Case) -> None:
        nonlocal done
        done += 1
        name, size = case
        if name in without:
            return
        try:
            row = uvloop.run(one(case, Expected(said, size, plan.frames(size)), plan))
        except GatewayError as error:
            without[name] = f"{error} (at {size} sockets)"
            return
        found.setdefault(case, []).append(row)
        say(f"{done} of {len(cases) * plan.rounds}: {size} sockets, {name}, {row.us:.2f} µs, {row.verdict}")

    before = os.sched_getaffinity(0)
    if plan.cores[1] is not None:
        os.sched_setaffinity(0, {plan.cores[1]})
    try:
        # Rounds of one size follow each other, so that what is compared is measured close together.
        for group in dict.fromkeys((name in SECURE, size) for name, size in cases):
            own = [(name, size) for name, size in cases if (name in SECURE, size) == group]
            for _ in range(plan.rounds):
                for case in own:
                    turn(case)
            for case in own:
                if all(row.void for row in found.get(case, [])):
                    done -= 1
                    turn(case)
    finally:
        os.sched_setaffinity(0, before)
    return found, without


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def document(found: dict[Case, list[Row]], without: dict[str, str], plan: Plan) -> dict[str, Any]:
    """The result, as it is kept."""
    rows = [report.best(measured) for measured in found.values()]
    order = [*ROWS, *SECURE]
    rows.sort(key=lambda row: (row.name in SECURE, row.calls, order.index(row.name)))
    return {
        "machine": machine(),
        "versions": {name: version(name) for name in ("uvloop", "websockets", "aiohttp", "orjson", "numpy")}
        | dict([PICOWS.requirements[0].split("==")]),
        "loadAverage": round(os.getloadavg()[0], 2),
        "tickMs": config.load().limits.tick_ms,
        "seconds": plan.seconds,
        "rounds": plan.rounds,
        "rows": report.as_rows(rows, found),
        "without": without,
        "marks": report.judged(rows),
    }


def keep(result: dict[str, Any], folder: Path) -> None:
    """Write ``ingest.json`` and, where matplotlib is there, ``ingest.svg``."""
    folder.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    (folder / "ingest.json").write_text(text + "\n", encoding="utf-8")
    try:
        report.plot(result, folder / "ingest.svg")
    except ImportError:
        say("no plot: matplotlib is missing (pip install --group bench)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a server lost or garbled something, 2 if this machine cannot measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, nargs="*", default=[300, 1000, 3000], help="plain ones")
    parser.add_argument("--tls", type=int, nargs="*", default=[100, 300], help="sockets under TLS")
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, *SECURE], default=[*DEFAULT, *DEFAULT_SECURE])
    parser.add_argument("--seconds", type=float, default=3.0, help="that count, of each measurement")
    parser.add_argument("--rounds", type=int, default=2, help="the least of so many is told")
    parser.add_argument("--recording", type=Path, default=SAMPLE, help="what is said")
    parser.add_argument("--write", type=int, choices=(1, 2, 4), help="messages in one write, of any number of sockets")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="write result and plot into benchmarks/results/")
    options = parser.parse_args(arguments)
    if not options.recording.is_file():
        parser.error(f"no recording {options.recording}; a WAV file is wanted")
    if not all(1 <= size <= MAX_CALLS for size in (*options.sockets, *options.tls)) or options.rounds < 1:
        parser.error(f"sockets must be 1 to {MAX_CALLS}, rounds at least 1")
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        print("two cores are needed: one for the servers, one for the load", file=sys.stderr)
        return 2
    cases = [(name, size) for size in sorted(options.sockets) for name in options.rows if name in ROWS]
    cases += [(name, size) for size in sorted(options.tls) for name in options.rows if name in SECURE]
    plan = Plan(options.recording, options.seconds, options.rounds, (usable[0], usable[1]), options.write)
    found, without = run(cases, plan)
    result = document(found, without, plan)
    if options.keep:
        keep(result, RESULTS)
    print(json.dumps(result, indent=1, ensure_ascii=False) if options.json else report.table(result))
    return int(any(row.bad for measured in found.values() for row in measured))


if __name__ == "__main__":
    sys.exit(main())
