"""How well is speech found, how well are its borders, on good lines and bad, and what does a second of a track cost?

    python -m benchmarks.bench_vad [--json] [--keep] [--model FILE]

Plays ``../shared/speech`` (beside the repository; not part of it) through μ-law, the level gate, Silero VAD and the
endpointer with the default settings. The questions:

* *quality*: ROC-AUC of the speech probability against the speaker turns of ``vad/*.rttm``: ours; ours without what is
  put in front of the model; and the shipped model run as its authors do, a track by itself;
* *thresholds*: for several of them, how far the borders of segments lie from those turns and from the audible begin and
  end of ``utterances/`` (10 ms pieces by their energy), how many single words (``digits/``, a second apart, at the
  nominal level and at −50 dBFS) are missed, and how often :mod:`benchmarks.audio.nothing` is taken for speech;
* *lines*: the share of speech, sentences and single words, that is in an utterance on each of
  :mod:`benchmarks.audio.lines`, with what is put in front of the model and without;
* *call*: utterances a minute on the two channels of a call, and how long they are;
* *cost*: processor time of the worker's thread for a second of an open track that is never quiet, at several numbers
  of tracks, all of it: levels, gate, model and endpointer. *Paced* runs every 32 ms as the gateway does, and finds cold
  caches; *busy* runs at once. Medians of the batches.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.audio import nothing
from benchmarks.audio.conditions import Signal
from benchmarks.audio.files import ROOT, SPEECH
from benchmarks.audio.lines import LINES, levelled, speech_frames, telephoned
from benchmarks.machine import machine
from benchmarks.speech.vad import (
    FRAME_MS,
    Span,
    Utterance,
    annotated,
    audible,
    border_errors,
    framed,
    joined,
    judge,
    probabilities,
    read,
    roc_auc,
    theirs,
    turns,
    utterances,
)
from gateway._native import endpoint, level
from gateway.config import EndpointSettings, VadSettings
from gateway.errors import GatewayError
from gateway.speech.engine import Pcm
from gateway.speech.silero import FRAME, RATE, Silero
from gateway.speech.track import GATE_HOLD_FRAMES

__all__ = ["FRAME_MS", "framed", "main", "measure_cost", "missed", "probabilities", "read", "table", "words"]

MODEL = Path(os.environ.get("GATEWAY_MODELS_DIR", ROOT / "models" / "cache")) / "silero-vad" / "silero_vad.onnx"
RESULTS = Path(__file__).parent / "results" / "vad.json"

THRESHOLDS = (0.3, 0.36, 0.42, 0.5, 0.6)
RELEASES = (0.04, 0.12, 0.2)
"""How far the release lies below the threshold."""
MIN_SPEECH_MS = (64, 96, 160)
REACH_MS = 1000.0
NOTHING_SECONDS = 120
NOTHING_SEEDS = 3
"""Each begins with a fresh state, as a call does: after minutes of noise the model takes less for speech."""
TRACKS = (1, 10, 50, 200)
BUSY_BATCHES, PACED_BATCHES = 40, 60
FAR_FRAMES = 16
"""Found speech farther than this from any (half a second) is false."""

QUIET = "-50 dBFS"

Table = dict[str, dict[str, float]]


def measure_quality(ours: Silero, plain: Silero, model: Path, folder: Path) -> dict[str, float]:
    """ROC-AUC without the gate, over the excerpts of ``folder``; ours batched over them."""
    pairs = [(path, truth) for path in sorted(folder.glob("*.wav")) if (truth := annotated(path)) is not None]
    tracks = [framed(read(path)[0])[: len(truth)] for path, truth in pairs]
    everything = [np.ones(len(track), np.bool_) for track in tracks]
    truth = np.concatenate([truth for _, truth in pairs])
    heard = {
        name: np.concatenate(probabilities(one, tracks, everything)) for name, one in (("ours", ours), ("plain", plain))
    }
    shipped = np.concatenate([theirs(model, track) for track in tracks])
    return {
        "frames": len(truth),
        "speech_share": float(truth.mean()),
        "auc_ours": roc_auc(truth, heard["ours"]),
        "auc_ours_without_conditioning": roc_auc(truth, heard["plain"]),
        "auc_silero": roc_auc(truth, shipped),
        "largest_difference_without_conditioning": float(np.abs(heard["plain"] - shipped).max()),
    }


def words(folder: Path) -> list[tuple[Signal, list[Span]]]:
    """The single words of each speaker, levelled, a second apart, and where each is in ms."""
    strings = []
    for speaker in sorted({path.stem.partition("_")[2] for path in folder.glob("*.wav")}):
        parts: list[Signal] = [np.zeros(3 * RATE)]
        places = []
        for path in sorted(folder.glob(f"*_{speaker}.wav")):
            word = levelled(read(path)[0] / 32768)
            begin = sum(map(len, parts)) * 1000 / RATE
            places.append((begin, begin + len(word) * 1000 / RATE))
            parts += [word, np.zeros(RATE)]
        strings.append((np.concatenate(parts), places))
    return strings


class Heard:
    """Audio with what the model said of it, to be cut by many settings."""

    def __init__(self, model: Silero, channels: Sequence[Pcm], gate_dbfs: float) -> None:
        tracks = [framed(channel) for channel in channels]
        self.levels = [level.frame_levels_db(track) for track in tracks]
        self.probabilities = judge(model, tracks, gate_dbfs)

    def cut(self, vad: VadSettings, settings: EndpointSettings) -> list[list[Utterance]]:
        """The utterances of each channel."""
        pairs = zip(self.probabilities, self.levels, strict=True)
        return [list(utterances(found, levels, vad, settings)) for found, levels in pairs]


def spans(found: Sequence[Utterance]) -> list[Span]:
    """Speech in ms, without the rolls."""
    return [(one.speech_start * FRAME_MS, one.speech_end * FRAME_MS) for one in found]


def sweep(model: Silero, speech: Path, vad: VadSettings, settings: EndpointSettings) -> Table:
    """Borders, misses and false utterances by threshold, release and least speech."""
    excerpts = [path for path in sorted((speech / "vad").glob("*.wav")) if turns(path)]
    after = np.zeros(RATE, np.int16)
    files = [read(path)[0] for path in sorted((speech / "utterances").glob("*.wav"))]
    meeting = Heard(model, [read(path)[0] for path in excerpts], vad.gate_dbfs)
    close = Heard(model, [np.concatenate([pcm, after]) for pcm in files], vad.gate_dbfs)
    seeds = range(nothing.SEED, nothing.SEED + NOTHING_SEEDS)
    noise = [nothing.play(kind, NOTHING_SECONDS, seed) for seed in seeds for kind in nothing.KINDS]
    silent = Heard(model, noise, vad.gate_dbfs)
    spoken = words(speech / "digits")
    rng = np.random.default_rng(7)
    single = {
        name: Heard(model, [telephoned(LINES[line](one, rng)) for one, _ in spoken], vad.gate_dbfs)
        for name, line in (("words", "good"), ("quiet_words", QUIET))
    }
    true = [joined(turns(path), settings.silence_ms) for path in excerpts]
    ends = [audible(pcm) for pcm in files]
    rows: Table = {}
    for threshold, below, least in product(THRESHOLDS, RELEASES, MIN_SPEECH_MS):
        tried = vad.model_copy(update={"threshold": threshold, "release": round(threshold - below, 2)})
        cutting = settings.model_copy(update={"min_speech_ms": least})
        found = close.cut(tried, cutting)
        whole = [[(one[0][0], one[-1][1])] if (one := spans(utterance)) else [] for utterance in found]
        row = _borders("file", [[end] for end in ends], whole)
        row |= _borders("turn", true, [spans(one) for one in meeting.cut(tried, cutting)])
        row["files_missed"] = sum(not one for one in found)
        for name, said in single.items():
            row[f"{name}_missed"] = missed([places for _, places in spoken], said.cut(tried, cutting))
        row["false_a_minute"] = sum(map(len, silent.cut(tried, cutting))) / (len(noise) * NOTHING_SECONDS / 60)
        rows[f"{threshold:.2f} {tried.release:.2f} {least}"] = row
    return rows


def missed(places: Sequence[Sequence[Span]], found: Sequence[Sequence[Utterance]]) -> float:
    """Share of the words of which nothing is in an utterance's speech."""
    alone = [
        not any(begin < end_ms and start_ms < end for start_ms, end_ms in spans(one))
        for words_of, one in zip(places, found, strict=True)
        for begin, end in words_of
    ]
    return sum(alone) / max(1, len(alone))


