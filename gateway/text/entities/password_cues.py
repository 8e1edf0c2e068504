"""The words by which a password is told from talk about passwords, by kind; :mod:`gateway.text.entities.password` goes
by them.

A table is a string of phrases with commas between. All patterns are tried at bounded distances, so that no text takes
more than linear time.
"""

from __future__ import annotations

import re

from gateway.text.patterns import Lazy

__all__ = [
    "AMENDS", "ASKS", "ASKS_AGAIN", "ASKS_FOR_NEW", "BEFORE", "CLAUSE", "CORRECTS", "DANGLES", "EVASIONS", "FILLERS",
    "KNOWS", "LATER", "LEADS", "LOST", "MINE", "NAMES_THE_LAST", "NAMING", "NOUN", "NO_ASK", "NO_SUBJECT", "NO_VALUE",
    "OPENERS", "PARTS", "QUESTION", "READS_BACK", "SELF_ASKED", "TELLS", "TRIES",
]  # fmt: skip


def _any(*tables: str) -> str:
    """A pattern for any phrase of the tables, longest first."""
    phrases = {phrase.strip() for table in tables for phrase in table.split(",") if phrase.strip()}
    ordered = sorted(phrases, key=lambda phrase: (-len(phrase), phrase))
    return "(?:" + "|".join(re.escape(one).replace(r"\ ", r"\s+") for one in ordered) + ")"


def _compile(*patterns: str) -> Lazy:
    """One pattern of several, tried in their order."""
    return Lazy("|".join(patterns), re.IGNORECASE)


def _each(*patterns: str) -> tuple[Lazy, ...]:
    """Patterns that are all searched for: what one finds may be no password, and what another finds be one."""
    return tuple(Lazy(one, re.IGNORECASE) for one in patterns)


# What a password is called.
_CALLED = (
    r"(?:pass\s?words?|pass\s?phrases?|pass\s?codes?(?:\s+(?:word|phrase))?|access\s+codes?|key\s+phrases?|(?:security|secret)\s+answers?"
    r"|hint\s+answer|answer\s+(?:to|for)\s+(?:my|your|the|that|his|her)\s+(?:(?:security|secret)\s+)?question"
    r"|(?:code|secret|memorable|safe|security|magic|verbal)\s+words?)"
)
# What security questions ask for, where they say so by themselves.
_KNOWN_QUESTIONS = (
    r"(?:mother(?:'s|s)\s+maiden\s+name|maiden\s+name\s+of\s+(?:your|my)\s+mother|(?:your|my)\s+first\s+(?:pet|car|job|school|teacher|employer|concert|kiss)(?:'s\s+name)?|(?:high\s+school|school)\s+mascot"
    r"|(?:street|road|town|city)\s+(?:that\s+)?(?:did\s+)?(?:you|i)\s+gr[eo]w\s+up\s+(?:on|in)"
    r"|(?:city|town|hospital)\s+(?:were\s+you|you\s+were|was\s+i|i\s+was)\s+born\s+in"
    r"|(?:elementary|primary|grade|grammar)\s+school\s+(?:did\s+)?(?:you|i)\s+(?:go|went|attend(?:ed)?)"
    r"|name\s+of\s+(?:your|my)\s+(?:elementary|primary|grade)\s+school|childhood\s+(?:nickname|best\s+friend)"
    r")"
)
# Compounds that are no password: "the password link".
_COMPOUNDS = _any(
    "email, emails, e-mail, link, links, reset, resets, resetting, manager, field, box, page, screen, hint, policy",
    "protection, protected, recovery, requirement, requirements, rule, rules, prompt, option, strength, length",
    "change, changes, issue, issues, problem, problems, vault, generator, keeper, wizard, portal, section, settings",
    "tab",
)
NAMING = rf"(?:{_CALLED}|{_KNOWN_QUESTIONS}|(?:security|secret|challenge)\s+questions?)"
"""A pattern for what names a password, or what serves as one: the answer to a security question."""
_NOUN = rf"(?:(?:{_CALLED}|{_KNOWN_QUESTIONS})(?!\s+{_COMPOUNDS}\b)\b)"
NOUN = Lazy(rf"\b{_NOUN}", re.IGNORECASE)
"""A name of a password that is no part of a compound."""

