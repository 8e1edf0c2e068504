"""How many messages a second does the load generator send from one core?

The sender plays N calls of both tracks, paced at 20 ms, to another process that throws the bytes away; each has a core.
With one write a message, as Twilio sends, with one write for both tracks (``--coalesced``), and with one for two frames
of both (``--together 2``), in turns. What a message costs is the sender's processor time, and the core's time in soft
interrupts, where the kernel delivers what is sent over the loopback and which belongs to no process; what a core could
send is one over that. A run that was late is void: what is caught up with costs less.

    python -m benchmarks.bench_sender [--calls 1000 2000 3000] [--seconds 5] [--rounds 3] [--json] [--keep]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import socket
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.load import sender
from benchmarks.load.generator import VOID_PACING_MS, raise_descriptor_limit
from benchmarks.load.pacer import percentile
from benchmarks.load.voice import FRAME_BYTES, Script, Sound
from benchmarks.machine import machine

__all__ = ["main", "measure"]

RESULT = Path(__file__).parent / "results" / "sender.json"
FRAMES_A_SECOND = 50
NAMES = {(False, 1): "a message", (True, 1): "both tracks", (True, 2): "two frames"}
KINDS = tuple(NAMES)
TRACKS = ("inbound", "outbound")
READ_S = 0.02
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _soft_seconds(core: int) -> float:
    """A core's time in soft interrupts."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            return int(fields[6]) * TICK_S
    return 0.0


def _discard(listener: socket.socket, calls: int, core: int, done: Connection) -> None:
    """Read everything and throw it away, until told; then tell how many bytes came."""
    os.sched_setaffinity(0, {core})
    peers = []
    for _ in range(calls):
        peer = listener.accept()[0]
        peer.setblocking(False)
        peers.append(peer)
    done.send(0)
    room, came, told = bytearray(1 << 18), 0, False
    while True:
        last, told = told, done.poll()
        began, before = time.monotonic(), came
        for peer in peers:
            try:
                came += peer.recv_into(room)
            except BlockingIOError:
                continue
        if last and came == before:
            done.send(came)
            return
        time.sleep(max(0.0, READ_S - (time.monotonic() - began)))


def measure(calls: int, seconds: float, coalesced: bool, cores: tuple[int, int], together: int = 1) -> dict[str, Any]:
    """One run.

    Args:
        calls: of both tracks.
        seconds: of the time that counts, one second after the last call has begun.
        coalesced: one write for both tracks.
        cores: the sender's, and the reader's.
        together: frames of each track in a write.
    """
    raise_descriptor_limit(2 * calls + 64)
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        reader = processes.Process(target=_discard, args=(listener, calls, cores[1], there), daemon=True)
        reader.start()
        # Only the reader has it now: its end, should it fail, is seen here.
        there.close()
        lines = [socket.create_connection(listener.getsockname()) for _ in range(calls)]
        here.recv()
    one = sender.Sender(coalesced=coalesced, together=together)
    clock = {"cpu": 0.0}

    def run() -> None:
        os.sched_setaffinity(0, {cores[0]})
        # As the load generator's does.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        one.run()
        clock["cpu"] = time.thread_time()

    thread = threading.Thread(target=run)
    sound = Sound.of(TRACKS, [os.urandom(FRAME_BYTES * 50) for _ in TRACKS])
    for number, line in enumerate(lines):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        script = Script(sound, b"MZ" + b"%032x" % number, number % 50, round(seconds * FRAMES_A_SECOND), seed=number)
        one.add(line.fileno(), script, time.monotonic_ns() // 1000 + 500_000)
    soft, began = _soft_seconds(cores[0]), time.monotonic()
    thread.start()
    ended = 0
    while ended < calls and time.monotonic() - began < 4 * seconds + 10:
        time.sleep(0.05)
        ended += len(one.ended())
    soft = _soft_seconds(cores[0]) - soft
    one.stop()
    thread.join()
    here.send(1)
    came = here.recv()
    reader.join()
    for line in lines:
        line.close()
    late, messages = one.lateness, one.messages
    own = clock["cpu"] / messages * 1e6
    kernel = soft / messages * 1e6
    return {
        "calls": calls,
        "coalesced": coalesced,
        "together": together,
        "messages": messages,
        "complete": messages == calls * len(TRACKS) * round(seconds * FRAMES_A_SECOND) and ended == calls,
        "bytesRead": came,
        "askedPerSecond": calls * len(TRACKS) * FRAMES_A_SECOND,
        "cpuUsPerMessage": round(own, 2),
        "softUsPerMessage": round(kernel, 2),
        "perCore": round(1e6 / (own + kernel)),
        "void": percentile(late, 0.99) > VOID_PACING_MS,
        "lateMs": {"p50": percentile(late, 0.5), "p99": percentile(late, 0.99)},
    }


def main() -> None:
    """The command; exit code 1 if something was not sent."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_sender", description="Messages a second from one core.")
    parser.add_argument("--calls", type=int, nargs="+", default=[1000, 2000, 3000])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3, help="The cheapest of so many is told.")
    parser.add_argument("--json", action="store_true", help="Print one JSON document.")
    parser.add_argument("--keep", action="store_true", help=f"Write {RESULT.name} too.")
    args = parser.parse_args()
    if min(args.calls) < 1 or args.rounds < 1 or not 0 < args.seconds < 3600:
        parser.error("--calls and --rounds must be at least 1, --seconds more than 0")
    own, other, *_ = [*sorted(os.sched_getaffinity(0)), 0]
    rows = []
    for calls in args.calls:
        rounds: dict[tuple[bool, int], list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        for turn in range(args.rounds):
            for coalesced, together in rounds:
                if sys.stderr.isatty():
                    print(f"{calls} calls, round {turn + 1} of {args.rounds}", end="\r", file=sys.stderr, flush=True)
                rounds[coalesced, together].append(measure(calls, args.seconds, coalesced, (own, other), together))
        for found in rounds.values():
            best = max(found, key=lambda row: (not row["void"], row["perCore"]))
            rows.append(best | {"complete": all(one["complete"] for one in found)})
    document = {"machine": machine(), "loadAverage": os.getloadavg()[0], "rounds": args.rounds, "rows": rows}
    text = json.dumps(document, indent=2)
    if args.keep:
        RESULT.write_text(text + "\n", encoding="utf-8")
    print(text if args.json else table(document))
    sys.exit(not all(row["complete"] for row in rows))


def table(document: dict[str, Any]) -> str:
    """The result for a terminal."""
    lines = [
        document["machine"],
        "calls   write of      asked/s   µs own + soft   a core could send/s   late p50, p99 ms",
    ]
    for row in document["rows"]:
        lines.append(
            f"{row['calls']:5d}   {NAMES[row['coalesced'], row['together']]:11s}  {row['askedPerSecond']:9,d} "
            f"{row['cpuUsPerMessage']:8.2f} + {row['softUsPerMessage']:.2f} {row['perCore']:17,d} "
            f"{row['lateMs']['p50']:13.1f}, {row['lateMs']['p99']:.1f}{'   void' if row['void'] else ''}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
