"""Passwords: told, spelled, asked for and given in a later turn, read back, or named after they were said.

A password may be any words, so it is told by what stands around it: it begins behind "my password is", or behind the
small talk of an answer, and ends with its sentence or where another clause begins. An answer is hidden whole unless it
is clearly none: a question, a refusal, a sentence about the password. Answers to security questions count as
passwords. The words it goes by: :mod:`gateway.text.entities.password_cues`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, takewhile
from operator import attrgetter

from gateway.participants import Role
from gateway.text.digits.numbers import NUMBER_WORDS, Element, Token, vocabulary
from gateway.text.entities import password_cues as cues
from gateway.text.entities.context import Context, Topic
from gateway.text.entities.password_talk import is_plain
from gateway.text.patterns import Lazy
from gateway.text.policy import Entity
from gateway.text.redacted import Hidden

__all__ = ["TOPIC_UTTERANCES", "expected_of", "find_passwords", "names_the_last", "topic_after"]

TOPIC_UTTERANCES = 4
"""So long may the answer to a question take."""

_Span = tuple[int, int]
_START = attrgetter("start")

_SYMBOLS = vocabulary(
    "as in capital uppercase lowercase upper lower case small big underscore dash hyphen dot period comma hash hashtag "
    "pound dollar sign star asterisk exclamation mark point question at ampersand percent plus equals slash backslash "
    "space then and double triple letter number zero like"
)
_DIGITS = vocabulary("one two three four five six seven eight nine oh niner")
_LINKS = frozenset({"and", "then", "in", "as", "for", "like"})
_CODE = re.compile(r"(?:pass|access)\s?codes?\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[.?!,]\s+")
_MOST_WORDS = 7
_FEW_WORDS = 3
_NEAR_PARTS = 3
_PART_CHARACTERS = 120
_LEAST_LETTERS = 4
_LEAST_SPELLED = 3
_READ_BACK_UTTERANCES = 2
_BARE_UTTERANCES = 2


def find_passwords(text: str, tokens: Sequence[Token], numbers: Sequence[Element], context: Context) -> list[Hidden]:
    """Passwords in ``text``, left to right."""
    spans = _said_again(tokens, context.passwords)
    named = context.named(Entity.PASSWORD) or context.named(Entity.PIN)
    if named:
        spans += _told(text, tokens, numbers, unfinished=context.unfinished)
        spans += _before(text)
        spans += _beside(text, tokens) if not spans else []
    spans += _said_again(tokens, [_words(tokens, span) for span in spans])
    if not spans and named and (asked := cues.SELF_ASKED.search(text)) is not None:
        spans += _answer(text, tokens, answered=False, unfinished=False, at=asked.end())
    topic = context.topics.get(Entity.PASSWORD)
    if topic is not None and not spans:
        spans += _of_topic(text, tokens, topic, context)
    if spans:
        first, last = min(spans)[0], max(end for _, end in spans)
        spans += _spelled(tokens, first) + _amended(text, tokens, last)
    found: list[Hidden] = []
    for start, end in sorted(spans):
        if found and start < found[-1].end:
            found[-1] = Hidden(found[-1].start, max(end, found[-1].end), Entity.PASSWORD)
        else:
            found.append(Hidden(start, end, Entity.PASSWORD))
    return found


def expected_of(text: str, role: Role) -> Role | None:
    """Who is to tell a password after ``text``, said by ``role``; None where none is asked for or announced."""
    if role is Role.CUSTOMER and "?" not in text and cues.KNOWS.search(text) is not None:
        return None
    mine = cues.MINE.search(text) is not None
    if cues.DANGLES.search(text) is not None and cues.NO_ASK.search(text) is None:
        return role if mine or not text.rstrip().endswith("?") else _other(role)
    asks = cues.ASKS.search(text) is not None and cues.NO_ASK.search(text) is None
    if not asks and cues.ASKS_FOR_NEW.search(text) is None:
        return None
    return role if mine else _other(role)


def topic_after(before: Topic | None, text: str, role: Role, *, named: bool, found: bool) -> Topic | None:
    """What is known of a password's topic after ``text``, said by ``role``.

    Args:
        before: the topic before it.
        text: an utterance.
        role: who said it.
        named: it names a password.
        found: something of it was hidden as one.
    """
    if found:
        return Topic(before.by if before is not None and before.firm else role, 1, answered=True)
    if named:
        teller = expected_of(text, role)
        asks = "question" in text.lower()
        if teller is None and asks and role is Role.AGENT and cues.QUESTION.search(text):
            teller = _other(role)
        if teller is not None:
            return Topic(teller, 1)
        if before is None or not before.firm or before.answered:
            return Topic(_other(role), 1, firm=False, question=asks)
    if before is None:
        return None
    again = cues.ASKS_AGAIN.search(text)
    if again is not None and (role is Role.AGENT or again.group().lower().startswith("what")):
        return Topic(_other(role), 1)
    if before.question and role is Role.AGENT and cues.QUESTION.search(text):
        return Topic(_other(role), 1)
    return replace(before, ago=before.ago + 1) if before.ago < TOPIC_UTTERANCES else None


def names_the_last(text: str) -> bool:
    """True for "that's my password": it was said before."""
    return cues.NAMES_THE_LAST.search(text) is not None


def _other(role: Role) -> Role:
    return Role.AGENT if role is Role.CUSTOMER else Role.CUSTOMER


def _told(text: str, tokens: Sequence[Token], numbers: Sequence[Element], *, unfinished: bool) -> list[_Span]:
    """What stands behind "my password is"."""
    spans: list[_Span] = []
    matches = (match for pattern in cues.TELLS for match in pattern.finditer(text))
    for match in sorted(matches, key=re.Match[str].start):
        if spans and match.start() < spans[-1][1]:
            continue
        start = _skip(cues.FILLERS, text, match.end())
        if cues.NO_VALUE.match(text, start) or (match.group().endswith("'s") and text[start : start + 1] == "'"):
            continue
        span = _value(text, start, tokens, unfinished=unfinished)
        if span is not None and not unfinished and len(words := _words(tokens, span)) > 1 and all(map(is_plain, words)):
            continue
        if span is not None and not (_CODE.search(match.group()) and _only_numbers(span, tokens, numbers)):
            spans.append(span)
    return spans


def _before(text: str) -> list[_Span]:
    """ "Blue horse seven is my password": the words of its sentence before."""
    spans = []
    for match in cues.BEFORE.finditer(text):
        group = next(name for name, said in match.groupdict().items() if said is not None)
        start, end = match.span(group)
        sentences = _SENTENCE.finditer(match.group(group).rstrip(" ,.-"))
        start = max((start, *(start + one.end() for one in sentences)))
        start = _skip(cues.OPENERS, text, start)
        told = cues.LEADS.match(text, start, end)
        start = told.end() if told is not None else start
        value = text[start:end].rstrip(" ,.-")
        if value and not cues.NO_SUBJECT.match(value) and not cues.EVASIONS.match(value):
            spans.append((start, start + len(value)))
    return spans


def _beside(text: str, tokens: Sequence[Token]) -> list[_Span]:
    """A few words that are no talk, next to "my password": "My password? Waterfall." """
    if cues.LOST.search(text) is not None:
        return []
    for noun in cues.NOUN.finditer(text):
        parts = (
            one.end()
            for one in islice(cues.PARTS.finditer(text, noun.end(), noun.end() + _PART_CHARACTERS), _NEAR_PARTS - 1)
        )
        for at in (noun.end(), *parts):
            far = min(len(text), at + _PART_CHARACTERS)
            stop = cues.PARTS.search(text, at + 1, far)
            stop_at = stop.start() if stop is not None else far
            strange = list(takewhile(_is_strange, islice(tokens, _index(tokens, at), _index(tokens, stop_at))))
            whole = bool(strange) and strange[-1].end >= stop_at
            counts = bool(strange) and (strange[0].digits or strange[0].word in NUMBER_WORDS)
            if 0 < len(strange) <= _FEW_WORDS and not counts and (whole or at == noun.end()):
                return [(strange[0].start, strange[-1].end)]
    return []


def _is_strange(token: Token) -> bool:
    return not is_plain(token.word)


def _strange(text: str, start: int, tokens: Sequence[Token], *, unfinished: bool = False) -> list[_Span]:
    """From the first to the last word that is no talk, in a short turn that is no question."""
    following = tokens[_index(tokens, start) :]
    strange = [token for token in following if _is_strange(token)]
    asks = text.rstrip().endswith("?") and not unfinished
    if not strange or len(following) > _MOST_WORDS or asks:
        return []
    return [(strange[0].start, strange[-1].end)]


def _of_topic(text: str, tokens: Sequence[Token], topic: Topic, context: Context) -> list[_Span]:
    """What a turn tells because a password was asked for, told or spoken of before."""
    if topic.firm and topic.by is context.role:
        told = _answer(text, tokens, answered=topic.answered, unfinished=context.unfinished)
        return told if told or not topic.answered else _behind(cues.TRIES, text, tokens)
    if topic.answered and topic.by is not context.role and topic.ago <= _READ_BACK_UTTERANCES:
        return _behind(cues.READS_BACK, text, tokens)
    if context.role is Role.CUSTOMER and not topic.firm:
        told = _behind(cues.TRIES, text, tokens)
        if not told and topic.ago == 1:
            told = _said_so(text, tokens)
        if not told and topic.ago <= _BARE_UTTERANCES and len(context.topics) == 1:
            told = _bare(text, tokens)
        return told
    return []


def _bare(text: str, tokens: Sequence[Token]) -> list[_Span]:
    """A turn of a few words none of which is talk."""
    start = _skip(cues.OPENERS, text, 0)
    following = tokens[_index(tokens, start) :]
    few = 0 < len(following) <= _FEW_WORDS and not text.rstrip().endswith("?")
    if not few or following[0].digits or not all(_is_strange(token) for token in following[:-1] or following):
        return []
    return _strange(text, start, tokens)


def _said_so(text: str, tokens: Sequence[Token]) -> list[_Span]:
    """ "It's pomegranate", next to a turn that speaks of a password."""
    start = _skip(cues.OPENERS, text, 0)
    told = cues.LEADS.match(text, start)
    if told is None:
        return []
    start = _skip(cues.FILLERS, text, told.end())
    span = None if cues.NO_VALUE.match(text, start) else _value(text, start, tokens, unfinished=False)
    return [span] if span is not None and len(_words(tokens, span)) <= _FEW_WORDS else []


def _behind(lead: Lazy, text: str, tokens: Sequence[Token]) -> list[_Span]:
    """What stands behind ``lead`` if the text begins with it."""
    match = lead.match(text)
    if match is None:
        return []
    start = _skip(cues.FILLERS, text, match.end())
    if cues.NO_VALUE.match(text, start):
        return []
    span = _value(text, start, tokens, unfinished=False)
    return [span] if span is not None and len(_words(tokens, span)) <= _MOST_WORDS else []


def _answer(text: str, tokens: Sequence[Token], *, answered: bool, unfinished: bool, at: int = 0) -> list[_Span]:
    """What a turn after a request tells; nothing of "why do you need it?"."""
    corrected = cues.CORRECTS.match(text)
    start = _skip(cues.OPENERS, text, corrected.end() if corrected is not None and text[:1].lower() == "n" else at)
    if start >= len(text):
        return []
    told = cues.LEADS.match(text, start)
    if told is not None:
        start = _skip(cues.FILLERS, text, told.end())
        if cues.NO_VALUE.match(text, start):
            return []
    elif (later := cues.LATER.search(text, start)) is not None and cues.EVASIONS.match(text, start):
        start = _skip(cues.FILLERS, text, later.end())
        if answered or cues.NO_VALUE.match(text, start):
            return []
    elif cues.EVASIONS.match(text, start) and not _is_spelled(tokens, start, len(text)):
        return [] if answered else _strange(text, start, tokens, unfinished=unfinished)
    span = _value(text, start, tokens, unfinished=unfinished)
    if span is None or _is_spelled(tokens, *span):
        return [] if span is None else [span]
    if answered:
        return [span] if told and corrected else []
    if unfinished:
        return [span]
    words = _words(tokens, span)
    return [span] if (told or len(words) <= _MOST_WORDS) and not all(map(is_plain, words)) else []


def _amended(text: str, tokens: Sequence[Token], at: int) -> list[_Span]:
    """What a password that ends at ``at`` is put right to: "Mustang, no wait, Mustang sixty seven"."""
    match = cues.AMENDS.match(text, at)
    if match is None or cues.NO_VALUE.match(text, match.end()) or cues.EVASIONS.match(text, match.end()):
        return []
    span = _value(text, match.end(), tokens, unfinished=False)
    return [span] if span is not None and len(_words(tokens, span)) <= _MOST_WORDS else []


def _value(text: str, start: int, tokens: Sequence[Token], *, unfinished: bool) -> _Span | None:
    """From ``start`` to the end of the sentence or the clause; over several where they are spelled."""
    if unfinished:
        return (start, len(text)) if start < len(text) else None
    spelled = _spelled_end(tokens, start)
    if spelled:
        return start, spelled
    end = start
    while end < len(text):
        match = cues.CLAUSE.search(text, end + 1 if end > start else end)
        stop = match.start() if match is not None else len(text)
        if end > start and not _is_spelled(tokens, end, stop):
            break
        end = stop
        if match is None or text[stop] not in ".…" or not _is_spelled(tokens, start, stop):
            break
    end = start + len(text[start:end].rstrip(" ,.;:-"))
    return (start, end) if end > start else None


def _spelled_end(tokens: Sequence[Token], start: int) -> int:
    """Where the letters end that a password is spelled with from ``start`` on; 0 where it is not spelled."""
    end, letters, before = 0, 0, ""
    for token in islice(tokens, _index(tokens, start), None):
        word = token.word
        if len(word) == 1 and word.isalpha():
            letters += 1
        elif not (token.digits or word in _SYMBOLS or word in NUMBER_WORDS or word == "oh" or before in ("in", "for")):
            break
        if word not in _LINKS:
            end = token.end
        before = word
    return end if letters >= _LEAST_SPELLED else 0


def _spelled(tokens: Sequence[Token], start: int) -> list[_Span]:
    """Letters in a row behind ``start``: "… it's granite, that's G R A N I T E"."""
    spans: list[_Span] = []
    row: list[Token] = []
    for token in [*tokens, None]:
        if token is not None and len(token.word) == 1 and token.word.isalpha():
            row.append(token)
            continue
        if len(row) >= _LEAST_SPELLED and row[0].start >= start:
            spans.append((row[0].start, row[-1].end))
        row = []
    return spans


def _is_spelled(tokens: Sequence[Token], start: int, end: int) -> bool:
    """True for letters and digits said one by one, with what goes with them ("b as in boy")."""
    inside = _words(tokens, (start, end))
    if not inside:
        return False
    single = sum(len(word) == 1 or word.isdigit() or word in _SYMBOLS or word in _DIGITS for word in inside)
    examples = sum(left == "in" for left in inside[:-1])
    letters = len(inside[0]) if len(inside) == 1 else sum(len(word) == 1 and word not in ("i", "a") for word in inside)
    return single + examples > len(inside) * 3 // 4 and (letters > 0 or len(inside) > 1)


def _index(tokens: Sequence[Token], at: int) -> int:
    """The first token that does not begin before ``at``."""
    return bisect_left(tokens, at, key=_START)


def _inside(tokens: Sequence[Token], start: int, end: int) -> Sequence[Token]:
    return tokens[_index(tokens, start) : _index(tokens, end)]


def _words(tokens: Sequence[Token], span: _Span) -> tuple[str, ...]:
    return tuple(token.word for token in _inside(tokens, *span))


def _only_numbers(span: _Span, tokens: Sequence[Token], numbers: Sequence[Element]) -> bool:
    inside = [one for one in numbers if span[0] <= one.start < span[1]]
    return sum(one.last - one.first + 1 for one in inside) == len(_inside(tokens, *span))


def _said_again(tokens: Sequence[Token], passwords: Sequence[tuple[str, ...]]) -> list[_Span]:
    """Where a password that was told before is said again."""
    wanted = {one for one in passwords if sum(map(len, one)) >= _LEAST_LETTERS}
    if not wanted:
        return []
    words = [token.word for token in tokens]
    first = {one[0] for one in wanted}
    lengths = {len(one) for one in wanted}
    return [
        (tokens[index].start, tokens[index + length - 1].end)
        for index, word in enumerate(words)
        if word in first
        for length in lengths
        if index + length <= len(words) and tuple(words[index : index + length]) in wanted
    ]


def _skip(pattern: Lazy, text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match is not None else at
