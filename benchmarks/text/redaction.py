"""The labelled set of spoken secrets: reading it, and scoring what a redactor hides of it.

The format and what is labelled: ``benchmarks/labelled/redaction/README.md``. Positions count the characters of an
utterance without its markup. What has to be hidden of a secret are its *units*, runs of letters and digits: of a number
those that tell digits, of other text all but words that give nothing away ("uh", "as in").
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import GatewayError
from gateway.participants import Role
from gateway.text.policy import Entity

__all__ = [
    "FOLDER",
    "MAY",
    "Dialogue",
    "Found",
    "Label",
    "LabelsError",
    "Line",
    "Miss",
    "Score",
    "Tally",
    "align",
    "behind",
    "percentile",
    "read",
    "score",
    "tells_digit",
    "units",
    "utterances",
]

FOLDER = Path(__file__).parents[1] / "labelled" / "redaction"

MAY = "MAY"
"""Label of what may be hidden or shown; it is counted neither way."""

NUMBERS = frozenset(
    {
        Entity.CREDIT_CARD_NUMBER,
        Entity.CVV,
        Entity.PIN,
        Entity.SSN,
        Entity.PHONE_NUMBER,
        Entity.ZIP,
        Entity.DIGITS_3,
        Entity.DIGITS_4,
        Entity.DIGITS_9,
        Entity.DIGITS_10,
    }
)
"""Entities that are secret by their digits alone: "area code" in a telephone number may be shown."""

NUMBER_WORDS = frozenset(
    re.findall(
        "[a-z]+",
        """zero oh o nought naught one two three four five six seven eight nine ten eleven twelve thirteen fourteen
        fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred
        thousand double triple treble""",
    )
)
GLUE = frozenset(("uh", "um", "er", "hmm", "and", "then", "as", "in", "for", "the", "of", "mr", "mrs"))

_ROLES = {"C": Role.CUSTOMER, "A": Role.AGENT}
_LINE = re.compile(r"([CA]): (\S.*)")
_LABEL = re.compile(r"\[([A-Z][A-Z_0-9]*) ([^\[\]]+)\]")
_UNIT = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_MASK = re.compile(r"#(?:[\W_]*#)*")


class LabelsError(GatewayError):
    """A file of labels cannot be read."""


@dataclass(frozen=True, slots=True)
class Label:
    """``text[start:end]`` is a secret of ``entity``, or may be hidden (None)."""

    start: int
    end: int
    entity: Entity | None


@dataclass(frozen=True, slots=True)
class Line:
    """An utterance; ``number`` is its line in the file."""

    number: int
    role: Role
    text: str
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Utterances of a call in order, at least one; ``shape`` is the header above it."""

    shape: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """``text[start:end]`` is hidden; ``name`` is the entity's, in the hider's own words."""

    start: int
    end: int
    name: str


def _parse(number: int, source: str) -> Line:
    matched = _LINE.fullmatch(source)
    if matched is None:
        raise LabelsError(f'line {number}: an utterance begins with "C: " or "A: "')
    text, labels, at = "", [], 0
    marked = matched[2]
    for label in _LABEL.finditer(marked):
        text += marked[at : label.start()]
        if label[1] != MAY and label[1] not in Entity.__members__:
            raise LabelsError(f"line {number}: {label[1]} is no entity; there are {MAY}, {', '.join(Entity)}")
        entity = None if label[1] == MAY else Entity(label[1])
        labels.append(Label(len(text), len(text) + len(label[2]), entity))
        text += label[2]
        at = label.end()
    text += marked[at:]
    if "[" in text or "]" in text:
        raise LabelsError(f"line {number}: a label looks like [ENTITY words], without another one in it")
    return Line(number, _ROLES[matched[1]], text, tuple(labels))


def read(path: Path) -> list[Dialogue]:
    """The dialogues of a file.

    Raises:
        LabelsError: a line is not of the format.
        OSError: there is no such file.
    """
    dialogues: list[Dialogue] = []
    shape, lines = "", list[Line]()

    def close() -> None:
        if lines:
            dialogues.append(Dialogue(shape, tuple(lines)))
            lines.clear()

    for number, source in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not source.strip():
            close()
        elif source.startswith("== "):
            close()
            shape = source[3:].strip()
        elif not source.startswith("#"):
            if not shape:
                raise LabelsError(f'line {number}: a header "== SHAPE" comes before the first utterance')
            lines.append(_parse(number, source))
    close()
    return dialogues


def tells_digit(word: str) -> bool:
    """Whether a run of letters and digits tells a digit, or that one is repeated."""
    return word.lower() in NUMBER_WORDS or any(letter.isdigit() for letter in word)


def units(text: str, label: Label) -> list[tuple[int, int]]:
    """What has to be hidden of a secret, as spans of ``text``."""
    found = []
    for match in _UNIT.finditer(text, label.start, label.end):
        keep = tells_digit(match[0]) if label.entity in NUMBERS else match[0].lower() not in GLUE
        if keep:
            found.append(match.span())
    return found


def align(text: str, redacted: str) -> list[tuple[int, int]] | None:
    """What of ``text`` is behind the masks of ``redacted``, as spans; None if it is no redaction of ``text``.

    A mask is a run of ``#`` with nothing but punctuation and spaces between them. Where several alignments are
    possible, the first masks are taken to hide the least.
    """
    pieces = _MASK.split(redacted)
    pattern = "(.+?)".join(re.escape(piece) for piece in pieces)
    matched = re.fullmatch(pattern, text, re.DOTALL)
    return None if matched is None else [matched.span(group) for group in range(1, len(pieces))]


