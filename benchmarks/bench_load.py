"""Does a gateway on one core read 3,000 sockets with both tracks, and lose nothing?

Starts a gateway without a model on one core, puts ``gateway loadtest`` on it from the other, and keeps the report. Of
several rounds the one whose load was the least late is told: a load over 20 ms late at the 99th percentile makes a
round void, which says nothing about the gateway but what it lost.

    python -m benchmarks.bench_load [--calls 3000] [--ramp 20] [--duration 30] [--separate] [--gated] [--rounds 2]
                                    [--json] [--keep]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.__main__ import machine
from benchmarks.bench_calls import GATEWAY, SAMPLE, free_port, gateway, pinned

__all__ = ["main", "measure"]

RESULTS = Path(__file__).parent / "results"
SETTINGS = {"GATEWAY_ASR__MODEL": "none", "GATEWAY_DRAIN_SECONDS": "0"}


async def measure(options: list[str], cores: tuple[int, int]) -> dict[str, Any]:
    """The report of one round.

    Args:
        options: of ``gateway loadtest``.
        cores: the gateway's, and the load's.

    Raises:
        SystemExit: the load did not run.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        async with gateway(Path(folder), port, cores[0], SETTINGS) as (_, url):
            key = json.loads((Path(folder) / "first-key.json").read_text())
            command = [str(GATEWAY), "loadtest", str(SAMPLE), f"--url={url}", f"--webhook-port={port}", *options]
            load = await asyncio.create_subprocess_exec(
                *pinned([*command, "--no-transcripts", "--json"], cores[1]),
                env={**os.environ, "GATEWAY_API_ID": key["apiId"], "GATEWAY_API_SECRET": key["apiSecret"]},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, said = await load.communicate()
    if not out:
        raise SystemExit(f"the load did not run: {said.decode().strip()}")
    report: dict[str, Any] = json.loads(out)
    return report


def main() -> None:
    """The command; exit code 1 if anything was lost, or every round was void."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_load", description="Thousands of sockets on one core.")
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--ramp", type=float, default=20.0)
    parser.add_argument("--duration", type=float, default=30.0)
    parser.add_argument("--separate", action="store_true", help="A write a message, where one core can do that.")
    parser.add_argument("--gated", action="store_true", help="Calls are never started.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="Print one JSON document.")
    parser.add_argument("--keep", action="store_true", help="Write results/load-CALLS.json too.")
    args = parser.parse_args()
    options = [f"--calls={args.calls}", f"--ramp={args.ramp}", f"--duration={args.duration}"]
    options += ["--coalesced"] * (not args.separate) + ["--gated"] * args.gated
    own, other, *_ = [*sorted(os.sched_getaffinity(0)), 0]
    rounds = [asyncio.run(measure(options, (own, other))) for _ in range(args.rounds)]
    best = min(rounds, key=lambda report: report["pacingMs"]["p99"])
    lost = sum(abs(report["messages"]["lost"]) + sum(report["dropped"].values()) for report in rounds)
    document = {
        "machine": machine(),
        "loadAverage": os.getloadavg()[0],
        "options": options,
        "rounds": args.rounds,
        "lostInAllRounds": lost,
        "load": best,
    }
    text = json.dumps(document, indent=2)
    if args.keep:
        (RESULTS / f"load-{args.calls}.json").write_text(text + "\n", encoding="utf-8")
    print(text if args.json else table(document))
    sys.exit(bool(lost) or not best["ok"])


def table(document: dict[str, Any]) -> str:
    """The result for a terminal."""
    load = document["load"]
    server, messages, pacing = load["server"], load["messages"], load["pacingMs"]
    ticks = "  ".join(f"{name} {value:g}" for name, value in server["tickMs"].items())
    lines = [
        f"{document['machine']}; load average {document['loadAverage']:.1f}",
        f"{load['calls']['done']} of {load['calls']['asked']} calls, {messages['sent']:,} messages, "
        f"{messages['lost']} lost, {document['lostInAllRounds']:g} lost or dropped in all rounds",
        f"gateway  {server.get('cpuUsPerMessage', 0):.2f} µs a message, {server.get('kibPerCall', 0):.1f} KiB a call, "
        f"ticks {ticks} ms",
        f"load     {load['generator']['cpuUsPerMessage']:.2f} µs a message, p50 {pacing['p50']:g}  "
        f"p99 {pacing['p99']:g} ms late",
        *load["bad"],
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
