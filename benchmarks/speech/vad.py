"""What the voice-activity benchmark is made of: speech in frames, its utterances, and how right both are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
from numpy.typing import NDArray

from gateway._native import endpoint, level, mulaw
from gateway.config import EndpointSettings, VadSettings
from gateway.speech.engine import Pcm
from gateway.speech.silero import CONTEXT, FRAME, RATE, Silero
from gateway.speech.track import GATE_HOLD_FRAMES

__all__ = [
    "FRAME_MS",
    "Span",
    "Utterance",
    "annotated",
    "audible",
    "border_errors",
    "framed",
    "joined",
    "judge",
    "probabilities",
    "read",
    "roc_auc",
    "theirs",
    "turns",
    "utterances",
]

FRAME_MS = FRAME * 1000 // RATE

Span = tuple[float, float]
"""Begin and end in ms."""


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
        pause_frames=max(1, settings.pause_ms // FRAME_MS),
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


def judge(model: Silero, tracks: list[Pcm], gate_dbfs: float) -> list[NDArray[np.float32]]:
    """The same behind the level gate: what the gateway's endpointer gets."""
    levels = [level.frame_levels_db(track) for track in tracks]
    return probabilities(model, tracks, [level.LevelGate(gate_dbfs, GATE_HOLD_FRAMES).admit(one) for one in levels])


def theirs(model: Path, track: Pcm) -> NDArray[np.float32]:
    """The shipped model run as its authors do: one track, 32 samples of context, the state handed on."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    state, context, rate = np.zeros((2, 1, 128), np.float32), np.zeros(CONTEXT, np.float32), np.array(RATE)
    found = np.zeros(len(track), np.float32)
    for index, frame in enumerate(track.astype(np.float32) / 32768):
        feed = {"input": np.concatenate([context, frame])[None], "state": state, "sr": rate}
        probability, state = session.run(("output", "stateN"), feed)
        found[index], context = probability[0, 0], frame[-CONTEXT:]
    return found


def roc_auc(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> float:
    """Probability that a speech frame scores above another (Mann-Whitney, ties half)."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    positive = int(truth.sum())
    negative = len(truth) - positive
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def turns(path: Path) -> list[Span]:
    """When somebody speaks in an excerpt, by the RTTM that names it; turns that touch or overlap are one."""
    lines = [line.split() for rttm in sorted(path.parent.glob("*.rttm")) for line in rttm.read_text().splitlines()]
    named = sorted(
        (float(line[3]) * 1000, (float(line[3]) + float(line[4])) * 1000)
        for line in lines
        if line[0] == "SPEAKER" and line[1] == path.stem
    )
    return joined(named, 0)


def joined(spans: Sequence[Span], gap_ms: float) -> list[Span]:
    """Spans in order of their begins, those at most ``gap_ms`` apart as one."""
    together: list[Span] = []
    for begin, end in spans:
        if together and begin - together[-1][1] <= gap_ms:
            together[-1] = together[-1][0], max(end, together[-1][1])
        else:
            together.append((begin, end))
    return together


def annotated(path: Path) -> NDArray[np.bool_] | None:
    """Whether each frame of an excerpt is mostly speech by its RTTM; None if no file names it."""
    spans = turns(path)
    if not spans:
        return None
    speech = np.zeros(soundfile.info(path).frames // FRAME * FRAME, np.float32)
    for begin, end in spans:
        speech[round(begin * RATE / 1000) : round(end * RATE / 1000)] = 1
    return np.asarray(speech.reshape(-1, FRAME).mean(axis=1) >= 0.5)


def border_errors(true: Sequence[Span], found: Sequence[Span], reach_ms: float) -> tuple[list[float], list[float]]:
    """By how many ms the begins and the ends of what was found are late (early: negative).

    Each true border is held against the nearest found one of its kind; farther off than ``reach_ms`` it counts as
    missed, and is left out.
    """
    errors: tuple[list[float], list[float]] = ([], [])
    for which in (0, 1):
        places = np.array([span[which] for span in found])
        for border in (span[which] for span in true):
            late = places - border
            if len(late) and np.abs(late).min() <= reach_ms:
                errors[which].append(float(late[np.abs(late).argmin()]))
    return errors


def audible(pcm: Pcm) -> tuple[int, int]:
    """First and last audible ms: 10 ms pieces 12 dB above the quietest tenth, at most 36 dB below the loudest."""
    pieces = pcm[: len(pcm) // 80 * 80].reshape(-1, 80).astype(np.float64) - pcm.mean()
    decibels = 10 * np.log10(np.square(pieces).mean(axis=1) / 32768**2 + 1e-10)
    threshold = max(np.percentile(decibels[decibels > -95], 10) + 12, np.percentile(decibels, 98) - 36)
    # Two of three pieces, so that a click is not a word.
    loud = np.flatnonzero(np.convolve(decibels > threshold, [1, 1, 1], "same") >= 2)
    return int(loud[0]) * 10, (int(loud[-1]) + 1) * 10
