"""How far are the times of words from where they were said, how sure is a confidence, and what do both cost?

    python -m benchmarks.bench_word_times [--peers NAME…] [--conditions NAME…] [--speech DIR] [--json] [--keep]

References, seeded, are those of :mod:`benchmarks.speech.word_times`: digits joined from recordings, sentences of
eSpeak NG, and recordings of people aligned by pocketsphinx. All go through each condition of
:mod:`benchmarks.audio.conditions` and take the gateway's own path; a word's time is what the webhook is told. The peer
hears the clean ones as whole files. Errors are of the words that were read right, against their reference; beside a
peer, of those that both read right.

Cost is what the utterances of the clean recordings take to decode with the times of their words and without, in turns,
the least of several rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from benchmarks import peers
from benchmarks.audio.conditions import CONDITIONS, SEED, disturb
from benchmarks.audio.files import SPEECH
from benchmarks.machine import machine
from benchmarks.peers import PEERS, Peer
from benchmarks.speech.borders import Word
from benchmarks.speech.word_times import (
    MARK_MS,
    SENTENCES,
    Spoken,
    calibration,
    joined,
    matched,
    placed_in_line,
    statistics,
)
from gateway import config
from gateway.errors import GatewayError
from gateway.recordings.offline import listen
from gateway.server.speech import VAD_FILE, VAD_MODEL, load_engine
from gateway.speech.engine import PLAIN, DecodeOptions, Engine, Hypothesis, Job, Kind, Pcm, Session, Token
from gateway.speech.silero import Silero
from gateway.speech.words import placed
from models.store import locate

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results" / "word_times.json"

ALIGNER = Peer("pocketsphinx", PEERS["pocketsphinx"].requirements, "sphinx_align.py", "en-us of its wheel, aligns")
VOICE = Peer("espeak-ng", ("espeakng-loader==0.2.4",), "espeak_words.py", "says sentences, tells where words begin")
TIMED_PEERS = {
    "faster-whisper": Peer(
        "faster-whisper",
        PEERS["faster-whisper"].requirements,
        "whisper_times.py",
        "tiny.en, int8, beam 1, word timestamps, each file as a whole",
    )
}

SEQUENCES = 45
VOICES = (("en-us", 140), ("en-us+f3", 165), ("en-gb+m3", 150))
EDGES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.01)
ROUNDS = 5
_SAMPLES_PER_MS = 8

TIMED = DecodeOptions(word_times=True)


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a recording: words with their times, and how sure of each (1 where nobody says)."""

    words: tuple[Word, ...]
    confidences: tuple[float, ...]


