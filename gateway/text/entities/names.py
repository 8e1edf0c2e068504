"""Names of persons: told, spelled, addressed, asked for and given in the next turn, or said again in the call.

There is no list of names: most of the world's are in none. A name is told by the words around it ("my name is",
"Mrs.", "speak to", "my husband") and by its capitals, which recognizers write; :data:`_NO_NAMES` are capitalised words
that stand in the same places. What was once found is found again wherever it is said with a capital.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gateway.participants import Role
from gateway.text.digits.numbers import NUMBER_WORDS, Element, Token, vocabulary
from gateway.text.entities.context import Context
from gateway.text.patterns import Lazy
from gateway.text.policy import Entity
from gateway.text.redacted import Hidden

__all__ = ["expected_of", "find_names", "learned_from"]

_NO_NAMES = vocabulary(
    "i i'm i've i'll i'd a an the this that it it's that's there here what who why how when where which yes yeah "
    "yep no nope not ok okay sure well so oh uh um hi hello hey please thanks thank sorry right correct great "
    "perfect good fine alright absolutely exactly wonderful awesome excellent wait hold sir ma'am madam miss mister "
    "mr mrs ms dr and or but if is are was my your our his her their we you he she they me us him them can could do "
    "did does would will just let again everyone everybody someone anyone nobody nothing none guys folks team today "
    "tomorrow yesterday monday tuesday wednesday thursday friday saturday sunday january february march april june "
    "july august september october november december christmas easter thanksgiving god lord jesus christ goodness "
    "heavens internet english spanish french german italian chinese japanese korean russian american mexican "
    "canadian british indian irish european african asian catholic christian muslim jewish republican democrat "
    "america europe usa uk canada mexico google apple amazon microsoft facebook netflix paypal walmart visa "
    "mastercard amex fedex ups usps dhl alexa siri customer customers service services support sales billing "
    "account accounts accounting technical tech claims collections returns shipping department manager management "
    "supervisor supervisors reception human resources hr representative operator agent medicare medicaid gmail "
    "outlook yahoo windows iphone android bluetooth wifi ssn pin cvv dob zip usd"
)
# One of these in it: a company that calls, not a person.
_COMPANIES = vocabulary(
    "bank insurance energy electric power gas water company corporation inc llc ltd group airlines airways hotel "
    "hotels express mobile wireless telecom communications financial credit union mutual health hospital clinic "
    "pharmacy medical dental university college school center centre store stores shop supply supplies market "
    "motors auto rentals travel services service support solutions systems security bureau office department agency "
    "association club county city state street avenue road drive lane plaza airport station park media news cable "
    "internet software logistics delivery"
)
_CAPITAL = r"[A-Z](?:['’][A-Z])?[a-zà-öø-ÿ]+(?:[A-Z][a-z]+)?(?:['’](?!s\b)[a-z]+)?(?:-[A-Z][a-z]+)*"
_INITIAL = r"[A-Z]\b\.?"
_PARTICLE = r"(?:van\s+der|van|von|der|de\s+la|de\s+los|de|del|della|di|da|dos|bin|ibn|al|el|la|le|st\.)"
_FIRST = rf"(?:{_PARTICLE}\s+(?={_CAPITAL}))?(?:{_CAPITAL}|{_INITIAL}(?=\s+[A-Z]))"
_MORE = rf"(?:\s+(?:{_PARTICLE}\s+)?(?:{_CAPITAL}|{_INITIAL}(?=\s+[A-Z]|[^\w\s]|$)))"
_NAME = rf"(?:{_FIRST}{_MORE}{{0,3}}(?:,?\s+(?:Jr|Sr|III|II|IV)\b\.?)?)"
_NAMED = rf"(?P<name>{_NAME})"
_LETTER = r"(?:(?:double\s+)?(?<![\w'’])[A-Za-z]\b\.?(?:\s+(?:as\s+in|for|like)\s+[A-Za-z]+)?)"
_SPELLED = rf"(?P<name>{_LETTER}(?:[\s,.\-]+(?:and\s+|then\s+)?{_LETTER}){{2,}})"
_IS = r"(?:\s*[,:]|'s|\s+(?:is|was|as))(?:\s+(?:it's|it\s+is|that's|um+,?|uh+,?|spelled|actually|just))*\s+"
_KIN = (
    r"(?:husband|wife|spouse|partner|fianc\w+|boyfriend|girlfriend|ex|son|daughter|kid|child|mother|father|mom|dad|mum|brother|sister"
    r"|uncle|aunt|cousin|nephew|niece|grand\w+|friend|boss|manager|supervisor|colleague|coworker|co-worker|assistant"
    r"|secretary|neighbor|neighbour|roommate|landlord|tenant|lawyer|attorney|doctor|dentist|nurse|teacher)(?:-in-law)?"
)
# "Street name", "the name of the company": of things.
_THINGS = (
    r"(?:street|product|company|business|brand|model|city|town|bank|store|plan|file|host|domain|screen|user|pet|dog|cat|school"
    r"|item|building|device|network|medication|drug|team|movie|app|site|website)"
)
_OF_THINGS = Lazy(
    rf"\b{_THINGS}(?:'s)?\s+name|\bname\s+of\s+(?:the|your|that|my|a)\s+(?:\w+\s+)?{_THINGS}", re.IGNORECASE
)
_NOUN = r"(?:(?:full|first|last|middle|maiden|legal|given|family|second|sur|nick)[\s-]?)?name"
# (?i:…) around the words: only the name itself is told by its capitals.
_CUES = (
    rf"(?i:\b{_NOUN}(?:\s+(?:on|for|of)\s+(?:the|my|your|this|that)\s+(?:\w+\s+)?\w+)?{_IS}){_NAMED}",
    rf"(?i:\b(?:first|last|middle|maiden|family)\s+name\s+){_NAMED}",
    rf"(?i:\b(?:speak|speaking|talk|talking|spoke|spoken|talked|chat|chatted|connected|meet|dealing)\s+(?:with|to)\s+|\bmeet\s+){_NAMED}",
    rf"(?i:\b(?:transfer|connect|put|forward|send)(?:red|ed|ring|ing)?\s+(?:(?:me|you|him|her|us|the\s+call)\s+)?(?:(?:back|over|through)\s+)?to\s+){_NAMED}",
    rf"(?i:\b(?:account|order|reservation|booking|policy|appointment|ticket|it|that|put|filed|listed|registered|be|is|it's|card)\s+"
    rf"(?:it\s+|is\s+|was\s+|that\s+)?under\s+(?:the\s+name\s+)?(?:of\s+)?){_NAMED}",
    rf"(?i:\b(?:by\s+the\s+name\s+of|in\s+the\s+name\s+of|under\s+the\s+name|named|goes\s+by|ask(?:ed)?\s+for|call\s+me)\s+){_NAMED}",
    rf"(?:\b(?i:mister|missus|mrs?|ms|dr|prof(?:essor)?)\b\.?\s+|\b(?:Miss|Doctor|miss|doctor|Sister|Father|Officer)\s+){_NAMED}",
    rf"(?i:\b(?:my|your|his|her|our|their)\s+(?:\w+\s+)?{_KIN},?\s+(?:is\s+(?:called\s+)?|named\s+|called\s+)?){_NAMED}",
    rf"(?i:(?<!do\s)\b(?:am\s+i|are\s+you|i'm|i\s+am|you're)\s+){_NAMED}(?=\s*(?:[.,?!]|$)|(?i:\s+(?:calling|from|with|here|and|speaking|at)\b))",
    rf"(?i:\b(?:this|that|it)(?:\s+is|'s)\s+){_NAMED}(?=(?i:,?\s+(?:speaking|calling|here|again|from|with)\b))",
    rf"(?i:\bthis\s+is\s+){_NAMED}(?=\s*(?:[.,?!]|$))",
    rf"(?i:\b(?:hi|hello|hey|thanks|thank\s+you|you're\s+welcome|no\s+problem|got\s+it|great|perfect|wonderful"
    rf"|excellent|alright|hold\s+on|nice\s+to\s+meet\s+you|welcome\s+back|good\s+(?:morning|afternoon|evening)|goodbye|bye|sorry|okay|dear)\b"
    rf"(?:\s+(?:again|so\s+much|very\s+much))?,?\s+){_NAMED}(?=\s*(?:[.,?!]|$))",
    rf"(?:^|(?<=[.?!,]\s)){_NAMED}(?=(?i:,?\s+(?:speaking|calling|here(?=\s*[.,!]|$)|is\s+(?:my|the|his|her|your)\s+(?:\w+\s+)?name))\b)",
    rf"(?i:\b(?:holder|beneficiary|patient|subscriber|policyholder|owner|recipient|technician|user)(?:'s|\s+is|\s+was|\s+named|,)\s+){_NAMED}",
    rf"(?i:\b(?:on\s+behalf\s+of|belongs\s+to|assigned\s+to|married\s+to|appointment\s+with|meeting\s+with)\s+){_NAMED}",
    rf"(?i:\b(?:is|was)\s+){_NAMED}(?=(?i:\s+(?:there|available|around|home)\b))",
    rf"(?i:\blet\s+){_NAMED}(?=(?i:\s+know\b))",
    rf"{_NAMED}(?=['’]s\s+(?i:account|policy|order|phone|card|birthday|number|plan|subscription|email|address|profile|file|name)\b)",
    rf"(?i:\b{_NOUN}\b[^.?!]{{0,30}}?\b|\bspel(?:l(?:ed|s|ing)?|t)\b(?:\s+(?:it|that|like|as|is|with))?[\s,:]+){_SPELLED}",
    rf"(?<!\bthe\s)(?<!\ba\s)(?<!\ban\s){_NAMED}(?=,?\s+(?i:spelled|with\s+an?\s+[a-z]\b))",
)
# An agent asks for the caller so; a caller would ask for the company.
_IS_THIS = Lazy(rf"(?i:\bis\s+this\s+){_NAMED}(?=\s*(?:[.,?!]|$))")
_AND_NAME = Lazy(rf"\s+(?:and|&)\s+{_NAMED}")
_COMMA_NAME = Lazy(rf",\s+{_NAMED}(?=\s*(?:[.,]|$))")
_THATS_SPELLED = Lazy(rf"(?i:\b(?:that's|it's|that\s+is|so)\s+){_SPELLED}")
_CUED = tuple(Lazy(one) for one in _CUES)
# One of these stands in every cue: most utterances have none.
_HINT = Lazy(
    r"name|['’]s\b|is\b|was\b|let|behalf|belongs|assigned|married|with\b|calling|here|great|perfect|wonderful|excellent|alright|hold"
    r"|you're|no\s|got|nice|speak|talk|spoke|chat|connect|meet|deal|transfer|put|forward|send|under|call|ask|goes|mister|missus|mr|ms|dr|prof|miss|doctor"
    rf"|sister|father|officer|{_KIN}|am\b|i'm|are\s+you|you're|this|that|it|hi\b|hello|hey|thank|welcome|good|bye|sorry|okay"
    r"|dear|spel|with\s+an?\s",
    re.IGNORECASE,
)
_OPENERS = Lazy(
    r"(?:[\s,.…!\-]+|(?:um+|uh+|er+m?|ah+|well|so|oh|yes|yeah|yep|sure|okay|ok|alright|of\s+course|hi|hello|sir|ma'am|absolutely|certainly"
    r"|(?:it|that|this|mine|(?:(?:my|the|his|her)\s+)?(?:full\s+|first\s+|last\s+)?name)(?:'s|\s+is|\s+should\s+be|\s+would\s+be)"
    r"|i'm|i\s+am|it'll\s+be|under|spelled|first\s+name|last\s+name|and)\b[\s,.…!]*)+",
    re.IGNORECASE,
)
_ANSWER = Lazy(rf"{_NAMED}(?=\s*(?:[,.!;]|$|-\s)|(?i:\s+(?:and|with|is|on|it's|that's)\b))")
_ANSWER_SPELLED = Lazy(_SPELLED)
_ASKS = Lazy(
    r"\b(?:what|what's|may|can|could|get|have|give|tell|confirm|verify|provide|need|spell|state|repeat|who|whose)\b[^.?!]{0,50}?"
    r"\b(?:names?|am\s+i\s+(?:speaking|talking)|i'm\s+(?:speaking|talking))\b"
    r"|^\W*(?:and\s+)?(?:the|your)?\s*(?:first|last|full|\w+)?\s*name(?:\s+(?:on|for)\s+[\w\s']+)?(?:,?\s*please)?\s*[?.]*$"
    r"|\bname,?\s+please\b|\bwho's\s+(?:calling|this|speaking)\b|\bwho\s+is\s+(?:calling|this|speaking)\b|\bspell\s+(?:that|it|your)\b",
    re.IGNORECASE,
)
_MAY_ASK = Lazy(r"name|who|speaking|spell", re.IGNORECASE)
_DANGLES = Lazy(r"\bname(?:\s+is|'s)(?:[\s,.…\-]|\b(?:um+|uh+|it's)\b)*$", re.IGNORECASE)
# What a sentence may begin with, or that is a word as well as a name: said again, it needs more than its capital.
_ALSO_WORDS = vocabulary(
    "will may mark bill grace rose hope faith joy art june april august frank rich rob jack pat sue bob drew dawn "
    "gene ray miles chase chance young long small white black brown green gray grey king price banks field fields "
    "page day days week wood woods stone rivers brooks hill hall mills church cook baker carter miller smart sharp "
    "best good love case cash cole major moody noble park parks porter power powers rice sky storm summer winter "
    "wise wells west"
)
_MONTHS = vocabulary("april august may june")
_OF_TIME = vocabulary("in on since until till by last next this of from through late early mid")
_LOOK_BEHIND = 16
_LETTERS = ", x, x"
_MOST_WORDS = 5
_FRESH = 2


def find_names(text: str, tokens: Sequence[Token], _numbers: Sequence[Element], context: Context) -> list[Hidden]:
    """Names in ``text``, left to right."""
    topic = context.topics.get(Entity.NAME)
    asked = topic is not None and topic.by is context.role and (topic.ago <= _FRESH or not topic.answered)
    spans = _spans(text, tokens, context, asked=asked)
    if context.unfinished and text[-2:-1] in ("", " ", ",", "-", ".") and text[-1:].isalpha():
        # A letter at the end may be the first of those that spell a name.
        longer = _spans(text + _LETTERS, tokens, context, asked=asked)
        spans += [(start, min(end, len(text))) for start, end in longer if start < len(text)]
    found: list[Hidden] = []
    for start, end in sorted(spans):
        if found and start < found[-1].end:
            found[-1] = Hidden(found[-1].start, max(end, found[-1].end), Entity.NAME)
        elif end > start:
            found.append(Hidden(start, end, Entity.NAME))
    return found


def _spans(text: str, tokens: Sequence[Token], context: Context, *, asked: bool) -> list[tuple[int, int]]:
    spans = _cued(text, unfinished=context.unfinished)
    if context.role is Role.AGENT:
        spans += _told_by(_IS_THIS, text)
    if asked:
        spans += _answer(text)
    spans += [span for _, end in spans if (span := _next_name(_AND_NAME, text, end)) is not None]
    if spans or asked or context.names or context.named(Entity.NAME):
        spans += [_letters(match) for match in _THATS_SPELLED.finditer(text)]
    return spans + _again(text, tokens, context.names)


def expected_of(text: str, role: Role) -> Role | None:
    """Who is to tell a name after ``text``, said by ``role``; None where none is asked for or announced."""
    if _MAY_ASK.search(text) is None:
        return None
    if _DANGLES.search(text) is not None:
        return role
    other = Role.AGENT if role is Role.CUSTOMER else Role.CUSTOMER
    return other if _ASKS.search(text) is not None and _OF_THINGS.search(text) is None else None


def learned_from(text: str, spans: Iterable[Hidden]) -> list[str]:
    """The words, in lower case, by which the names among ``spans`` are known when they are said again."""
    words: list[str] = []
    for one in spans:
        if one.entity is Entity.NAME:
            said = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text[one.start : one.end].lower())
            letters = "".join(word for word in said if len(word) == 1)
            long = [word.replace("’", "'") for word in said if len(word) > 2]
            words += [letters] if len(letters) > 2 and not long else long
    return words


def _cued(text: str, *, unfinished: bool) -> list[tuple[int, int]]:
    if _HINT.search(text) is None:
        return [] if not unfinished else _begun(text)
    spans: list[tuple[int, int]] = []
    for pattern in _CUED:
        spans += _told_by(pattern, text)
    return spans + _begun(text) if unfinished else spans


def _told_by(pattern: Lazy, text: str) -> list[tuple[int, int]]:
    found = (
        _trim(text, *match.span("name"))
        for match in pattern.finditer(text)
        if _OF_THINGS.search(text, max(0, match.start() - _LOOK_BEHIND), match.start("name")) is None
    )
    return [span for span in found if span is not None]


def _next_name(pattern: Lazy, text: str, at: int) -> tuple[int, int] | None:
    """The name that goes on at ``at``: "Bob and Linda", "Smith, John"."""
    match = pattern.match(text, at)
    return _trim(text, *match.span("name")) if match is not None else None


def _begun(text: str) -> list[tuple[int, int]]:
    """Names that the next words may tell: "Robert Chen …" may go on with "speaking"."""
    match = re.match(rf"{_NAMED}$", text)
    trimmed = _trim(text, *match.span("name")) if match is not None else None
    return [trimmed] if trimmed is not None else []


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The name without words behind it that are none; None where it begins with one, or is a company's."""
    stop = start
    for match in re.finditer(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text[start:end]):
        word = match.group().lower().replace("’", "'")
        if word in _COMPANIES:
            return None
        if len(word) > 1 and word in _NO_NAMES:
            break
        stop = start + match.end()
    return (start, stop) if stop > start else None


