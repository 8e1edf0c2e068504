"""What an utterance leaves to the next one of its track: its audio and text in the ear, and the seam of a cut.

Sans-I/O; one :class:`Memory` a track, used from one thread. The stage of a live call and the offline path ask it in the
same order, so that both come to the same texts. A live call's next utterance may be there before the text of the last
one, if the recognizer has fallen far behind: then it is decoded as if it were the first.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway._native import mulaw
from gateway.speech.engine import PLAIN, Compact, DecodeOptions, Engine, Hypothesis, Past, Recalling, Session, Ulaw
from gateway.speech.kept import Stretch
from gateway.speech.seams import OVERLAP_MS
from gateway.speech.track import Ending, Segment

__all__ = ["LONGEST_MS", "Memory", "fill"]

LONGEST_MS = 12_000
"""Of two utterances: with more, there is no second hearing (:data:`gateway.speech.search.LONGEST_MS`)."""

_SAMPLES_PER_MS = 8


@dataclass(slots=True)
class _Last:
    """An utterance's place, what is kept of its audio, and its text."""

    place: tuple[int, int]
    cut: bool
    audio: Stretch
    hypothesis: Hypothesis | None = None

    def past(self, samples: int) -> Past | None:
        """What it leaves to the next one, of so many samples, if that is of use."""
        if not self.audio or self.hypothesis is None or not (self.cut or self.hypothesis.said):
            return None
        if not self.cut and len(self.audio) + samples > LONGEST_MS * _SAMPLES_PER_MS:
            return None
        return Past(self.audio, self.hypothesis, self.cut)


class Memory:
    """The last utterance of a track: at most 100 kB, as long as the track is open.

    Args:
        options: what the track's call asks of its decodes.
    """

    def __init__(self, options: DecodeOptions = PLAIN) -> None:
        self._options = options
        self._last: _Last | None = None

    def read(self, engine: Engine, ulaw: Ulaw) -> Session:
        """Begin to decode ``ulaw``, the utterance that is open or has just ended."""
        session = engine.open(self._options)
        if (
            self._last is not None
            and isinstance(session, Recalling)
            and (past := self._last.past(len(ulaw))) is not None
        ):
            session.recall(past)
        fill(session, ulaw)
        return session

    def ended(self, segment: Segment) -> None:
        """An utterance has ended; call it after its :meth:`read`."""
        cut, audio = segment.ending is Ending.CUT, segment.ulaw
        if cut:
            audio = audio.tail(OVERLAP_MS * _SAMPLES_PER_MS)
        elif len(audio) > LONGEST_MS * _SAMPLES_PER_MS:
            audio = audio.tail(0)
        self._last = _Last((segment.start, segment.end), cut, audio)

    def told(self, segment: Segment, hypothesis: Hypothesis) -> None:
        """Its text, as the engine gave it, is there."""
        if self._last is not None and self._last.place == (segment.start, segment.end):
            self._last.hypothesis = hypothesis


def fill(session: Session, ulaw: Ulaw) -> None:
    """Give a session telephone audio: as it is, if it takes that."""
    if isinstance(session, Compact):
        session.accept_ulaw(ulaw)
    else:
        session.accept(mulaw.decode(bytes(ulaw)))
