"""What the recognizer makes of spoken digits, redacted: single digits, joined to the numbers that callers tell.

The digits are ``digits/DIGIT_SPEAKER_TAKE.wav`` of the speech folder, 8 kHz. A number is told by one speaker, with 80
to 200 ms between digits, after a turn of text that asks for it. The audio says digits and nothing else, so that every
word that is shown is a digit, however it was heard.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.text.redaction import tells_digit
from gateway import config
from gateway.participants import Role
from gateway.recordings import offline
from gateway.server.speech import VAD_FILE, VAD_MODEL, load_engine
from gateway.speech.engine import Pcm
from gateway.speech.silero import Silero
from gateway.text.policy import DEFAULT
from gateway.text.redaction import Redactor
from models.store import locate

__all__ = ["KINDS", "Kind", "Told", "join", "judge", "run", "summary", "takes"]

RATE = 8000
GAP_MS = (80, 200)
BEFORE_MS, AFTER_MS = 500, 1500
EACH = 18
SEED = 4
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Kind:
    """A number of ``digits`` digits, and who says what before it."""

    name: str
    digits: int
    role: Role
    cue: str


KINDS = (
    Kind("card", 16, Role.CUSTOMER, "My card number is"),
    Kind("ssn", 9, Role.AGENT, "Can I have your social security number?"),
    Kind("pin", 4, Role.AGENT, "What's your PIN?"),
    Kind("cvv", 3, Role.AGENT, "And the security code on the back?"),
    Kind("phone", 10, Role.CUSTOMER, "My phone number is"),
    Kind("bare", 10, Role.AGENT, "Alright."),
)


@dataclass(frozen=True, slots=True)
class Told:
    """A number that was told: ``heard`` and ``shown`` are the texts of its utterances, before redaction and after."""

    kind: str
    speaker: str
    digits: str
    heard: tuple[str, ...]
    shown: tuple[str, ...]

    @property
    def digit_shown(self) -> bool:
        """Whether a word that tells a digit is shown."""
        return any(tells_digit(word) for word in self.words_shown)

    @property
    def words_shown(self) -> list[str]:
        """All words that are shown."""
        return [word for text in self.shown for word in _WORD.findall(text)]


def takes(speech: Path) -> dict[str, dict[str, list[Pcm]]]:
    """Speaker, digit, and how they say it; empty where there are no digits."""
    found: dict[str, dict[str, list[Pcm]]] = {}
    for path in sorted((speech / "digits").glob("*_*_*.wav")):
        digit, speaker, _ = path.stem.split("_")
        audio, _ = soundfile.read(path, dtype="int16")
        found.setdefault(speaker, {}).setdefault(digit, []).append(audio)
    return found


def join(digits: str, said: Mapping[str, Sequence[Pcm]], chance: random.Random) -> Pcm:
    """A number in one speaker's voice, silence around it."""

    def silence(ms: int) -> Pcm:
        return np.zeros(ms * RATE // 1000, np.int16)

    pieces = [silence(BEFORE_MS)]
    for digit in digits:
        pieces += [chance.choice(said[digit]), silence(chance.randint(*GAP_MS))]
    return np.concatenate([*pieces, silence(AFTER_MS)])


def judge(kind: Kind, speaker: str, digits: str, heard: Sequence[str]) -> Told:
    """Redact what was heard after the turn that asks for it, with the default policy."""
    redactor = Redactor(DEFAULT)
    redactor.redact(kind.cue, kind.role)
    shown = tuple(redactor.redact(text, Role.CUSTOMER).text for text in heard)
    return Told(kind.name, speaker, digits, tuple(heard), shown)


def run(speech: Path, each: int = EACH, seed: int = SEED) -> list[Told]:
    """``each`` numbers of every kind, the speakers in turn, through the recognizer of the settings and the redactor.

    Raises:
        GatewayError: a model is missing.
        ValueError: there are no digits.
    """
    said = takes(speech)
    if not said:
        raise ValueError(f"there are no spoken digits in {speech / 'digits'}")
    settings = config.load()
    voice, engine = Silero(locate(settings.models_dir, VAD_MODEL) / VAD_FILE), load_engine(settings)
    chance = random.Random(seed)
    told = []
    for kind in KINDS:
        for number in range(each):
            speaker = sorted(said)[number % len(said)]
            digits = "".join(chance.choice("0123456789") for _ in range(kind.digits))
            pcm = join(digits, said[speaker], chance)
            done = offline.transcribe({Role.CUSTOMER: pcm}, voice, engine, settings)
            told.append(judge(kind, speaker, digits, [one.text for one in done.utterances]))
    return told


def summary(told: Sequence[Told]) -> dict[str, Any]:
    """By kind: numbers told, the share without a digit shown, and without any word shown; and what was heard."""
    kinds = {}
    for name in dict.fromkeys(one.kind for one in told):
        of_kind = [one for one in told if one.kind == name]
        kinds[name] = {
            "told": len(of_kind),
            "no_digit_shown": round(sum(not one.digit_shown for one in of_kind) / len(of_kind), 4),
            "no_word_shown": round(sum(not one.words_shown for one in of_kind) / len(of_kind), 4),
        }
    return {"kinds": kinds, "shown": [asdict(one) for one in told if one.words_shown]}
