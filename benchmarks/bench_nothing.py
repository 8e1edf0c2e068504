"""What comes of audio in which nobody speaks: no word should.

    python -m benchmarks.bench_nothing [--json] [--seconds N] [--seed N] [--kind NAME…] [--file WAV…]

Plays ten minutes of every kind of :mod:`benchmarks.audio.nothing` (or of one's own recordings without speech) through
the offline path, which is the live one: μ-law, media clock, level gate, voice activity, endpointing, recognizer,
guards. For each kind: frames that the voice activity model was asked about, frames it took for speech, utterances that
were decoded, and the words that came out. Ends with 1 if any did.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import process_time

import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmarks.audio.noises import RATE
from benchmarks.audio.nothing import KINDS, SEED, play
from gateway import config
from gateway.config import Settings
from gateway.errors import GatewayError
from gateway.participants import Role
from gateway.recordings.offline import transcribe
from gateway.speech.engine import PLAIN, DecodeOptions, Engine, Hypothesis, Job, Pcm, Session, VoiceActivity
from gateway.speech.moonshine import Moonshine
from gateway.speech.silero import Silero
from models import store

__all__ = ["HEAD", "Heard", "hear", "main", "read", "row", "total"]

SECONDS = 600


@dataclass(eq=False, slots=True)
class _Voice:
    """The voice activity model, and what it was asked and said."""

    model: VoiceActivity
    threshold: float
    judged: int = 0
    speech: int = 0

    def acquire(self) -> int:
        return self.model.acquire()

    def reset(self, slot: int) -> None:
        self.model.reset(slot)

    def release(self, slot: int) -> None:
        self.model.release(slot)

    def judge(self, slots: NDArray[np.int64], frames: NDArray[np.int16]) -> NDArray[np.float32]:
        found = self.model.judge(slots, frames)
        self.judged += len(found)
        self.speech += int((found >= self.threshold).sum())
        return found


@dataclass(eq=False, slots=True)
class _Recognizer:
    """The recognizer, and the texts it gave before the guards."""

    engine: Engine
    texts: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.engine.name

    @property
    def languages(self) -> frozenset[str]:
        return self.engine.languages

    def open(self, options: DecodeOptions = PLAIN) -> Session:
        return self.engine.open(options)

    def warm_up(self) -> None:
        self.engine.warm_up()

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        found = self.engine.step(jobs)
        self.texts += [one.text for one in found]
        return found


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of some audio.

    ``judged`` and ``speech`` are frames of 32 ms; ``utterances`` were decoded; ``invented`` are words of the recognizer
    before the guards, ``words`` those of the transcript. ``cpu`` is processor time in s a minute of audio.
    """

    name: str
    judged: int
    speech: int
    utterances: int
    invented: int
    words: int
    texts: tuple[str, ...]
    cpu: float


def hear(name: str, pcm: Pcm, voice: VoiceActivity, engine: Engine, settings: Settings) -> Heard:
    """Play audio, 8 kHz, through the offline path."""
    listening = _Voice(voice, settings.vad.threshold)
    reading = _Recognizer(engine)
    began = process_time()
    found = transcribe({Role.CUSTOMER: pcm}, listening, reading, settings)
    cpu = (process_time() - began) / (len(pcm) / RATE / 60)
    texts = tuple(one.text for one in found.utterances)
    return Heard(
        name,
        listening.judged,
        listening.speech,
        len(reading.texts),
        _words(reading.texts),
        _words(texts),
        texts,
        round(cpu, 3),
    )


def _words(texts: Sequence[str]) -> int:
    return sum(len(text.split()) for text in texts)


def read(path: Path) -> Pcm:
    """A recording, 8 kHz; its first channel.

    Raises:
        GatewayError: it is of another rate.
    """
    audio, rate = soundfile.read(path, dtype="int16", always_2d=True)
    if rate != RATE:
        msg = f"{path} has {rate} samples a second; convert it to {RATE}"
        raise GatewayError(msg)
    return np.ascontiguousarray(audio[:, 0])


HEAD = f"{'kind':<24}{'judged':>9}{'speech':>8}{'decoded':>9}{'invented':>10}{'words':>7}{'cpu s/min':>11}"


def row(one: Heard) -> str:
    """A line of the report for a terminal."""
    counts = f"{one.judged:9}{one.speech:8}{one.utterances:9}{one.invented:10}{one.words:7}{one.cpu:11.2f}"
    return f"{one.name[-23:]:<24}{counts}" + ("   " + " | ".join(one.texts) if one.texts else "")


def total(rows: Sequence[Heard]) -> str:
    """Its last line."""
    sums = [sum(getattr(one, name) for one in rows) for name in ("utterances", "invented", "words")]
    return f"{'all':<41}{sums[0]:9}{sums[1]:10}{sums[2]:7}"


def _played(options: argparse.Namespace) -> Iterator[tuple[str, Pcm]]:
    """What is to be played, made when it is its turn."""
    for path in options.file:
        yield str(path), read(path)
    for kind in KINDS if not options.file else ():
        if not options.kind or kind.name in options.kind:
            yield kind.name, play(kind, options.seconds, options.seed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 if nothing came of nothing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_nothing", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="of the audio (default: %(default)s)")
    parser.add_argument("--kind", nargs="*", choices=[kind.name for kind in KINDS], help="which; all if none is named")
    parser.add_argument("--file", nargs="*", type=Path, default=[], help="recordings without speech to play instead")
    options = parser.parse_args(arguments)
    settings = config.load()
    rows: list[Heard] = []
    try:
        engine = Moonshine(store.locate(settings.models_dir, Moonshine.name))
        voice = Silero(store.locate(settings.models_dir, "silero-vad") / "silero_vad.onnx")
        if not options.json:
            print(HEAD, flush=True)
        for name, pcm in _played(options):
            rows.append(hear(name, pcm, voice, engine, settings))
            if not options.json:
                print(row(rows[-1]), flush=True)
    except GatewayError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps([asdict(one) for one in rows], indent=1) if options.json else total(rows))
    return int(any(one.words for one in rows))


if __name__ == "__main__":
    sys.exit(main())
