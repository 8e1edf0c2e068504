"""Profane words, by the patterns of pyobscenity, a port of the JavaScript library obscenity.

Its patterns know inflections and compounds, and exceptions to them ("shitty", but not "cockpit"). What a caller says
plainly to a doctor or to the police is no profanity here, and mild oaths that it lacks are added.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock

from pyobscenity import (
    RegexMatcher,
    english_dataset,
    english_recommended_blacklist_transformers,
    english_recommended_whitelist_transformers,
)
from pyobscenity.dataset import Dataset, PhraseBuilder

from gateway.text.digits.numbers import Element, Token, vocabulary
from gateway.text.entities.context import Context
from gateway.text.policy import Entity
from gateway.text.redacted import Hidden

__all__ = ["find_profanity"]

# Phrases of the library's that are plain words of medicine, law and everyday talk, not oaths.
_PLAIN = vocabulary("abo anal anus ejaculate incest masturbate negro orgasm penis rape semen sex spastic vagina")
# In the library's notation: "|" is the edge of a word.
_MILD = (
    "|crap|",
    "|crappy|",
    "dammit|",
    "damnit|",
    "dumbass",
    "jackass",
    "smartass",
    "badass|",
    "douchebag",
    "|asshat",
)
# Abbreviations, surnames, and doctors' and programmers' words that its patterns take for a misspelled oath.
_NO_OATHS = vocabulary("fu fk fks prn fsck dck damning cumin cummings cummins fagan prick-test turducken dickey dicky")
_KNOWN_WORDS = 16_384
# "f***", "bull****", "s**t": recognizers learned from texts that were cleaned.
_STARRED = re.compile(r"(?<![\w*])[^\W\d]+\*{2,}[^\W\d]*")
_HELL = re.compile(
    r"\b(?:(?:what|who|where|why|how|when)\s+(?:in\s+)?the|go\s+to|bloody)\s+(?P<oath>hell)\b"
    r"|\bthe\s+(?P<hell>hell)\s+(?:out|off|up|with)\b",
    re.IGNORECASE,
)
_AFTER_HELL = " out"
# Men are called so; only a capital inside a sentence tells.
_ALSO_NAMES = vocabulary("dick dicks")
_SENTENCE_START = re.compile(r"(?:^|[.?!…]\s*)$")


def _dataset() -> Dataset:
    def mild(phrase: PhraseBuilder) -> PhraseBuilder:
        phrase.set_metadata({"originalWord": "mild"}).add_whitelisted_term("cum laude")
        for pattern in _MILD:
            phrase.add_pattern(pattern)
        return phrase

    dataset = Dataset().add_all(english_dataset)
    dataset.remove_phrases_if(lambda phrase: phrase.metadata["originalWord"] in _PLAIN)
    dataset.add_phrase(mild)
    return dataset


_TERMS = _dataset().build()
_MATCHER = RegexMatcher(
    **_TERMS,
    blacklist_transformers=english_recommended_blacklist_transformers,
    whitelist_transformers=english_recommended_whitelist_transformers,
)
# Its transformers keep state while they read a text; recordings are redacted on several threads.
_ONE_AT_A_TIME = Lock()
# The same patterns at once: most words match none, and are not given to the matcher, which takes a tenth of a ms.
_ANY = re.compile("|".join(term["pattern"].as_regex() for term in _TERMS["blacklisted_terms"]))


def find_profanity(text: str, tokens: Sequence[Token], _numbers: Sequence[Element], context: Context) -> list[Hidden]:
    """Profane words in ``text``, left to right; all of a word is hidden."""
    found = [
        (token.start, token.end)
        for token in tokens
        if not token.digits and _is_profane(token.word) and not _is_name(text, token)
    ]
    if found and not _anywhere(text):
        found = []
    if "*" in text:
        found += [match.span() for match in _STARRED.finditer(text)]
    longer = text + _AFTER_HELL if context.unfinished else text
    found += [match.span(match.lastgroup or 0) for match in _HELL.finditer(longer)]
    spans: list[Hidden] = []
    for start, end in sorted(found):
        if not spans or start >= spans[-1].end:
            spans.append(Hidden(start, end, Entity.PROFANITY))
    return spans


@lru_cache(_KNOWN_WORDS)
def _is_profane(word: str) -> bool:
    bare = word.removesuffix("'s")
    if bare in _NO_OATHS or _ANY.search(bare) is None:
        return False
    return _matches(bare)


def _anywhere(text: str) -> bool:
    """Whether a word is profane in its text too: "kung fu" and "Moby Dick" are exceptions of two words."""
    return _matches(text)


def _matches(text: str) -> bool:
    with _ONE_AT_A_TIME:
        return bool(_MATCHER.has_match(text))


def _is_name(text: str, token: Token) -> bool:
    capital = text[token.start].isupper() and text[token.start + 1 : token.end].islower()
    return capital and token.word in _ALSO_NAMES and _SENTENCE_START.search(text[: token.start]) is None