_OWNER = r"(?:(?:my|the|our|your|his|her|their|a)\s+)"
_OWNED = rf"{_OWNER}(?:[\w-]+\s+)?{_NOUN}"
_WHO = r"(?:i|we|you|he|she|they)"
_WORDS = r"(?:[\w'-]+\s+)"
_IS = (
    r"(?:(?:is|was|equals|says|reads|goes|(?:might|may|could|will|should|would|must|can|to)\s+(?:just\s+)?be|used\s+to\s+be"
    r"|(?:might|may|could|should|would|must)\s+have\s+been|ha[sd]\s+(?:always\s+)?been)\b"
    r"(?!\s+(?:set|changed|reset|updated|switched)\b)"
    r"|(?:is|was|got|were)\s+(?:set|changed|reset|updated|switched)\s+(?:back\s+)?to\b)"
)
_ITS = r"(?:it(?:'s|\s+is|\s+was|'d\s+be|\s+says|\s+reads)|that(?:'s|\s+is|\s+was|'d\s+be|\s+would\s+be))"
_SMALL_TALK = r"(?:(?:okay|yes|yeah|sure|so|now|well|um|uh)[\s,.]+){0,4}"

# Words behind "the password" that begin no password: what is done with it, where, when, and by whom.
_NEXT = r"(?!" + _any(
    "to, for, that, this, i, is, was, on, and, or, again, you, we, they, from, in, at, it, please, first, now, but",
    "because, not, if, when, as, your, my, the, so, then, there, here, over, with, by, too, instead, multiple",
    "several, twice, once, three, two, wrong, correctly, incorrectly, just, today, yesterday, online, which, who, he",
    "she, everywhere, anywhere, of, a, an, work, works, worked, easier, harder, stronger, simpler, longer, shorter",
    "safe, somewhere, down, sir, ma'am, really, be, been, being, question, questions, might, may, will, would, can",
    "could, should, must, has, had, have, did, do, does, doesn't, didn't, isn't, wasn't, won't, 's, matches, expired",
    "before, exactly, one more, one last, after, until, while, since, without, myself, yourself, correct, right",
    "thanks, thank, okay, never, always, recently, already, no, yes, what, yet, either, anymore, last, all, expires",
    "changed, sent, reset, case",
) + r"\b)"  # fmt: skip

