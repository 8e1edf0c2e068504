"""What a load run makes of the transcripts that come in: latency, order, duplicates, speakers. No I/O."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.speech.labels import Ends
from gateway.participants import Role, Track
from gateway.peers.emitter import FRAME_MS

__all__ = ["Said", "Spread", "Tally", "Watched"]

MATCH_MS = 400
"""A transcript whose end lies further from every label is counted as unmatched, and has no latency."""

TRACK_OF = {Role.CUSTOMER: Track.INBOUND, Role.AGENT: Track.OUTBOUND}
"""Twilio's default track map."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of some values; all zero if there are none."""

    count: int
    p50: float
    p95: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Rounded to a tenth."""
        if not values:
            return cls(0, 0.0, 0.0, 0.0, 0.0)
        return cls(len(values), *(round(float(value), 1) for value in np.percentile(values, (50, 95, 99, 100))))


@dataclass(frozen=True, slots=True)
class Said:
    """A transcript on the clock of the recording, in ms, which a call that repeats it counts on behind its end.

    ``at`` is when it came: 0 would be when the recording's first frame was due.
    """

    track: Track
    start: float
    end: float
    at: float


@dataclass(slots=True)
class Watched:
    """One call: when its first media was due (monotonic clock), with which frame of the recording, and its streams."""

    streams: Mapping[str, str]
    first_frame: int
    begin: float
    utterances: int = 0
    seen: set[tuple[str, int, int]] = field(default_factory=set)
    last_start: dict[str, int] = field(default_factory=dict)


class Tally:
    """Judges every post of a run.

    Args:
        ends: where speech ends in the recording, for each track, in ms.
        frames: length of the recording in 20 ms frames; calls repeat it.
    """

    def __init__(self, ends: Ends, frames: int) -> None:
        self._period = frames * FRAME_MS
        # A label is also its neighbour across the seam of the repeated recording.
        self._ends = {
            track: sorted(end + turn * self._period for end in of for turn in (-1, 0, 1)) for track, of in ends.items()
        }
        self.calls: dict[str, Watched] = {}
        self.latencies_ms: list[float] = []
        self.planned: list[float] = []
        """For each latency when the last frame of speech was due (monotonic clock)."""
        self.offsets_ms: list[float] = []
        """Distance of a transcript's end from its label."""
        self.said: dict[str, list[Said]] = {}
        """The transcripts of each call."""
        self.problems: Counter[str] = Counter()
        """duplicate, order, role, foreign, malformed: each should be none."""
        self.unmatched = 0
        self.posts = 0

    def watch(self, guid: str, call: Watched) -> None:
        """Expect transcripts of a call."""
        self.calls[guid] = call

    def post(self, arrived: float, body: Mapping[str, Any]) -> None:
        """Judge one transcript that came at ``arrived`` (monotonic clock)."""
        self.posts += 1
        try:
            answer = body["autotranscribeResponse"]
            role, start, end = Role(body["sender"]["role"]), int(answer["start"]), int(answer["end"])
            stream, guid = str(body["streamId"]), str(body["externalConversationId"])
        except (KeyError, TypeError, ValueError):
            self.problems["malformed"] += 1
            return
        call = self.calls.get(guid)
        if call is None:
            self.problems["foreign"] += 1
            return
        if (role, start, end) in call.seen:
            self.problems["duplicate"] += 1
            return
        call.seen.add((role, start, end))
        call.utterances += 1
        if start < call.last_start.get(role, 0):
            self.problems["order"] += 1
        call.last_start[role] = start
        if call.streams.get(role) != stream:
            self.problems["role"] += 1
        before = call.first_frame * FRAME_MS
        at = (arrived - call.begin) * 1000 + before
        self.said.setdefault(guid, []).append(Said(TRACK_OF[role], start + before, end + before, at))
        self._measure(call, role, end, arrived)

    def _measure(self, call: Watched, role: Role, end: int, arrived: float) -> None:
        ends = self._ends.get(TRACK_OF[role], [])
        place = (end + call.first_frame * FRAME_MS) % self._period
        at = bisect.bisect_left(ends, place)
        off = min((label - place for label in ends[max(at - 1, 0) : at + 1]), key=abs, default=MATCH_MS + 1)
        if abs(off) > MATCH_MS:
            self.unmatched += 1
            return
        last_frame = (end + off - 1) // FRAME_MS
        planned = call.begin + last_frame * FRAME_MS / 1000
        self.latencies_ms.append((arrived - planned) * 1000)
        self.planned.append(planned)
        self.offsets_ms.append(abs(off))

    def between(self, begin: float, end: float) -> Spread:
        """Latency of what was said in this time (monotonic clock)."""
        timed = zip(self.planned, self.latencies_ms, strict=True)
        return Spread.of([latency for planned, latency in timed if begin <= planned < end])

    @property
    def utterances(self) -> Spread:
        """Utterances a call."""
        return Spread.of([call.utterances for call in self.calls.values()])
