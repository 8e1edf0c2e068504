"""How well does the recognizer read telephone speech? Word error rate and real-time factor, file by file.

    python -m benchmarks.bench_accuracy [--json] [--gain DB] [--batch N]

Plays ``../shared/speech/utterances`` (beside the repository; not part of it) through μ-law and back, cuts what is
longer than 20 s at quiet places, and decodes. Words are compared after whisper-normalizer (English).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import jiwer
import numpy as np
import soundfile
from whisper_normalizer.english import EnglishTextNormalizer

from gateway import config
from gateway._native import mulaw
from gateway.errors import GatewayError
from gateway.speech.engine import Engine, Job, Kind, Pcm
from gateway.speech.moonshine import Moonshine
from models import store

__all__ = ["Result", "cut", "main", "measure", "transcribe"]

SPEECH = Path(__file__).resolve().parents[2] / "shared" / "speech"

_RATE = 8000
_LONGEST = 20 * _RATE
_SHORTEST = 8 * _RATE
_QUIET = _RATE * 3 // 10  # a cut lies in the quietest 300 ms


@dataclass(frozen=True, slots=True)
class Result:
    """One file: word errors of so many reference words, what was heard, seconds of audio and of decoding."""

    id: str
    errors: int
    words: int
    seconds: float
    decoding: float
    text: str


def cut(pcm: Pcm) -> list[Pcm]:
    """Pieces of at most 20 s, cut at the quietest place after 8 s."""
    pieces = []
    while len(pcm) > _LONGEST:
        energy = np.concatenate([[0.0], np.cumsum(pcm[:_LONGEST].astype(np.float64) ** 2)])
        windows = energy[_SHORTEST + _QUIET :] - energy[_SHORTEST:-_QUIET]
        at = _SHORTEST + int(windows.argmin()) + _QUIET // 2
        pieces.append(pcm[:at])
        pcm = pcm[at:]
    return [*pieces, pcm]


def transcribe(engine: Engine, pieces: list[Pcm], batch: int) -> str:
    """The pieces' text, decoded ``batch`` at a time."""
    texts = []
    for start in range(0, len(pieces), batch):
        jobs = []
        for piece in pieces[start : start + batch]:
            session = engine.open()
            session.accept(piece)
            jobs.append(Job(session, Kind.FINAL))
        texts += [hypothesis.text for hypothesis in engine.step(jobs)]
    return " ".join(texts)


def measure(engine: Engine, gain_db: float, batch: int) -> list[Result]:
    """Decode every file of the manifest, ``gain_db`` louder, ``batch`` pieces of a file together."""
    normalize = EnglishTextNormalizer()
    results = []
    for entry in json.loads((SPEECH / "manifest.json").read_text(encoding="utf-8"))["utterances"]:
        pcm, _ = soundfile.read(SPEECH / entry["file"], dtype="int16")
        louder = np.clip(pcm * 10 ** (gain_db / 20), -32768, 32767).astype(np.int16)
        pieces = cut(mulaw.decode(mulaw.encode(louder)))
        start = time.perf_counter()
        text = transcribe(engine, pieces, batch)
        took = time.perf_counter() - start
        words = jiwer.process_words(normalize(entry["text"]), normalize(text))
        errors = words.substitutions + words.deletions + words.insertions
        count = words.hits + words.substitutions + words.deletions
        results.append(Result(entry["id"], errors, count, len(pcm) / _RATE, took, text))
    return results


def _report(results: list[Result], as_json: bool) -> None:
    seconds = sum(result.seconds for result in results)
    total = {
        "wer": sum(result.errors for result in results) / sum(result.words for result in results),
        "rtf": sum(result.decoding for result in results) / seconds,
        "seconds": seconds,
    }
    if as_json:
        print(json.dumps(total | {"files": [asdict(result) for result in results]}, indent=2))
        return
    for result in results:
        rate = 100 * result.errors / result.words
        print(f"{result.id:14} {rate:6.1f} % of {result.words:3} words   RTF {result.decoding / result.seconds:.4f}")
    print(f"{'all':14} {100 * total['wer']:6.1f} %   RTF {total['rtf']:.4f}   {seconds:.0f} s")


def main() -> int:
    """Measure and print; 2 if the speech or the model is not here."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_accuracy")
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    parser.add_argument("--gain", type=float, default=0.0, help="dB put on the speech before the line")
    parser.add_argument("--batch", type=int, default=1, help="pieces of a file decoded together")
    options = parser.parse_args()
    if not (SPEECH / "manifest.json").is_file():
        print(f"there is no speech to measure with: {SPEECH}/manifest.json is missing", file=sys.stderr)
        return 2
    try:
        engine = Moonshine(store.locate(config.load().models_dir, Moonshine.name))
    except GatewayError as error:
        print(error, file=sys.stderr)
        return 2
    engine.warm_up()
    _report(measure(engine, options.gain, options.batch), options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
