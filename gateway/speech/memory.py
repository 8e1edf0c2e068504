"""What an utterance leaves to the next one of its track: its audio and text in the ear, and the seam of a cut.

Sans-I/O; one :class:`Memory` a track, used from one thread. The stage of a live call and the offline path ask it in the
same order, so that both come to the same texts. A live call's next utterance may be there before the text of the last
one, if the recognizer has fallen far behind: then it is decoded as if it were the first.
"""

from __future__ import annotations

from gateway.speech.engine import Engine, Hypothesis, Past, Pcm, Recalling, Session
from gateway.speech.track import Ending, Segment

__all__ = ["Memory"]


class Memory:
    """The last utterance of a track."""

    def __init__(self) -> None:
        self._last: Segment | None = None
        self._hypothesis: Hypothesis | None = None

    def read(self, engine: Engine, pcm: Pcm) -> Session:
        """Begin to decode ``pcm``, the utterance that is open or has just ended."""
        session = engine.open()
        if self._last is not None and self._hypothesis is not None and isinstance(session, Recalling):
            cut = self._last.ending is Ending.CUT
            if cut or self._hypothesis.said:
                session.recall(Past(self._last.pcm, self._hypothesis, cut))
        session.accept(pcm)
        return session

    def ended(self, segment: Segment) -> None:
        """An utterance has ended; call it after its :meth:`read`."""
        self._last, self._hypothesis = segment, None

    def told(self, segment: Segment, hypothesis: Hypothesis) -> None:
        """Its text, as the engine gave it, is there."""
        if segment is self._last:
            self._hypothesis = hypothesis
