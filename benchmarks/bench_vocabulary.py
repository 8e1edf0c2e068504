"""What does a custom vocabulary recover, does it harm other text, and what does it cost?

    python -m benchmarks.bench_vocabulary [names] [words] [harm] [cost] [--speech DIR] [--json] [--keep]

``names``: names and products in sentences that synthetic voices say (nobody has recorded these; μ-law), before and with
a vocabulary of them and of 0 to 150 invented ones; the constants were chosen with ``development`` and not with
``heldout``. ``words``: real speech over the conditions of ``bench_accuracy``; the vocabulary is every longer word that
the reference texts have once. ``harm``: the same speech, and a call without a reference, with 200 phrases that nobody
says: word errors, phrases put in an hour; then with names that sound like common words. ``cost``: a decode's time with
0, 20 and 200 phrases, the least of three rounds that take turns.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.audio.conditions import CLEAN, CONDITIONS, disturb
from benchmarks.audio.files import SPEECH
from benchmarks.audio.voices import say
from benchmarks.bench_accuracy import load
from benchmarks.machine import machine
from benchmarks.speech.accuracy import Item
from benchmarks.speech.wer import difference, normalize, one_word, score
from benchmarks.text.vocabulary import FOLDER, SEED, alike, filled, invented, rare, read, recovered
from gateway import config
from gateway.recordings.offline import listen
from gateway.server.speech import VAD_FILE, VAD_MODEL, load_engine
from gateway.speech.bias import Bias
from gateway.speech.engine import DecodeOptions, Engine, Hypothesis, Job, Kind, Pcm, Session
from gateway.speech.moonshine import Moonshine
from gateway.speech.silero import Silero
from gateway.speech.tokenizer import Tokenizer
from gateway.speech.vocabulary import MAX_ENTRIES, Phrase, Vocabulary
from models.store import locate

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results" / "vocabulary.json"
PARTS = ("names", "words", "harm", "cost")
DISTRACTORS = (0, 20, 100, 150)
SEEDS = (1, 2, 3)
ROUNDS = 3
RATE = 8000


class _Biased:
    """The engine with a vocabulary for every utterance."""

    def __init__(self, engine: Engine, vocabulary: Vocabulary) -> None:
        self._engine = engine
        self._options = DecodeOptions(vocabulary=vocabulary)
        self.name, self.languages = engine.name, engine.languages

    def open(self, options: DecodeOptions | None = None) -> Session:
        return self._engine.open(self._options)

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        return self._engine.step(jobs)

    def warm_up(self) -> None:
        self._engine.warm_up()


class _Bench:
    """The models, and what is played to them."""

    def __init__(self, speech: Path) -> None:
        self.settings = config.load()
        self.engine = load_engine(self.settings)
        self.voice = Silero(locate(self.settings.models_dir, VAD_MODEL) / VAD_FILE)
        self.speech = speech

    def decode(self, pcm: Pcm, vocabulary: Vocabulary) -> str:
        """An utterance as a whole."""
        session = self.engine.open(DecodeOptions(vocabulary=vocabulary))
        session.accept(pcm)
        return self.engine.step([Job(session, Kind.FINAL)])[0].text

    def hear(self, pcm: Pcm, vocabulary: Vocabulary) -> list[str]:
        """A recording by the gateway's own path."""
        engine = _Biased(self.engine, vocabulary)
        found = listen(pcm, self.voice, engine, self.settings.vad, self.settings.endpoint)
        return [one.hypothesis.text for one in found if one.hypothesis is not None]

    def items(self) -> list[Item]:
        return [item for item in load(self.speech, list(CONDITIONS)) if not one_word(item.text)]


def _names(bench: _Bench) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name in ("development", "heldout"):
        labelled = read(FOLDER / f"{name}.txt")
        spoken = say([one.sentence for one in labelled])
        phrases = [one.phrase for one in labelled]
        bare = [Phrase(phrase.phrase) for phrase in phrases]
        rows: dict[str, Vocabulary] = {"none": ()}
        rows |= {f"with {count} others": filled(phrases, count) for count in DISTRACTORS}
        rows[f"with {DISTRACTORS[-1]} others, no soundsLike"] = filled(bare, DISTRACTORS[-1])
        rows["only others"] = invented(MAX_ENTRIES)
        audio = [
            disturb(pcm, CLEAN.name, f"{voice}-{at}") for voice, said in spoken.items() for at, pcm in enumerate(said)
        ]
        said = labelled * len(spoken)
        result[name] = {"voices": list(spoken), "rows": {}}
        for row, vocabulary in rows.items():
            texts = [bench.decode(pcm, vocabulary) for pcm in audio]
            others = [phrase for phrase in vocabulary if phrase.phrase not in {one.phrase for one in phrases}]
            one = recovered(said, texts, others)
            result[name]["rows"][row] = asdict(one)
            print(
                f"{name:<12} {row:<32} heard {one.heard:3} of {one.said}, as written {one.written:3}, "
                f"word errors {one.errors:4} of {one.words}, put in {one.put_in}",
                flush=True,
            )
    return result


