"""How late are transcripts, and is anything lost, with N calls at once in real time?

Starts a gateway of its own (default models, own port and data directory), puts ``gateway loadtest`` on it from another
process, and prints what that saw and what the gateway's process used. Latency is from the planned sending time of the
last frame of speech, found in the recording by energy (:mod:`benchmarks.speech.labels`), to the webhook's arrival.

    python -m benchmarks.bench_calls [--calls 20] [--duration 60] [--ramp 5] [--json] [--keep]

How many calls a core carries is asked by :mod:`benchmarks.bench_density`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.audio.files import RECORDING, SAMPLE
from benchmarks.machine import machine
from benchmarks.process import GATEWAY, Usage, cpu_seconds, free_port, gateway, pinned, resident_mib

__all__ = ["main", "measure"]


async def measure(
    recording: Path,
    calls: int,
    duration: float,
    *,
    ramp: float = 5.0,
    gain: int = 0,
    cores: tuple[int, int] | None = None,
    settings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """One run.

    Args:
        recording: what every call says.
        calls: at once.
        duration: seconds of each.
        ramp: seconds over which they begin.
        gain: calls differ by so many decibels, up and down.
        cores: the gateway's only one, and the load's; None lets both use all.
        settings: further ``GATEWAY_…`` variables of the gateway.
    """
    port = free_port()
    own, other = cores or (None, None)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        async with gateway(Path(folder), port, own, settings) as (process, url):
            key = json.loads((Path(folder) / "first-key.json").read_text())
            usage = Usage(process.pid)
            watching = asyncio.create_task(usage.watch())
            before = cpu_seconds([process.pid])
            command = [str(GATEWAY), "loadtest", str(recording), f"--url={url}", f"--webhook-port={port}", "--json"]
            shape = [f"--calls={calls}", f"--duration={duration}", f"--ramp={ramp}", f"--gain={gain}"]
            load = await asyncio.create_subprocess_exec(
                *pinned([*command, *shape], other),
                env={**os.environ, "GATEWAY_API_ID": key["apiId"], "GATEWAY_API_SECRET": key["apiSecret"]},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, said = await load.communicate()
            watching.cancel()
            if not out:
                raise SystemExit(f"the load did not run: {said.decode().strip()}")
            report: dict[str, Any] = json.loads(out)
            used = cpu_seconds([process.pid]) - before
            steady = report["steady"]
            shares, memory = usage.between(steady["begin"], steady["end"]) if steady else ({}, 0.0)
            return {
                "machine": machine(),
                "recording": recording.name,
                "good": load.returncode == 0,
                "cpuSeconds": round(used, 1),
                "coresPerCall": round(used / (calls * duration), 4),
                "residentMiB": round(resident_mib(process.pid)),
                "steadyCores": round(sum(shares.values()), 3),
                "steadyParts": {part: round(share, 3) for part, share in shares.items()},
                "steadyMiB": round(memory),
                "load": report,
            }


def main() -> int:
    """Run, print, and keep the result if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--duration", type=float, default=60.0)
    parser.add_argument("--ramp", type=float, default=5.0, help="seconds over which the calls begin")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="write the result into benchmarks/results/")
    options = parser.parse_args()
    recording = RECORDING if RECORDING.exists() else SAMPLE
    if recording is SAMPLE:
        print(f"{RECORDING} is not here: measuring with the sample call", file=sys.stderr)
    result = asyncio.run(measure(recording, options.calls, options.duration, ramp=options.ramp))
    if options.keep:
        folder = Path(__file__).parent / "results"
        folder.mkdir(exist_ok=True)
        (folder / f"calls-{options.calls}.json").write_text(json.dumps(result, indent=1) + "\n")
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        print(table(result, options.calls, options.duration))
    return 0 if result["good"] else 1


def table(result: dict[str, Any], calls: int, duration: float) -> str:
    """The result for a terminal."""
    load = result["load"]
    latency = load["latencyMs"]
    return "\n".join(
        [
            result["machine"],
            f"{calls} calls of {result['recording']}, {duration:.0f} s each, both tracks",
            f"latency      p50 {latency['p50']:.0f}  p95 {latency['p95']:.0f}  p99 {latency['p99']:.0f} ms",
            f"lost         {load['messages']['lost']} of {load['messages']['sent']} messages",
            f"gateway      {result['cpuSeconds']} s CPU, {result['coresPerCall']} cores a call, "
            f"{result['residentMiB']} MiB",
            f"verdict      {'good' if result['good'] else 'NOT GOOD'}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