TELLS = _each(
    # "the password (that) I use (for the router) is", "my password, if I remember right, is"; "password:"
    rf"\b{_NOUN}(?:\s+(?:that\s+)?{_WHO}\s+{_WORDS}{{0,4}}?[\w']+)?"
    rf"(?:\s+(?:on|for|to|of|in|that|here|there|with)\b(?:\s+(?!is\b|was\b)[\w'-]+){{0,5}}?)?(?:,\s[^.,?!]{{1,30}},)?"
    rf"(?:\s*[:=]|'s\b|,?\s+(?:which\s+)?{_IS})\s*",
    # "for my password? Okay, it's", "the Wi-Fi password, it says", "for the Wi-Fi password it's"
    rf"\b(?:{_CALLED}[^.?!]{{0,40}}[,?.]|{_NOUN})\s+{_SMALL_TALK}{_ITS}\s+(?!{_OWNED})",
    # "I changed it to", "I've set my password to"
    rf"\b(?:set|sets|change|changed|reset|made|make|switched|updated)\s+(?:it|(?:{_OWNER})?(?:[\w-]+\s+)?{_NOUN})"
    r"\s+(?:back\s+)?(?:to|as)\b\s*",
    # "change the password from … to …"
    rf"\b(?:chang|switch|updat|reset)\w*\s+(?:{_OWNER})?(?:[\w-]+\s+)?{_NOUN}\s+from\s+",
    # "and now it's", "and the new one is"
    r"\bnow\s+(?:it's|it\s+is)\s+",
    rf"\b(?:new|old|other|current|second|first|right|correct|last|latest)\s+one(?:'s\b|\s+{_IS})\s*",
    # "the password I have is", "as a password we chose"
    rf"\b{_NOUN},?\s+(?:i|we)\s+(?:have|had|use|used|put|chose|picked|set|got|wrote)\b(?:\s+(?:is|was)\b)?\s*",
    # "try the password", "they gave me the password", "it's my password,"
    r"\b(?:with|use|using|try|tried|trying|enter|entered|entering|typed?|typing|typed\s+in|put\s+in|say|said|make|making"
    rf"|(?:gave|give|sent|told)\s+\w+)\s+(?:{_OWNER})?(?:[\w-]+\s+)?{_NOUN},?\s+{_NEXT}",
    rf"\b(?:it's|that's|this\s+is)\s+{_OWNED},\s+{_NEXT}",
    # "is your password still …?"
    rf"(?<!what\s)(?<!which\s)(?<!where\s)\b(?:is|was)\s+{_OWNED}\s+{_NEXT}(?=[^.!]{{1,80}}\?)",
    # "I had it as", "it was red barn before"
    r"\b(?:had|have|got|set|setup)\s+it\s+(?:up\s+)?(?:as|to)\b\s*",
    r"\bit\s+(?:was|used\s+to\s+be)\s+(?=[\w' ]{2,40}\bbefore\b)",
    # "log in as jsmith, password red barn.", "we share one password, red barn."
    rf"(?:(?:^\W{{0,9}}|,\s+(?:and\s+)?){_NOUN},?|{_NOUN},)\s+{_NEXT}(?=[\w']+(?:\s+[\w']+){{0,2}}[.!]?$)",
    # "the password you gave me, red barn, doesn't work"
    rf"\b{_NOUN}\s+{_WHO}\s+{_WORDS}{{0,3}}[\w']+,\s+{_NEXT}(?=[\w\s']{{2,40}},)",
    # "password b, l, u, e", "password hunter2", "password capital B"
    rf"\b{_NOUN},?\s+(?=(?:[a-z][,.]?\s+){{2}}|[a-z]{{1,20}}\d|(?:lower\s?case|upper\s?case|capital|small|lower|upper)\b)",
)  # fmt: skip
"""What stands before a password; it begins behind the match."""

BEFORE = _compile(
    # "blue horse seven is my password"
    rf"(?<!\S)(?P<value>(?:[\w'.,-]{{1,30}}\s+){{1,8}}?)(?:is|was|will\s+be|would\s+be)\s+{_OWNED}",
    # "blue horse. That's my password.", "green door, the old password."
    rf"(?<!\S)(?P<last>(?:[\w'-]{{1,30}}[\s,.]{{1,3}}){{1,8}}?)(?:(?:that's|that\s+is|that\s+was|it's)\s+{_OWNED}"
    rf"|(?<=,\s){_OWNED}[.!]?$)",
    # "I use blue horse as my password", "so it's blue horse for the password?"
    r"\b(?:us(?:ed?|ing)|tr(?:y|ying|ied)|put(?:ting)?(?:\s+(?:in|down))?|enter(?:ed|ing)?|typ(?:ed?|ing)(?:\s+in)?|have|had"
    r"|got|pick(?:ed)?|cho[o]?se|set|want(?:ed)?|like|made|(?:wrote|write)(?:\s+down)?|with|it's"
    rf"|it\s+is|it\s+was|that's)\s+(?P<used>(?:[\w'.,-]{{1,30}}\s+){{1,6}}?)(?:as|for)\s+{_OWNED}",
)  # fmt: skip
"""What stands behind a password: the group that matched is the password, with what may stand before it."""

NO_SUBJECT = Lazy(
    r"(?:.*\b)?"
    + _any(
        "that, this, it, it's, what, which, where, here, there, who, how, why, think, know, sure, believe, says",
        "said, so, everything, name, one, of, those, question, thing, problem, again, in, up, down, another",
        "anything, something, okay, yes, yeah, thanks, right, them, him, me, asked, asking",
    )
    + r"\s*$",
    re.IGNORECASE | re.DOTALL,
)
"""What ends like this is no password although "is my password" follows."""

