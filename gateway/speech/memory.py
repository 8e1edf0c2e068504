"""What an utterance leaves to the next one of its track: its audio and text in the ear, and the seam of a cut.

Sans-I/O; one :class:`Memory` a track, used from one thread. The stage of a live call and the offline path ask it in the
same order, so that both come to the same texts. A live call's next utterance may be there before the text of the last
one, if the recognizer has fallen far behind: then it is decoded as if it were the first.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.speech.engine import Engine, Hypothesis, Past, Pcm, Recalling, Session
from gateway.speech.seams import overlapped, trimmed
from gateway.speech.track import Ending, Segment

__all__ = ["Attempt", "Memory"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """An utterance on its way to its text: what the engine decodes, and what was put in front of it."""

    session: Session
    pcm: Pcm
    seam: Hypothesis | None = None

    def text(self, hypothesis: Hypothesis) -> Hypothesis:
        """The engine's answer without what the piece before a cut has said already."""
        return hypothesis if self.seam is None else trimmed(self.seam, hypothesis)


class Memory:
    """The last utterance of a track."""

    def __init__(self) -> None:
        self._last: Segment | None = None
        self._pcm: Pcm | None = None
        self._hypothesis: Hypothesis | None = None

    def read(self, engine: Engine, pcm: Pcm) -> Attempt:
        """Begin to decode ``pcm``, the utterance that is open or has just ended."""
        session = engine.open()
        seam = None
        if self._last is not None and self._pcm is not None and self._hypothesis is not None:
            if self._last.ending is Ending.CUT:
                seam, pcm = self._hypothesis, overlapped(self._last.pcm, pcm)
            elif self._hypothesis.said and isinstance(session, Recalling):
                session.recall(Past(self._pcm, self._hypothesis.said))
        session.accept(pcm)
        return Attempt(session, pcm, seam)

    def ended(self, segment: Segment) -> None:
        """An utterance has ended; call it after its :meth:`read`."""
        self._last, self._pcm, self._hypothesis = segment, None, None

    def told(self, segment: Segment, attempt: Attempt, hypothesis: Hypothesis) -> None:
        """Its text, as the engine gave it, is there."""
        if segment is self._last:
            self._pcm, self._hypothesis = attempt.pcm, hypothesis
