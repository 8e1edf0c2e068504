"""How long should silence be that ends an utterance? What does it gain that the text decides, and what is cut in two?

    python -m benchmarks.bench_endpoint [--json] [--borders] [--condition NAME]

Plays a call, the sample and the utterances of ``../shared/speech`` through μ-law, the level gate, Silero VAD and the
endpointer, frame by frame, once for each policy. At a pause of 128 ms the open utterance is decoded, as in the gateway,
and its text is there at once: frames wait for it, so a run is the same on every machine.

* *latency*: from where speech ends (:mod:`benchmarks.speech.labels`, the nearest label within 400 ms of the
  utterance's own end) to the frame that decides; the text is there by then, so delivery is all that comes on top.
* *split*: an utterance and the next on its track, with at most 1.2 s between their speech, decoded as one. Where the
  two texts fit best into that of the whole (least edit distance over words) lies the border; without ``.``, ``?`` or
  ``!`` there the sentence was split. What is longer than 24 s together is judged by the end of the first text alone.
* *errors*: word errors of the utterances (zip-codes left out: its reference is digits) and of the sample.

A bad line (:mod:`benchmarks.audio.conditions`) shows what a short utterance costs there: the less a text knows of what
was said before, the more of it is guessed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer

from benchmarks.audio.conditions import CLEAN, CONDITIONS, disturb
from benchmarks.audio.files import RECORDING, SAMPLE, SPEECH
from benchmarks.bench_vad import FRAME_MS, framed, probabilities, read
from benchmarks.load.tally import MATCH_MS
from benchmarks.speech.labels import speech_ends
from gateway import config
from gateway._native import endpoint, level
from gateway.config import EndpointSettings, VadSettings
from gateway.errors import GatewayError
from gateway.speech.engine import Engine, Hypothesis, Job, Kind, Pcm
from gateway.speech.moonshine import Moonshine
from gateway.speech.patience import Patience
from gateway.speech.sentence import CONFIDENT, CONFIDENT_IN_NOISE, Verdict, judge
from gateway.speech.silero import FRAME, RATE, Silero
from gateway.speech.track import GATE_HOLD_FRAMES, QUIET_DB
from models import store

__all__ = ["POLICIES", "Line", "Policy", "Result", "Utterance", "listen", "load", "main", "measure", "splits"]


NEIGHBOURS_MS = 1200
JOINT_MS = 24_000
AFTER_MS = 1500
"""Silence put behind the utterances' files, so that they end as speech does."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to wait; a text of less confidence than ``sure``, in noise ``sure_in_noise``, is not taken for complete.

    ``tail`` tells whether silence counts from where the ear hears the end.
    """

    patience: Patience
    sure: float = CONFIDENT
    sure_in_noise: float = CONFIDENT_IN_NOISE
    tail: bool = True

    @property
    def name(self) -> str:
        """Its ms of silence for complete, usual and incomplete, and what is special."""
        waits = [self.patience.complete, self.patience.usual, self.patience.incomplete]
        if len(set(waits)) == 1:
            return f"{waits[0] * FRAME_MS} ms whatever the text"
        sure = [] if self.sure == CONFIDENT else [f"sure {self.sure}"]
        noise = [] if self.sure_in_noise == CONFIDENT_IN_NOISE else [f"in noise {self.sure_in_noise}"]
        model = [] if self.tail else ["by the model"]
        return " ".join(["/".join(str(wait * FRAME_MS) for wait in waits), *sure, *noise, *model])

    def verdict(self, hypothesis: Hypothesis, *, quiet: bool) -> Verdict:
        """Of a text and how sure the recogniser is of it."""
        verdict = judge(hypothesis.text)
        sure = self.sure if quiet else self.sure_in_noise
        return Verdict.OPEN if verdict is Verdict.COMPLETE and hypothesis.confidence < sure else verdict


LONG = 468


def _told(complete: int, usual: int, incomplete: int, *, long: int = LONG, **more: Any) -> Policy:
    return Policy(Patience(4, complete, usual, incomplete, long), **more)


POLICIES = (
    _told(10, 15, 39),
    _told(15, 15, 15, tail=False),
    _told(10, 10, 10, tail=False),
    _told(22, 22, 22, tail=False),
    _told(10, 15, 39, tail=False),
    _told(8, 15, 39),
    _told(12, 15, 39),
    _told(10, 12, 39),
    _told(10, 20, 39),
    _told(10, 15, 25),
    _told(10, 15, 39, sure=0.0),
    _told(10, 15, 39, sure=0.85),
    _told(10, 15, 39, sure_in_noise=0.6),
)
"""The gateway's own, fixed silences, and what one figure changes; frames for complete, usual and incomplete."""


