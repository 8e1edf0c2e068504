"""Passwords: told, spelled, asked for and given in the next turn, read back, or named after they were said.

A password may be any words, so it is told by what stands around it: it begins behind "my password is" (or behind the
small talk of an answer) and ends with its sentence, or where another clause begins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.participants import Role
from gateway.text.context import Context
from gateway.text.numbers import NUMBER_WORDS, Element, Token, vocabulary
from gateway.text.policy import Entity
from gateway.text.redacted import Hidden

__all__ = ["expected_of", "find_passwords", "names_the_last"]

_NOUN = (
    r"(?:pass\s?words?|pass\s?phrases?|pass\s?codes?|(?:code|secret|memorable|safe|security|magic|verbal)\s+words?"
    r"|key\s+phrases?)"
)
_OWNER = r"(?:(?:my|the|our|your|his|her|their|a)\s+)"
_CASES = r"(?:lower\s?case|upper\s?case|capital|small|lower|upper)"
# Words behind "the password" that begin no password.
_NEXT = (
    r"(?!(?:to|for|that|this|i|is|was|on|and|or|reset|resets|link|manager|field|box|page|screen|again|you|we|they|from|in|at|it"
    r"|please|first|now|hint|but|because|not|if|when|as|your|my|the|so|then|there|here|over|with|by|too|instead|multiple"
    r"|several|twice|once|three|two|wrong|correctly|incorrectly|just|today|yesterday|online|option|prompt|which|who|he|she"
    r"|everywhere|anywhere|protection|protected|policy|recovery|change|changes|requirements?|of|a|an|work|works|worked|easier"
    r"|harder|stronger|simpler|longer|shorter|safe|somewhere|down|sir|ma'am|really|be|been|being|question|questions|issue"
    r"|might|may|will|would|can|could|should|must|has|had|have|did|do|does|doesn't|didn't|isn't|wasn't|won't|'s)\b)"
)
_WHO = r"(?:i|we|you|he|she|they)"
_IS = (
    r"(?:(?:is|was|might\s+be|may\s+be|could\s+be|will\s+be|should\s+be|would\s+be|used\s+to\s+be|must\s+be|to\s+be"
    r"|ha[sd]\s+(?:always\s+)?been|equals|says|reads|goes)\b(?!\s+(?:set|changed|reset|updated|switched)\b)"
    r"|(?:is|was|got|were)\s+(?:set|changed|reset|updated|switched)\s+(?:back\s+)?to\b)"
)
_TOLD = re.compile(
    rf"\b{_NOUN}(?:\s+(?:that\s+)?{_WHO}\s+(?:[\w']+\s+){{0,4}}?[\w']+)?"
    rf"(?:\s+(?:on|for|to|of|in|that|here|there)\b(?:\s+(?!is\b|was\b)[\w']+){{0,5}}?)?(?:,\s[^.,?!]{{1,30}},)?"
    rf"(?:\s*[:=]|'s\b|,?\s+(?:which\s+)?{_IS})\s*"
    rf"|\b{_NOUN}[^.?!]{{0,40}}[,?.]\s+(?:(?:okay|yes|yeah|sure|so|now|well|um|uh)[\s,.]+)*(?:it's|it\s+is|it\s+was|that's|that'd\s+be)\s+"
    rf"(?!{_OWNER}(?:\w+\s+)?{_NOUN})"
    rf"|\b(?:set|sets|change|changed|reset|made|make|switched|updated)\s+(?:it|(?:{_OWNER})?(?:\w+\s+)?{_NOUN})\s+(?:back\s+)?(?:to|as)\b\s*"
    r"|\bnow\s+(?:it's|it\s+is)\s+"
    rf"|\b{_NOUN},?\s+(?:i|we)\s+(?:have|had|use|used|put|chose|picked|set|got|wrote)\b(?:\s+(?:is|was)\b)?\s*"
    rf"|\b(?:with|use|using|try|tried|enter|entered|typed|put\s+in|say|said|make|making|(?:gave|give|sent|told)\s+\w+)\s+"
    rf"(?:{_OWNER})?(?:\w+\s+)?{_NOUN},?\s+{_NEXT}"
    rf"|(?<!what\s)(?<!which\s)(?<!where\s)\b(?:is|was)\s+{_OWNER}{_NOUN}\s+{_NEXT}(?=[^.!]*\?)"
    rf"|(?:^\W*|,\s+(?:and\s+)?){_NOUN},?\s+{_NEXT}(?=[\w']+(?:\s+[\w']+){{0,2}}[.!]?$)"
    rf"|\b{_NOUN}\s+{_WHO}\s+(?:[\w']+\s+){{0,3}}[\w']+,\s+{_NEXT}(?=[\w\s']{{2,40}},)"
    rf"|\b{_NOUN},?\s+(?=(?:[a-z][,.]?\s+){{2}}|\w*[a-z]\w*\d|{_CASES}\b)",
    re.IGNORECASE,
)
# What "the password is" goes on with where none is told.
_NO_VALUE = re.compile(
    r"(?:not|no|never|incorrect|wrong|invalid|expired|required|case|too|the\s+same|same|locked|weak|strong|reset|changed"
    r"|needed|being|what|something|anything|correct|good|fine|ready|supposed|going|on|in|at|for|up|about|your|really|saved"
    r"|stored|encrypted|sent|working|accepted|rejected|secure|there|here|gone|lost|forgotten|unknown|blank|empty|optional"
    r"|different|asking|(?:an?|the)\s+(?:problem|issue|one|only|reason|thing|question|hint|secret|must|requirement)|that|this|it|how|why|when|where|which|who"
    r"|longer|shorter|important|private|confidential|hidden|to\s+be|eight\s+characters|easier|harder|simpler|stronger|everywhere|always|also|only\s+for|just\s+for"
    r"|visible|temporary|protected|safe|old(?=\s*(?:$|[.,?!]))|out\s+of\s+date|stuck|failing|broken|missing|mandatory|right|okay|ok|set|due"
    r"|by|with|and|or|but|if|so|because|to|of|from|please|thanks|been|in|not|me|us|my\s+email)\b(?!\s+(?:underscore|dash|dot)\b)|n't\b",
    re.IGNORECASE,
)
_FILLERS = re.compile(
    r"(?:[\s,.…:\-]+|(?:um+|uh+|er+m?|hm+|well|so|like|actually|just|still|currently|probably|basically|let\s+me\s+(?:see|think|check|look)|the\s+word"
    r"|i\s+(?:think|believe|guess)|it's|it\s+is|that's|gonna\s+be|going\s+to\s+be|all\s+(?:one\s+word|lower\s*case|upper\s*case|caps|small\s+letters)|either|quote|spelled)\b[\s,.…]*)+",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"[.?!](?=\s|$)|;|…"
    r"|\s+to\s+(?:open|log|get|sign|access|enter|unlock|start)\b"
    r"|,?\s+(?:(?:and|so|then|but|because|if|when|since|which)\s+(?:i|i'm|i've|i'll|i'd|it|it's|that|that's|then|my|we|you|can"
    r"|could|now|he|she|they|there|the|this|please)\b"
    r"|but\b|because\b|please\b|thanks\b|thank\s+you\b|yesterday\b|today\b|last\s+(?:week|night|month|year)\b|now\s+it's\b|can\s+(?:you|i|we)\b|could\s+you\b|if\s+(?:you|i|that)\b"
    r"|i\s+(?:think|believe|guess|mean|hope)\b|is\s+that\b|does\s+that\b|(?:with|in)\s+(?:an?\s+|all\s+)?(?:capital|caps|lower|upper"
    r"|small|big|little)\w*|all\s+(?:one\s+word|lower|upper|caps|small|together)\w*|no\s+spaces?\b|is\s+my\s+password\b"
    r"|is\s+the\s+password\b)"
    r"|,\s+(?:got\s+it|right|correct|okay|ok|with|and\s+the|all|it|it's|that|that's|is|i\s+\w+|doesn't|does|isn't|won't|didn't|the\s+password|i'm|do|did|you|we|my|sir|ma'am|if|so"
    r"|not|or\s+at|or\s+something)\b",
    re.IGNORECASE,
)
_BACKWARD = re.compile(
    rf"(?P<value>(?:[\w'.,-]+\s+){{1,8}}?)(?:is|was|will\s+be|would\s+be)\s+{_OWNER}(?:\w+\s+)?{_NOUN}\b"
    rf"|(?P<last>(?:[\w']+[\s,-]+){{1,8}}?)(?:[,.]?\s*\b(?:that's|that\s+is|that\s+was|it's)\s+{_OWNER}(?:\w+\s+)?{_NOUN}\b"
    rf"|(?<=,\s){_OWNER}(?:\w+\s+)?{_NOUN}[.?!]?$)"
    rf"|\b(?:use|used|using|try|put|put\s+in|entered|enter|typed|have|had|got)\s+(?P<used>(?:[\w'.,-]+\s+){{1,6}}?)(?:as|for)\s+{_OWNER}"
    rf"(?:\w+\s+)?{_NOUN}\b",
    re.IGNORECASE,
)
_NO_SUBJECT = re.compile(
    r"(?:.*\b)?(?:that|this|it|it's|what|which|where|here|there|who|how|why|think|know|sure|believe|says|said|so|everything"
    r"|name|one|of|those|question|thing|problem|again|in|up|down|one|another|anything|something)\s*$",
    re.IGNORECASE,
)
_LAST = re.compile(
    rf"\b(?:that's|that\s+is|that\s+was|this\s+is|it's|that'd\s+be)\s+{_OWNER}(?:\w+\s+)?{_NOUN}\b"
    rf"|\b(?:is|was)\s+that\s+{_OWNER}(?:\w+\s+)?{_NOUN}\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    rf"\b(?:what|what's|which|tell|telling|give|giving|say|state|speak|read|provide|confirm|verify|spell|have|get|share|know"
    rf"|remember|need|repeat|hear|ask\s+for|ahead\s+with)\b(?!\s+to\s+(?:reset|change|update))[^.?!]{{0,40}}?\b{_NOUN}"
    rf"|\b{_NOUN}\s*,?\s+please\b|\b{_NOUN}\b.*\bwhat(?:'s|\s+is|\s+was)\s+it\b"
    rf"|(?:^|[.!?,]\s+)(?!(?:is|was|does|did|has|are|can|will|isn't|do|when|why|how|where|so)\b)(?:[\w']+,?\s+){{0,5}}{_NOUN}\b[^.?!]{{0,30}}\?"
    rf"|^\W*(?:[\w']+\s+){{0,3}}{_NOUN}[.\s]*$",
    re.IGNORECASE,
)
# A new one is made: that is told even where others are reset.
_CHOOSES = re.compile(
    rf"\b(?:what|which)\b[^.?!]*\b{_NOUN}\s+to(?:\s+be)?\s*\?|\byou\s+(?:like|want)\b[^.?!]*\b{_NOUN}\s+to\s+be\b",
    re.IGNORECASE,
)
_NO_ASK = re.compile(
    r"\b(?:reset|change|changed|update|forgot|forgotten|forget|recover|lost|new|link|must|never|don't|do\s+not|can't|cannot"
    r"|couldn't|didn't|won't|shouldn't|requirements?|manager)\b",
    re.IGNORECASE,
)
_DANGLES = re.compile(
    rf"\b{_NOUN}(?:\s+(?:on|for|to)(?:\s+[\w']+){{1,4}})?\s*(?:is|was|'s|will\s+be|:)?[\s,.:…\-]*(?:um+|uh+|it's)?[\s,.…\-]*$",
    re.IGNORECASE,
)
_COPULA = re.compile(r"(?:is|was|'s|be|:)[\s,.:…\-]*(?:um+|uh+|it's)?[\s,.…\-]*$", re.IGNORECASE)
_MINE = re.compile(rf"\bmy\s+(?:\w+\s+)?{_NOUN}", re.IGNORECASE)
# How an answer begins.
_OPENERS = re.compile(
    r"(?:[\s,.…!\-]+|(?:um+|uh+|er+m?|ah+|hm+|m+|mm-hmm|maybe|probably|possibly|perhaps|just|well|so|oh|like|actually|yes|yeah|yep|sure|okay|ok|alright|all\s+right|right"
    r"|of\s+course|sir|ma'am|absolutely|certainly|no\s+problem|go\s+ahead|let\s+me\s+(?:see|think|check|look)|hold\s+on|hang\s+on"
    r"|(?:just\s+)?(?:one|a)\s+(?:moment|second|sec|minute)|wait|sorry|please|thanks|thank\s+you|(?:i\s+)?(?:got|found|have)\s+it|great|perfect|it\s+should"
    r"\s+be|ready|here\s+(?:it\s+is|goes|you\s+go)|done)\b[\s,.…!]*)+",
    re.IGNORECASE,
)
_ANSWERS = re.compile(
    r"(?:let's\s+(?:go\s+with|do|use|make\s+it|say|try)|how\s+about|make\s+it|set\s+it\s+to|put|try|use|was\s+it|is\s+it"
    r"|can\s+(?:we|you|i)\s+(?:do|use|make\s+it)|(?:i'd|i\s+would)\s+like(?:\s+it\s+to\s+be)?|i'll\s+(?:go\s+with|use)"
    r"|i\s+have\s+it\s+as|(?:it|that)(?:'s|\s+was|\s+is)\s+set\s+(?:up\s+)?(?:as|to)|(?:should|could|might|would|must)\s+be)\b[\s,.…]*"
    r"|(?:(?:but|and|then)\s+)?(?:i\s+(?:think|believe|guess|suppose|'m\s+pretty\s+sure)\s+)?(?:(?:it|that|this|mine|the\s+word|(?:my|the)\s+"
    r"(?:\w+\s+)?(?:password|passphrase|passcode|one))(?:'s|\s+is|\s+was|\s+would\s+be|\s+will\s+be|'d\s+be|\s+should\s+be|\s+might\s+be"
    r"|\s+could\s+be)|(?:i|then|just)\s+(?:used|use|put|tried|try|chose|picked|typed|entered|have|meant))\b[\s,.…]*",
    re.IGNORECASE,
)
_EVASIONS = re.compile(
    r"(?:i|i'm|i've|i'll|i'd|we|you|he|she|they|let|can|could|do|does|did|why|what|what's|which|how|who|when|where|is|are|was|no|nope"
    r"|not|none|never|nothing|don't|give|there|it|it's|that|that's|this|my|your|the|if|but|because|and|for|would|will|should"
    r"|won't|excuse|pardon|hello|hi|to|any|some|you're|they're|there's)\b",
    re.IGNORECASE,
)
# "My son set it up, so it's blue horse."
_LATER = re.compile(r"[,.]\s+(?:(?:so|and|but|then)\s+)?(?:it's|it\s+is|it\s+was|that's)\s+", re.IGNORECASE)
_SYMBOLS = vocabulary(
    "as in capital uppercase lowercase upper lower case small big underscore dash hyphen dot period hash hashtag pound "
    "dollar sign star asterisk exclamation mark point question at ampersand percent plus equals slash backslash space "
    "then and double triple letter number zero"
)
# What was told before was wrong.
_CORRECTS = re.compile(
    r"\W*(?:no|sorry|wait|actually|i\s+mean|oops|correction|then)\b[\s,.]*(?!thanks|problem)", re.IGNORECASE
)
_MOST_WORDS = 7
_LEAST_LETTERS = 4
_LEAST_SPELLED = 3


def find_passwords(text: str, tokens: Sequence[Token], numbers: Sequence[Element], context: Context) -> list[Hidden]:
    """Passwords in ``text``, left to right."""
    spans = _read_back(tokens, context.passwords)
    if context.named(Entity.PASSWORD) or _has_code(context):
        spans += _told(text, tokens, numbers, unfinished=context.unfinished)
        spans += _before(text)
    topic = context.topics.get(Entity.PASSWORD)
    spans += _read_back(tokens, [_words(tokens, span) for span in spans])
    if not spans and _MINE.search(text):
        # "You want my password? Okay, blue horse."
        spans += _asked_and_told(text, tokens, numbers)
    if not spans and topic is not None and topic.by is context.role:
        spans += _answer(text, tokens, numbers, answered=topic.answered, unfinished=context.unfinished)
    found: list[Hidden] = []
    for start, end in sorted(spans):
        if found and start < found[-1].end:
            found[-1] = Hidden(found[-1].start, max(end, found[-1].end), Entity.PASSWORD)
        else:
            found.append(Hidden(start, end, Entity.PASSWORD))
    return found


def expected_of(text: str, role: Role) -> Role | None:
    """Who is to tell a password after ``text``, said by ``role``; None where none is asked for or announced."""
    other = Role.AGENT if role is Role.CUSTOMER else Role.CUSTOMER
    dangling = _DANGLES.search(text)
    if dangling is not None and _COPULA.search(dangling.group()) and _NO_ASK.search(text) is None:
        return role if not text.rstrip().endswith("?") or _MINE.search(text) else other
    chooses = _CHOOSES.search(text) is not None
    if not chooses and (_ASKS.search(text) is None or _NO_ASK.search(text)):
        return None
    return role if _MINE.search(text) else other


def names_the_last(text: str) -> bool:
    """True for "that's my password": it was said before."""
    return _LAST.search(text) is not None


def _has_code(context: Context) -> bool:
    return context.named(Entity.PIN)


def _told(text: str, tokens: Sequence[Token], numbers: Sequence[Element], *, unfinished: bool) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for match in _TOLD.finditer(text):
        if spans and match.start() < spans[-1][1]:
            continue
        start = _skip(_FILLERS, text, match.end())
        if _NO_VALUE.match(text, start) or (match.group().endswith("'s") and text[start : start + 1] == "'"):
            continue
        span = _value(text, start, tokens, unfinished=unfinished)
        code = re.match(r".*?pass\s?code", match.group(), re.IGNORECASE | re.DOTALL) is not None
        if span is not None and not (code and _only_numbers(span, tokens, numbers)):
            spans.append(span)
    return spans


def _before(text: str) -> list[tuple[int, int]]:
    """ "Blue horse seven is my password": the words of its sentence before."""
    spans = []
    for match in _BACKWARD.finditer(text):
        group = next(name for name, said in match.groupdict().items() if said is not None)
        start, end = match.span(group)
        start = max(
            (start, *(start + one.end() for one in re.finditer(r"[.?!,]\s+", match.group(group).rstrip(" ,.-"))))
        )
        start = _skip(_OPENERS, text, start)
        told = _ANSWERS.match(text, start, end)
        start = told.end() if told is not None else start
        value = text[start:end].rstrip(" ,.")
        if value and not _NO_SUBJECT.match(value) and not _EVASIONS.match(value):
            spans.append((start, start + len(value)))
    return spans


def _answer(
    text: str, tokens: Sequence[Token], numbers: Sequence[Element], *, answered: bool, unfinished: bool, at: int = 0
) -> list[tuple[int, int]]:
    """What a turn after a request tells; nothing of "why do you need it?"."""
    corrected = _CORRECTS.match(text)
    start = _skip(_OPENERS, text, corrected.end() if corrected is not None and text[:1].lower() == "n" else at)
    if start >= len(text):
        return []
    told = _ANSWERS.match(text, start)
    if told is not None:
        start = _skip(_FILLERS, text, told.end())
        if _NO_VALUE.match(text, start):
            return []
    elif (later := _LATER.search(text, start)) is not None and _EVASIONS.match(text, start):
        start = _skip(_FILLERS, text, later.end())
        if answered or _NO_VALUE.match(text, start):
            return []
    elif not unfinished and _EVASIONS.match(text, start) and not _is_spelled(tokens, start, len(text)):
        return []
    span = _value(text, start, tokens, unfinished=unfinished)
    if span is None:
        return []
    spelled = _is_spelled(tokens, *span)
    words = sum(span[0] <= token.start < span[1] for token in tokens)
    if (
        not spelled
        and not unfinished
        and ((answered and not (told and corrected)) or (told is None and words > _MOST_WORDS))
    ):
        return []
    return [span]


def _asked_and_told(text: str, tokens: Sequence[Token], numbers: Sequence[Element]) -> list[tuple[int, int]]:
    """The answer that one gives to one's own question."""
    asked = re.search(rf"\bmy\s+(?:\w+\s+)?{_NOUN}\?\s+(?:okay|ok|sure|yes|yeah)\b[\s,.]*", text, re.IGNORECASE)
    if asked is None:
        return []
    return _answer(text, tokens, numbers, answered=False, unfinished=False, at=asked.end())