def _words(bench: _Bench) -> dict[str, Any]:
    items = bench.items()
    words = rare({item.id: item.text for item in items}.values())[:MAX_ENTRIES]
    said = sum(word in normalize(item.text).split() for item in items for word in words)
    rows: dict[str, Vocabulary] = {"none": ()}
    rows |= {f"with {count} others": filled(list(map(Phrase, words)), count) for count in (0, 20, 100, MAX_ENTRIES)}
    result: dict[str, Any] = {"words": len(words), "said": said, "rows": {}}
    for row, vocabulary in rows.items():
        heard = errors = total = 0
        for item in items:
            one = score(item.text, texts := bench.hear(item.pcm, vocabulary))
            errors, total = errors + one.errors, total + one.words
            known = normalize(" ".join(texts)).split()
            heard += sum(word in known for word in words if word in normalize(item.text).split())
        result["rows"][row] = {"phrases": len(vocabulary), "heard": heard, "errors": errors, "words": total}
        print(
            f"words        {row:<18} {len(vocabulary):3} phrases: heard {heard:3} of {said}, "
            f"word errors {errors} of {total}",
            flush=True,
        )
    return result


def _harm(bench: _Bench) -> dict[str, Any]:
    items = bench.items()
    calls = sorted((bench.speech / "calls").glob("*.wav"))
    channels = [
        np.ascontiguousarray(one) for file in calls for one in soundfile.read(file, dtype="int16", always_2d=True)[0].T
    ]
    hours = (sum(len(item.pcm) for item in items) + sum(map(len, channels))) / RATE / 3600
    rows = {f"200 invented, seed {seed}": invented(MAX_ENTRIES, seed) for seed in SEEDS}
    plain = [bench.hear(item.pcm, ()) for item in items]
    before = _by_file(items, plain)
    rows["alike"] = alike()
    result: dict[str, Any] = {"hours": round(hours, 3), "words": sum(score(item.text, []).words for item in items)}
    result |= {"none": int(before.sum()), "rows": {}}
    for row, vocabulary in rows.items():
        texts = [bench.hear(item.pcm, vocabulary) for item in items]
        rest = [bench.hear(pcm, vocabulary) for pcm in channels]
        put_in = sum(phrase.phrase in text for phrase in vocabulary for one in (*texts, *rest) for text in one)
        after = _by_file(items, texts)
        bounds = difference(after, before)
        result["rows"][row] = {
            "errors": int(after.sum()),
            "putIn": put_in,
            "putInAnHour": round(put_in / hours, 2),
            "difference": {bound: round(value, 4) for bound, value in asdict(bounds).items()},
        }
        print(
            f"harm         {row:<22} word errors {before.sum()} -> {after.sum()} of {result['words']}, "
            f"put in {put_in} in {hours:.2f} hours of audio",
            flush=True,
        )
    return result


def _by_file(items: Sequence[Item], texts: Sequence[Sequence[str]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    files = {name: at for at, name in enumerate(sorted({item.id for item in items}))}
    errors = np.zeros(len(files), np.int64)
    for item, text in zip(items, texts, strict=True):
        errors[files[item.id]] += score(item.text, text).errors
    return errors


def _cost(bench: _Bench) -> dict[str, Any]:
    """Utterances of the real speech, none of whose words is in the vocabulary, and all of them once more with names."""
    audio = [item.pcm for item in bench.items() if item.condition == CLEAN.name and len(item.pcm) < 12 * RATE]
    sizes = (0, 20, MAX_ENTRIES)
    times = {size: np.full(len(audio), np.inf) for size in sizes}
    for size in sizes:
        bench.decode(audio[0], invented(size))
    for _ in range(ROUNDS):
        for at, pcm in enumerate(audio):
            for size in sizes:
                vocabulary = invented(size)
                started = time.perf_counter()
                bench.decode(pcm, vocabulary)
                times[size][at] = min(times[size][at], 1000 * (time.perf_counter() - started))
    result: dict[str, Any] = {"utterances": len(audio), "compileMs": _compile(bench)}
    for size, taken in times.items():
        ratio = float(taken.sum() / times[0].sum())
        p95 = float(np.percentile(taken / times[0], 95))
        result[str(size)] = {
            "meanMs": round(float(taken.mean()), 2),
            "ratio": round(ratio, 3),
            "ratioP95": round(p95, 3),
        }
        print(f"cost         {size:3} phrases: {taken.mean():6.2f} ms a decode, {ratio:.2f} times, p95 {p95:.2f} times")
    print(f"cost         200 phrases are made ready in {result['compileMs']} ms, once")
    return result


def _compile(bench: _Bench) -> float:
    tokenizer = Tokenizer.read(locate(bench.settings.models_dir, Moonshine.name) / "tokenizer.bin")
    vocabulary = filled([one.phrase for one in read(FOLDER / "development.txt")], DISTRACTORS[-1])
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        Bias(vocabulary, tokenizer)
        times.append(1000 * (time.perf_counter() - started))
    return round(min(times), 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 2 if the speech is not here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"of {', '.join(PARTS)}; default: all"
    )
    parser.add_argument("--speech", type=Path, default=SPEECH, help="folder with manifest.json")
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    parser.add_argument("--keep", action="store_true", help="write the result into benchmarks/results/")
    options = parser.parse_args(arguments)
    wanted = options.what or list(PARTS)
    if set(wanted) != {"names"} and not (options.speech / "manifest.json").is_file():
        print(f"there is no speech to measure with: {options.speech}/manifest.json is missing", file=sys.stderr)
        return 2
    bench = _Bench(options.speech)
    run: Mapping[str, Any] = {"names": _names, "words": _words, "harm": _harm, "cost": _cost}
    result = {"machine": machine(), "seed": SEED} | {name: run[name](bench) for name in PARTS if name in wanted}
    if options.keep:
        RESULTS.parent.mkdir(exist_ok=True)
        # Parts that were not measured now stay as they were.
        kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
        RESULTS.write_text(json.dumps(kept | result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