# What "the password is" goes on with where none is told.
NO_VALUE = Lazy(
    _any(
        # states of it
        "not, no, never, incorrect, wrong, invalid, expired, required, case, too, the same, same, locked, weak",
        "strong, reset, changed, needed, being, correct, good, fine, ready, supposed, saved, stored, encrypted, sent",
        "working, accepted, rejected, secure, gone, lost, forgotten, unknown, blank, empty, optional, different",
        "longer, shorter, important, private, confidential, hidden, easier, harder, simpler, stronger, visible",
        "temporary, protected, safe, out of date, stuck, failing, broken, missing, mandatory, right, okay, ok, set",
        "due, denied, set up, about to, matching, greyed out, disabled, active, inactive, valid, compromised, known",
        "written, linked, great, perfect",
        # places, times and sentences about it
        "what, something, anything, going, on, in, at, for, up, about, your, really, here, there, asking, that, this",
        "it, it's, how, why, when, where, which, who, to be, eight characters, everywhere, always, also, only for",
        "just for, by, with, and, or, but, if, so, because, to, of, from, please, thanks, thank you, been, me, us",
        "you, my email, sorry, though, obviously, sir, ma'am, again, correctly, incorrectly, yet, after, before",
        "until, recently, later, access, an error, i, i'm, i've, we, he, she, they",
    )
    + r"\b(?!\s+(?:underscore|dash|dot)\b)"
    r"|(?:an?|the)\s+(?:\w+\s+)?(?:problem|issue|one|only|reason|thing|question|hint|secret|must|requirement|link|email)\b"
    r"|old(?=\s*(?:$|[.,?!]))|n't\b|\w+(?:ed|ing)\s+(?:by|to|in|on|for|at)\b",
    re.IGNORECASE,
)  # fmt: skip
FILLERS = Lazy(
    r"(?:[\s,.…:\-]+|(?:um+|uh+|er+m?|hm+|"
    + _any(
        "well, so, like, actually, just, still, currently, probably, basically, let me see, let me think",
        "let me check, let me look, the word, i think, i believe, i guess, it's, it is, that's, gonna be",
        "going to be, all one word, all lowercase, all lower case, all uppercase, all upper case, all caps",
        "all small letters, either, quote, spelled, maybe",
    )
    + r")\b[\s,.…]*)+",
    re.IGNORECASE,
)  # fmt: skip
"""What may stand between "the password is" and the password."""

CLAUSE = _compile(
    # a sentence's end; "to log in"
    r"[.?!](?=\s|$)|;|…",
    r"\s+to\s+(?:open|log|get|sign|access|enter|unlock|start)\b",
    # another clause
    r",?\s+(?:and|so|then|but|because|if|when|since|which)\s+"
    + _any(
        "i, i'm, i've, i'll, i'd, it, it's, that, that's, then, my, we, you, can, could, now, he, she, they, there",
        "the, this, please",
    )
    + r"\b",
    r",?\s+"
    + _any(
        "but, because, please, thanks, thank you, yesterday, today, last week, last night, last month, last year",
        "now it's, can you, can i, can we, could you, if you, if i, if that, i think, i believe, i guess, i mean",
        "i hope, is that, does that, no spaces, no space, is my password, is the password, as my password",
        "as the password, as your password",
    )
    + r"\b",
    # how it is written
    r",?\s+(?:(?:with|in)\s+(?:an?\s+|all\s+)?(?:capital|caps|lower|upper|small|big|little|space)\w*"
    r"|all\s+(?:one\s+word|lower|upper|caps|small|together)\w*)",
    r",\s+(?:"
    + _any(
        "got it, right, correct, okay, ok, with, and the, all, it, it's, that, that's, is, doesn't, does, isn't",
        "won't, didn't, the password, i'm, do, did, you, we, my, sir, ma'am, if, so, not, no wait, or at",
        "or something, thank, like the, like in",
    )
    + r"|i\s+\w+)\b",
)  # fmt: skip
"""Where a password ends at the latest."""

PARTS = Lazy(r"[.?!,;:…](?:\s+|$)")
"""Where a turn falls apart."""

