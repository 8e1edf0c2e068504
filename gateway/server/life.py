"""How long a media socket may live without what is expected of it: a start, media, a pong, the answer to our close."""

from __future__ import annotations

import enum
import time

__all__ = ["Life", "Verdict"]

UNAUTHENTICATED_S = 5.0
START_S = 30.0
"""How long an authenticated socket may take to send its ``start``."""

IDLE_S = 30.0
"""Without media for this long, the peer is asked whether it is there."""

PONG_S = 10.0
CLOSE_S = 2.0
"""How long the peer may take to answer a close frame."""


class Verdict(enum.Enum):
    """What is to be done about a socket."""

    LIVES = enum.auto()
    ASK = enum.auto()
    """Send a ping."""
    SILENT = enum.auto()
    """The ping was not answered."""
    NO_START = enum.auto()
    OVER = enum.auto()
    """Its stream has ended some time ago."""
    UNANSWERED = enum.auto()
    """The close frame was not answered."""


class Life:
    """The clocks of one socket; all times are seconds of ``time.monotonic()``."""

    __slots__ = ("_asked", "_close_at", "_left", "_since")

    def __init__(self) -> None:
        # When it opened, or was asked last.
        self._since = time.monotonic()
        self._left = 0.0
        self._asked: float | None = None
        self._close_at: float | None = None

    @property
    def closing(self) -> bool:
        """Whether a close frame was sent."""
        return self._close_at is not None

    def close(self) -> None:
        """A close frame was sent, which the peer is to answer."""
        self._close_at = time.monotonic() + CLOSE_S

    def leave(self) -> None:
        """The stream has ended."""
        self._left = time.monotonic()

    def answer(self) -> None:
        """A pong has come."""
        self._asked = None

    def judge(self, now: float, *, known: bool, called: bool, last_media: float | None) -> Verdict:
        """What is to be done now.

        Args:
            now: the time.
            known: whether a token was shown.
            called: whether a ``start`` has come.
            last_media: when media came last, 0 if none did; None if there is no stream.
        """
        if self._close_at is not None:
            return Verdict.UNANSWERED if now >= self._close_at else Verdict.LIVES
        if not called:
            return Verdict.NO_START if now - self._since > (START_S if known else UNAUTHENTICATED_S) else Verdict.LIVES
        if last_media is None and now - self._left > IDLE_S:
            return Verdict.OVER
        if self._asked is not None:
            return Verdict.SILENT if now - self._asked > PONG_S else Verdict.LIVES
        if now - max(self._since, last_media or 0.0) > IDLE_S:
            self._asked = self._since = now
            return Verdict.ASK
        return Verdict.LIVES
