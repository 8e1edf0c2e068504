"""A gateway in a process of its own, on a core of its own, and what a process uses."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import PeerError

__all__ = ["GATEWAY", "Usage", "cpu_seconds", "free_port", "gateway", "pinned", "resident_mib"]

GATEWAY = Path(sys.executable).with_name("gateway")

_LIBC = ctypes.CDLL(None)


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of all threads of some processes, ended threads too, to the nanosecond.

    Raises:
        PeerError: one of them is gone.
    """
    total = 0.0
    for pid in pids:
        clock = ctypes.c_int()
        if _LIBC.clock_getcpuclockid(pid, ctypes.byref(clock)):
            raise PeerError(f"process {pid} has ended")
        total += time.clock_gettime(clock.value)
    return total


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
