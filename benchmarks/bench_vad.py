"""How well is speech found, how is it cut into utterances, and what does a frame cost?

    python -m benchmarks.bench_vad [--json] [--model FILE]

Plays ``../shared/speech`` (beside the repository; not part of it) through μ-law, the level gate, Silero VAD and the
endpointer with the default settings. Four questions:

* *quality*: ROC-AUC of the speech probability against the speaker turns of ``vad/*.rttm``, batched over the files
  as the gateway runs it, and one by one;
* *utterances*: how many a minute on the two channels of a call, and how long;
* *borders*: where the first word begins and the last ends, against an energy measure with 10 ms resolution that
  knows the whole file (it takes noise for speech where noise is loud: read the medians);
* *cost*: seconds of one core a frame, alone and batched; the least of several runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
from numpy.typing import NDArray

from gateway._native import endpoint, level, mulaw
from gateway.config import EndpointSettings, VadSettings
from gateway.errors import GatewayError
from gateway.speech.engine import Pcm
from gateway.speech.silero import FRAME, RATE, Silero

__all__ = ["Quality", "Utterance", "main", "probabilities", "roc_auc", "utterances"]

ROOT = Path(__file__).resolve().parents[1]
SPEECH = ROOT.parent / "shared" / "speech"
MODEL = Path(os.environ.get("GATEWAY_MODELS_DIR", ROOT / "models" / "cache")) / "silero-vad" / "silero_vad.onnx"

FRAME_MS = FRAME * 1000 // RATE
HOLD_FRAMES = 32
"""Quiet that the model still is asked about: a second."""


@dataclass(frozen=True, slots=True)
class Quality:
    """ROC-AUC over the frames of all annotated excerpts, and how far batched and single runs are apart."""

    frames: int
    speech_share: float
    auc_batched: float
    auc_single: float
    largest_difference: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """An utterance in frames: with its rolls, and its speech alone."""

    start: int
    end: int
    speech_start: int
    speech_end: int
    cut: bool

    @property
    def seconds(self) -> float:
        """Length of its speech."""
        return (self.speech_end - self.speech_start) * FRAME_MS / 1000


def read(path: Path) -> list[Pcm]:
    """The channels of a file as they come over the telephone."""
    pcm, rate = soundfile.read(path, dtype="int16", always_2d=True)
    if rate != RATE:
        msg = f"{path}: {rate} Hz; 8000 Hz is needed"
        raise SystemExit(msg)
    return [mulaw.decode(mulaw.encode(np.ascontiguousarray(channel))) for channel in pcm.T]


def framed(pcm: Pcm) -> Pcm:
    """Whole frames, shape ``(frames, 256)``."""
    return pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME)


def probabilities(model: Silero, tracks: list[Pcm], asked: list[NDArray[np.bool_]]) -> list[NDArray[np.float32]]:
    """Speech probability of each frame, all tracks in one batch; 0 where the model is not asked."""
    slots = [model.acquire() for _ in tracks]
    found = [np.zeros(len(track), np.float32) for track in tracks]
    for frame in range(max(len(track) for track in tracks)):
        rows = [row for row, track in enumerate(tracks) if frame < len(track) and asked[row][frame]]
        if not rows:
            continue
        batch = np.stack([tracks[row][frame] for row in rows])
        judged = model.judge(np.array([slots[row] for row in rows]), batch)
        for row, probability in zip(rows, judged, strict=True):
            found[row][frame] = probability
    for slot in slots:
        model.release(slot)
    return found


def utterances(
    found: NDArray[np.float32], levels: NDArray[np.float32], vad: VadSettings, settings: EndpointSettings
) -> Iterator[Utterance]:
    """What the endpointer makes of a track."""
    machine = endpoint.Endpointer(
        threshold=vad.threshold,
        release=vad.release,
        min_speech_frames=max(1, settings.min_speech_ms // FRAME_MS),
        silence_frames=max(1, settings.silence_ms // FRAME_MS),
        pre_roll_frames=settings.pre_roll_ms // FRAME_MS,
        post_roll_frames=settings.post_roll_ms // FRAME_MS,
        max_frames=settings.max_utterance_ms // FRAME_MS,
    )

    def told(events: int) -> Iterator[Utterance]:
        if events & (endpoint.ENDED | endpoint.CUT):
            places = machine.start_frame, machine.end_frame, machine.speech_start_frame, machine.speech_end_frame
            yield Utterance(*places, cut=bool(events & endpoint.CUT))

    for probability, level_db in zip(found.tolist(), levels.tolist(), strict=True):
        yield from told(machine.push(probability, level_db))
    yield from told(machine.flush())


def roc_auc(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> float:
    """Probability that a speech frame scores above another (Mann-Whitney, ties half)."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    positive = int(truth.sum())
    negative = len(truth) - positive
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def annotated(path: Path) -> NDArray[np.bool_] | None:
    """Whether each frame of an excerpt is mostly speech by its RTTM; None if no file names it."""
    lines = [line.split() for rttm in sorted(path.parent.glob("*.rttm")) for line in rttm.read_text().splitlines()]
    turns = [(float(line[3]), float(line[4])) for line in lines if line[0] == "SPEAKER" and line[1] == path.stem]
    if not turns:
        return None
    speech = np.zeros(soundfile.info(path).frames // FRAME * FRAME, np.float32)
    for start, duration in turns:
        speech[round(start * RATE) : round((start + duration) * RATE)] = 1
    return np.asarray(speech.reshape(-1, FRAME).mean(axis=1) >= 0.5)


def measure_quality(model: Silero, folder: Path) -> Quality:
    """ROC-AUC without the gate, over the excerpts of ``folder``."""
    pairs = [(path, truth) for path in sorted(folder.glob("*.wav")) if (truth := annotated(path)) is not None]
    tracks = [framed(read(path)[0])[: len(truth)] for path, truth in pairs]
    everything = [np.ones(len(track), np.bool_) for track in tracks]
    batched = np.concatenate(probabilities(model, tracks, everything))
    single = np.concatenate(
        [probabilities(model, [track], [asked])[0] for track, asked in zip(tracks, everything, strict=True)]
    )
    truth = np.concatenate([truth for _, truth in pairs])
    return Quality(
        frames=len(truth),
        speech_share=float(truth.mean()),
        auc_batched=roc_auc(truth, batched),
        auc_single=roc_auc(truth, single),
        largest_difference=float(np.abs(batched - single).max()),
    )


def segment(model: Silero, channels: list[Pcm], vad: VadSettings, settings: EndpointSettings) -> list[list[Utterance]]:
    """The utterances of each channel, on the way that the gateway goes."""
    tracks = [framed(channel) for channel in channels]
    levels = [level.frame_levels_db(track) for track in tracks]
    found = probabilities(
        model, tracks, [level.LevelGate(vad.gate_dbfs, HOLD_FRAMES).admit(of_track) for of_track in levels]
    )
    pairs = zip(found, levels, strict=True)
    return [list(utterances(of_track, of_level, vad, settings)) for of_track, of_level in pairs]


def measure_call(model: Silero, path: Path, vad: VadSettings, settings: EndpointSettings) -> dict[str, float]:
    """Utterances of a call."""
    channels = read(path)
    found = [one for channel in segment(model, channels, vad, settings) for one in channel]
    lengths = np.array([one.seconds for one in found])
    levels = [level.frame_levels_db(framed(channel)) for channel in channels]
    gated = sum(int((~level.LevelGate(vad.gate_dbfs, HOLD_FRAMES).admit(one)).sum()) for one in levels)
    frames = sum(len(one) for one in levels)
    return {
        "utterances": len(found),
        "utterances_a_minute": len(found) / (len(channels[0]) / RATE / 60),
        "cuts": sum(one.cut for one in found),
        "shorter_than_500_ms": int((lengths < 0.5).sum()),
        "median_seconds": float(np.median(lengths)),
        "longest_seconds": float(lengths.max()),
        "speech_seconds": float(lengths.sum()),
        "gated_share": gated / frames,
    }


def audible(pcm: Pcm) -> tuple[int, int]:
    """First and last audible ms: 10 ms pieces 12 dB above the quietest tenth, at most 36 dB below the loudest."""
    pieces = pcm[: len(pcm) // 80 * 80].reshape(-1, 80).astype(np.float64) - pcm.mean()
    decibels = 10 * np.log10(np.square(pieces).mean(axis=1) / 32768**2 + 1e-10)
    threshold = max(np.percentile(decibels[decibels > -95], 10) + 12, np.percentile(decibels, 98) - 36)
    # Two of three pieces, so that a click is not a word.
    loud = np.flatnonzero(np.convolve(decibels > threshold, [1, 1, 1], "same") >= 2)
    return int(loud[0]) * 10, (int(loud[-1]) + 1) * 10


def measure_borders(model: Silero, folder: Path, vad: VadSettings, settings: EndpointSettings) -> dict[str, float]:
    """Median distance of the borders from what is audible, in ms, and files without an utterance."""
    starts: list[int] = []
    ends: list[int] = []
    paths = sorted(folder.glob("*.wav"))
    after = np.zeros(RATE, np.int16)
    for path in paths:
        pcm = read(path)[0]
        found = segment(model, [np.concatenate([pcm, after])], vad, settings)[0]
        if found:
            first, last = audible(pcm)
            starts.append(found[0].speech_start * FRAME_MS - first)
            ends.append(found[-1].speech_end * FRAME_MS - last)
    return {
        "files": len(paths),
        "without_utterance": len(paths) - len(starts),
        "start_median_ms": float(np.median(starts)),
        "start_within_150_ms": float(np.mean(np.abs(starts) <= 150)),
        "end_median_ms": float(np.median(ends)),
        "end_within_150_ms": float(np.mean(np.abs(ends) <= 150)),
    }


def measure_cost(model: Silero, frames: Pcm) -> dict[str, float]:
    """µs a frame: the model alone and batched, level and endpointer."""
    costs: dict[str, float] = {}
    for batch in (1, 8, 32, 128, 512):
        slots = np.array([model.acquire() for _ in range(batch)])
        rows = frames[np.arange(batch) % len(frames)]
        runs = max(3, 512 // batch)
        least = min(_timed(partial(model.judge, slots, rows)) for _ in range(runs))
        costs[f"model_batch_{batch}_us"] = least / batch * 1e6
        for slot in slots.tolist():
            model.release(slot)
    machine = endpoint.Endpointer(0.42, 0.3, 3, 15, 4, 6, 625)
    costs["level_us"] = min(_timed(lambda: level.frame_levels_db(frames)) for _ in range(9)) / len(frames) * 1e6
    pairs = [(0.9, -20.0)] * 400 + [(0.0, -70.0)] * 600
    costs["endpoint_us"] = min(_timed(lambda: [machine.push(*pair) for pair in pairs]) for _ in range(9)) / 1000 * 1e6
    return costs


def _timed(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; exit code 0, also where there is nothing to measure with."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--model", type=Path, default=MODEL, help="silero_vad.onnx (default: the fetched one)")
    options = parser.parse_args(arguments)
    if not SPEECH.is_dir():
        print(f"skipped: {SPEECH} is not there", file=sys.stderr)
        return 0
    try:
        model = Silero(options.model)
    except GatewayError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return 0
    vad, settings = VadSettings.model_validate({}), EndpointSettings.model_validate({})
    call = SPEECH / "calls" / "auto-repairs-40.wav"
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, onnxruntime {onnxruntime.__version__}",
        "settings": vad.model_dump() | settings.model_dump(),
        "quality": asdict(measure_quality(model, SPEECH / "vad")),
        "call": measure_call(model, call, vad, settings),
        "borders": measure_borders(model, SPEECH / "utterances", vad, settings),
        "cost": measure_cost(model, framed(read(call)[0])[200:712]),
    }
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        for name, part in report.items():
            print(name if isinstance(part, dict) else f"{name}  {part}")
            if isinstance(part, dict):
                for key, value in part.items():
                    print(f"  {key:<24} {value:.4f}" if isinstance(value, float) else f"  {key:<24} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
