"""Runs: numbers that a listener would write down as one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from gateway.text.digits.misheard import bridge
from gateway.text.digits.numbers import Element, Form, Token, vocabulary

__all__ = ["HOMOPHONES", "JOINERS", "MIN_DIGITS", "Run", "find_runs", "only_joiners"]

MIN_DIGITS = 3
"""A shorter run is not hidden by itself."""

JOINERS = vocabulary(
    "um umm uhm uh uhh er err erm eh ah hm hmm mm mhm huh "  # hesitations
    "and then dash hyphen minus space point dot period comma slash stroke plus next "
    "sorry wait okay ok yeah yes so well like no actually rather correction"
)
"""Words over which a run goes on: nobody who reads out a number says only digits."""

_CORRECTIONS = (
    ("i", "mean"),
    ("i", "think"),
    ("scratch", "that"),
    ("make", "that"),
    ("let", "me", "see"),
    ("my", "bad"),
)
"""The same where a single digit stands on either side: "four one, I mean four two"."""

HOMOPHONES: Mapping[str, str] = MappingProxyType(
    {"for": "4", "fore": "4", "to": "2", "too": "2", "ate": "8", "won": "1"}
)
"""Heard for "four", "two", "eight", "one" by recognizers; digits only between two single digits of a run."""
_MAX_JOINERS = 6
# "It's 9023, three times": the number behind the comma counts something.
_COUNTED = vocabulary("times attempts tries minutes hours days weeks months years digits dollars people")
# Text that was masked before parts as the address did that stood there: masking twice is masking once.
_MASKED = "##"


@dataclass(frozen=True, slots=True)
class Run:
    """Numbers in a row, with their ``digits``; whether it touches the utterance's start and end."""

    elements: tuple[Element, ...]
    digits: str
    at_start: bool
    at_end: bool

    @property
    def count(self) -> int:
        """How many digits it has."""
        return len(self.digits)

    @property
    def start(self) -> int:
        """Where it begins in the text."""
        return self.elements[0].start

    @property
    def end(self) -> int:
        """Where it ends in the text."""
        return self.elements[-1].end

    @property
    def alone(self) -> bool:
        """Whether the utterance holds nothing else."""
        return self.at_start and self.at_end


def find_runs(
    text: str, tokens: Sequence[Token], numbers: Sequence[Element], cuts: Sequence[tuple[int, int]], *, eager: bool
) -> list[Run]:
    """The runs in ``numbers``, left to right.

    Args:
        text: the utterance.
        tokens: its tokens.
        numbers: its numbers.
        cuts: spans that no run enters or crosses; numbers inside them are left out.
        eager: numbers are expected: an utterance of nothing but "oh" is a zero, and a strange word between digits
            is likely one as well.
    """

    starts = sorted(start for start, _ in cuts)
    ends = sorted(end for _, end in cuts)

    def apart(left: Element, right: Element) -> bool:
        cut = bisect_left(starts, left.end) < bisect_left(starts, right.start)
        return cut or _MASKED in text[left.end : right.start]

    def inside(number: Element) -> bool:
        # More cuts begin before its end than end before its start.
        return bisect_left(starts, number.end) > bisect_right(ends, number.start)

    groups: list[list[Element]] = []
    for number in numbers:
        if inside(number):
            continue
        links = None if not groups or apart(groups[-1][-1], number) else _links(tokens, groups[-1][-1], number)
        if links is None or (not links and _counts(text, tokens, groups[-1][-1], number)):
            groups.append([number])
        else:
            groups[-1] += [*links, number]
    pieces = [piece for group in groups for piece in _settle(text, group, eager) if piece]
    pieces = bridge(tokens, pieces, apart, joiners=JOINERS, eager=eager)
    runs = (_run(tokens, piece, eager) for piece in pieces)
    return [run for run in runs if run is not None]


def only_joiners(tokens: Sequence[Token]) -> bool:
    """True where no word ends a run: nothing but hesitations and joining words."""
    return all(token.word in JOINERS for token in tokens)


def _links(tokens: Sequence[Token], left: Element, right: Element) -> list[Element] | None:
    """What joins two numbers: mostly nothing, or the digit that a homophone stands for. None: they stand apart."""
    between = tokens[left.last + 1 : right.first]
    if only_joiners(between):
        return [] if len(between) <= _MAX_JOINERS else None
    if not (left.single and right.single):
        return None
    if len(between) == 1 and between[0].word in HOMOPHONES:
        digit = HOMOPHONES[between[0].word]
        return [Element(left.last + 1, left.last + 1, between[0].start, between[0].end, digit, Form.HOMOPHONE)]
    return [] if _corrects(between) else None


def _counts(text: str, tokens: Sequence[Token], left: Element, right: Element) -> bool:
    """True for a number in words that a comma parts from the one before, with what it counts behind it."""
    spoken = right.form in (Form.DIGIT, Form.SPOKEN) and not tokens[right.first].digits
    if not spoken or "," not in text[left.end : right.start]:
        return False
    return right.last + 1 < len(tokens) and tokens[right.last + 1].word in _COUNTED


def _corrects(between: Sequence[Token]) -> bool:
    """True for joining words with the words of a correction among them."""
    if len(between) > _MAX_JOINERS:
        return False
    words = [token.word for token in between]
    index = 0
    while index < len(words):
        said = next((one for one in _CORRECTIONS if tuple(words[index : index + len(one)]) == one), None)
        if said is None and words[index] not in JOINERS:
            return False
        index += len(said) if said is not None else 1
    return True


def _settle(text: str, group: Sequence[Element], eager: bool) -> list[list[Element]]:
    """Cut a group where its doubtful digits are words after all: homophones and an "oh," that opens it."""
    firm = sum(number.count for number in group if number.form is not Form.HOMOPHONE)
    pieces: list[list[Element]] = [[]]
    for number in group:
        if number.form is Form.HOMOPHONE and firm < MIN_DIGITS:
            pieces.append([])
        else:
            pieces[-1].append(number)
    return [_without_exclamation(text, piece) if not eager else piece for piece in pieces]


def _without_exclamation(text: str, piece: list[Element]) -> list[Element]:
    """The piece without the "Oh" of "Oh, twenty two"; but "oh, four, one, one" keeps it."""
    if len(piece) != 2 or piece[0].form is not Form.OH:
        return piece
    parted = bool(text[piece[0].end : piece[1].start].strip())
    return piece[1:] if parted and not piece[1].single else piece


def _run(tokens: Sequence[Token], piece: Sequence[Element], eager: bool) -> Run | None:
    at_start = only_joiners(tokens[: piece[0].first])
    at_end = only_joiners(tokens[piece[-1].last + 1 :])
    if all(number.form is Form.OH for number in piece) and not (eager and at_start and at_end):
        return None
    return Run(tuple(piece), "".join(number.digits for number in piece), at_start, at_end)
