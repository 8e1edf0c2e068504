"""What redaction answers with: the text as it may be shown, what was hidden in it, and which earlier texts change."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.text.policy import Entity

__all__ = ["Hidden", "Redacted", "Revised"]


@dataclass(frozen=True, slots=True)
class Hidden:
    """``text[start:end]`` of the text given, and the entity whose rule hid it."""

    start: int
    end: int
    entity: Entity


@dataclass(frozen=True, slots=True)
class Revised:
    """An earlier utterance, redacted anew for what later ones showed.

    ``utterance`` is the number that the answer of its ``redact()`` call bears; ``text`` its new redacted text.
    """

    utterance: int
    text: str


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text redacted; ``hidden`` lies left to right without overlap, ``revised`` by utterance.

    ``utterance`` is the text's own number in the call, ascending from 0, by which a later one may revise it; -1 if
    nothing will.
    """

    text: str
    hidden: tuple[Hidden, ...] = ()
    revised: tuple[Revised, ...] = ()
    utterance: int = -1
