"""The clock of arrivals, deadlines and anchors."""

from __future__ import annotations

import time

__all__ = ["monotonic_ms"]


def monotonic_ms() -> int:
    """Monotonic time in ms; its zero is arbitrary."""
    return time.monotonic_ns() // 1_000_000
