"""An account's custom vocabulary: phrases that the recognizer is biased to, and how they sound."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MAX_ENTRIES", "MAX_PHRASE", "MAX_SOUNDS", "MAX_SOUND_LENGTH", "Phrase", "Vocabulary"]

MAX_ENTRIES = 200
"""Of an account (AutoTranscribe's documented limit, as the two below)."""

MAX_SOUNDS = 5
MAX_SOUND_LENGTH = 40
MAX_PHRASE = 255


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase as it is to be written, and up to five ways in which it may sound."""

    phrase: str
    sounds_like: tuple[str, ...] = ()


Vocabulary = tuple[Phrase, ...]
"""All of an account's phrases; the empty tuple biases nothing."""