LOST = Lazy(r"\b" + _any("forgot, forgotten, forget, lost, reset, resetting, new, link") + r"\b", re.IGNORECASE)
"""Whoever says so tells no password beside it."""


NAMES_THE_LAST = _compile(
    rf"\b(?:that's|that\s+is|that\s+was|this\s+is|it's|that'd\s+be)\s+{_OWNED}", rf"\b(?:is|was)\s+that\s+{_OWNED}"
)
""" "That's my password": it was said before."""

ASKS = _compile(
    r"\b(?:what|what's|which|tell|telling|give|giving|say|state|speak|read|provide|confirm|verify|spell|have|get|share|know"
    r"|ask(?:s|ing|ed)?\s+(?:me\s+|us\s+)?for|remember|need|repeat|hear|ask\s+you\s+for|ahead\s+with|choose|pick|come\s+up\s+with|give\s+me)\b"
    rf"(?!\s+to\s+(?:reset|change|update))[^.?!]{{0,40}}?\b{_NOUN}",
    rf"\b{_NOUN}\s*,?\s+please\b",
    rf"\b{_NOUN}\b[^?]{{0,80}}\bwhat(?:'s|\s+is|\s+was)\s+it\b",
    r"(?:^|[.!?,]\s+)(?!(?:is|was|does|did|has|are|can|will|isn't|do|when|why|how|where|so)\b)"
    rf"(?:[\w']+,?\s+){{0,12}}{_NOUN}\b[^.?!]{{0,30}}\?",
    rf"^\W{{0,9}}(?:[\w']+\s+){{0,3}}{_NOUN}[.\s]*$",
    # "your security question is what street did you grow up on"
    rf"\bquestions?\s+(?:is|was)\b[^.?!]{{0,20}}\b{_NOUN}",
)
"""A request for a password."""

ASKS_FOR_NEW = _compile(
    rf"\b(?:what|which)\b[^.?!]{{0,60}}\b{_NOUN}\s+to(?:\s+be)?\s*\?",
    rf"\byou\s+(?:like|want)\b[^.?!]{{0,60}}\b{_NOUN}\s+to\s+be\b",
)
"""A request for a new one: that is told even where others are reset."""

# Whoever says so next to "password" asks for none.
NO_ASK = Lazy(
    r"\b"
    + _any(
        "reset, change, changed, update, forgot, forgotten, forget, recover, lost, new, link, must, never, don't",
        "do not, can't, cannot, couldn't, didn't, won't, shouldn't, requirements, requirement, manager, isn't",
        "doesn't, wrong",
    )
    + r"\b"
    # "Have you tried another password?", "did it work?"
    r"|(?:^|[.,!?]\s+)(?:have\s+you|has|did|does|is|was|are)\b",
    re.IGNORECASE,
)  # fmt: skip
KNOWS = Lazy(rf"\b(?:i|we)(?:'ve)?\s+(?:\w+\s+){{0,2}}(?:have|know|remember|got|need)\b[^.?!]{{0,40}}{_NOUN}", re.I)
"""A customer has one, and asks for none."""

ASKS_AGAIN = _compile(
    r"\b(?:what|which)(?:'s|\s+is|\s+was|\s+would)\s+(?:it|that|the\s+answer)\b(?!\s+(?:for|about|like)\b)",
    r"\b(?:go\s+ahead|go\s+on|yes,?\s+please|please\s+do|to\s+what|and\s+it(?:'s|\s+is)\s*\?|whenever\s+you're\s+ready)\b",
    r"\b(?:give|tell|say|read|spell|share|repeat|provide|verify|confirm)\s+(?:me\s+)?(?:it|that|the\s+answer|one)\b",
    r"\b(?:have|get|hear|take)\s+(?:it|that)\b(?=[^.!]{0,40}\?)",
    r"\bwhat\s+(?:did|do|would|have)\s+you\s+(?:use|set|choose|have|like|change|pick|want|try)\b[^.?!]{0,30}",
    r"\b(?:another|other|second)\s+one\s*\?",
    r"\b(?:one\s+more\s+time|once\s+more|come\s+again|say\s+again|again|repeat\s+(?:that|it)|pardon(?:\s+me)?)\s*[?.]",
)
""" "What is it?" where a password was spoken of."""

