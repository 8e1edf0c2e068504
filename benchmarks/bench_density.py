"""How many calls of natural two-party speech does one core carry, and how many would a peer's recognizer?

    python -m benchmarks.bench_density [--steps N…] [--seconds 60] [--peers NAME…] [--json] [--keep]

The whole gateway (default models, one recognizer thread) is held on the first core that this process may use, the load
on the second: paced calls, both tracks, a message each 20 ms; each begins at its own place of the recording, at its
own time within the ramp and at its own level (±6 dB), drawn from a seed. Steps of calls are tried upwards, a fresh
gateway each, until the 95th percentile of the end of speech to the webhook's arrival is over 600 ms or anything is
lost, refused or wrong; then the gap is halved. Speech ends are those of :mod:`benchmarks.speech.labels`, figures those
of the time when all calls speak. A run whose own load was late (over 20 ms at the 99th percentile) is void and
repeated once.

Peers, on the gateway's core, after it, with nothing but recognition to do (no sockets, no JSON, no store):

* moonshine-voice: its streaming transcriber, two streams a call, on the virtual clock of its runner
  (``runners/moonshine_stream.py``); carried are calls whose audio is worked through within 600 ms at the 95th
  percentile.
* faster-whisper, tiny.en: decodes the very utterances that the gateway's endpointing finds in the call. The time that
  each takes is measured, and their queueing on one core for N calls is calculated from when each is found to be over:
  endpointing itself, and the guesses that it asks a recognizer for, are a present.

"All its time used" is the least favourable figure for the gateway: a core at 100 %, however late. Ratios are to it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from benchmarks import bench_calls, peers
from benchmarks.audio.files import RECORDING, SAMPLE
from benchmarks.machine import machine
from benchmarks.peers import PEERS, Peer
from benchmarks.process import pinned
from benchmarks.speech.density import LIMIT_MS, Row, as_rows, carried, percentile, plot, queued, row, search, table
from gateway import config
from gateway.errors import GatewayError, PeerError
from gateway.peers import recording as recordings
from gateway.recordings import offline
from gateway.server.speech import VAD_FILE, VAD_MODEL, load_engine
from gateway.speech.silero import Silero
from models.store import locate

__all__ = ["main", "moonshine", "whisper"]

STEPS = (20, 40, 80, 120, 150, 180)
RESOLUTION = 5
RAMP_S = 15.0
GAIN_DB = 6
RATE = 16_000
RESULTS = Path(__file__).parent / "results"
STREAMING = "moonshine_stream.py"
"""The script in ``runners/`` that streams; the peer's own transcribes whole files."""
MOST_PEER_CALLS = 64


def steps(
    recording: Path, numbers: Sequence[int], seconds: float, cores: tuple[int, int], limit_ms: float = LIMIT_MS
) -> list[Row]:
    """The gateway's rows, in the order in which they were run."""
    rows: list[Row] = []

    def run(calls: int) -> bool | None:
        for _ in range(2):
            result = asyncio.run(
                bench_calls.measure(
                    recording,
                    calls,
                    seconds + RAMP_S,
                    ramp=RAMP_S,
                    gain=GAIN_DB,
                    cores=cores,
                    settings={"GATEWAY_ASR__THREADS": "1"},
                )
            )
            rows.append(row(result, limit_ms))
            say(rows[-1])
            if not rows[-1].void:
                return not rows[-1].reasons
        return None

    search(numbers, RESOLUTION, run)
    return rows


def say(one: Row) -> None:
    """Tell of a run when it is over."""
    verdict = "; ".join(one.reasons) or "carried"
    print(
        f"{one.calls} calls: p50 {one.p50:.0f} p95 {one.p95:.0f} ms, {one.cores:.2f} core: {verdict}",
        file=sys.stderr,
        flush=True,
    )


