"""Smart formatting: what was spoken as one writes it ("twenty two" is 22), and where each word of it comes from.

English as it is spoken in the United States; docs/formatting.md says what is written how. Sans-I/O and synchronous.
Formatting comes before redaction and never makes a secret harder to find: what redaction hides in the spoken form it
hides in the written one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.metrics import FORMATTING_FAILED
from gateway.speech.engine import Token
from gateway.text.digits.numbers import tokenize
from gateway.text.formatting.numbers import LEXICON
from gateway.text.formatting.rules import find_edits
from gateway.text.mask import Edit

__all__ = ["PLAIN", "Formatted", "Formatter", "Piece", "format_text", "format_tokens"]

logger = logging.getLogger(__name__)

_LANGUAGE = "en"
# An address is said with these even if it holds no number.
_TRIGGERS = LEXICON | {"dot", "at"}


@dataclass(frozen=True, slots=True)
class Piece:
    """``text[start:end]`` of the spoken form became ``text[out_start:out_end]`` of the written one, a single word."""

    start: int
    end: int
    out_start: int
    out_end: int


@dataclass(frozen=True, slots=True)
class Formatted:
    """A written text, and the pieces of it that differ from the spoken one, in order; all else is unchanged."""

    text: str
    pieces: tuple[Piece, ...] = ()


class Formatter:
    """Formatting on the terms of one call: nothing is changed if it is not ``enabled``, or another language is spoken.

    Args:
        enabled: ``GATEWAY_TEXT__FORMATTING``.
        language: a language tag; without one, English.
    """

    def __init__(self, *, enabled: bool = True, language: str = "en-US") -> None:
        self._active = enabled and language.lower().replace("_", "-").partition("-")[0] == _LANGUAGE

    def text(self, text: str) -> Formatted:
        """:func:`format_text`."""
        return format_text(text) if self._active else Formatted(text)

    def tokens(self, tokens: Sequence[Token]) -> tuple[Token, ...]:
        """:func:`format_tokens`."""
        return format_tokens(tokens) if self._active else tuple(tokens)


PLAIN = Formatter(enabled=False)
"""Changes nothing."""


def format_text(text: str) -> Formatted:
    """The written form of ``text``. Never raises: what cannot be formatted passes unchanged, and is counted."""
    try:
        tokens = tokenize(text)
        if _TRIGGERS.isdisjoint(token.word for token in tokens) and not _spelled(text):
            return Formatted(text)
        return _applied(text, find_edits(text, tokens))
    except Exception as error:
        # The message may hold what was said; its type does not.
        FORMATTING_FAILED.inc()
        logger.error("formatting failed (%s), an utterance stays as it was spoken", type(error).__name__)
        return Formatted(text)


def format_tokens(tokens: Sequence[Token]) -> tuple[Token, ...]:
    """The words of the written form, one token a word.

    A word that stands for several has the start of the first, the end of the last, and the least confidence. For
    tokens whose contents, joined by spaces, are a text, the contents that come out are that text's written form.
    """
    spoken = " ".join(token.content for token in tokens)
    formatted = format_text(spoken)
    if not formatted.pieces:
        return tuple(tokens)
    starts, at = [], 0
    for token in tokens:
        starts.append(at)
        at += len(token.content) + 1
    # What is glued to a piece ("$5." with its full stop) belongs to the same word.
    written: list[Token] = []
    index, shift, pieces = 0, 0, iter(formatted.pieces)
    piece = next(pieces, None)
    while index < len(tokens):
        first, start = index, starts[index] + shift
        end = starts[index] + len(tokens[index].content)
        while piece is not None and piece.start < end:
            while index + 1 < len(tokens) and starts[index + 1] < piece.end:
                index += 1
            end = starts[index] + len(tokens[index].content)
            shift += (piece.out_end - piece.out_start) - (piece.end - piece.start)
            piece = next(pieces, None)
        written.append(_merged(formatted.text[start : end + shift], tokens[first : index + 1]))
        index += 1
    return tuple(written)


def _merged(content: str, tokens: Sequence[Token]) -> Token:
    return Token(content, tokens[0].start_ms, tokens[-1].end_ms, min(token.confidence for token in tokens))


def _spelled(text: str) -> bool:
    """Whether digits may have been written one by one ("4-1-1-1")."""
    return any(character.isdigit() for character in text)


def _applied(text: str, edits: Sequence[Edit]) -> Formatted:
    parts: list[str] = []
    pieces: list[Piece] = []
    at = out = 0
    for edit in edits:
        out += edit.start - at
        parts += (text[at : edit.start], edit.replacement)
        pieces.append(Piece(edit.start, edit.end, out, out + len(edit.replacement)))
        at, out = edit.end, out + len(edit.replacement)
    parts.append(text[at:])
    return Formatted("".join(parts), tuple(pieces))
