"""What one media socket adds to the metrics, and what of it the log tells."""

from __future__ import annotations

import time

import structlog
from websockets.frames import CloseCode

from gateway import metrics
from gateway._native.reader_py import Reader

__all__ = ["Counts", "count_close"]

log = structlog.get_logger(__name__)

TELL_S = 1.0
"""How often skipped messages are told of."""


class Counts:
    """Messages and bytes of one socket, and what was skipped of them.

    Args:
        reader: has counted messages and bytes.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._carried = (0, 0)
        self._told_at = 0.0

    def carry(self) -> None:
        """Carry the reader's counters over to the metrics."""
        reader = self._reader
        messages_before, bytes_before = self._carried
        metrics.MESSAGES.inc(reader.messages - messages_before)
        metrics.WIRE_BYTES.inc(reader.bytes - bytes_before)
        self._carried = (reader.messages, reader.bytes)

    def skip(self, reason: str, call: str | None) -> None:
        """A message of the call, if there is one yet, was skipped."""
        metrics.WIRE_SKIPPED.labels(reason).inc()
        now = time.monotonic()
        if now - self._told_at >= TELL_S:
            self._told_at = now
            log.warning("message skipped", reason=reason, call=call)


def count_close(code: int, reason: str) -> None:
    """We close a socket; ``reason`` is ours or that of ``websockets``, never the peer's."""
    metrics.WIRE_CLOSED.labels(str(int(code))).inc()
    if code not in (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY):
        log.warning("media socket closed", code=int(code), reason=reason)