def _borders(name: str, true: Sequence[Sequence[Span]], found: Sequence[Sequence[Span]]) -> dict[str, float]:
    """Percentiles of the distance at either border, and the share of borders that were found at all."""
    pairs = [border_errors(one, other, REACH_MS) for one, other in zip(true, found, strict=True)]
    row: dict[str, float] = {}
    for which, border in enumerate(("begin", "end")):
        late = np.array([error for pair in pairs for error in pair[which]])
        row[f"{name}_{border}_median_ms"] = float(np.median(late))
        row[f"{name}_{border}_p50_ms"], row[f"{name}_{border}_p90_ms"] = np.percentile(np.abs(late), (50, 90)).tolist()
        row[f"{name}_{border}_found"] = len(late) / sum(map(len, true))
    return row


def measure_lines(ours: Silero, plain: Silero, speech: Path, vad: VadSettings, settings: EndpointSettings) -> Table:
    """Share of the frames of speech that lie in an utterance, and of others far from speech that do, on each line."""
    clean = [levelled(read(path)[0] / 32768) for path in sorted((speech / "utterances").glob("*.wav"))]
    # Silence around it: three seconds for the gate to close, two for the endpoint.
    clean = [np.concatenate([np.zeros(3 * RATE), one, np.zeros(2 * RATE)]) for one in clean]
    clean += [one for one, _ in words(speech / "digits")]
    frames = [speech_frames(one, FRAME) for one in clean]
    truth = np.concatenate(frames)
    far = np.concatenate([~(np.convolve(one, np.ones(2 * FAR_FRAMES + 1), "same") > 0) for one in frames])
    rows: Table = {}
    for name, line in LINES.items():
        heard = [telephoned(line(one, np.random.default_rng([7, place]))) for place, one in enumerate(clean)]
        row: dict[str, float] = {}
        for who, model in (("ours", ours), ("plain", plain)):
            said = Heard(model, heard, vad.gate_dbfs)
            inside = np.concatenate(
                [_inside(one, len(mask)) for one, mask in zip(said.cut(vad, settings), frames, strict=True)]
            )
            row[f"auc_{who}"] = roc_auc(truth, np.concatenate(said.probabilities))
            row[f"recall_{who}"] = float(inside[truth].mean())
            row[f"false_{who}"] = float(inside[far].mean())
        rows[name] = row
    return rows


