"""An account's vocabulary at work: where a phrase was said and something like it was heard, the phrase is written.

Decoding is greedy and stays so; what it heard is looked through afterwards, in two ways.

*As it is written.* Words that are a phrase, or one of its ``soundsLike`` forms, become the phrase as it is written.

*Nearly.* Where words sound like a phrase (:mod:`gateway.speech.phonetics`), the model itself is asked: how likely
does it find the utterance with the phrase in their place, given the audio? The phrase is taken if that is not much less
likely than what was heard. A model that has never seen a name gives it little, but where something else was said it
gives it next to nothing: there is room between the two, and no phrase gets in that the audio speaks against.

The usual way, a bonus on the tokens that go on along a prefix tree of all phrases, which is given back where one is
left unfinished, was measured beside it (``docs/vocabulary.md``): in a greedy search it finds half as many, for a phrase
must be ahead from its first token on, and what is heard in its place often begins with another sound.
"""

from __future__ import annotations

import codecs
import math
import re
import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from gateway.speech.graphs import Decoding
from gateway.speech.phonetics import key, spoken
from gateway.speech.tokenizer import END, START, Tokenizer
from gateway.speech.vocabulary import Vocabulary

__all__ = ["SPARE", "Answer", "Ask", "Bias", "Biases", "asked"]


@dataclass(frozen=True, slots=True)
class Answer:
    """How likely an utterance's tokens and its end are, given its audio, as a log-probability.

    ``ceilings``: what no text can reach that goes on otherwise at a fork that was asked for.
    """

    likely: float
    ceilings: tuple[float, ...] = ()


Fork = tuple[int, int]
"""The token that stands at a place of another text, up to which it is the same."""

Ask = Callable[[Sequence[int], Sequence[Fork]], Answer | None]
"""Asks the model about tokens, and forks of them; None if it cannot tell."""

SPARE = 24
"""Tokens by which an utterance may become longer: a decoder's caches need room for them."""

# A phrase is taken if what its text loses in log-probability, with a bonus for each token of the phrase (a rare word is
# many, each of them a surprise) and of what was heard (what is heard for one is often no word), and with so many times
# the doubt about the least sure of these, comes to more than LEAST. "Moore" is not taken for a sure "more".
DOUBT = 2.0
LEAST = -3.5

# Sounds that have to be changed, of all: nearer are the candidates. The nearest are looked at, the best asked for.
FARTHEST = 0.5
MOST_LOOKED_AT = 32
MOST_ASKED = 6

# Where the recognizer is this sure of every token (90 %), it has hardly ever misheard: only what sounds nearly the same
# is asked for there. That halves the questions.
_SURE = 0.1
_NEAR = 0.2

# Shorter keys (about a syllable) are like too much: such a phrase is found by its spelling only.
_LEAST_KEY = 5

# A text this short, with other signs than letters and digits, is not known by these.
_MOST_SIGNS = 2

# A phrase of so many words may have been heard as more.
_MORE_WORDS = 2
_MOST_WORDS = 6

# Of a token that a softmax in float32 gives 0.
_LEAST_LIKELY = 1e-12

