"""How much silence ends an utterance: by what its text says, by how long it is, by what the ear hears.

Counted in frames of 32 ms. The figures behind the defaults are those of ``benchmarks/bench_endpoint.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config import EndpointSettings
from gateway.speech.sentence import Verdict

__all__ = ["FRAME_MS", "Patience"]

FRAME_MS = 32
"""What voice activity judges at once."""

MIN_SILENCE_FRAMES = 5
"""The shortest pause (160 ms) that ends a long utterance; shorter ones are those between words."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Frames of silence that end an utterance.

    They count from where the ear hears the end: the model's speech goes on for some frames of breath, room and
    telephone, how many is a matter of the line and not of the speaker.

    Args:
        pause: after which it is decoded ahead, so that its text can be asked.
        complete: for one whose text is a complete sentence.
        usual: for one of whose text nothing is known.
        incomplete: for one that breaks off in mid-sentence.
        long: length of an utterance from which half of these will do, and, half as long again, a third. A pause taken
            in time is a better border than the cut that comes at the longest an utterance may be. The idea is that of
            FunASR's dynamic voice activity detection.
    """

    pause: int
    complete: int
    usual: int
    incomplete: int
    long: int

    @classmethod
    def of(cls, settings: EndpointSettings) -> Patience:
        """From settings in ms; what is out of order (a complete sentence that waits longest) gives way to the usual."""
        usual = max(2, settings.silence_ms // FRAME_MS)
        return cls(
            pause=min(max(1, settings.pause_ms // FRAME_MS), usual - 1),
            complete=min(max(1, settings.complete_ms // FRAME_MS), usual),
            usual=usual,
            incomplete=max(usual, settings.incomplete_ms // FRAME_MS),
            long=settings.long_ms // FRAME_MS,
        )

    def frames(self, verdict: Verdict, length: int = 0, tail: int = 0) -> int:
        """Frames of silence that end an utterance.

        Args:
            verdict: what its text says.
            length: frames of it so far.
            tail: frames of speech to the model that the ear hears as silence, at its end.
        """
        frames = {
            Verdict.COMPLETE: self.complete,
            Verdict.OPEN: self.usual,
            Verdict.INCOMPLETE: self.incomplete,
        }[verdict] - tail
        # The text of a pause is there after it at the earliest.
        least = min(self.pause + 1, self.usual)
        if length < self.long:
            return max(least, frames)
        if 2 * length < 3 * self.long:
            return max(least, frames // 2)
        return max(min(MIN_SILENCE_FRAMES, self.usual), frames // 3)