def _inside(found: Sequence[Utterance], count: int) -> NDArray[np.bool_]:
    """Which frames lie in an utterance."""
    inside = np.zeros(count, np.bool_)
    for one in found:
        inside[one.start : one.end] = True
    return inside


def measure_call(model: Silero, path: Path, vad: VadSettings, settings: EndpointSettings) -> dict[str, float]:
    """Utterances of a call."""
    channels = read(path)
    found = [one for channel in Heard(model, channels, vad.gate_dbfs).cut(vad, settings) for one in channel]
    lengths = np.array([one.seconds for one in found])
    levels = [level.frame_levels_db(framed(channel)) for channel in channels]
    gated = sum(int((~level.LevelGate(vad.gate_dbfs, GATE_HOLD_FRAMES).admit(one)).sum()) for one in levels)
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


def measure_cost(model: Silero, frames: Pcm) -> Table:
    """ms of processor time for a second of an open track, and µs for each batch of one frame of all tracks."""
    rows: Table = {}
    for tracks in TRACKS:
        batch = _batch(model, frames, tracks)
        busy, paced = [next(batch) for _ in range(BUSY_BATCHES)], []
        due = time.perf_counter()
        for _ in range(PACED_BATCHES):
            due += FRAME_MS / 1000
            time.sleep(max(0.0, due - time.perf_counter()))
            paced.append(next(batch))
        batch.close()
        rows[str(tracks)] = {
            "busy_ms_a_second": float(np.median(busy)) / tracks / FRAME_MS * 1e6,
            "paced_ms_a_second": float(np.median(paced)) / tracks / FRAME_MS * 1e6,
            "paced_batch_us": float(np.median(paced)) * 1e6,
        }
    return rows


