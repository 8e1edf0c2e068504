"""Numbers that are no secret by the words around them: dates, times, prices, quantities, what has a number by name.

A run is looked at in parts ("in 2019 and 2021", "$45.99, 3 pieces"): it is explained where each part is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from gateway.text.digits import dates
from gateway.text.digits.numbers import Element, Form, Token, vocabulary
from gateway.text.digits.runs import Run

__all__ = ["explain", "is_count_of_digits", "is_pronoun"]

_AFTER_PRONOUN = vocabulary(
    "moment moments second sec minute minutes of more thing another time day way at by last other question hundredth "
    "who that which where for to percent side person place hand"
)
_BEFORE_PRONOUN = vocabulary(
    "the this that which another other no any every each new old last next first right wrong same good better best "
    "only big little loved some"
)
_BEFORE_TIME = vocabulary("at by until till before after around from to about")
_AFTER_TIME = vocabulary(
    "am pm a p o'clock sharp today tomorrow tonight yesterday on in this next please works is or but if when for "
    "monday tuesday wednesday thursday friday saturday sunday then"
)
_HOUR_WORDS = vocabulary("one two three four five six seven eight nine ten eleven twelve")
_HALF_DAY = frozenset({"am", "pm", "o'clock"})
_DAYS = vocabulary(
    "am pm today tomorrow tonight yesterday monday tuesday wednesday thursday friday saturday sunday o'clock"
)
_PARTS_OF_DAY = vocabulary("morning afternoon evening night")
_CURRENCY = "$£€¥₹"
_DIGIT_NOUNS = vocabulary("digit digits number numbers numeral numerals")
_COUNTED = frozenset({"of", "on", "are", "were"})
_SAYINGS = frozenset({"24/7", "24 7", "twenty four seven", "50/50", "50 50", "fifty fifty"})
_CLOSES = re.compile(r"\s*(?:[.,;:?!)]|$)")
_HOURS, _MINUTES = 24, 60
_MOST_AMOUNT = 7
_MOST_LABEL = 8

_MEASURES = (
    r"percent|%|percentage|degrees?|miles?|foot|feet|inch(?:es)?|yards?|met(?:er|re)s?|km|kilomet(?:er|re)s?|pounds?|lbs?|oz"
    r"|ounces?|grams?|kg|kilos?|tons?|gallons?|lit(?:er|re)s?|watts?|volts?|amps?|gigs?|gb|mb|tb|mg|ml|mph|mbps|rpm|kwh|psi|hz|khz|mhz|ghz|dpi|ppm|btu|cc|megabits?"
    r"|gigabytes?|megabytes?|hours?|minutes?|mins?|seconds?|days?|weeks?|months?|years?|people|persons?|children|men|women"
    r"|units?|pieces?|items?|pages?|packs?|plan|model|router|series|points?|times?|lines?|square|cubic|horsepower|acres?"
    r"|count|each|apiece|total|left|more|deductible|limit|minimum|maximum|fee|payment|copay|bonus|discount|refund|deposit"
)
_MONEY = r"dollars?|bucks?|cents?|euros?|pounds?|quid|pence|pennies|grand|usd|k"
_QUALIFIERS = (
    r"(?:more|other|new|square|cubic|extra|full|different|large|small|business|working"
    r"|of\s+(?:the|them|those|these|our))"
)
_UNIT_AFTER = re.compile(
    rf"[\s-]*(?:{_QUALIFIERS}\s+){{0,2}}(?:{_MEASURES}|{_MONEY})(?!\w)|\s+(?:credit\s+)?score(?!\w)"
    r"|\s+(?:before|after)\s+tax|\s+(?:freeway|highway|bus|train|flight|form)(?!\w)|%|\s+per\s+\w|\s+of\s+(?:them|those|these|the|us)\b"
    r"|\s+an?\s+(?:month|year|week|day|hour|piece|pound|gallon|line|person|night|pop|unit)\b|\s+(?:monthly|off\b)"
)
_GLUED_AFTER = re.compile(r"(?:p|w|v|x|g|mm|cm)\b")
# "100 to 150 people", "120 over 80".
_RANGE_AFTER = re.compile(
    rf"\s+(?:to|or)\s+(?:\d+|[a-z-]+(?:\s[a-z-]+)?)\s+(?:{_MEASURES}|{_MONEY})(?!\w)|\s+over\s+\d+(?!\d)"
)
# A plural behind a number is what it counts; these are none.
_PLURAL_AFTER = re.compile(
    r"\s+(?!(?:is|was|has|does|its|this|thus|yes|thanks|as|us|plus|minus|works|ends|matches|expires|goes|says|comes|shows"
    r"|appears|belongs|means|seems|looks|needs|gets|always|perhaps|sometimes|across|besides|unless|guess|likes|sounds"
    r"|happens|starts|stands|rings|reads|lets|address|pass|access|doesn's|isn's|slash|hers|ours|yours|theirs|his|gives"
    r"|makes|let's|it's|that's|he's|she's|there's|what's|here's)\b)[a-z]{2,}s\b(?!')"
)
_PRICE_BEFORE = re.compile(
    r"(?:\b(?:that'll\s+be|quoted|weighs?|weighed|temperature|score|pressure|between|costs?|paid|pay|paying|spend|spent|saves?|saved|worth|owed?|owes|charged?|charges|fees?|prices?|total|balance"
    r"|bill|refund(?:ed)?|deposit|discount|budget|amount|payment|comes|came|rate|credit|limit|score|scored|deductible|minimum"
    r"|maximum|reading)\b"
    r"(?:\s+(?:me|you|us|them|is|was|of|to|up|about|around|at|for|comes|came|only|just|like|over)){0,3})\s*$"
)
_COUNT_BEFORE = re.compile(
    r"\b(?:about|around|approximately|roughly|nearly|almost|over|under|up\s+to|at\s+least|at\s+most|more\s+than|less\s+than"
    r"|fewer\s+than|(?:bigger|larger|smaller|higher|lower)\s+than|only|another|(?:box|pack|case|set|batch|group|order|total|quantity|minimum|maximum|limit|bag|roll|sum"
    r"|crowd|team|class|pallet|shipment|worth)s?\s+of|quantity|exactly)\s*$"
)
_LABEL_BEFORE = re.compile(
    r"\b(?:(?:flights?|rooms?|error(?:\s+code)?|bus|train|route|suite|apartment|apt|marker|item|ext|options?|press(?:ed)?|fiscal|interstate|highway|freeway|exit|gate|platform|track|model|version|form|page"
    r"|chapter|case|ticket|invoice|part|serial|channel|extension|windows|terminal|aisle|catalog|article|paragraph|booth|form"
    r"|building|level|zone|sector|lot|size|episode|season|volume|section|psalm|grade|pier|bay|row|boeing|airbus|the\s+year"
    r"|order\s+(?:number|no\.?|#)|(?:confirmation|reference|tracking|case|ticket|invoice|work\s+order)\s+(?:number|no\.?|#))"
    r"(?:\s+(?:number|no\.?))?(?:\s+(?:is|was))?(?:\s+[a-z])?|call(?:ed|ing)?|dial(?:ed)?)[\s:,#]*$|\b[a-z]-$"
)
# "take the 405"
_ROAD_BEFORE = re.compile(r"\b(?:take|taking|took|on|off|via|along|down|up|exit)\s+the\s+$")
_MOST_ROAD = 3
_EMERGENCY = frozenset({"911", "411", "311", "511", "611", "711", "811", "112", "999", "988", "211"})
# "a LaserJet 4200": a name with a number to it.
_NAMED_BEFORE = re.compile(
    r"\b(?:an?|the|[Mm]y|our|your|have|got|use|using|flew|drive|drove|bought|own)\s+(?!Visa|Master|Amex|Discover|American|P[Ii][Nn]|SSN)[A-Z]\w{2,}\s+$"
    r"|\b(?:an?|[Tt]he|my|our)\s+[A-Z][ -]$"
)
# "Channels 4, 5 and 7", "ages seven or nine": a list of what the plural before it names.
_LISTED_BEFORE = re.compile(
    r"\b(?!(?:is|was|has|yes|this|its|us|as|plus|digits|numbers|codes|numerals|ends|says|reads|goes|pins|cards|keys)\b)[a-z]{3,}s,?\s+$"
)
_LAST_LINK = re.compile(r"[\s,]+(?:and|or)\s+")
_MOST_LISTED = 5
_YEAR_BEFORE = re.compile(
    r"\b(?:in|since|until|till|by|from|years?(?:\s+(?:is|was))?|than|of|after|before|during|summer|spring|fall|autumn|winter|early|late|mid"
    r"|through|circa|around|between|back\s+in)\s*$"
)
_MODEL_YEAR_BEFORE = re.compile(r"\b(?:an?|the|my|our|your|his|her|their)\s+$")
# "2021 was a bad year"
_SENTENCE_BEFORE = re.compile(r"(?:^|[.!?,]\s+)(?:(?:and|but|so|well|yeah|oh|i\s+think)\s+)?$")
_YEAR_WAS = re.compile(
    r"\s+(?:was|has\s+been|will\s+be|is\s+going\s+to\s+be)\s+(?:an?|the|so|really|pretty|very|such|when|bad|good|great|hard"
    r"|rough|tough|terrible|awful|difficult|crazy|fun|weird|wild|our)\b"
)
_A_BEFORE = re.compile(r"\ba\s+$")
_DECADE_AFTER = re.compile(r"'?s\b")
_WORD_AFTER = re.compile(r" (?!is\b|was\b|and\b|or\b|please\b|thanks\b)[a-z]")
_MONTH_BEFORE = re.compile(
    rf"\b{dates.MONTHS}\.?,?\s+(?:the\s+)?(?:(?:\w+[\s-])?\w*(?:st|nd|rd|th)\s*,?\s*)?(?:of\s+)?$"
)
_MONTH_AFTER = re.compile(rf"\s*(?:of\s+)?{dates.MONTHS}\b")
# "the code 1984", "number 250": named as something to be kept.
_VETO = re.compile(
    r"\b(?:codes?|passcode|numbers?|account|acct|id|pin|pins|digits|social|ssn|card|combination|ending|ends|password|cvv)"
    r"\W*(?:is|was|are|in|of|with|it's|that's|set\s+to|'s)?\W*$"
)
_NUMERAL = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,7}(?:\.\d{1,2})?|\d{1,3}\.\d{1,4}")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3}){1,2}(?:\.\d\d)?|\d{1,6}\.\d\d")
_CHAIN = re.compile(
    r"(?:\s+an?\s+\w+)?[\s,]*(?:(?:not|or|to|and|instead|of|versus|than|rather|through|until|but|from|the|a|by)[\s,]+){1,4}\$?"
)
_BEFORE, _AFTER = 48, 40


def is_pronoun(tokens: Sequence[Token], run: Run) -> bool:
    """True for the "one" of "one moment", "the other one", "one of them"."""
    if len(run.elements) > 1 or tokens[run.elements[0].first].word != "one":
        return False
    after, before = _word_after(tokens, run.elements), _word_before(tokens, run.elements)
    return after in _AFTER_PRONOUN or before in _BEFORE_PRONOUN


def is_count_of_digits(tokens: Sequence[Token], run: Run) -> bool:
    """True for the number of "four digits", "the last four of": it counts digits and is none of them."""
    after, before = _word_after(tokens, run.elements), _word_before(tokens, run.elements)
    return after in _DIGIT_NOUNS or (before in ("first", "last") and after in _COUNTED)


def explain(text: str, tokens: Sequence[Token], run: Run, before: Run | None = None) -> bool:
    """True for a run whose surroundings say that it is no secret.

    Args:
        text: the utterance.
        tokens: its tokens.
        run: the run in question.
        before: the run before it if that one is explained: "from 2019 to 2021", "19.99, not 24.99".
    """
    elements = run.elements
    if _part(text, tokens, elements):
        return True
    if (
        before is not None
        and _CHAIN.fullmatch(text[before.end : run.start].lower())
        and (_like(text, before.elements, elements) or _like_amount(text, before.elements, elements))
    ):
        return True
    if _is_list(text, elements):
        return True
    parts = _parts(text, elements)
    if len(parts) == 1:
        return False
    last = parts[0]
    known = False
    for part in parts:
        own = _part(text, tokens, part)
        if not own and not (known and _like(text, last, part)) and not (len(part) == 1 and part[0].count <= 2):
            return False
        if own:
            known, last = True, part
    return known


def _is_list(text: str, elements: Sequence[Element]) -> bool:
    if not 2 <= len(elements) <= _MOST_LISTED or any(one.count > _MOST_LISTED - 1 for one in elements):
        return False
    last = text[elements[-2].end : elements[-1].start].lower()
    before = text[max(0, elements[0].start - _BEFORE) : elements[0].start].lower()
    return _LAST_LINK.fullmatch(last) is not None and _LISTED_BEFORE.search(before) is not None


def _parts(text: str, elements: Sequence[Element]) -> list[list[Element]]:
    """A run cut at words and at punctuation before a space."""
    parts = [[elements[0]]]
    for left, right in pairwise(elements):
        between = text[left.end : right.start]
        if any(character.isalpha() for character in between) or (between.strip() and between[-1:].isspace()):
            parts.append([right])
        else:
            parts[-1].append(right)
    return parts


def _like(text: str, left: Sequence[Element], right: Sequence[Element]) -> bool:
    """True for two of a kind: two years, or two amounts."""
    if dates.is_year(left) and dates.is_year(right):
        return True
    # "Nineteen ninety nine" is a year or a price, 1985 a year.
    spoken = len(left) == len(right) == 2
    return (spoken or not dates.is_year(left)) and _is_amount(text, left) and _is_amount(text, right)


def _like_amount(text: str, left: Sequence[Element], right: Sequence[Element]) -> bool:
    """True for an amount behind one that may be a year by its digits: "1999 a month, not 2499"."""
    start, end = left[0].start, left[-1].end
    counts = _counts(text, left, text[max(0, start - _BEFORE) : start], text[end : end + _AFTER].lower())
    return counts and _is_amount(text, left) and _is_amount(text, right)


def _part(text: str, tokens: Sequence[Token], part: Sequence[Element]) -> bool:
    start, end = part[0].start, part[-1].end
    said = text[start:end].lower()
    if said.replace("-", " ") in _SAYINGS or _is_time(text, tokens, part) or _are_clock_times(text, tokens, part):
        return True
    if part[-1].form is Form.ROUND and (len(part) == 1 or _is_fraction(text, part)):
        return True
    raw = text[max(0, start - _BEFORE) : start]
    before, after = raw.lower(), text[end : end + _AFTER].lower()
    if _is_date(text, part, before, after):
        return True
    digits = sum(one.count for one in part)
    if _ROAD_BEFORE.search(before) and digits <= _MOST_ROAD:
        return True
    if _LABEL_BEFORE.search(before) and digits <= _MOST_LABEL:
        # A telephone may be dialled; only the numbers that everybody knows are no secret then.
        return said in _EMERGENCY or not re.search(r"\b(?:call|dial)\w*[\s:,#]*$", before)
    if _VETO.search(before):
        return False
    if dates.is_year(part) and _is_year(text, part, before, after):
        return True
    return _is_amount(text, part) and _counts(text, part, raw, after)


def _is_date(text: str, part: Sequence[Element], before: str, after: str) -> bool:
    separators = [text[left.end : right.start] for left, right in pairwise(part)]
    if dates.is_date(text[part[0].start : part[-1].end], separators, part):
        return True
    if _MONTH_BEFORE.search(before) and dates.is_day_and_year(part):
        return True
    return len(part) == 1 and dates.is_day_and_year(part) and _MONTH_AFTER.match(after) is not None


def _is_fraction(text: str, part: Sequence[Element]) -> bool:
    """True for the two numbers of "3.5 million"."""
    return len(part) == 2 and text[part[0].end : part[1].start].strip().lower() in (".", "point")


def _is_year(text: str, part: Sequence[Element], before: str, after: str) -> bool:
    if _YEAR_BEFORE.search(before) or (_SENTENCE_BEFORE.search(before) and _YEAR_WAS.match(after)):
        return True
    written = part[0].form is Form.WRITTEN
    if written and (_DECADE_AFTER.match(after) or (_A_BEFORE.search(before) and _CLOSES.match(after))):
        return True
    return written and _MODEL_YEAR_BEFORE.search(before) is not None and _WORD_AFTER.match(after) is not None


def _counts(text: str, part: Sequence[Element], raw: str, after: str) -> bool:
    """True for an amount with a unit, a currency, or a word that says how many."""
    before = raw.lower()
    said = text[part[0].start : part[-1].end]
    if raw.rstrip()[-1:] in tuple(_CURRENCY) or _GROUPED.fullmatch(said):
        return True
    if _GLUED_AFTER.match(after) or _RANGE_AFTER.match(after):
        return True
    if _UNIT_AFTER.match(after) or _PLURAL_AFTER.match(after):
        return True
    if _PRICE_BEFORE.search(before) or _COUNT_BEFORE.search(before):
        return True
    return part[0].form is Form.WRITTEN and len(part) == 1 and _NAMED_BEFORE.search(raw) is not None


def _is_amount(text: str, part: Sequence[Element]) -> bool:
    """True for the shape of an amount: one numeral, one number in words, or two as in "three fifty"."""
    if sum(one.count for one in part) > _MOST_AMOUNT:
        return False
    if len(part) == 1:
        return part[0].form in (Form.WRITTEN, Form.SPOKEN, Form.DIGIT, Form.ROUND)
    if _NUMERAL.fullmatch(text, part[0].start, part[-1].end):
        return True
    between = text[part[0].end : part[1].start].strip().lower()
    if len(part) == 3 and part[0].single and all(one.form is Form.SPOKEN and one.count == 2 for one in part[1:]):
        return part[0].form is Form.DIGIT and _only_space(text, part)
    if len(part) > 2 or between not in ("", "-", "point"):
        return False
    whole, rest = part
    spoken = whole.form in (Form.DIGIT, Form.SPOKEN) and rest.form in (Form.DIGIT, Form.SPOKEN)
    return spoken and (between == "point" or rest.count == 2)


def _only_space(text: str, part: Sequence[Element]) -> bool:
    """True where nothing but spaces and hyphens stands between the numbers: "one nineteen ninety nine"."""
    return all(text[left.end : right.start].strip(" -") == "" for left, right in pairwise(part))


def _is_time(text: str, tokens: Sequence[Token], part: Sequence[Element]) -> bool:
    """A time in words: "at three thirty", "seven oh five p.m."; what holds more is none."""
    if _is_military(text, tokens, part):
        return True
    if not 2 <= len(part) <= 3:
        return False
    hour, *minutes = part
    if not (_spoken_minutes(minutes) or _hour_in_digits(text, part)):
        return False
    if hour.first != hour.last or not (tokens[hour.first].word in _HOUR_WORDS or _hour_in_digits(text, part)):
        return False
    after = _word_after(tokens, part)
    if after == "in" and _word_after(tokens, part, 2) == "the" and _word_after(tokens, part, 3) in _PARTS_OF_DAY:
        return True
    if after in _HALF_DAY or (after in ("a", "p") and _word_after(tokens, part, 2) == "m"):
        return True
    closed = after in _AFTER_TIME or _CLOSES.match(text, part[-1].end) is not None
    return closed and _word_before(tokens, part) in _BEFORE_TIME


def _is_military(text: str, tokens: Sequence[Token], part: Sequence[Element]) -> bool:
    """ "At 1430", "by fourteen thirty": a time of the afternoon, or with "hours" any."""
    digits = "".join(one.digits for one in part)
    if len(digits) != 4 or not _clock(digits[:2], _HOURS) or not _clock(digits[2:], _MINUTES):
        return False
    written = len(part) == 1 and part[0].form is Form.WRITTEN
    if not (written or (len(part) == 2 and all(one.count == 2 and one.form is Form.SPOKEN for one in part))):
        return False
    if _word_after(tokens, part) == "hours":
        return True
    if _word_before(tokens, part) not in _BEFORE_TIME or int(digits) % 5:
        return False
    if int(digits[:2]) <= 12:
        return _word_after(tokens, part) in _DAYS or _word_after(tokens, part, 2) in _PARTS_OF_DAY
    return _word_after(tokens, part) in _AFTER_TIME or _CLOSES.match(text, part[-1].end) is not None


def _are_clock_times(text: str, tokens: Sequence[Token], part: Sequence[Element]) -> bool:
    """Times in digits: "3:30", "10:30"; one or two and nothing else."""
    if len(part) not in (2, 4):
        return False
    pairs = zip(part[::2], part[1::2], strict=True)
    return all(
        text[hour.end : minute.start] == ":"
        and _clock(tokens[hour.first].word, _HOURS)
        and _clock(tokens[minute.first].word, _MINUTES, exact=True)
        for hour, minute in pairs
    )


def _spoken_minutes(minutes: Sequence[Element]) -> bool:
    if len(minutes) == 1:
        return minutes[0].form is Form.SPOKEN and minutes[0].count == 2
    return minutes[0].form is Form.OH and minutes[1].form is Form.DIGIT


def _hour_in_digits(text: str, part: Sequence[Element]) -> bool:
    """True for the form of "10 30"."""
    return re.fullmatch(r"(?:1[0-2]|[1-9]) [0-5]\d", text[part[0].start : part[-1].end]) is not None


def _clock(digits: str, limit: int, *, exact: bool = False) -> bool:
    width = len(digits) == 2 if exact else len(digits) <= 2
    return width and digits.isdecimal() and int(digits) < limit


def _word_before(tokens: Sequence[Token], part: Sequence[Element]) -> str:
    index = part[0].first
    return tokens[index - 1].word if index else ""


def _word_after(tokens: Sequence[Token], part: Sequence[Element], steps: int = 1) -> str:
    index = part[-1].last + steps
    return tokens[index].word if index < len(tokens) else ""
