"""Does a gateway on one core read 3,000 sockets with both tracks, lose nothing, and answer its API?

Starts a gateway without a model on one core, puts ``gateway loadtest`` on it from the other, once with all calls
started and once with none (gated: the gateway reads and does nothing else), and keeps both reports. The API is asked 20
times a second all the while. Of several rounds the one whose load was the least late is told: a load over 20 ms late at
the 99th percentile makes a round void, which says nothing about the gateway but what it lost. Two frames of both tracks
go in one write, since few cores can send more than that to 3,000 sockets in time; ``--together 1`` writes every frame.

    python -m benchmarks.bench_load [--calls 3000] [--ramp 20] [--duration 80] [--only started|gated]
                                    [--together 2] [--separate] [--rounds 1] [--probe 20] [--json] [--keep]
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

from benchmarks.audio.files import SAMPLE
from benchmarks.machine import machine
from benchmarks.process import GATEWAY, free_port, gateway, pinned

__all__ = ["main", "measure"]

RESULTS = Path(__file__).parent / "results"
SIDES = ("started", "gated")
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
                # On a terminal the load shows how it stands.
                stderr=None if sys.stderr.isatty() else asyncio.subprocess.PIPE,
            )
            out, said = await load.communicate()
    if not out:
        raise SystemExit(f"the load did not run: {(said or b'').decode().strip()}")
    report: dict[str, Any] = json.loads(out)
    return report


def main() -> None:
    """The command; exit code 1 if anything was lost, or every round was void."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_load", description="Thousands of sockets on one core.")
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--ramp", type=float, default=20.0)
    parser.add_argument(
        "--duration", type=float, default=80.0, help="Of a call, seconds: all speak at once for this less the ramp."
    )
    parser.add_argument("--only", choices=SIDES, help="One side.")
    parser.add_argument("--together", type=int, default=2, help="Frames of each track in one write.")
    parser.add_argument("--separate", action="store_true", help="A write a message, where one core can do that.")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--probe", type=float, default=20.0, help="API requests a second beside the calls' own.")
    parser.add_argument("--json", action="store_true", help="Print one JSON document.")
    parser.add_argument("--keep", action="store_true", help="Write results/load-CALLS.json too.")
    args = parser.parse_args()
    options = [f"--calls={args.calls}", f"--ramp={args.ramp}", f"--duration={args.duration}", f"--probe={args.probe}"]
    options += [] if args.separate else ["--coalesced", f"--together={args.together}"]
    own, other, *_ = [*sorted(os.sched_getaffinity(0)), 0]
    sides, lost = {}, {}
    for side in [args.only] if args.only else SIDES:
        more = [*options, "--gated"] if side == "gated" else options
        rounds = [asyncio.run(measure(more, (own, other))) for _ in range(args.rounds)]
        sides[side] = min(rounds, key=lambda report: report["pacingMs"]["p99"])
        lost[side] = sum(abs(report["messages"]["lost"]) + sum(report["dropped"].values()) for report in rounds)
    document = {
        "machine": machine(),
        "loadAverage": os.getloadavg()[0],
        "options": options,
        "rounds": args.rounds,
        "lostInAllRounds": lost,
        "sides": sides,
    }
    text = json.dumps(document, indent=2)
    if args.keep:
        (RESULTS / f"load-{args.calls}.json").write_text(text + "\n", encoding="utf-8")
    print(text if args.json else table(document))
    sys.exit(any(lost.values()) or not all(report["ok"] for report in sides.values()))


def table(document: dict[str, Any]) -> str:
    """The result for a terminal."""
    lines = [f"{document['machine']}; load average {document['loadAverage']:.1f}"]
    for side, load in document["sides"].items():
        lines += ["", *_rows(side, load, document["lostInAllRounds"][side])]
    return "\n".join(lines)


def _rows(side: str, load: dict[str, Any], lost: float) -> list[str]:
    server, messages, pacing = load["server"], load["messages"], load["pacingMs"]
    ticks = "  ".join(f"{name} {value:g}" for name, value in server.get("steadyTickMs", server["tickMs"]).items())
    latency = load["apiMs"]["steady"] or load["apiMs"]["whole"]
    sender = load["generator"]
    api = "  ".join(f"{name} {spread['p95']:.1f}" for name, spread in latency.items() if spread["count"])
    seconds = f"{server['seconds']:.0f} s while all calls spoke" if server["steady"] else "the whole run"
    return [
        f"{side}: {load['calls']['done']} of {load['calls']['asked']} calls, figures of {seconds}",
        f"  messages  {messages['sent']:,} sent, {messages['counted']:,} counted by the gateway, "
        f"{messages['lost']} lost; {lost:g} lost or dropped in all rounds",
        f"  gateway   {server.get('messagesPerSecond', 0):,} messages/s, {server.get('cpuUsPerMessage', 0):.2f} µs a "
        f"message, {server.get('cores', 0):.2f} cores, {server.get('kibPerCall', 0):.1f} KiB a call",
        f"  ticks     {ticks} ms",
        f"  API p95   {api} ms",
        f"  load      p50 {pacing['p50']:g}  p99 {pacing['p99']:g} ms late (in all p99 {pacing['whole']['p99']:g}), "
        f"{sender['cpuUsPerMessage']:.2f} µs a message{', real time' if sender['realTime'] else ''}",
        *(f"  not good: {reason}" for reason in load["bad"]),
    ]


if __name__ == "__main__":
    main()