def _answer(text: str) -> list[tuple[int, int]]:
    """What a turn after a request begins with: a name and a pause, or letters."""
    opener = _OPENERS.match(text)
    start = opener.end() if opener is not None else 0
    spelled = _ANSWER_SPELLED.search(text, start)
    spans = [_letters(spelled)] if spelled is not None else []
    match = _ANSWER.match(text, start)
    if match is not None and len(match.group().split()) <= _MOST_WORDS:
        trimmed = _trim(text, *match.span("name"))
        while trimmed is not None:
            spans.append(trimmed)
            trimmed = _next_name(_COMMA_NAME, text, trimmed[1])
    return spans


def _letters(match: re.Match[str]) -> tuple[int, int]:
    """Span of a spelled name without the stop behind its last letter."""
    return match.start("name"), match.start("name") + len(match["name"].rstrip(" ."))


def _again(text: str, tokens: Sequence[Token], names: Sequence[str]) -> list[tuple[int, int]]:
    """Where a name that was found before is said again."""
    if not names:
        return []
    spans: list[tuple[int, int]] = []
    for index, token in enumerate(tokens):
        word, end = (token.word[:-2], token.end - 2) if token.word.endswith("'s") else (token.word, token.end)
        if word not in names or not text[token.start].isupper():
            continue
        before = tokens[index - 1].word if index else ""
        if word in _MONTHS and (before in _OF_TIME or _has_day(tokens, index)):
            continue
        first = index == 0 or text[tokens[index - 1].end : token.start].strip() in (".", "?", "!")
        alone = not text[token.end : token.end + 1].strip(".,?!")
        if word in _ALSO_WORDS and first and not alone:
            continue
        spans.append((token.start, end))
    return spans


def _has_day(tokens: Sequence[Token], index: int) -> bool:
    following = tokens[index + 1].word if index + 1 < len(tokens) else ""
    return following.isdigit() or following in NUMBER_WORDS or following.endswith(("st", "nd", "rd", "th"))