def moonshine(python: Path, recording: Path, seconds: float, core: int) -> dict[str, Any]:
    """moonshine-voice's calls a core: doubled until it falls behind, then halved.

    Raises:
        PeerError: its script failed.
    """
    samples, rate = soundfile.read(recording, dtype="float32", always_2d=True)
    wide = soxr.resample(samples, rate, RATE)
    dice = random.Random(1)
    used: dict[int, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        streams: list[str] = []

        def add() -> None:
            """A call of its own: another place of the recording, another start."""
            path = Path(folder) / f"{len(streams)}.wav"
            piece = np.roll(wide, -dice.randrange(len(wide)), axis=0)[: round(seconds * RATE)]
            soundfile.write(path, piece, RATE, subtype="PCM_16")
            start = dice.random()
            streams.extend(f"{path}:{channel}@{start:.3f}" for channel in range(wide.shape[1]))

        def run(calls: int) -> bool:
            while len(streams) < calls * wide.shape[1]:
                add()
            command = [str(python), str(peers.RUNNERS / STREAMING), f"--seconds={seconds}"]
            done = _run(command + streams[: calls * wide.shape[1]], core)[-1]
            used[calls] = done["cpu"] / seconds / calls, done["late"]["p95"]
            print(f"moonshine-voice, {calls} calls: {used[calls]}", file=sys.stderr, flush=True)
            return bool(done["late"]["p95"] * 1000 <= LIMIT_MS)

        best, _ = search([2**power for power in range(7) if 2**power <= MOST_PEER_CALLS], 1, run)
    least = min(cores for cores, _ in used.values())
    return _peer(best, least, "lateness of its audio alone, its own endpoints")


def whisper(python: Path, recording: Path, seconds: float, core: int) -> dict[str, Any]:
    """faster-whisper's calls a core behind the gateway's endpointing.

    Raises:
        PeerError: its script failed.
    """
    settings = config.load()
    voice = Silero(locate(settings.models_dir, VAD_MODEL) / VAD_FILE)
    call = recordings.load(recording)
    engine = load_engine(settings)
    found = [
        one.segment
        for pcm in call.tracks.values()
        for one in offline.listen(pcm[: round(seconds * 8000)], voice, engine, settings.vad, settings.endpoint)
    ]
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        files = []
        for number, one in enumerate(found):
            files.append(Path(folder) / f"{number}.wav")
            wide = soxr.resample(one.pcm.astype(np.float32) / 32768, 8000, RATE)
            soundfile.write(files[-1], wide, RATE, subtype="PCM_16")
        command = [str(python), str(peers.RUNNERS / PEERS["faster-whisper"].script)]
        took = [heard["cpu"] for heard in _run(command, core, files)]
    work = [(one.end / 8000, one.decided / 8000, cpu) for one, cpu in zip(found, took, strict=True)]
    dice = random.Random(1)
    starts = [dice.uniform(0, seconds) for _ in range(MOST_PEER_CALLS)]

    def run(calls: int) -> bool:
        return 1000 * percentile(queued(work, seconds, starts[:calls]), 0.95) <= LIMIT_MS

    best, _ = search(range(1, MOST_PEER_CALLS + 1), 1, run)
    alone = 1000 * percentile(queued(work, seconds, [0.0]), 0.95)
    return _peer(best, sum(took) / seconds, f"one call alone has p95 {alone:.0f} ms")


def _peer(best: int, cores: float, how: str) -> dict[str, Any]:
    by_cpu = round(1 / cores, 1)
    return {"carried": best, "coresPerCall": round(cores, 4), "byCpu": by_cpu, "how": how}


def _run(command: Sequence[str], core: int, files: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """The lines of a peer's script on one core.

    Raises:
        PeerError: it failed.
    """
    given = "".join(f"{file}\n" for file in files)
    done = subprocess.run(
        pinned(list(command), core),
        input=given,
        capture_output=True,
        text=True,
        check=False,
        # More threads than cores would only get in each other's way.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode or not done.stdout.strip():
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise PeerError(f"{Path(command[1]).name} ended with {done.returncode}: {last}")
    return [json.loads(line) for line in done.stdout.splitlines()]


MEASURED: dict[str, Callable[[Path, Path, float, int], dict[str, Any]]] = {
    "moonshine-voice": moonshine,
    "faster-whisper": whisper,
}


def measure_peers(names: Sequence[str], recording: Path, seconds: float, core: int, own: int) -> dict[str, Any]:
    """What the peers carry; one that cannot be made or run is said and left out."""
    result = {}
    for name in names:
        peer: Peer = PEERS[name]
        try:
            measured = MEASURED[name](peers.ensure(peer), recording, seconds, core)
        except PeerError as error:
            print(f"without {name}: {error}", file=sys.stderr)
            continue
        result[name] = {"what": peer.what, **measured, "ratio": round(own / max(measured["byCpu"], 0.1), 1)}
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 2 if this machine cannot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=list(STEPS), help="numbers of calls, rising")
    parser.add_argument("--seconds", type=float, default=60.0, help="with all calls, each step")
    parser.add_argument("--peers", nargs="*", choices=list(MEASURED), default=list(MEASURED), help="default: all")
    parser.add_argument("--peer-seconds", type=float, default=60.0, help="of the call that peers hear")
    parser.add_argument("--recording", type=Path, help="WAV, two channels; default: natural speech, else the sample")
    parser.add_argument("--limit", type=float, default=LIMIT_MS, help="of the 95th percentile, ms (default 600)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="write result and plot into benchmarks/results/")
    options = parser.parse_args(arguments)
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        print("two cores are needed: one for the gateway, one for the load", file=sys.stderr)
        return 2
    recording = options.recording or (RECORDING if RECORDING.exists() else SAMPLE)
    if recording is SAMPLE:
        print(f"{RECORDING} is not here: measuring with the sample call", file=sys.stderr)
    try:
        rows = steps(recording, sorted(options.steps), options.seconds, (usable[0], usable[1]), options.limit)
        own = carried(rows)
        others = measure_peers(options.peers, recording, options.peer_seconds, usable[0], own)
    except GatewayError as error:
        print(error, file=sys.stderr)
        return 2
    document = {
        "machine": machine(),
        "recording": recording.name,
        "seconds": options.seconds,
        "limitMs": options.limit,
        "carried": own,
        "rows": as_rows(rows),
        "peers": others,
    }
    if options.keep:
        keep(document)
    print(json.dumps(document, indent=1, ensure_ascii=False) if options.json else table(document))
    return 0


def keep(document: dict[str, Any], folder: Path = RESULTS) -> None:
    """Write ``density.json`` and, where matplotlib is there, ``density.svg``."""
    folder.mkdir(exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (folder / "density.json").write_text(text + "\n", encoding="utf-8")
    try:
        plot(document, folder / "density.svg")
    except ImportError:
        print("no plot: matplotlib is missing (pip install --group bench)", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