@dataclass(eq=False, slots=True)
class Line:
    """One channel as it comes over the telephone, with what the model and the gate made of it.

    ``reference`` is what was said, if known; ``ends`` where speech ends by energy, in ms.
    """

    pcm: Pcm
    speech: list[float]
    levels: list[float]
    ends: tuple[int, ...]
    reference: str | None = None
    decoded: dict[tuple[int, int], Hypothesis] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Silero, pcm: Pcm, vad: VadSettings, reference: str | None) -> Line:
        """Judge a channel's frames."""
        frames = framed(pcm)
        levels = level.frame_levels_db(frames)
        asked = level.LevelGate(vad.gate_dbfs, GATE_HOLD_FRAMES).admit(levels)
        found = probabilities(model, [frames], [asked])[0]
        return cls(frames.ravel(), found.tolist(), levels.tolist(), speech_ends(pcm), reference)

    def decode(self, engine: Engine, start: int, end: int) -> Hypothesis:
        """The text of some frames; the policies share the work."""
        if (start, end) not in self.decoded:
            session = engine.open()
            session.accept(self.pcm[start * FRAME : end * FRAME])
            self.decoded[start, end] = engine.step([Job(session, Kind.FINAL)])[0]
        return self.decoded[start, end]


@dataclass(frozen=True, slots=True)
class Utterance:
    """Places in frames; ``decided`` is None where the recording ended, or the length, and not a pause."""

    start: int
    end: int
    speech_start: int
    speech_end: int
    decided: int | None
    text: str


