"""How soon and how steady is what a reader sees of an open utterance, and what does it cost?

    python -m benchmarks.bench_partials [--json] [FILE.wav …]

Plays recordings (the sample, and those of ``../shared/speech``) through the track, voice activity and endpointing of
the gateway, 32 ms at a time, and reads open utterances as :mod:`gateway.speech.partials` says. An answer is there at
once: on an idle machine it takes as long as the decode, a few hundredths of a second.

* *decoded*: audio read for partials, as a multiple of the utterances' audio, and of the one where it was most. The
  bound is ``COST``.
* *first*: what was heard when the first partial came, of the utterances that had any, with 128 ms before the speech.
* *gap*: between two readings, those at pauses included, while speech goes on.
* *lag*: the words that are sure, behind those that are shown, when the utterance ends.
* *wrong*: words that were told to be sure and are not in the final text, of all that were told to be sure.

Each is given for two ways to read: the whole utterance every time (the gateway's), and only what follows the latest
pause at which the sentence was over, behind the text of that pause. The second saves little, because few utterances
hold such a pause, and is wrong more often, because a text that begins in the middle is read worse.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import jiwer
import numpy as np
import soundfile

from benchmarks.audio.files import SAMPLE, SPEECH
from gateway import config
from gateway._native import mulaw, track
from gateway.errors import GatewayError
from gateway.speech.engine import Engine, Hypothesis, Job, Kind, Pcm, VoiceActivity
from gateway.speech.moonshine import Moonshine
from gateway.speech.partials import COST, Interim, Partial
from gateway.speech.sentence import Verdict, read
from gateway.speech.silero import Silero
from gateway.speech.track import FRAME, Ending, Found, Pause, Resumption, SpeechTrack
from models import store

__all__ = ["Follow", "Told", "main", "play", "summary"]


@dataclass(slots=True)
class Told:
    """What was told of one utterance; times in ms of its audio."""

    final: str
    length_ms: int
    decoded_ms: int
    at_ms: list[int]
    shown: int
    sure: list[str]


@dataclass(slots=True)
class Follow:
    """One channel on its way, and who reads along; ``windows`` reads behind the latest sentence only."""

    speech: SpeechTrack
    voice: VoiceActivity
    engine: Engine
    windows: bool
    interim: Interim = field(default_factory=Interim)
    guess: Hypothesis | None = None
    told: list[Told] = field(default_factory=list)
    seconds: float = 0.0
    # The text up to the latest end of a sentence, and the audio it took.
    settled: tuple[str, int] = ("", 0)
    ending: tuple[str, int] | None = None
    decoded_ms: int = 0
    at_ms: list[int] = field(default_factory=list)
    last: Partial | None = None

    def work(self, now_ms: int) -> None:
        """Take what has come; decode what is due."""
        taken = self.speech.take(now_ms)
        if taken is None:
            return
        frames, mask = taken
        slots = np.array([self.speech.slot], np.int64)
        judged = [
            float(self.voice.judge(slots, frames[row : row + 1])[0]) if ask else 0.0 for row, ask in enumerate(mask)
        ]
        self._hear(list(self.speech.judge(judged)))
        spoken = self.speech.spoken
        if spoken is not None and self.interim.due(*spoken):
            start, length_ms = spoken
            text, from_ms = self.settled
            began = time.perf_counter()
            heard = self._decode(mulaw.decode(bytes(self.speech.open_utterance()))[from_ms * 8 :]).text
            self.seconds += time.perf_counter() - began
            self.interim.begun(length_ms)
            self.decoded_ms += length_ms - from_ms
            self.at_ms.append(length_ms)
            self._show(self.interim.answered(start, f"{text} {heard}".strip()))

    def _hear(self, shown: Sequence[Found]) -> None:
        for one in shown:
            if isinstance(one, Pause):
                self._pause(one)
            elif isinstance(one, Resumption):
                self.guess = None
                if self.windows and self.ending is not None:
                    self.settled = self.ending
                self.ending = None
            else:
                guess = None if one.ending is Ending.CUT else self.guess
                final = (guess or self._decode(one.pcm)).text
                length_ms = len(one.pcm) // 8
                shown_text, stable = (self.last.text, self.last.stable) if self.last else ("", 0)
                sure, words = _words(shown_text[:stable]), len(_words(shown_text))
                self.told.append(Told(final, length_ms, self.decoded_ms, self.at_ms, words, sure))
                self.guess, self.last, self.settled, self.ending = None, None, ("", 0), None
                self.decoded_ms, self.at_ms = 0, []

    def _pause(self, pause: Pause) -> None:
        self.guess = self._decode(pause.pcm)
        spoken = self.speech.spoken
        if spoken is not None:
            start, length_ms = spoken
            self.at_ms.append(length_ms)
            self._show(self.interim.paused(start, length_ms, self.guess.text))
            if read(self.guess, quiet=pause.quiet) is Verdict.COMPLETE:
                self.ending = self.guess.text, length_ms
        self._hear(list(self.speech.advise(pause.number, read(self.guess, quiet=pause.quiet))))

    def _show(self, partial: Partial | None) -> None:
        self.last = partial or self.last

    def _decode(self, pcm: Pcm) -> Hypothesis:
        session = self.engine.open()
        session.accept(pcm)
        return self.engine.step([Job(session, Kind.PARTIAL)])[0]


def _words(text: str) -> list[str]:
    return [re.sub(r"[\W_]+", "", word).casefold() for word in text.split() if re.search(r"[^\W_]", word)]


def play(pcm: Pcm, voice: VoiceActivity, engine: Engine, settings: config.Settings, *, windows: bool) -> Follow:
    """One channel, 8 kHz, shape ``(samples,)``, from beginning to end."""
    media = track.Track()
    media.open_gate()
    slot = voice.acquire()
    follow = Follow(SpeechTrack(media, settings.vad, settings.endpoint, slot), voice, engine, windows)
    ulaw = mulaw.encode(pcm)
    for at in range(0, len(ulaw), FRAME):
        media.place(at // 8, ulaw[at : at + FRAME], at // 8)
        follow.work(at // 8)
    follow.speech.finishing = True
    while not follow.speech.finished:
        follow.work(len(ulaw) // 8)
    voice.release(slot)
    return follow


def summary(follows: Sequence[Follow]) -> dict[str, float]:
    """The figures over some channels."""
    told = [one for follow in follows for one in follow.told]
    firsts = [one.at_ms[0] for one in told if one.at_ms]
    gaps = [later - earlier for one in told for earlier, later in pairwise(one.at_ms)]
    sure = sum(len(one.sure) for one in told)
    wrong = sum(_wrong(one) for one in told)
    audio_ms = sum(one.length_ms for one in told)
    return {
        "utterances": len(told),
        "decoded": round(sum(one.decoded_ms for one in told) / audio_ms, 2),
        "decoded_most": round(max(one.decoded_ms / max(one.length_ms, *one.at_ms, 1) for one in told), 2),
        "cpu_ms_a_second": round(sum(follow.seconds for follow in follows) * 1e6 / audio_ms, 1),
        "first_p50_ms": float(np.percentile(firsts, 50)),
        "gap_p50_ms": float(np.percentile(gaps, 50)),
        "gap_p95_ms": float(np.percentile(gaps, 95)),
        "gap_most_ms": float(max(gaps)),
        "lag_words": round(sum(one.shown - len(one.sure) for one in told if one.at_ms) / max(1, len(firsts)), 2),
        "wrong_percent": round(100 * wrong / max(1, sure), 2),
    }


def _wrong(told: Told) -> int:
    """Sure words that the final text does not have in their place."""
    if not told.sure:
        return 0
    found = jiwer.process_words(" ".join(told.sure), " ".join(_words(told.final)) or "-")
    return int(found.substitutions + found.deletions)


def recordings() -> list[Path]:
    """The sample, and what is beside the project."""
    return [SAMPLE, *sorted(SPEECH.glob("utterances/*.wav")), *sorted(SPEECH.glob("calls/*.wav"))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=240.0, help="of each recording, at most")
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    settings = config.load()
    try:
        engine = Moonshine(store.locate(settings.models_dir, Moonshine.name))
        voice = Silero(store.locate(settings.models_dir, "silero-vad") / "silero_vad.onnx")
    except GatewayError as error:
        print(f"nothing to measure with: {error}", file=sys.stderr)
        return 0
    channels: list[Pcm] = []
    for path in options.files or recordings():
        audio, rate = soundfile.read(path, dtype="int16", always_2d=True)
        assert rate == 8000, f"{path} has {rate} samples a second; 8000 are needed"
        channels += [np.ascontiguousarray(channel[: int(options.seconds * rate)]) for channel in audio.T]
    found = {
        name: summary([play(pcm, voice, engine, settings, windows=windows) for pcm in channels])
        for name, windows in (("whole", False), ("behind the latest sentence", True))
    }
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    print(f"{'':24}" + "".join(f"{name:>28}" for name in found) + f"   (bound of decoded: {COST})")
    for figure in next(iter(found.values())):
        print(f"{figure:24}" + "".join(f"{values[figure]:28}" for values in found.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
