"""Patterns that are compiled when they are needed, and such that take linear time: every repetition has an end.

A search tries a pattern at every place of a text, so one that begins with ``\\s+`` or ``\\w+`` is quadratic in a
text of nothing but blanks, or of a single endless word, and one with two such parts in a row cubic time. No speech
holds such a text, but a recognizer that goes round in circles may write one, and redaction runs on the event loop.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cached_property
from types import ModuleType

__all__ = ["LONGEST_WORD", "MOST_BLANKS", "Lazy", "bounded", "bounding", "prepare"]

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


class Lazy:
    """A pattern that is compiled when it is first used, or by :func:`prepare`: most calls need few of them.

    Args:
        pattern: as of :func:`re.compile`.
        flags: as there.
    """

    def __init__(self, pattern: str, flags: re.RegexFlag = re.NOFLAG) -> None:
        self.pattern = pattern
        self.flags = flags

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The pattern compiled."""
        return re.compile(self.pattern, self.flags)

    def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        """As of :class:`re.Pattern`."""
        return self.compiled.search(text, start, end)

    def match(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        """As of :class:`re.Pattern`."""
        return self.compiled.match(text, start, end)

    def fullmatch(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        """As of :class:`re.Pattern`."""
        return self.compiled.fullmatch(text, start, end)

    def finditer(self, text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[re.Match[str]]:
        """As of :class:`re.Pattern`."""
        return self.compiled.finditer(text, start, end)


def prepare(module: ModuleType) -> None:
    """Compile the lazy patterns of a module, so that none is compiled in the middle of a call."""
    for value in vars(module).values():
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Lazy):
                _ = one.compiled


def bounding(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> Lazy:
    """A pattern whose repetitions are bounded."""
    return Lazy(bounded(pattern), flags)