QUESTION = Lazy(
    r"\b(?:what|what's|where|who|which|name\s+of|in\s+what)\b[^.?!]{0,80}\b(?:your|you)\b[^.?!]{0,80}(?:\?|$)"
    rf"|\b{_KNOWN_QUESTIONS}[^.!?]{{0,40}}\?",
    re.IGNORECASE,
)
"""A question, where a security question was spoken of."""

DANGLES = Lazy(
    rf"\b{_NOUN}(?:\s+(?:on|for|to)(?:\s+[\w']+){{1,4}})?\s*(?:is|was|'s|(?:will|would|should)\s+be|:)"
    r"[\s,.:…\-]*(?:um+|uh+|it's)?[\s,.…\-]*$",
    re.IGNORECASE,
)
""" "My password is", and the text ends."""

MINE = Lazy(rf"\bmy\s+(?:[\w-]+\s+)?{_NOUN}", re.IGNORECASE)
SELF_ASKED = Lazy(
    rf"\bmy\s+(?:[\w-]+\s+)?{_NOUN}\?\s+(?:okay|ok|sure|yes|yeah)\b[\s,.]*", re.IGNORECASE
)  # fmt: skip
""" "You want my password? Okay": the answer follows."""

OPENERS = Lazy(
    r"(?:[\s,.…!\-]+|(?:um+|uh+|er+m?|ah+|hm+|mm+|mm-hmm|"
    + _any(
        "maybe, probably, possibly, perhaps, just, well, so, oh, like, actually, yes, yeah, yep, sure, okay, ok",
        "alright, all right, right, of course, sir, ma'am, absolutely, certainly, no problem, go ahead, let me see",
        "let me think, let me check, let me look, hold on, hang on, one moment, one second, one sec, one minute",
        "a moment, a second, a sec, a minute, just one moment, just a moment, just a second, just a minute",
        "just one second, wait, sorry, please, thanks, thank you, got it, i got it, found it, i found it, i have it",
        "have it, great, perfect, now, then, it should be, ready, here it is, here goes, here you go, done, gladly",
        "yup, oh right, uh-huh, pretty sure, i'm pretty sure, i'm sure, not sure but, not at all, very good",
        "sounds good, will do, happy to, good question",
    )
    + r")\b[\s,.…!]*|i\s+(?:do|can|will|have|am)[,.]\s+)+",
    re.IGNORECASE,
)  # fmt: skip
"""How an answer begins before what it says."""

_ANYTHING = r"(?:i\s+(?:think|believe|guess|suppose|'m\s+pretty\s+sure)\s+)?"
LEADS = _compile(
    r"(?:(?:but|and|then|so|or)\s+)?(?:let's\s+(?:go\s+with|do|use|make\s+it|say|try)|how\s+about|what\s+about|make\s+it"
    r"|set\s+it\s+to|(?:put|type)\s+in|put|try|type|enter|use|(?:i'd|i\s+would|i\s+want\s+to|i\s+wanna|i'm\s+going\s+to)\s+say|was\s+it|is\s+it|can\s+(?:we|you|i)\s+(?:do|use|make\s+it)"
    r"|(?:i'd|i\s+would)\s+like(?:\s+it\s+to\s+be)?|i'll\s+(?:go\s+with|use|take)|i\s+have\s+it\s+as|i\s+go\s+with"
    r"|i'm\s+(?:trying|using|typing|entering|putting\s+in|typing\s+in)|i've\s+(?:got|been\s+using|been\s+trying)"
    r"|(?:it|that)(?:'s|\s+was|\s+is)\s+set\s+(?:up\s+)?(?:as|to)|i\s+(?:changed|set)\s+it\s+to"
    r"|(?:it\s+)?(?:starts|begins|ends|goes)\s+with|(?:should|could|might|would|must)\s+be)\b[\s,.…]*",
    rf"(?:(?:but|and|then|so|or)\s+)?{_ANYTHING}(?:(?:it|that|this|mine|hers|his|ours|the\s+(?:word|answer|name)|(?:my|the|our)\s+"
    rf"(?:[\w-]+\s+)?(?:{_NOUN}|one))(?:'s|'d\s+be|\s+(?:is|was|(?:would|will|should|might|could|must)\s+be"
    r"|(?:should|would|might|could|must)\s+have\s+been))"
    r"|(?:i|then|just)\s+(?:used|use|put|tried|try|chose|picked|typed|entered|have|meant|go\s+with))\b[\s,.…]*",
)  # fmt: skip
"""What an answer says before the password."""