def _words(tokens: Sequence[Token], span: tuple[int, int]) -> tuple[str, ...]:
    return tuple(token.word for token in tokens if span[0] <= token.start < span[1])


def _value(text: str, start: int, tokens: Sequence[Token], *, unfinished: bool) -> tuple[int, int] | None:
    """From ``start`` to the end of the sentence or the clause; over several where they are spelled."""
    if unfinished:
        return (start, len(text)) if start < len(text) else None
    spelled = _spelled_end(tokens, start)
    if spelled:
        return start, spelled
    end = start
    while end < len(text):
        match = _CLAUSE.search(text, end + 1 if end > start else end)
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
    for token in tokens:
        if token.start < start:
            continue
        word = token.word
        if len(word) == 1 and word.isalpha():
            letters += 1
        elif not (token.digits or word in _SYMBOLS or word in NUMBER_WORDS or word == "oh" or before in ("in", "for")):
            break
        if word not in ("and", "then", "in", "as", "for"):
            end = token.end
        before = word
    return end if letters >= _LEAST_SPELLED else 0


def _is_spelled(tokens: Sequence[Token], start: int, end: int) -> bool:
    """True for letters and digits said one by one, with what goes with them ("b as in boy")."""
    inside = [token.word for token in tokens if start <= token.start < end]
    if not inside:
        return False
    single = sum(len(word) == 1 or word.isdigit() or word in _SYMBOLS or word in _DIGITS for word in inside)
    examples = sum(left == "in" for left in inside[:-1])
    letters = len(inside[0]) if len(inside) == 1 else sum(len(word) == 1 and word not in ("i", "a") for word in inside)
    return single + examples > len(inside) * 3 // 4 and (letters > 0 or len(inside) > 1)


_DIGITS = vocabulary("one two three four five six seven eight nine oh")


def _only_numbers(span: tuple[int, int], tokens: Sequence[Token], numbers: Sequence[Element]) -> bool:
    numeric = {index for one in numbers for index in range(one.first, one.last + 1)}
    return all(index in numeric for index, token in enumerate(tokens) if span[0] <= token.start < span[1])


def _read_back(tokens: Sequence[Token], passwords: Sequence[tuple[str, ...]]) -> list[tuple[int, int]]:
    """Where a password that was told before is said again."""
    spans: list[tuple[int, int]] = []
    if not passwords:
        return spans
    words = [token.word for token in tokens]
    for password in passwords:
        length = len(password)
        if sum(map(len, password)) < _LEAST_LETTERS:
            continue
        for index in range(len(words) - length + 1):
            if tuple(words[index : index + length]) == password:
                spans.append((tokens[index].start, tokens[index + length - 1].end))
    return spans


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match is not None else at