def listen(
    line: Line, policy: Policy, engine: Engine, vad: VadSettings, settings: EndpointSettings
) -> tuple[list[Utterance], int]:
    """The utterances of a channel under a policy, and the number of decodes they took."""
    patience = policy.patience
    machine = endpoint.Endpointer(
        threshold=vad.threshold,
        release=vad.release,
        min_speech_frames=max(1, settings.min_speech_ms // FRAME_MS),
        pause_frames=patience.pause,
        silence_frames=patience.usual,
        pre_roll_frames=settings.pre_roll_ms // FRAME_MS,
        post_roll_frames=settings.post_roll_ms // FRAME_MS,
        max_frames=settings.max_utterance_ms // FRAME_MS,
    )
    found: list[Utterance] = []
    decodes = tail = 0
    quiet = False
    guess: Hypothesis | None = None

    def ended(decided: int | None) -> None:
        nonlocal guess, decodes
        places = machine.start_frame, machine.end_frame, machine.speech_start_frame, machine.speech_end_frame
        if guess is None:
            decodes += 1
            guess = line.decode(engine, *places[:2])
        found.append(Utterance(*places, decided, guess.text))
        guess = None

    for now, (probability, level_db) in enumerate(zip(line.speech, line.levels, strict=True)):
        if machine.open:
            verdict = Verdict.OPEN if guess is None else policy.verdict(guess, quiet=quiet)
            machine.silence_frames = patience.frames(verdict, machine.frame - machine.start_frame, tail)
        events = machine.push(probability, level_db)
        if events & endpoint.RESUMED:
            guess = None
        if events & endpoint.CUT:
            guess = None
            ended(None)
        if events & endpoint.TENTATIVE and not events & (endpoint.ENDED | endpoint.CUT):
            guess = line.decode(engine, machine.start_frame, machine.frame)
            tail = machine.tail_frames if policy.tail else 0
            quiet = machine.prominence_db >= QUIET_DB
            decodes += 1
        if events & endpoint.ENDED:
            ended(now + 1)
    if machine.flush() & endpoint.ENDED:
        ended(None)
    return [one for one in found if one.text.strip()], decodes


def splits(line: Line, first: Utterance, second: Utterance, engine: Engine) -> bool:
    """Whether a sentence goes on over the border of two neighbours, by the method above."""
    if (second.end - first.start) * FRAME_MS > JOINT_MS:
        return not _over(first.text)
    parts = [line.decode(engine, one.start, one.end).text.split() for one in (first, second)]
    joint = line.decode(engine, first.start, second.end).text.split()
    before, after, whole = (["".join(filter(str.isalnum, word)).lower() for word in text] for text in (*parts, joint))
    places = range(len(whole) + 1)
    border = min(places, key=lambda place: _distance(before, whole[:place]) + _distance(after, whole[place:]))
    return border == 0 or not _over(joint[border - 1])


def _over(text: str) -> bool:
    return text.rstrip("\"' ").endswith((".", "?", "!"))


def _distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Words to be put in, taken out or replaced."""
    row = list(range(len(other) + 1))
    for count, word in enumerate(one, 1):
        diagonal, row[0] = row[0], count
        for at, against in enumerate(other, 1):
            diagonal, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, diagonal + (word != against))
    return row[-1]


@dataclass(frozen=True, slots=True)
class Result:
    """What a policy does.

    ``utterances_a_minute`` and ``decodes_a_minute`` are those of the call (both channels). Splits are out of all
    neighbours at most 1.2 s apart, over everything that was played.
    """

    policy: str
    utterances_a_minute: float
    latency_p50_ms: float
    latency_p95_ms: float
    splits: int
    neighbours: int
    errors: int
    words: int
    decodes_a_minute: float
    borders: tuple[str, ...]


def measure(
    policy: Policy,
    calls: Sequence[Line],
    others: Sequence[Line],
    engine: Engine,
    vad: VadSettings,
    settings: EndpointSettings,
) -> Result:
    """Play everything under one policy; ``calls`` are the channels that rates a minute are counted on."""
    normalize = EnglishTextNormalizer()
    counts = {"utterances": 0, "decodes": 0, "errors": 0, "words": 0, "neighbours": 0}
    waits: list[int] = []
    borders: list[str] = []
    for line in (*calls, *others):
        found, decodes = listen(line, policy, engine, vad, settings)
        if line in calls:
            counts["utterances"] += len(found)
            counts["decodes"] += decodes
        waits += _waits(line, found)
        for first, second in pairwise(found):
            if (second.speech_start - first.speech_end) * FRAME_MS <= NEIGHBOURS_MS:
                counts["neighbours"] += 1
                if splits(line, first, second, engine):
                    borders.append(f"{first.text[-40:]} | {second.text[:40]}")
        if line.reference is not None:
            words = jiwer.process_words(normalize(line.reference), normalize(" ".join(one.text for one in found)))
            counts["errors"] += words.substitutions + words.deletions + words.insertions
            counts["words"] += words.hits + words.substitutions + words.deletions
    minutes = max(len(line.speech) for line in calls) * FRAME_MS / 60_000
    return Result(
        policy=policy.name,
        utterances_a_minute=counts["utterances"] / minutes,
        latency_p50_ms=float(np.percentile(waits, 50)),
        latency_p95_ms=float(np.percentile(waits, 95)),
        splits=len(borders),
        neighbours=counts["neighbours"],
        errors=counts["errors"],
        words=counts["words"],
        decodes_a_minute=counts["decodes"] / minutes,
        borders=tuple(borders),
    )


def _waits(line: Line, found: Sequence[Utterance]) -> list[int]:
    """From the labelled end of speech to the decision, in ms, of what ended in a pause and has a label."""
    waits = []
    for one in found:
        end = one.speech_end * FRAME_MS
        nearest = min(line.ends, key=lambda label: abs(label - end), default=-MATCH_MS - 1)
        if one.decided is not None and abs(nearest - end) <= MATCH_MS:
            waits.append(one.decided * FRAME_MS - nearest)
    return waits


def load(model: Silero, vad: VadSettings, condition: str) -> tuple[list[Line], list[Line]]:
    """The channels of the call; those of the sample, and the utterances."""

    def played(path: Path) -> list[Pcm]:
        return [disturb(channel, condition, f"{path.name}-{side}") for side, channel in enumerate(read(path))]

    calls = [Line.of(model, channel, vad, None) for channel in played(RECORDING)]
    turns = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))["turns"]
    said = [" ".join(turn["text"] for turn in turns if turn["speaker"] == speaker) for speaker in ("customer", "agent")]
    others = [Line.of(model, channel, vad, text) for channel, text in zip(played(SAMPLE), said, strict=True)]
    after = np.zeros(AFTER_MS * RATE // 1000, np.int16)
    for entry in json.loads((SPEECH / "manifest.json").read_text(encoding="utf-8"))["utterances"]:
        if entry["id"] != "zip-codes":
            pcm = np.concatenate([played(SPEECH / entry["file"])[0], after])
            others.append(Line.of(model, pcm, vad, entry["text"]))
    return calls, others


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; exit code 0, also where there is nothing to measure with."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench_endpoint", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--borders", action="store_true", help="print the split sentences too")
    parser.add_argument("--condition", choices=list(CONDITIONS), default=CLEAN.name, help="what the line does")
    options = parser.parse_args(arguments)
    if not RECORDING.is_file():
        print(f"skipped: {RECORDING} is not there", file=sys.stderr)
        return 0
    vad, settings = VadSettings.model_validate({}), EndpointSettings.model_validate({})
    try:
        folder = config.load().models_dir
        engine = Moonshine(store.locate(folder, Moonshine.name))
        model = Silero(store.locate(folder, "silero-vad") / "silero_vad.onnx")
    except GatewayError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return 0
    calls, others = load(model, vad, options.condition)
    results = [measure(policy, calls, others, engine, vad, settings) for policy in POLICIES]
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return 0
    print(f"{'ms of silence':32} utt/min   p50   p95 ms   split of   errors of   decodes/min")
    for one in results:
        print(
            f"{one.policy:32} {one.utterances_a_minute:7.1f} {one.latency_p50_ms:5.0f} {one.latency_p95_ms:5.0f}"
            f"    {one.splits:5} {one.neighbours:3}   {one.errors:5} {one.words:4}   {one.decodes_a_minute:8.1f}"
        )
        for border in one.borders if options.borders else ():
            print(f"    {border}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