# A genitive's s is a word of its own: it may belong to a name or not.
_WORD = re.compile(r"[^\W_]+(?:['’](?!s\b)[^\W_]+)*")


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of what was heard: its tokens are ``ids[first:last]``, which may hold a bit of what stands beside it.

    ``opens`` and ``closes`` say that nothing is lost if something else begins or ends in its place.
    """

    text: str
    first: int
    last: int
    opens: bool
    closes: bool


@dataclass(frozen=True, slots=True)
class _Change:
    """The phrase ``entry`` in the place of ``ids[first:last]``."""

    entry: int
    first: int
    last: int
    distance: float = 0.0

    def meets(self, other: _Change) -> bool:
        """Whether both are about one token."""
        return self.first < other.last and other.first < self.last


@dataclass(slots=True)
class _Said:
    """Tokens with their probabilities, and which of them are settled."""

    ids: list[int]
    probabilities: list[float]
    settled: list[bool]

    def doubt(self, change: _Change) -> float:
        """How unsure the least sure token in its place is: the negative of its log-probability."""
        return -math.log(max(min(self.probabilities[change.first : change.last]), _LEAST_LIKELY))

    def change(self, change: _Change, ids: Sequence[int]) -> None:
        """Put ``ids`` in place; they are as sure as what was heard there, for that is how clear the sounds were."""
        place = slice(change.first, change.last)
        self.probabilities[place] = [fmean(self.probabilities[place])] * len(ids)
        self.settled[place] = [True] * len(ids)
        self.ids[place] = ids


class Bias:
    """A vocabulary made ready for one tokenizer; does not change, so that any thread may use it.

    Args:
        vocabulary: the phrases; of two that are heard alike the first counts.
        tokenizer: of the model.
    """

    def __init__(self, vocabulary: Vocabulary, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids = [tokenizer.encode(entry.phrase) for entry in vocabulary]
        self._phrases = [entry.phrase for entry in vocabulary]
        self._exact: dict[tuple[str, ...], int] = {}
        keys: dict[tuple[str, int], None] = {}
        for at, entry in enumerate(vocabulary):
            for form in (entry.phrase, *_spelled(entry.phrase), *entry.sounds_like):
                if words := _folded(form):
                    self._exact.setdefault(words, at)
            for form in (entry.phrase, *entry.sounds_like):
                keys |= {(each, at): None for each in spoken(form) if len(each) >= _LEAST_KEY}
        self._keys = [each for each, _ in keys]
        self._entries = [at for _, at in keys]
        self._longest = max((len(words) for words in self._exact), default=0)
        self._most_words = min(self._longest + _MORE_WORDS, _MOST_WORDS)
        self._longest_key = max(map(len, self._keys), default=0)

    def revised(self, ids: Sequence[int], probabilities: Sequence[float], ask: Ask) -> tuple[list[int], list[float]]:
        """What was heard, with the phrases.

        Args:
            ids: tokens of an utterance.
            probabilities: theirs.
            ask: the model, with the utterance in its ear; asked about a few texts at the most.

        Returns:
            Tokens and probabilities; what was put in has the mean probability of what it replaces.
        """
        said = _Said(list(ids), list(probabilities), [False] * len(ids))
        for change in reversed(list(self._as_written(said.ids))):
            said.change(change, self._ids[change.entry] if change.entry >= 0 else said.ids[change.first : change.last])
        for change in sorted(self._agreed(said, ask), key=lambda each: each.first, reverse=True):
            said.change(change, self._ids[change.entry])
        return said.ids, said.probabilities

    def _words(self, ids: Sequence[int]) -> list[_Word]:
        """The words, each with its tokens."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        pieces = [decoder.decode(piece).replace("▁", " ") for piece in self._tokenizer.pieces(ids)]
        starts = [0, *accumulate(map(len, pieces))]
        text = "".join(pieces)
        words = []
        for found in _WORD.finditer(text):
            first = bisect_right(starts, found.start()) - 1
            last = bisect_left(starts, found.end())
            before = text[starts[first] : found.start()]
            if not before and first and pieces[first - 1] in (" ", "-"):
                # A hyphen is the recognizer's, between a word and what it took for another.
                first, before = first - 1, pieces[first - 1]
            opens = before in (" ", "-") or not found.start()
            words.append(_Word(found.group(), first, last, opens, starts[last] == found.end()))
        return words

    def _as_written(self, ids: Sequence[int]) -> Iterator[_Change]:
        """Where a phrase or a form of it stands, the longest first; a negative entry leaves the words as they are."""
        words, pieces = self._words(ids), self._tokenizer.pieces(ids)
        folded = [word.text.casefold() for word in words]
        at = 0
        while at < len(words):
            count = next((count for count in range(self._longest, 0, -1) if self._stands(words, folded, at, count)), 0)
            if count:
                span = words[at : at + count]
                last = span[-1].last
                # Of letters that are read apart ("I. E. E. E. is") the last has a full stop too.
                if count > 1 and len(span[0].text) == 1 and at + count < len(words) and pieces[last] == b".":
                    last += 1
                yield _Change(self._written(span), span[0].first, last)
            at += count or 1

    def _stands(self, words: Sequence[_Word], folded: Sequence[str], at: int, count: int) -> bool:
        known = len(words) >= at + count and tuple(folded[at : at + count]) in self._exact
        return known and words[at].opens and words[at + count - 1].closes

    def _written(self, span: Sequence[_Word]) -> int:
        """The phrase that the words are; negative if they are written as they should be."""
        text = " ".join(word.text for word in span)
        entry = self._exact[tuple(text.casefold().split())]
        phrase = self._phrases[entry]
        # A phrase in small letters may begin a sentence.
        return -1 if text == phrase or (phrase.islower() and text.casefold() == phrase) else entry

    def _agreed(self, said: _Said, ask: Ask) -> list[_Change]:
        """Where the model agrees that a phrase was said; no two in one place."""
        likely = self._candidates(said)
        texts = [[*said.ids[: one.first], *self._ids[one.entry], *said.ids[one.last :]] for one in likely]
        own = ask(said.ids, [_fork(said.ids, text) for text in texts]) if likely else None
        if own is None:
            return []
        open_ones = []
        for change, text, ceiling in zip(likely, texts, own.ceilings, strict=True):
            bonus = len(self._ids[change.entry]) + change.last - change.first + DOUBT * said.doubt(change) - own.likely
            # Most are settled by their first token.
            if ceiling + bonus > LEAST:
                open_ones.append((ceiling + bonus, bonus, change, text))
        open_ones.sort(key=lambda each: each[0], reverse=True)
        worth: list[tuple[float, _Change]] = []
        for _, bonus, change, text in open_ones[:MOST_ASKED]:
            if (other := ask(text, ())) is not None:
                worth.append((other.likely + bonus, change))
        agreed: list[_Change] = []
        for value, change in sorted(worth, key=lambda each: each[0], reverse=True):
            if value > LEAST and not any(change.meets(other) for other in agreed):
                agreed.append(change)
        return agreed

    def _candidates(self, said: _Said) -> list[_Change]:
        """The places that sound most like a phrase, the likest first."""
        words = self._words(said.ids)
        keys = [key(word.text, letters=True) for word in words]
        spans: dict[tuple[int, int], str] = {}
        for start in range(len(words) if self._keys else 0):
            for end in range(start + 1, min(start + self._most_words, len(words)) + 1):
                heard = "".join(keys[start:end])
                if any(said.settled[words[end - 1].first : words[end - 1].last]) or len(heard) > 2 * self._longest_key:
                    break
                if words[start].opens and words[end - 1].closes:
                    spans[words[start].first, words[end - 1].last] = heard
        if not spans:
            return []
        apart = cdist(self._keys, list(spans.values()), scorer=Levenshtein.normalized_distance, score_cutoff=FARTHEST)
        places = list(spans)
        nearest: dict[tuple[int, int, int], float] = {}
        for form, span in np.argwhere(apart <= FARTHEST):
            change = (self._entries[form], *places[span])
            nearest[change] = min(nearest.get(change, 1.0), float(apart[form, span]))
        found = [_Change(*change, distance) for change, distance in nearest.items()]
        unsure = [change for change in found if change.distance <= _NEAR or said.doubt(change) > _SURE]
        return sorted(unsure, key=lambda change: change.distance)[:MOST_LOOKED_AT]


