"""Patterns that take linear time: every repetition in them has an end.

A search tries a pattern at every place of a text, so one that begins with ``\\s+`` or ``\\w+`` is quadratic in a
text of nothing but blanks, or of a single endless word, and one with two such parts in a row cubic time. No speech
holds such a text, but a recognizer that goes round in circles may write one, and redaction runs on the event loop.
"""

from __future__ import annotations

import re

__all__ = ["LONGEST_WORD", "MOST_BLANKS", "bounded", "compiled"]

MOST_BLANKS = 4
"""So many blanks, or marks and blanks, are a gap between words."""

LONGEST_WORD = 40
"""So many letters or repetitions are looked at."""

# Of a pattern: an escape, a class of characters, or one character.
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)


def bounded(pattern: str) -> str:
    """``pattern`` with ``+`` and ``*`` replaced by ``{1,n}`` and ``{0,n}``; possessive ones stay as they are.

    n is :data:`MOST_BLANKS` behind ``\\s`` and classes with it, and :data:`LONGEST_WORD` else.
    """
    atoms = _ATOM.findall(pattern)
    parts: list[str] = []
    for index, atom in enumerate(atoms):
        following = atoms[index + 1] if index + 1 < len(atoms) else ""
        if atom in ("*", "+") and following != "+" and index and atoms[index - 1] not in ("*", "+", "?", "}"):
            before = atoms[index - 1]
            blanks = before.startswith(("\\s", "[")) and r"\s" in before and not before.startswith("[^")
            parts.append(f"{{{int(atom == '+')},{MOST_BLANKS if blanks else LONGEST_WORD}}}")
        else:
            parts.append(atom)
    return "".join(parts)


def compiled(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """A pattern whose repetitions are bounded."""
    return re.compile(bounded(pattern), flags)
