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
import contextlib
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.__main__ import machine

__all__ = ["Usage", "gateway", "main", "measure", "pinned"]

ROOT = Path(__file__).parents[1]
RECORDING = ROOT.parent / "shared" / "speech" / "calls" / "auto-repairs-40.wav"
SAMPLE = ROOT / "samples" / "support-call.wav"
GATEWAY = Path(sys.executable).with_name("gateway")


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def cpu_seconds(pid: int) -> float:
    """User and system time of all of a process's threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def parts(pid: int) -> dict[str, float]:
    """CPU seconds of a gateway's threads: the event loop's, the recognizer's (they are nicer), those of all others."""
    used = {"loop": 0.0, "recognizer": 0.0, "rest": 0.0}
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end while it is looked at.
        with contextlib.suppress(OSError):
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            part = "loop" if int(task.name) == pid else "recognizer" if int(fields[16]) > 0 else "rest"
            used[part] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def resident_mib(pid: int) -> float:
    """Memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def pinned(command: list[str], core: int | None) -> list[str]:
    """A command that runs on one core, with all the threads it will have; as it is without one."""
    if core is None:
        return command
    code = f"import os, sys; os.sched_setaffinity(0, {{{core}}}); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", code, *command]


@dataclass
class Usage:
    """What a process has used, looked at about twice a second."""

    pid: int
    seen: list[tuple[float, dict[str, float], float]] = field(default_factory=list)
    """Monotonic clock, CPU seconds so far of each part, resident MiB."""

    async def watch(self) -> None:
        """Look until cancelled, or until the process has ended."""
        with contextlib.suppress(FileNotFoundError):
            while True:
                self.seen.append((time.monotonic(), parts(self.pid), resident_mib(self.pid)))
                await asyncio.sleep(0.5)

    def between(self, begin: float, end: float) -> tuple[dict[str, float], float]:
        """Cores that each part used in that time, and the most memory in MiB."""
        inside = [look for look in self.seen if begin <= look[0] <= end]
        if len(inside) < 2:
            return {}, 0.0
        (first, used, _), (last, total, _) = inside[0], inside[-1]
        cores = {part: (total[part] - used[part]) / (last - first) for part in total}
        return cores, max(memory for *_, memory in inside)


@asynccontextmanager
async def gateway(
    folder: Path, webhook_port: int, core: int | None = None, settings: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A gateway with the default models that posts to ``webhook_port``, and its URL.

    Args:
        folder: its data directory.
        webhook_port: where it posts on this machine.
        core: the only one it may use; None for all.
        settings: further ``GATEWAY_…`` variables.
    """
    process = await asyncio.create_subprocess_exec(
        *pinned([str(GATEWAY), "serve"], core),
        env={
            **os.environ,
            "GATEWAY_PORT": "0",
            "GATEWAY_DATA_DIR": str(folder),
            "GATEWAY_LOG__FORMAT": "json",
            "GATEWAY_WEBHOOK__URL": f"http://127.0.0.1:{webhook_port}/webhook",
            **(settings or {}),
        },
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    reading: asyncio.Task[bytes] | None = None
    try:
        url = ""
        while not url:
            line = await process.stderr.readline()
            if not line:
                raise SystemExit("the gateway did not start; run `gateway serve` to see why")
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                url = entry["url"] if entry.get("event") == "serving" else ""
        # Its log must not fill the pipe.
        reading = asyncio.create_task(process.stderr.read())
        yield process, url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        if reading is not None:
            await reading


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
            before = cpu_seconds(process.pid)
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
            used = cpu_seconds(process.pid) - before
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
