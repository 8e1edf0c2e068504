"""How long after the end of speech is the transcript at the webhook, with one call, and is early bought with cutting?

    python -m benchmarks.bench_latency [--repeats 2] [--seconds S] [--peers NAME…] [--json] [--keep]

Each pass plays the recording once, in real time, both tracks, from a place of its own into a gateway of its own process
(default settings), and takes its webhooks. Latency counts from when the frame with the last speech was due to the
webhook's arrival; ends of speech and borders of utterances are those of the committed labels
(``benchmarks/labelled``), which owe nothing to the gateway. *After the decision*: from when the frame that decided the
endpoint was due; which one that was is found by sending the same audio through the same endpointing offline. What that
decides, and how long after the end of speech (*decided*), is the same on every machine, however busy.

The peers hear the same passes, with no network between:

* moonshine-voice: its streaming transcriber, pieces of 100 ms, its own update interval of 0.5 s, on a virtual clock
  that waits for nothing and counts the processor time its work takes (``runners/moonshine_stream.py``);
* faster-whisper, tiny.en, one thread: decodes the very utterances that the gateway's endpointing finds, from the
  moment of its decision; what the decode takes comes on top, one utterance after the other.

What is counted is told in :mod:`benchmarks.speech.latency`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from benchmarks import peers
from benchmarks.audio.files import RECORDING, SAMPLE
from benchmarks.load.generator import Load
from benchmarks.load.plan import Plan
from benchmarks.load.tally import Said
from benchmarks.machine import machine
from benchmarks.peers import PEERS, RUNNERS
from benchmarks.process import free_port, gateway
from benchmarks.speech import labels
from benchmarks.speech.labels import Labels
from benchmarks.speech.latency import Judged, judge, marks, report, table
from gateway import config
from gateway.errors import GatewayError, PeerError
from gateway.participants import Track
from gateway.peers import recording as recordings
from gateway.peers.emitter import FRAME_MS
from gateway.peers.recording import RATE, Recording
from gateway.recordings import offline
from gateway.server.speech import VAD_FILE, VAD_MODEL, load_engine
from gateway.speech.silero import Silero
from models.store import locate

__all__ = ["main"]

OURS = "gateway"
RESULTS = Path(__file__).parent / "results"
STREAMING = "moonshine_stream.py"
PER_MS = RATE // 1000


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass of the gateway: where in the recording it began, and what it said."""

    begin_ms: int
    said: list[Said]


@dataclass(frozen=True, slots=True)
class Decided:
    """An utterance as the endpointing finds it offline; ms of the recording's clock, PCM of 8 kHz."""

    track: Track
    start: float
    end: float
    decided: float
    pcm: np.ndarray[Any, np.dtype[np.int16]]


async def play(call: Recording, ends: labels.Ends, seconds: float, seed: int) -> tuple[Pass, dict[str, Any]]:
    """One pass through a gateway; also the load's own report.

    Raises:
        GatewayError: the gateway cannot be reached.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        async with gateway(Path(folder), port) as (_, url):
            key = json.loads((Path(folder) / "first-key.json").read_text())
            load = Load(Plan(url, key["apiId"], key["apiSecret"], call, ends, 1, 0.0, seconds, port, seed))
            result = await load.run()
    tally = load.tally
    guid, watched = next(iter(tally.calls.items()), (None, None))
    if guid is None or watched is None:
        raise PeerError(f"the call did not start: {'; '.join(result['calls']['errors']) or 'no reason was given'}")
    return Pass(watched.first_frame * FRAME_MS, tally.said.get(guid, [])), result


def rolled(call: Recording, begin_ms: int, seconds: float) -> Recording:
    """The audio of a pass."""
    length = round(seconds * RATE)
    places = np.arange(begin_ms * PER_MS, begin_ms * PER_MS + length)
    # A call repeats whole frames.
    whole = call.duration_ms // FRAME_MS * FRAME_MS * PER_MS
    return Recording({track: pcm[:whole].take(places, mode="wrap") for track, pcm in call.tracks.items()})


def decide(played: Recording, begin_ms: int) -> list[Decided]:
    """The utterances of a pass in the order of their decisions, by the gateway's endpointing and default settings."""
    settings = config.load()
    voice = Silero(locate(settings.models_dir, VAD_MODEL) / VAD_FILE)
    engine = load_engine(settings)
    found = []
    for track, pcm in played.tracks.items():
        for one in offline.listen(pcm, voice, engine, settings.vad, settings.endpoint):
            start, end, decided = (
                begin_ms + place / PER_MS for place in (one.segment.start, one.segment.end, one.segment.decided)
            )
            found.append(Decided(track, start, end, decided, one.segment.pcm))
    return sorted(found, key=lambda one: one.decided)


