"""The models as interfaces; the recognizer: audio of many utterances in, hypotheses out.

An engine decodes *segments* (an encoder-decoder, which wants the whole utterance) or carries *state* from chunk to
chunk (a transducer). Both fit behind one streaming session: audio goes in with :meth:`Session.accept`, and
:meth:`Engine.step` turns what many sessions hold into hypotheses, as one batch, on a worker thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gateway._native import mulaw
from gateway.speech.vocabulary import Vocabulary

__all__ = [
    "PLAIN",
    "Compact",
    "DecodeOptions",
    "Engine",
    "Hypothesis",
    "Job",
    "Kind",
    "Past",
    "Pcm",
    "Recalling",
    "Session",
    "Token",
    "Ulaw",
    "VoiceActivity",
]

Pcm = NDArray[np.int16]
"""Linear PCM, mono, 8 kHz, 16 bit: shape ``(samples,)``."""


class Ulaw(Protocol):
    """8 kHz μ-law, a byte a sample: ``bytes``, or a :class:`~gateway.speech.kept.Stretch` of what a track keeps."""

    def __len__(self) -> int: ...

    def __bytes__(self) -> bytes: ...


class Kind(IntEnum):
    """What a decode is for; a lower number goes first. Shed are guesses first (SPECULATIVE), then PARTIAL."""

    FINAL = 0
    SPECULATIVE = 1
    PARTIAL = 2


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """What a call asks of its decodes.

    ``word_times``: :attr:`Hypothesis.tokens` are wanted; ``vocabulary``: phrases that decoding is biased to.
    """

    word_times: bool = False
    vocabulary: Vocabulary = ()


PLAIN = DecodeOptions()
"""Text alone, nothing biased."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word with its place, in ms from the utterance's first sample, and its confidence in 0…1."""

    content: str
    start_ms: int
    end_ms: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What was understood of an utterance.

    ``confidence`` is the mean token probability in 0…1 (1.0 for empty text); ``length`` how many of the engine's own
    tokens the text took, 0 if it does not say; ``said`` those tokens, if a later utterance may be read behind them.
    """

    text: str
    final: bool
    confidence: float = 1.0
    tokens: tuple[Token, ...] = ()
    length: int = 0
    said: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """What the utterance before leaves to the next one of its track: its audio, its text, and whether it was cut.

    Of one that was cut, the audio is that before the cut, as much of it as is heard again.
    """

    audio: Pcm | Ulaw
    hypothesis: Hypothesis
    cut: bool = False

    @property
    def pcm(self) -> Pcm:
        """Its audio; what is μ-law is decoded each time."""
        return self.audio if isinstance(self.audio, np.ndarray) else mulaw.decode(bytes(self.audio))


class Session(Protocol):
    """One utterance's way through an engine; used from one thread at a time."""

    def accept(self, pcm: Pcm) -> None:
        """Take more audio of the utterance."""

    @property
    def duration_ms(self) -> int:
        """Audio taken so far."""


@runtime_checkable
class Compact(Session, Protocol):
    """A session that keeps telephone audio as it came, and where it lies, until it is decoded."""

    def accept_ulaw(self, data: Ulaw) -> None:
        """Take more audio of the utterance."""


@runtime_checkable
class Recalling(Session, Protocol):
    """A session that makes use of what was said before."""

    def recall(self, past: Past) -> None:
        """Take what the utterance before has left; before the utterance is decoded."""

    def again(self, first: Hypothesis) -> Session | None:
        """A second hearing of what was decoded to ``first``, for who has the time; None if it would be of no use.

        Its hypothesis is the better of the two.
        """


@dataclass(frozen=True, slots=True)
class Job:
    """A request to decode what ``session`` holds."""

    session: Session
    kind: Kind


class Engine(Protocol):
    """A loaded model; thread-safe: several workers call :meth:`step` at once with different sessions."""

    @property
    def name(self) -> str:
        """The manifest's name of the model."""

    @property
    def languages(self) -> frozenset[str]:
        """Language subtags that the model reads, lower case (``{"en"}``)."""

    def open(self, options: DecodeOptions = PLAIN) -> Session:
        """A new utterance. An engine that cannot do what ``options`` ask leaves it out."""

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        """Decode a batch; blocking, runs on a worker thread. One hypothesis a job, in order."""

    def warm_up(self) -> None:
        """Run once on silence so that the first call does not pay for lazy initialisation."""


class VoiceActivity(Protocol):
    """A voice activity model that keeps state for many tracks, a slot each (:class:`gateway.speech.silero.Silero`)."""

    def acquire(self) -> int:
        """A slot with fresh state."""

    def reset(self, slot: int) -> None:
        """Forget what the slot's track has said."""

    def release(self, slot: int) -> None:
        """Give a slot back."""

    def judge(self, slots: NDArray[np.int64], frames: NDArray[np.int16]) -> NDArray[np.float32]:
        """Probability of speech, shape ``(batch,)``, in frames of shape ``(batch, 256)``."""