class _Timed:
    """An engine of which word times are asked, whoever opens its sessions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.languages = engine.name, engine.languages

    def open(self, options: DecodeOptions = PLAIN) -> Session:
        return self._engine.open(replace(options, word_times=True))

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        return self._engine.step(jobs)

    def warm_up(self) -> None:
        self._engine.warm_up()


def _digits(speech: Path) -> list[Spoken]:
    takes: dict[str, dict[int, list[Pcm]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted((speech / "digits").glob("*.wav")):
        digit, speaker, _ = path.stem.split("_")
        takes[speaker][int(digit)].append(soundfile.read(path, dtype="int16")[0])
    return joined(takes, SEQUENCES, SEED) if takes else []


def _spoken(cache: Path) -> list[Spoken]:
    """Sentences of eSpeak NG, in three voices each."""
    chosen = [(text, voice, speed) for text in SENTENCES for voice, speed in VOICES]
    random = np.random.default_rng(SEED)
    found = []
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        paths = [Path(folder) / f"{number}.wav" for number in range(len(chosen))]
        questions = [
            json.dumps({"path": str(path), "text": text, "voice": voice, "speed": speed})
            for path, (text, voice, speed) in zip(paths, chosen, strict=True)
        ]
        answers = peers.ask(VOICE, peers.ensure(VOICE, cache), questions)
        for path, answer, (_, voice, _) in zip(paths, answers, chosen, strict=True):
            audio, rate = soundfile.read(path, dtype="float64")
            signal = soxr.resample(audio, rate, 8000)
            signal *= 3000 / np.sqrt(np.square(signal).mean())
            words = [Word(round(begin), round(end), text) for begin, end, text in answer["words"]]
            pcm, words = placed_in_line(signal, words, random)
            found.append(Spoken(f"{voice}-{path.stem}", "spoken", pcm, tuple(words)))
    return found


def _read(speech: Path, cache: Path) -> list[Spoken]:
    """The recordings of the manifest, aligned to their text."""
    entries = json.loads((speech / "manifest.json").read_text(encoding="utf-8"))["utterances"]
    recordings = [soundfile.read(speech / entry["file"], dtype="int16")[0] for entry in entries]
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        questions = []
        for number, (entry, pcm) in enumerate(zip(entries, recordings, strict=True)):
            path = _wide(pcm, Path(folder) / f"{number}.wav")
            plain = "".join(letter if letter.isalpha() or letter == "'" else " " for letter in entry["text"].lower())
            questions.append(json.dumps({"path": str(path), "text": " ".join(plain.split())}))
        answers = peers.ask(ALIGNER, peers.ensure(ALIGNER, cache), questions)
    return [
        Spoken(entry["id"], "read", pcm, tuple(Word(*word) for word in answer["words"]))
        for entry, pcm, answer in zip(entries, recordings, answers, strict=True)
        if answer["words"]
    ]


def _wide(pcm: Pcm, path: Path) -> Path:
    soundfile.write(path, soxr.resample(pcm, 8000, 16_000), 16_000)
    return path


def _hear(items: Sequence[Spoken], engine: Engine, voice: Silero) -> list[Told]:
    """What the gateway tells of each."""
    settings = config.load()
    told = []
    for item in items:
        words: list[Token] = []
        for found in listen(item.pcm, voice, _Timed(engine), settings.vad, settings.endpoint):
            if found.hypothesis is not None:
                one = found.segment
                places = (at // _SAMPLES_PER_MS for at in (one.pcm_start, one.start, one.end))
                words += placed(found.hypothesis.tokens, *places)
        told.append(
            Told(
                tuple(Word(word.start_ms, word.end_ms, word.content) for word in words),
                tuple(word.confidence for word in words),
            )
        )
    return told


def _hear_peer(peer: Peer, items: Sequence[Spoken], cache: Path) -> list[Told]:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        paths = [_wide(item.pcm, Path(folder) / f"{number}.wav") for number, item in enumerate(items)]
        answers = peers.ask(peer, peers.ensure(peer, cache), paths)
    return [
        Told(
            tuple(Word(round(begin), round(end), text) for begin, end, text in answer["words"]),
            (1.0,) * len(answer["words"]),
        )
        for answer in answers
    ]


def _errors(items: Sequence[Spoken], told: Sequence[Told], only: Sequence[set[int]] | None = None) -> dict[str, Any]:
    """Errors by the reference's kind; ``only``: of which of each item's words."""
    found: dict[str, dict[str, list[float]]] = {}
    for number, (item, one) in enumerate(zip(items, told, strict=True)):
        of_kind = found.setdefault(item.kind, {"start": [], "end": []})
        for at, heard in matched(item.words, one.words):
            if only is None or at in only[number]:
                of_kind["start"].append(one.words[heard].begin - item.words[at].begin)
                of_kind["end"].append(one.words[heard].end - item.words[at].end)
    return {kind: {side: statistics(errors) for side, errors in sides.items()} for kind, sides in found.items()}


def _both(items: Sequence[Spoken], one: Sequence[Told], other: Sequence[Told]) -> list[set[int]]:
    """The words of each item that both have read right."""
    return [
        set.intersection(*({at for at, _ in matched(item.words, told.words)} for told in pair))
        for item, *pair in zip(items, one, other, strict=True)
    ]


def _sure(items: Sequence[Spoken], told: Sequence[Told]) -> list[tuple[float, bool]]:
    """Of each word that was told, how sure it was and whether it was right."""
    pairs = []
    for item, one in zip(items, told, strict=True):
        right = {heard for _, heard in matched(item.words, one.words)}
        pairs += [(sure, at in right) for at, sure in enumerate(one.confidences)]
    return pairs


def _cost(items: Sequence[Spoken], engine: Engine) -> dict[str, float]:
    """Milliseconds an utterance takes without and with times, the least of several rounds."""
    least = {options: [float("inf")] * len(items) for options in (PLAIN, TIMED)}
    for _ in range(ROUNDS):
        for number, item in enumerate(items):
            for options, best in least.items():
                session = engine.open(options)
                session.accept(item.pcm)
                began = time.perf_counter()
                engine.step([Job(session, Kind.FINAL)])
                best[number] = min(best[number], time.perf_counter() - began)
    plain, timed = (sum(best) / len(items) * 1000 for best in least.values())
    seconds = sum(len(item.pcm) for item in items) / 8000 / len(items)
    return {
        "utterance_s": round(seconds, 2),
        "plain_ms": round(plain, 2),
        "timed_ms": round(timed, 2),
        "ratio": round(timed / plain, 3),
    }


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    settings = config.load()
    voice, engine = Silero(locate(settings.models_dir, VAD_MODEL) / VAD_FILE), load_engine(settings)
    items = [*_digits(options.speech), *_spoken(options.cache), *_read(options.speech, options.cache)]
    result: dict[str, Any] = {"machine": machine(), "mark_ms": MARK_MS, "gateway": {}, "peers": {}}
    sure: list[tuple[float, bool]] = []
    for name in options.conditions:
        disturbed = [replace(item, pcm=disturb(item.pcm, name, item.id)) for item in items]
        told = _hear(disturbed, engine, voice)
        result["gateway"][name] = _errors(items, told)
        sure += _sure(items, told)
        for peer in options.peers if name == "clean" else ():
            theirs = _hear_peer(TIMED_PEERS[peer], disturbed, options.cache)
            both = _both(items, told, theirs)
            result["peers"][peer] = {
                "what": TIMED_PEERS[peer].what,
                "gateway": _errors(items, told, both),
                peer: _errors(items, theirs, both),
            }
    result["calibration"] = calibration(sure, EDGES)
    result["cost"] = _cost([item for item in items if len(item.pcm) < 15 * 8000], engine)
    return result


def _lines(errors: dict[str, Any]) -> list[str]:
    return [
        f"  {kind:<8}{side:<7}{of['words']:5} {of['mean']:7} {of['median']:7} {of['p95']:7} "
        f"{100 * of['within_mark']:6.1f} % {of['late']:+7}"
        for kind, sides in errors.items()
        for side, of in sides.items()
    ]


def _table(result: dict[str, Any]) -> str:
    head = f"  {'':15}words    mean  median     p95 <{result['mark_ms']} ms    late   (ms)"
    lines = [result["machine"]]
    for name, errors in result["gateway"].items():
        lines += [f"gateway, {name}", head, *_lines(errors)]
    for peer, of in result["peers"].items():
        lines.append(f"beside {peer} ({of['what']}), clean, words that both read right")
        for name in ("gateway", peer):
            lines += [f" {name}", head, *_lines(of[name])]
    lines.append("words told with a confidence from: words, mean confidence, of them right")
    lines += [
        f"  {of['from']:4.2f} {of['words']:6} {of['confidence']:.3f} {of['right']:.3f}" for of in result["calibration"]
    ]
    cost = result["cost"]
    lines.append(
        f"an utterance of {cost['utterance_s']} s takes {cost['plain_ms']} ms, with word times {cost['timed_ms']} ms: "
        f"{cost['ratio']} times as long"
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 2 if what it takes is not here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="*", choices=list(TIMED_PEERS), default=list(TIMED_PEERS))
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=list(CONDITIONS))
    parser.add_argument("--speech", type=Path, default=SPEECH, help="folder with manifest.json and digits/")
    parser.add_argument("--cache", type=Path, default=peers.FOLDER, help="folder of the peers' environments")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="write the result into benchmarks/results/")
    options = parser.parse_args(arguments)
    if not (options.speech / "manifest.json").is_file():
        print(f"there is no speech to measure with: {options.speech}/manifest.json is missing", file=sys.stderr)
        return 2
    try:
        result = _measure(options)
    except GatewayError as error:
        print(error, file=sys.stderr)
        return 2
    if options.keep:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1) if options.json else _table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