def _batch(model: Silero, frames: Pcm, tracks: int) -> Generator[float, None, None]:
    """Processor seconds of a frame of every track, again and again."""
    slots = np.array([model.acquire() for _ in range(tracks)])
    gates = [level.LevelGate(-72.0, GATE_HOLD_FRAMES) for _ in range(tracks)]
    machines = [endpoint.Endpointer(0.42, 0.3, 3, 5, 14, 4, 6, 625) for _ in range(tracks)]
    turn = 0
    try:
        while True:
            rows = frames[(np.arange(tracks) * 7 + turn) % len(frames)]
            turn += 1
            began = time.thread_time()
            levels = [level.frame_levels_db(row[None]) for row in rows]
            for gate, one in zip(gates, levels, strict=True):
                gate.admit(one)
            judged = model.judge(slots, rows)
            for cutter, probability, one in zip(machines, judged.tolist(), levels, strict=True):
                cutter.push(probability, float(one[0]))
            yield time.thread_time() - began
    finally:
        for slot in slots.tolist():
            model.release(slot)


def table(name: str, rows: Table) -> Iterator[str]:
    """Rows of a report for a terminal."""
    columns = list(next(iter(rows.values())))
    width = max(map(len, rows))
    yield name
    for place, column in enumerate(columns, 1):
        yield f"  ({place}) {column}"
    yield " " * width + "".join(f"{f'({place})':>10}" for place in range(1, len(columns) + 1))
    for key, row in rows.items():
        yield f"{key:<{width}}" + "".join(f"{row[column]:10.3f}" for column in columns)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; exit code 0, also where there is nothing to measure with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_vad", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--keep", action="store_true", help=f"write {RESULTS.parent.name}/{RESULTS.name}")
    parser.add_argument("--model", type=Path, default=MODEL, help="silero_vad.onnx (default: the fetched one)")
    options = parser.parse_args(arguments)
    if not SPEECH.is_dir():
        print(f"skipped: {SPEECH} is not there", file=sys.stderr)
        return 0
    try:
        ours, plain = Silero(options.model), Silero(options.model, conditioned=False)
    except GatewayError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return 0
    report = measure(ours, plain, options.model)
    text = json.dumps(_rounded(report), indent=1) + "\n"
    if options.keep:
        RESULTS.write_text(text, encoding="utf-8")
    print(text if options.json else "\n".join(_told(report)))
    return 0


def measure(ours: Silero, plain: Silero, model: Path) -> dict[str, Any]:
    """All of it."""
    vad, settings = VadSettings.model_validate({}), EndpointSettings.model_validate({})
    call = SPEECH / "calls" / "auto-repairs-40.wav"
    return {
        "machine": f"{machine()}, onnxruntime {onnxruntime.__version__}, numpy {np.__version__}",
        "settings": vad.model_dump() | settings.model_dump(),
        "cost": measure_cost(ours, framed(read(call)[0])[200:712]),
        "quality": {"vad": measure_quality(ours, plain, model, SPEECH / "vad")},
        "call": {call.stem: measure_call(ours, call, vad, settings)},
        "lines": measure_lines(ours, plain, SPEECH, vad, settings),
        "thresholds": sweep(ours, SPEECH, vad, settings),
    }


def _rounded(what: Any) -> Any:
    if isinstance(what, dict):
        return {key: _rounded(value) for key, value in what.items()}
    return round(what, 5) if isinstance(what, float) else what


def _told(report: dict[str, Any]) -> Iterator[str]:
    for name, part in report.items():
        if name in ("machine", "settings"):
            yield f"{name}: {part}"
        else:
            yield from table(name, part)


if __name__ == "__main__":
    sys.exit(main())