TRIES = _compile(
    r"\W{0,3}(?:(?:um+|uh+|well|okay|no|yes|yeah|sorry|oh|so),?\s+){0,3}(?:(?:then|maybe|perhaps|or)\s+)?"
    r"(?:try|maybe|perhaps|(?:it|that)\s+(?:might|could|should|may|must)\s+be|it\s+(?:starts|begins|ends)\s+with)\b[\s,.…]*"
)
"""A guess, where a password was spoken of but not asked for."""

AMENDS = Lazy(
    r"[,.]?\s+(?:no,?\s+wait|no,?\s+sorry|wait,?\s+no|wait|sorry|i\s+mean|actually|no|or\s+rather|make\s+that|scratch\s+that"
    rf"|correction|or\s+maybe|or)\b[\s,.]*(?:{_ITS}\s+)?",
    re.IGNORECASE,
)
"""What stands between a password and the one that it should have been."""

READS_BACK = _compile(
    r"\W{0,3}(?:(?:okay|ok|so|sorry|alright|and|thanks|thank\s+you|great|i'm\s+sorry)[,.]?\s+){0,4}(?:(?:is|was)\s+(?:that|it)"
    r"|that's|that\s+was|that\s+is|did\s+you\s+say|you\s+said|i\s+have|i\s+heard|i\s+got)\s+"
    rf"(?!(?:a|an|the|your|my|it|that|in|on|not|okay|right|correct|great|perfect|fine|all|what|how|why|everything)\b|{_OWNER})"
)
"""The other side says it again, or what it heard."""

_QUESTIONS = (
    "can, could, do, does, did, why, what, what's, which, how, who, when, where, is, are, was, would, will, should"
)
EVASIONS = Lazy(
    _any(
        _QUESTIONS,
        # "I don't know"; "my husband set it up"
        "i, i'm, i've, i'll, i'd, we, you, he, she, they, it, it's, that, that's, this, my, your, you're, they're",
        "there, there's, somebody, someone, everybody, nobody",
        # "no", "never mind"
        "no, nope, not, none, never, nothing, don't, won't, unfortunately, honestly",
        # other sentences
        "let, give, read, hear, before, after, once, when, while, if, but, because, and, for, to, any, some, excuse",
        "pardon, hello, hi, bye, goodbye, still",
    )
    + r"\b|the\s+(?:\w+\s+)?"
    + _any(
        "one, same, password, passwords, system, account, email, website, site, app, screen, page, link, computer",
        "other, thing, problem, issue, reason, agent, lady, guy, person, message, text, only, code, question",
    )
    + r"\b|(?:all|just\s+now|last)\s+(?:of|set|done|good|night|week|month|year|time|right)\b|just\s+now\b|now\b"
    r"|(?:good|bad)\s+(?:morning|afternoon|evening|to\s+know)\b|\w+ing\s+(?:it|now|that|up)\b",
    re.IGNORECASE,
)  # fmt: skip
"""How a turn begins that tells no password: a question, a refusal, a sentence."""

LATER = Lazy(rf"[,.]\s+(?:(?:so|and|but|then)\s+)?{_ITS}\s+", re.IGNORECASE)
""" "My son set it up, so it's …"."""

CORRECTS = Lazy(
    r"\W{0,3}(?:no|sorry|wait|actually|i\s+mean|oops|correction|then)\b(?![\s,.]*(?:thanks|thank|problem|worries))[\s,.]*",
    re.IGNORECASE,
)
"""What was told before was wrong."""