def behind(text: str, redacted: str, found: Sequence[Found]) -> list[Found] | None:
    """What is masked of the spans of ``found``, each a stretch of its own; None if other text is masked or changed.

    A span may reach over words that are shown ("four one, no, sorry, four two"); they are in no stretch.

    Args:
        text: that was redacted.
        redacted: what was made of it.
        found: spans of ``text``, left to right without overlap.
    """
    pieces, at = [], 0
    for one in found:
        pieces.append(re.escape(text[at : one.start]))
        at = one.end
    pieces.append(re.escape(text[at:]))
    matched = re.fullmatch("(.+?)".join(pieces), redacted, re.DOTALL)
    if matched is None:
        return None
    masked = []
    for one, part in zip(found, matched.groups(), strict=True):
        stretches = align(text[one.start : one.end], part)
        if not stretches:
            return None
        masked += [Found(one.start + start, one.start + end, one.name) for start, end in stretches]
    return masked


@dataclass(slots=True)
class Tally:
    """Counts of an entity: secrets ``labelled`` and ``hidden`` whole, when ``posted`` and as ``stored`` in the end.

    ``chars`` are those of their units, ``shown`` those that were posted. ``right`` and ``wrong`` are spans hidden in
    the entity's name.
    """

    labelled: int = 0
    posted: int = 0
    stored: int = 0
    chars: int = 0
    shown: int = 0
    right: int = 0
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Miss:
    """A secret of which something was posted, a span hidden for nothing, or a text that says other than its spans."""

    kind: str
    shape: str
    line: int
    name: str
    text: str


@dataclass(slots=True)
class Score:
    """Everything counted. ``negatives`` are utterances without a label, ``clear`` those shown whole.

    ``hidden`` and ``needless`` are letters and digits that were hidden, and those of them outside of labels.
    """

    entities: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    negatives: int = 0
    clear: int = 0
    hidden: int = 0
    needless: int = 0
    misses: list[Miss] = field(default_factory=list)


def _covered(spans: Iterable[tuple[int, int]]) -> set[int]:
    return {at for start, end in spans for at in range(start, end)}


def _letters(text: str, spans: Iterable[tuple[int, int]]) -> set[int]:
    return {at for at in _covered(spans) if text[at].isalnum()}


def _recall(
    result: Score, shape: str, line: Line, counted: Sequence[Label], posted: set[int], stored: set[int]
) -> None:
    for label in counted:
        assert label.entity is not None
        wanted = _letters(line.text, units(line.text, label))
        tally = result.entities[label.entity]
        tally.labelled += 1
        tally.posted += wanted <= posted
        tally.stored += wanted <= stored
        tally.chars += len(wanted)
        tally.shown += len(wanted - posted)
        if not wanted <= posted:
            kind = "late" if wanted <= stored else "leak" if wanted & posted else "missed"
            result.misses.append(Miss(kind, shape, line.number, label.entity, _show(line.text, label.start, label.end)))


def _show(text: str, start: int, end: int) -> str:
    return f"{text[:start]}[{text[start:end]}]{text[end:]}"


def _precision(result: Score, shape: str, line: Line, found: Sequence[Found], secret: set[int], free: set[int]) -> None:
    hidden = _letters(line.text, [(one.start, one.end) for one in found]) - free
    result.hidden += len(hidden)
    result.needless += len(hidden - secret)
    for one in found:
        letters = _letters(line.text, [(one.start, one.end)]) - free
        if not letters:
            continue
        right = 2 * len(letters & secret) >= len(letters)
        tally = result.entities[one.name]
        tally.right += right
        tally.wrong += not right
        if not right:
            text = _show(line.text, one.start, one.end)
            result.misses.append(Miss("needless", shape, line.number, one.name, text))


def score(
    result: Score,
    dialogue: Dialogue,
    posted: Sequence[Sequence[Found]],
    stored: Sequence[Iterable[tuple[int, int]]],
    active: Iterable[Entity],
) -> None:
    """Add a dialogue to ``result``.

    A secret is *hidden* if all of its units are; a hidden span is *right* if at least half of its letters and digits
    lie in labels of anything secret. Labels of an entity that is not ``active`` count as :data:`MAY`.

    Args:
        result: is added to.
        dialogue: what was redacted.
        posted: for each utterance what was hidden at first.
        stored: for each utterance what was hidden when the dialogue was over.
        active: entities that are to be hidden.
    """
    wanted = set(active)
    for line, first, last in zip(dialogue.lines, posted, stored, strict=True):
        counted = [label for label in line.labels if label.entity in wanted]
        free = [(label.start, label.end) for label in line.labels if label.entity not in wanted]
        hidden = _covered((one.start, one.end) for one in first)
        _recall(result, dialogue.shape, line, counted, hidden, _covered(last))
        secret = _covered((label.start, label.end) for label in counted)
        _precision(result, dialogue.shape, line, first, secret, _covered(free))
        if not line.labels:
            result.negatives += 1
            result.clear += not _letters(line.text, [(one.start, one.end) for one in first])


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that ``share`` (0 to 1) of the values do not exceed.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("a percentile of nothing")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def utterances(dialogues: Iterable[Dialogue]) -> Iterator[Line]:
    """All lines, in order."""
    for dialogue in dialogues:
        yield from dialogue.lines
