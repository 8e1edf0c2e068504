"""E-mail addresses in recognised text: written, spoken, or half and half ("john.smith at example dot com").

Where one was asked for or is told, its first part counts alone ("jane underscore doe"), and so does its second, which
shows what an utterance before ended with to be the first (:func:`begins_with_domain`, :func:`local_at_end`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.text.digits.numbers import Element, Token, vocabulary
from gateway.text.entities.context import Context
from gateway.text.policy import Entity
from gateway.text.redacted import Hidden

__all__ = ["begins_with_domain", "find_addresses", "find_emails", "local_at_end"]

_DOT_WORDS = frozenset({"dot", "point", "period"})
_LOCAL_JOINERS = _DOT_WORDS | {"underscore", "dash", "hyphen", "minus", "plus", "underline"}
_LOCAL_MARKS = frozenset("._-+%'’")
# Without an "@" only these end an address: "look at the dot on the map" is none.
_ENDINGS = vocabulary(
    "com net org edu gov mil int io co us uk ca au nz ie in de fr es it nl eu ch at se no info biz me ai dev app "
    "tv cloud online site email tech shop store live pro mail xyz example test invalid"
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
# "at", and how it is called by some.
_AT_PHRASES = (("sign",), ("symbol",), ("the", "rate"), ("the", "rate", "of"))
_DASHES = frozenset({"dash", "hyphen", "minus"})
_MOST_LABEL_WORDS = 4
_MOST_LETTERS = 16
_TOLD = re.compile(
    r"\be[\s-]?mails?(?:\s+address)?(?:\s+(?:on|for|there|here|with)\b(?:\s+(?!is\b|was\b)[\w']+){0,4})?"
    r"(?:\s*:|'s\b|\s+(?:is|was|would\s+be|will\s+be|should\s+be)\b)[\s,]*",
    re.IGNORECASE,
)
_OPENERS = re.compile(
    r"(?:[\s,.…!\-]+|(?:um+|uh+|er+m?|well|so|oh|yes|yeah|yep|sure|okay|ok|alright|of\s+course|actually|all\s+(?:lower\s?case|one\s+word)"
    r"|(?:it|that|mine|this)(?:'s|\s+is|\s+should\s+be|\s+would\s+be)|it'll\s+be|that'd\s+be)\b[\s,.…!]*)+",
    re.IGNORECASE,
)
# Where what is told ends: with its sentence (a letter and a stop is a letter), or where the talk goes on.
_STOP = re.compile(
    r"(?<!\b[a-z])[.?!](?=\s|$)|;|,?\s+(?:and|but|so|or|because|thanks?|please|is|if|can|could|that's)\b(?!\s+(?:dot|underscore|dash)\b)",
    re.IGNORECASE,
)
_LEAST_LETTERS = 2
_MOST_WORDS = 2
_MAX_LABELS = 6
_MAX_LOCAL = 12
_EXTRA_WORDS = 2  # "john smith at …": words without a joiner that still belong to the local part


def find_emails(text: str, tokens: Sequence[Token], numbers: Sequence[Element], context: Context) -> list[Hidden]:
    """E-mail addresses, and the parts of one that is told or was asked for; left to right."""
    spans = find_addresses(text, tokens, numbers)
    topic = context.topics.get(Entity.EMAIL)
    asked = topic is not None and topic.by is context.role
    half = _domain_first(text, tokens, sure=asked)
    if half is not None and not any(start < half[1] for start, _ in spans):
        spans.insert(0, half)
    told = _TOLD.search(text) if context.named(Entity.EMAIL) else None
    if told is not None or (asked and topic is not None and not topic.answered):
        at = told.end() if told is not None else 0
        first = _first_part(text, tokens, numbers, at, unfinished=context.unfinished)
        if first is not None and not any(start < first[1] and first[0] < end for start, end in spans):
            spans = sorted([*spans, first])
    return [Hidden(start, end, Entity.EMAIL) for start, end in spans]


def begins_with_domain(text: str, tokens: Sequence[Token], spans: Sequence[Hidden]) -> bool:
    """True where ``text``, of which ``spans`` are hidden, begins with "at example dot com"."""
    half = _domain_first(text, tokens, sure=True) if spans and spans[0].entity is Entity.EMAIL else None
    return half is not None and spans[0].start == half[0]


def local_at_end(text: str, tokens: Sequence[Token], numbers: Sequence[Element]) -> tuple[int, int] | None:
    """What at the end of ``text`` may be the part before an "@" that comes in the next utterance."""
    if not tokens:
        return None
    start = _local(text, tokens, len(tokens) - 1, _numeric(numbers), floor=0, written=False)
    return None if start is None else (start, tokens[-1].end)


def _domain_first(text: str, tokens: Sequence[Token], *, sure: bool) -> tuple[int, int] | None:
    """Span of "at example dot com" where a text begins with it; unless ``sure`` only that of a known provider."""
    opener = _OPENERS.match(text)
    start = opener.end() if opener is not None else 0
    index = next((index for index, token in enumerate(tokens) if token.start >= start), None)
    if index is None:
        return None
    written = text[:start].endswith("@") or text[start : start + 1] == "@"
    if not written and tokens[index].word != "at":
        return None
    first = index if written else _after_at(tokens, index)
    while first < len(tokens) and tokens[first].word in ("uh", "um"):
        first += 1
    last = _domain(text, tokens, first, written=written)
    if last is None or not (sure or written or tokens[first].word in _PROVIDERS):
        return None
    return tokens[index].start, tokens[last].end


def _first_part(
    text: str, tokens: Sequence[Token], numbers: Sequence[Element], at: int, *, unfinished: bool
) -> tuple[int, int] | None:
    """What begins at ``at``, where it looks like the part before an "@"; anything of an unfinished text."""
    opener = _OPENERS.match(text, at)
    start = opener.end() if opener is not None else at
    stop = _STOP.search(text, start)
    end = stop.start() if stop is not None else len(text)
    said = [token for token in tokens if start <= token.start < end]
    if not said or said[0].word in _NO_LOCAL:
        return None
    inside = [one for one in numbers if start <= one.start and one.end <= end]
    words = [token.word for token in said]
    letters = sum(len(word) == 1 and word.isalpha() and word not in ("a", "i") for word in words)
    joined = any(word in _LOCAL_JOINERS for word in words[1:])
    numbered = bool(inside) and inside[-1].end == said[-1].end
    others = len(said) - sum(one.last - one.first + 1 for one in inside)
    if unfinished or joined or letters >= _LEAST_LETTERS or (numbered and 0 < others <= _MOST_WORDS):
        return said[0].start, said[-1].end
    return None


def _numeric(numbers: Sequence[Element]) -> frozenset[int]:
    return frozenset(index for number in numbers for index in range(number.first, number.last + 1))


def _after_at(tokens: Sequence[Token], index: int) -> int:
    """Index of the token after "at", "at sign", "at the rate"."""
    longest = 0
    for phrase in _AT_PHRASES:
        if tuple(token.word for token in tokens[index + 1 : index + 1 + len(phrase)]) == phrase:
            longest = max(longest, len(phrase))
    return index + 1 + longest


def find_addresses(text: str, tokens: Sequence[Token], numbers: Sequence[Element]) -> list[tuple[int, int]]:
    """Spans of e-mail addresses, left to right, as ``(start, end)`` in ``text``."""
    spans: list[tuple[int, int]] = []
    numeric = _numeric(numbers)
    for index in range(1, len(tokens)):
        between = text[tokens[index - 1].end : tokens[index].start]
        written = between.count("@") == 1
        spoken = tokens[index].word == "at" and not written and _may_join(text, tokens, index, between)
        if not written and not spoken:
            continue
        domain = _domain(text, tokens, index if written else _after_at(tokens, index), written=written)
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


def _may_join(text: str, tokens: Sequence[Token], index: int, between: str) -> bool:
    """Whether the "at" at ``index`` may join what stands before: letters, or all words, are said with pauses."""
    if not between.strip():
        return True
    paused = index + 1 < len(tokens) and text[tokens[index].end : tokens[index + 1].start] == ", "
    return not between.strip(" ,." if len(tokens[index - 1].word) == 1 else " ,") and (
        len(tokens[index - 1].word) == 1 or paused
    )


def _domain(text: str, tokens: Sequence[Token], index: int, *, written: bool) -> int | None:
    """Index of the last token of the domain that begins at ``index``; None where there is no domain."""
    if index >= len(tokens) or text[tokens[index - 1].end : tokens[index].start].strip() not in ("", "@", ","):
        return None
    last: int | None = None
    dotted = written  # before a dot, "big company" are words of one label
    plain = index
    while index < len(tokens) and index - plain < _MAX_LABELS * 3:
        ends = written or tokens[index].word in _ENDINGS or tokens[plain].word in _PROVIDERS
        if tokens[index].word in _PROVIDERS or (dotted and ends):
            last = index
        following = _after_dot(text, tokens, index)
        dotted = dotted or following is not None
        if following is None:
            following = _same_label(text, tokens, index, written=written, dotted=dotted)
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


def _same_label(text: str, tokens: Sequence[Token], index: int, *, written: bool, dotted: bool) -> int | None:
    """Index of the next word of the same label: glued by a hyphen, or spoken before any dot came."""
    if index + 1 >= len(tokens):
        return None
    between = text[tokens[index].end : tokens[index + 1].start]
    if between in ("-", "_") or (not between and (tokens[index].digits or tokens[index + 1].digits)):
        return index + 1
    near = not written and not dotted and _leads_to_dot(text, tokens, index)
    return index + 1 if near else None


def _leads_to_dot(text: str, tokens: Sequence[Token], index: int) -> bool:
    """Whether words, letters or dashes lead from token ``index`` to a dot: "north dash wind dot com"."""
    words = letters = 0
    for at in range(index + 1, len(tokens)):
        between, word = text[tokens[at - 1].end : tokens[at].start], tokens[at].word
        single = len(word) == 1
        if between != " " and not (single and between == ", "):
            return False
        letters, words = letters + single, words + (not single and word not in _DASHES)
        if words > _MOST_LABEL_WORDS or letters > _MOST_LETTERS or (not single and word in _NO_LOCAL):
            return False
        if _after_dot(text, tokens, at) is not None:
            return True
    return False


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