class Biases:
    """Vocabularies made ready, the last ones used; thread-safe.

    Args:
        tokenizer: of the model.
        most: vocabularies that are kept.
    """

    def __init__(self, tokenizer: Tokenizer, most: int = 64) -> None:
        self._tokenizer = tokenizer
        self._most = most
        self._lock = threading.Lock()
        self._ready: OrderedDict[Vocabulary, Bias] = OrderedDict()  # longest unused first; under the lock

    def __len__(self) -> int:
        return len(self._ready)

    def of(self, vocabulary: Vocabulary) -> Bias | None:
        """The vocabulary made ready, which takes some milliseconds the first time; None for an empty one."""
        if not vocabulary:
            return None
        with self._lock:
            bias = self._ready.get(vocabulary)
        if bias is None:
            # Outside of the lock: workers with other vocabularies need not wait for this one.
            bias = Bias(vocabulary, self._tokenizer)
        with self._lock:
            bias = self._ready.setdefault(vocabulary, bias)
            self._ready.move_to_end(vocabulary)
            if len(self._ready) > self._most:
                self._ready.popitem(last=False)
        return bias


def asked(decoding: Decoding, row: int, room: int, before: Sequence[int] = ()) -> Ask:
    """Ask a row that is done.

    Args:
        decoding: of its batch.
        row: its number there.
        room: tokens that it can say; nothing is known of a longer text.
        before: tokens that were said to it before its own.
    """

    def ask(ids: Sequence[int], forks: Sequence[Fork]) -> Answer | None:
        said = np.array([START, *before, *ids], np.int64)
        likely = decoding.say(row, said) if len(said) <= room else None
        if likely is None:
            return None
        likely = likely[len(before) :]
        places = np.arange(len(ids) + 1)
        each = np.log(np.maximum(likely[places, [*ids, END]], _LEAST_LIKELY))
        until = np.concatenate([[0.0], np.cumsum(each)])
        ceilings = (until[at] + math.log(max(float(likely[at, token]), _LEAST_LIKELY)) for at, token in forks)
        return Answer(float(until[-1]), tuple(map(float, ceilings)))

    return ask


def _fork(one: Sequence[int], other: Sequence[int]) -> Fork:
    """Where the other text leaves the one."""
    ends = ([*one, END], [*other, END])
    at = next((at for at, (left, right) in enumerate(zip(*ends, strict=False)) if left != right), len(one))
    return at, ends[1][at]


def _folded(text: str) -> tuple[str, ...]:
    """Words as they are compared; none if more is written than they are said by: ``C++`` is not every ``C``."""
    words = tuple(word.casefold() for word in _WORD.findall(text))
    return words if len("".join(words)) > _MOST_SIGNS or text.replace(" ", "").isalnum() else ()


def _spelled(phrase: str) -> list[str]:
    """An abbreviation letter by letter: ``I. E. E. E.`` is read as four words."""
    return [" ".join(phrase)] if phrase.isupper() and phrase.isalpha() and len(phrase) > 1 else []