def after(said: Sequence[Said], decided: Sequence[Decided]) -> list[float]:
    """From the decision to the arrival, of the transcripts that the offline way found too, to the frame of 32 ms."""
    result = []
    for one in said:
        same = [
            other.decided
            for other in decided
            if other.track is one.track and abs(other.start - one.start) < 32 and abs(other.end - one.end) < 32
        ]
        if same:
            # What decided came with the Twilio frame that holds its last sample.
            result.append(one.at - (same[0] - 1) // FRAME_MS * FRAME_MS)
    return result


def as_said(decided: Sequence[Decided]) -> list[Said]:
    """As if the text were there when the frame that decides is sent."""
    return [Said(one.track, one.start, one.end, (one.decided - 1) // FRAME_MS * FRAME_MS) for one in decided]


def wide(pcm: np.ndarray[Any, np.dtype[np.int16]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """At 16 kHz."""
    found: np.ndarray[Any, np.dtype[np.float32]] = soxr.resample(pcm.astype(np.float32) / 32768, RATE, 2 * RATE)
    return found


def moonshine(played: Recording, begin_ms: int, _: Sequence[Decided]) -> list[Said]:
    """What moonshine-voice says of a pass.

    Raises:
        PeerError: it cannot be made or run.
    """
    tracks = list(played.tracks)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        path = Path(folder) / "call.wav"
        channels = np.stack([wide(played.tracks[track]) for track in tracks], axis=1)
        soundfile.write(path, channels, 2 * RATE, subtype="PCM_16")
        lines = _run("moonshine-voice", STREAMING, [f"{path}:{number}" for number in range(len(tracks))])
    # Its audio is there when it has been spoken; the gateway's frames are sent when they begin to be. The same clock:
    lead = FRAME_MS
    return [
        Said(
            tracks[line["stream"]],
            begin_ms + line["start"] * 1000,
            begin_ms + line["end"] * 1000,
            begin_ms + line["at"] * 1000 - lead,
        )
        for line in lines
        if "done" not in line and line["text"].strip()
    ]


def whisper(played: Recording, begin_ms: int, decided: Sequence[Decided]) -> list[Said]:
    """What faster-whisper says behind the gateway's endpointing.

    Raises:
        PeerError: it cannot be made or run.
    """
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        files = []
        for number, one in enumerate(decided):
            files.append(Path(folder) / f"{number}.wav")
            soundfile.write(files[-1], wide(one.pcm), 2 * RATE, subtype="PCM_16")
        # The first once more before all others: it pays for what is made on first use.
        lines = _run("faster-whisper", PEERS["faster-whisper"].script, [], [*files[:1], *files])[1:]
    said, free = [], 0.0
    for one, line in zip(decided, lines, strict=True):
        frame = (one.decided - 1) // FRAME_MS * FRAME_MS
        free = max(free, frame) + line["cpu"] * 1000
        if "".join(line["texts"]).strip():
            said.append(Said(one.track, one.start, one.end, free))
    return said


def _run(name: str, script: str, arguments: Sequence[str], files: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """The lines of a peer's script."""
    command = [str(peers.ensure(PEERS[name])), str(RUNNERS / script), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    given = "".join(f"{file}\n" for file in files)
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, env=environment)
    if done.returncode or not done.stdout.strip():
        raise PeerError(f"{name} failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


MEASURED: dict[str, Callable[[Recording, int, Sequence[Decided]], list[Said]]] = {
    "moonshine-voice": moonshine,
    "faster-whisper": whisper,
}


def measure(path: Path, known: Labels, names: Sequence[str], repeats: int, seconds: float) -> dict[str, Any]:
    """All passes of all systems.

    Raises:
        GatewayError: the gateway could not be measured.
    """
    call = recordings.load(path)
    period = call.duration_ms // FRAME_MS * FRAME_MS
    seconds = min(seconds, period / 1000)
    judged: dict[str, Judged] = {OURS: Judged()}
    reasons: list[str] = []
    for seed in range(1, repeats + 1):
        one, load = asyncio.run(play(call, known.ends, seconds, seed))
        reasons += load["bad"]
        found = judge(one.said, known, period, one.begin_ms, seconds)
        played = rolled(call, one.begin_ms, seconds)
        decided = decide(played, one.begin_ms)
        found.after = after(one.said, decided)
        found.decisions = judge(as_said(decided), known, period, one.begin_ms, seconds).latencies
        judged[OURS].add(found)
        _tell(OURS, seed, found)
        for name in names:
            try:
                said = MEASURED[name](played, one.begin_ms, decided)
            except PeerError as error:
                print(f"without {name}: {error}", file=sys.stderr)
                continue
            found = judge(said, known, period, one.begin_ms, seconds)
            judged.setdefault(name, Judged()).add(found)
            _tell(name, seed, found)
    systems = {name: report(one) for name, one in judged.items()}
    return {
        "machine": machine(),
        "recording": path.name,
        "labels": known.version,
        "seconds": seconds,
        "repeats": repeats,
        "bad": reasons,
        "systems": systems,
        "marks": marks(systems[OURS], systems.get("moonshine-voice")),
        "latencies": {name: [round(value) for value in sorted(one.latencies)] for name, one in judged.items()},
    }


def _tell(name: str, number: int, found: Judged) -> None:
    latency = report(found)["latencyMs"]
    print(f"{name}, pass {number}: p50 {latency['p50']:.0f} p95 {latency['p95']:.0f} ms", file=sys.stderr, flush=True)


def figure(result: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The share of transcripts that is there so long after the end of speech."""
    steps = []
    for name, latencies in result["latencies"].items():
        share = [(count + 1) / len(latencies) for count in range(len(latencies))]
        steps.append({"x": [0, *latencies], "y": [0, *share], "label": name})
    panel = {
        "title": f"One call of {result['recording']}: transcripts that have come",
        "x": "ms after the end of speech",
        "y": "share",
        "xlim": [0, 3000],
        "ylim": [0, 1],
        "steps": steps,
        "lines": [
            {"at": 350, "colour": "grey", "dashed": True, "label": "mark of the median, 350 ms"},
            {"at": 600, "colour": "black", "dashed": True, "label": "mark of 95 %, 600 ms"},
        ],
        "legend": True,
    }
    return {"out": str(out.resolve()), "size": [9, 5], "panels": [panel]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if something was lost or the load was late, 2 if this machine cannot measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2, help="passes")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of each; default: the whole recording")
    parser.add_argument("--peers", nargs="*", choices=list(MEASURED), default=list(MEASURED), help="default: all")
    parser.add_argument("--recording", type=Path, help="WAV that has labels; default: natural speech, else the sample")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="write result and plot into benchmarks/results/")
    options = parser.parse_args(arguments)
    path = options.recording or (RECORDING if RECORDING.exists() else SAMPLE)
    if path is SAMPLE:
        print(f"{RECORDING} is not here: measuring with the sample call", file=sys.stderr)
    try:
        file = labels.committed(path)
        if file is None:
            print(f"{path} has no labels; make them: python -m benchmarks.speech.labels make {path}", file=sys.stderr)
            return 2
        result = measure(path, labels.read(file), options.peers, max(1, options.repeats), options.seconds)
        if options.keep:
            RESULTS.mkdir(exist_ok=True)
            text = json.dumps({**result, "latencies": None}, indent=1)
            rows = ",\n  ".join(f'"{name}": {json.dumps(of)}' for name, of in result["latencies"].items())
            text = text.replace('"latencies": null', f'"latencies": {{\n  {rows}\n }}')
            (RESULTS / "latency.json").write_text(text + "\n", encoding="utf-8")
            try:
                labels.draw(figure(result, RESULTS / "latency.png"))
            except PeerError as error:
                print(f"no plot: {error}", file=sys.stderr)
    except GatewayError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(result, indent=1) if options.json else f"{result['machine']}\n{table(result)}")
    for reason in result["bad"]:
        print(f"not good: {reason}", file=sys.stderr)
    return 1 if result["bad"] else 0


if __name__ == "__main__":
    sys.exit(main())
