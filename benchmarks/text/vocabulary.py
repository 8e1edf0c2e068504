"""What the vocabulary benchmark is about: labelled names, invented ones, and what was recovered. No models."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speech.wer import normalize, score
from gateway.speech.vocabulary import MAX_ENTRIES, Phrase, Vocabulary

__all__ = [
    "FOLDER",
    "SEED",
    "Named",
    "Recovered",
    "alike",
    "filled",
    "heard_in",
    "invented",
    "rare",
    "read",
    "recovered",
]

SEED = 20260805
FOLDER = Path(__file__).parents[1] / "labelled" / "vocabulary"

ONSETS = (*"bcdfghjklmnprstvwz", "br", "ch", "cl", "dr", "fl", "gr", "kl", "pl", "pr", "qu", "sh", "sk", "st", "tr")
VOWELS = (*"aeiou", "ai", "ea", "ee", "ia", "io", "oo", "ou")
CODAS = ("", "", "", "l", "m", "n", "nd", "r", "rt", "s", "st", "t", "x")
FIRST = ("Anna", "Bruno", "Carla", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kofi", "Lena", "Priya")
ENDINGS = ("", "", "", " Plus", " Home", " Bank", " Care", " Mobile", " Pro")

_MOST_LETTERS_COMMON = 5


@dataclass(frozen=True, slots=True)
class Named:
    """A phrase, how it sounds, and a sentence in which it is said."""

    phrase: Phrase
    sentence: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """Of so many phrases that were said, those that were heard, and those that were written as they should be.

    ``errors`` of ``words``: word errors in all; ``put_in``: phrases that nobody said.
    """

    said: int
    heard: int
    written: int
    errors: int
    words: int
    put_in: int


def read(path: Path) -> list[Named]:
    """The labelled sentences of a file.

    Raises:
        ValueError: a line is not ``phrase | soundsLike; … | sentence``, or its sentence lacks the phrase.
    """
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        phrase, forms, sentence = (part.strip() for part in line.split("|"))
        if phrase not in sentence:
            msg = f"{path.name}: {sentence!r} does not have {phrase!r} in it"
            raise ValueError(msg)
        sounds = tuple(form.strip() for form in forms.split(";") if form.strip())
        found.append(Named(Phrase(phrase, sounds), sentence))
    return found


def alike() -> Vocabulary:
    """Names that sound like common words, or are some."""
    lines = (FOLDER / "alike.txt").read_text(encoding="utf-8").splitlines()
    return tuple(Phrase(line) for line in lines if not line.startswith("#"))


def invented(count: int, seed: int = SEED) -> Vocabulary:
    """Names of people and products that there are not, all different."""
    rng = random.Random(seed)
    names: dict[str, None] = {}
    while len(names) < count:
        syllables = rng.choice((2, 2, 3, 3, 4))
        name = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(syllables)).title()
        person = rng.random() < 1 / 3
        names[f"{rng.choice(FIRST)} {name}" if person else name + rng.choice(ENDINGS)] = None
    return tuple(map(Phrase, names))


def filled(phrases: Sequence[Phrase], distractors: int, seed: int = SEED) -> Vocabulary:
    """The phrases among so many invented ones, as many as a vocabulary may hold."""
    return (*phrases, *invented(distractors, seed))[:MAX_ENTRIES]


def rare(texts: Iterable[str]) -> list[str]:
    """Words that a set of texts has once, of six letters or more: a rule that knows nothing of what was misheard."""
    counts = Counter(word for text in texts for word in normalize(text).split())
    return [
        word for word, count in counts.items() if count == 1 and len(word) > _MOST_LETTERS_COMMON and word.isalpha()
    ]


def heard_in(phrase: str, text: str) -> bool:
    """Whether the text has the phrase, case and signs aside."""
    return _plain(phrase) in _plain(text)


def _plain(text: str) -> str:
    return "".join(re.findall(r"[^\W_]", text.casefold()))


def recovered(said: Sequence[Named], texts: Sequence[str], others: Sequence[Phrase] = ()) -> Recovered:
    """What became of the phrases in ``texts``, one a sentence; ``others`` were not said anywhere."""
    pairs = list(zip(said, texts, strict=True))
    scores = [score(named.sentence, [text]) for named, text in pairs]
    return Recovered(
        len(said),
        sum(heard_in(named.phrase.phrase, text) for named, text in pairs),
        sum(named.phrase.phrase in text for named, text in pairs),
        sum(one.errors for one in scores),
        sum(one.words for one in scores),
        sum(other.phrase in text for other in others for text in texts),
    )
