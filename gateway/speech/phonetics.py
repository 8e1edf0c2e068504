"""How English text sounds, roughly: for finding where a phrase may have been misheard.

:func:`key` turns words into a string of sounds that is compared by edit distance. A consonant is two characters, its
manner (a stop, a hiss, a nasal …) and what else tells it from its like, so that ``b`` for ``p`` costs half of what
``b`` for ``s`` does; a vowel is one, for vowels are what a recognizer and a speller agree on least. The rules are
for candidates only, which the model judges by the audio: they may be wrong, but not often, and must be quick.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["key", "spoken"]

# Sounds by the letters that this module's rules write them with: manner, and the rest. A telephone passes little above
# 3.4 kHz, where hisses differ.
_SOUNDS = {
    "p": "Pp", "b": "Pb", "t": "Pt", "d": "Pd", "k": "Kk", "g": "Kg",
    "f": "Ff", "v": "Fv", "T": "Fs", "s": "Ss", "z": "Sz", "S": "Xs", "Z": "Xz", "C": "Xt", "J": "Xd",
    "m": "Nm", "n": "Nn", "N": "Ng", "l": "Ll", "r": "Lr", "w": "Ww", "y": "Y", "h": "h",
    "a": "a", "e": "e", "i": "i", "o": "o", "u": "u",
}  # fmt: skip

# Letters to sounds, the first rule that fits at a place wins. ``<`` and ``>`` are the word's ends.
_RULES = [
    # The beginning of a word.
    (r"<[kgpm]n", "n"), (r"<wr", "r"), (r"<wh(?=o)", "h"), (r"<ps", "s"), (r"<x", "z"), (r"<rh", "r"), (r"<mc", "mak"),
    (r"<(?=.)", ""),
    # Groups of consonants.
    (r"tch", "C"), (r"sch", "S"), (r"ch(?=[rl])", "k"), (r"ch", "C"), (r"sh", "S"), (r"ph", "f"), (r"th", "T"),
    (r"wh", "w"), (r"ck", "k"), (r"dg(?=[eiy])", "J"), (r"qu", "kw"), (r"q", "k"), (r"(?<=[aeiou])ght", "t"),
    (r"igh", "ai"), (r"(?<=[aeiou])gh", ""), (r"gh", "g"), (r"ng(?=[>s])", "N"), (r"nk", "Nk"), (r"mb(?=[>s])", "m"),
    # Soft ones.
    (r"[ts]ion", "Sun"), (r"[ct]i(?=[ao])", "S"), (r"ture", "Cur"), (r"sc(?=[eiy])", "s"),
    (r"cc(?=[eiy])", "ks"), (r"c(?=[eiy])", "s"), (r"g(?=[eiy])", "J"), (r"x", "ks"), (r"j", "J"),
    # What is not heard, and what a silent e does to the vowel before it.
    (r"(?<=[bcdfgkpstz])le>", "ul"), (r"(?<=[a-z][bcdfgklmnprstvz])e>", ""), (r"(?<=[a-z]{2})es>", "s"),
    (r"(?<=[a-z]{2})ed>", "d"), (r"h(?![aeiouy])", ""),
    (r"a(?=[bdfgklmnprstvz]e[>sd])", "e"), (r"i(?=[bdfgklmnprstvz]e[>sd])", "ai"),
    # Vowels.
    (r"ee|ea|ie(?=.)|ey>", "i"), (r"ai|ay|ei|ey", "e"), (r"y>(?<=<.y>)", "ai"),
    (r"oo|ou(?=[pr])|eu|ew|ue|ui", "u"), (r"oa|oe|au|aw", "o"), (r"ou|ow(?=[nd])", "au"), (r"ow", "o"),
    (r"oi|oy", "oi"), (r"er|ir|ur|yr", "ur"), (r"y(?=[aeiou])", "y"), (r"y", "i"),
    # The rest, as it is written.
    (r"c", "k"), (r"[abdefghiklmnoprstuvwz]", None), (r".", ""),
]  # fmt: skip
_ALL = re.compile("|".join(f"({pattern})" for pattern, _ in _RULES))

_LETTERS = {
    "a": "e", "b": "bi", "c": "si", "d": "di", "e": "i", "f": "ef", "g": "Ji", "h": "eC", "i": "ai", "j": "Je",
    "k": "ke", "l": "el", "m": "em", "n": "en", "o": "o", "p": "pi", "q": "kyu", "r": "ar", "s": "es", "t": "ti",
    "u": "yu", "v": "vi", "w": "dubulyu", "x": "eks", "y": "wai", "z": "zi",
}  # fmt: skip
_DIGITS = ("ziro", "wun", "tu", "Tri", "for", "faiv", "siks", "sevun", "et", "nain")

# Letters that Unicode does not take apart.
_PLAIN = str.maketrans({"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "æ": "e", "Æ": "E"})

_PARTS = re.compile(r"[A-Z]?[a-z']+|[A-Z]+(?![a-z])|[a-z]+|\d")
_TWICE = re.compile(r"(.)\1+")
_CONSONANT_TWICE = re.compile(r"([bdfghjklmnpqrstvwxz])\1")
_MOST_LETTERS = 5


def key(text: str, *, letters: bool = False) -> str:
    """The sounds of ``text`` as a string; empty if nothing in it is a Latin letter or a digit.

    Args:
        text: words.
        letters: read words of capitals letter by letter (``IEEE``), and not as words.
    """
    folded = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    plain = folded.encode("ascii", "ignore").decode()
    return "".join(_part(part, letters) for part in _PARTS.findall(plain))


def spoken(text: str) -> tuple[str, ...]:
    """All keys of a phrase: as words, and as letters where capitals allow."""
    keys = (key(text), key(text, letters=True))
    return tuple(dict.fromkeys(each for each in keys if each))


def _part(part: str, letters: bool) -> str:
    lower = part.lower().replace("'", "")
    if part.isdigit():
        sounds = _DIGITS[int(part)]
    elif len(lower) == 1 and lower not in "ai":
        sounds = _LETTERS[lower]
    elif letters and part.isupper() and 1 < len(part) <= _MOST_LETTERS:
        return "".join(_SOUNDS[sound] for letter in lower for sound in _LETTERS[letter])
    else:
        sounds = _word(lower)
    # A sound twice is one, as a letter twice is.
    return "".join(_SOUNDS[sound] for sound in _TWICE.sub(r"\1", sounds))


def _word(word: str) -> str:
    return _ALL.sub(_sounds, "<" + _CONSONANT_TWICE.sub(r"\1", word) + ">")


def _sounds(found: re.Match[str]) -> str:
    sounds = _RULES[(found.lastindex or 1) - 1][1]
    return found.group() if sounds is None else sounds
