"""The compiled kernel; its twin is the specification, and what type checkers see."""

from gateway._native.track_py import JITTER as JITTER
from gateway._native.track_py import MAX_AHEAD as MAX_AHEAD
from gateway._native.track_py import MAX_FILL as MAX_FILL
from gateway._native.track_py import MAX_JUMPS as MAX_JUMPS
from gateway._native.track_py import MAX_TIMESTAMP_MS as MAX_TIMESTAMP_MS
from gateway._native.track_py import REANCHOR as REANCHOR
from gateway._native.track_py import Track as Track
from gateway._native.track_py import live as live
