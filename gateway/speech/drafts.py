"""What was last heard of an utterance that is still open, to be checked when it is decoded again.

An utterance is decoded at each of its pauses and for its partials, every time from its beginning. What the last decode
said is most often still right up to its last words: checking all of it takes one run of the decoder, saying it again
one a token. A draft only saves work. What is said is what the audio says, whatever the draft.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.speech.engine import Pcm

__all__ = ["Drafts"]

# An utterance is known by this much of its beginning, half a second at 8 kHz.
_KNOWN_BY = 4000

# Longer than any utterance stays open: what callers have said should not be held for longer than it is of use.
_KEPT_S = 60.0


@dataclass(frozen=True, slots=True)
class _Draft:
    ids: tuple[int, ...]
    since: float


class Drafts:
    """Tokens by the beginning of the audio they were heard in; thread-safe.

    Args:
        most: drafts that are kept; the one longest unused goes first.
        clock: seconds, as :func:`time.monotonic` gives them.
    """

    def __init__(self, most: int = 1024, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._drafts: OrderedDict[bytes, _Draft] = OrderedDict()  # oldest first; under the lock

    def __len__(self) -> int:
        return len(self._drafts)

    def of(self, pcm: Pcm) -> tuple[int, ...]:
        """What was last heard of the utterance that ``pcm``, shape ``(samples,)``, is; nothing if it is new."""
        key = _key(pcm)
        with self._lock:
            self._forget_old()
            draft = self._drafts.get(key) if key else None
            return draft.ids if draft else ()

    def keep(self, pcm: Pcm, ids: Sequence[int]) -> None:
        """Remember what was heard of it now."""
        key = _key(pcm)
        if key is None:
            return
        with self._lock:
            self._drafts[key] = _Draft(tuple(ids), self._clock())
            self._drafts.move_to_end(key)
            self._forget_old()

    def drop(self, pcm: Pcm) -> None:
        """The utterance is over."""
        key = _key(pcm)
        with self._lock:
            if key is not None:
                self._drafts.pop(key, None)

    def _forget_old(self) -> None:
        while self._drafts:
            oldest = next(iter(self._drafts))
            if len(self._drafts) <= self._most and self._clock() - self._drafts[oldest].since <= _KEPT_S:
                return
            del self._drafts[oldest]


def _key(pcm: Pcm) -> bytes | None:
    """None for what is too short to be known again, and for digital silence, which many begin with."""
    beginning = pcm[:_KNOWN_BY]
    if len(beginning) < _KNOWN_BY or not beginning.any():
        return None
    return hashlib.blake2b(beginning.tobytes(), digest_size=16).digest()
