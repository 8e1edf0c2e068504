"""E-mail addresses in recognised text: written, spoken, or half and half ("john.smith at example dot com")."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.text.context import Context
from gateway.text.numbers import Element, Token, vocabulary
from gateway.text.policy import Entity
from gateway.text.redacted import Hidden

__all__ = ["find_addresses", "find_emails"]

_DOT_WORDS = frozenset({"dot", "point", "period"})
_LOCAL_JOINERS = _DOT_WORDS | {"underscore", "dash", "hyphen", "minus", "plus", "underline"}
_LOCAL_MARKS = frozenset("._-+%'’")
# Without an "@" only these end an address: "look at the dot on the map" is none.
_ENDINGS = vocabulary(
    "com net org edu gov mil int io co us uk ca au nz ie in de fr es it nl eu ch at se no info biz me ai dev app "
    "tv cloud online site email tech shop store live pro mail xyz"
)
# After a full stop and a space only these: "in", "it" and "me" begin sentences.
_SURE_ENDINGS = vocabulary("com net org edu gov io co uk")
_PROVIDERS = vocabulary("gmail hotmail outlook yahoo icloud aol comcast verizon protonmail googlemail")
# A word before "at" that shows that a place, not a mailbox, follows.
_NO_LOCAL = vocabulary(
    "is was are were be been am i it its it's that's that this these those to the a an my your our his her their me us "
    "him them you we he she they look looking looked looks meet met work working works worked shop shopped buy bought "
    "find found order ordered email address mail send sent reach contact on in of and or so um uh yes yeah ok okay "
    "sure not only name at with for by use using just"
)
_MAX_LABELS = 6
_MAX_LOCAL = 12
_EXTRA_WORDS = 2  # "john smith at …": words without a joiner that still belong to the local part


def find_emails(text: str, tokens: Sequence[Token], numbers: Sequence[Element], _context: Context) -> list[Hidden]:
    """E-mail addresses as findings; what surrounds them does not matter."""
    return [Hidden(start, end, Entity.EMAIL) for start, end in find_addresses(text, tokens, numbers)]


def find_addresses(text: str, tokens: Sequence[Token], numbers: Sequence[Element]) -> list[tuple[int, int]]:
    """Spans of e-mail addresses, left to right, as ``(start, end)`` in ``text``."""
    spans: list[tuple[int, int]] = []
    numeric = frozenset(index for number in numbers for index in range(number.first, number.last + 1))
    for index in range(1, len(tokens)):
        between = text[tokens[index - 1].end : tokens[index].start]
        written = between.count("@") == 1
        spoken = tokens[index].word == "at" and not written and not between.strip(_after_letter(tokens[index - 1]))
        if not written and not spoken:
            continue
        domain = _domain(text, tokens, index if written else index + 1, written=written)
        if domain is None:
            continue
        floor = spans[-1][1] if spans else 0
        if tokens[index - 1].start < floor:
            # "ann@example@example.com": it goes on.
            spans[-1] = (spans[-1][0], max(floor, tokens[domain].end))
            continue
        start = _local(text, tokens, index - 1, numeric, floor=floor, written=written)
        if start is not None:
            spans.append((start, tokens[domain].end))
    return spans


def _after_letter(token: Token) -> str:
    """What may stand behind a token of an address besides spaces: letters are said with pauses."""
    return " ,." if len(token.word) == 1 else " "


def _domain(text: str, tokens: Sequence[Token], index: int, *, written: bool) -> int | None:
    """Index of the last token of the domain that begins at ``index``; None where there is no domain."""
    if index >= len(tokens) or text[tokens[index - 1].end : tokens[index].start].strip() not in ("", "@"):
        return None
    last: int | None = None
    plain = index  # "big company dot com": words of one label
    while index < len(tokens) and index - plain < _MAX_LABELS * 2:
        if written or tokens[index].word in _ENDINGS or tokens[plain].word in _PROVIDERS:
            last = index if index > plain or written or tokens[index].word in _PROVIDERS else last
        following = _after_dot(text, tokens, index)
        if following is None:
            following = _same_label(text, tokens, index, written=written, started=index > plain)
        if following is None:
            break
        index = following
    return last


def _after_dot(text: str, tokens: Sequence[Token], index: int) -> int | None:
    """Index of the label after a dot, written or spoken, that follows token ``index``."""
    if index + 1 >= len(tokens):
        return None
    between = text[tokens[index].end : tokens[index + 1].start]
    if between == "." or (between.strip() == "." and tokens[index + 1].word in _SURE_ENDINGS):
        return index + 1
    if tokens[index + 1].word in _DOT_WORDS and not between.strip(" ,.") and index + 2 < len(tokens):
        return index + 2 if not text[tokens[index + 1].end : tokens[index + 2].start].strip(" ,.") else None
    return None


def _same_label(text: str, tokens: Sequence[Token], index: int, *, written: bool, started: bool) -> int | None:
    """Index of the next word of the same label: glued by a hyphen, or spoken before any dot came."""
    if index + 1 >= len(tokens):
        return None
    between = text[tokens[index].end : tokens[index + 1].start]
    if between in ("-", "_") or (not between and (tokens[index].digits or tokens[index + 1].digits)):
        return index + 1
    near = not written and not started and between == " "
    return index + 1 if near and _after_dot(text, tokens, index + 1) is not None else None


def _local(
    text: str, tokens: Sequence[Token], index: int, numeric: frozenset[int], *, floor: int, written: bool
) -> int | None:
    """Where the part before the "@" begins, whose last token is ``index``; None where it is no mailbox."""
    if not written and tokens[index].word in _NO_LOCAL:
        return None
    extra, first = 0, index
    while first > 0 and index - first < _MAX_LOCAL and tokens[first - 1].start >= floor:
        left, here = tokens[first - 1], tokens[first]
        between = text[left.end : here.start]
        glued = between in _LOCAL_MARKS or not between
        joined = not between.strip(" ,") and (here.word in _LOCAL_JOINERS or left.word in _LOCAL_JOINERS)
        if first == index and here.word not in _LOCAL_JOINERS and between == ", " and len(here.word) > 1:
            break
        if not (glued or joined or _spelled(left, here, between) or (between == " " and first - 1 in numeric)):
            if written or between != " " or left.word in _NO_LOCAL or extra == _EXTRA_WORDS:
                break
            extra += 1
        first -= 1
    return tokens[first].start


def _spelled(left: Token, here: Token, between: str) -> bool:
    """True for letters said one by one."""
    if between not in (" ", ", ", ". "):
        return False
    if between != " ":
        return len(left.word) == 1
    letters = len(left.word), len(here.word)
    return letters == (1, 1) or (1 in letters and left.word not in _NO_LOCAL)
