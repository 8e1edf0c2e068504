"""The state of one call, sans-I/O: streams and tracks, who speaks, what time it is, what was streamed.

A call has an account and a guid (its SID at Twilio). Media streams come and go; the call's clock runs on::

    call time = stream time + anchor − zero

``anchor`` maps a stream's own timestamps to the gateway's monotonic clock and belongs to the stream. ``zero`` belongs
to the call: the highest media time read on any track when its first start was accepted (none yet: its first media).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.calls.model import CallSnapshot, CallState, Participant, StartRequest, Status, Summary, TrackSnapshot
from gateway.ids import new_stream_id, new_ulid
from gateway.participants import Role, Track

if TYPE_CHECKING:
    from gateway._native.track_py import Track as TrackMedia

__all__ = ["Call", "Stream", "Tally", "summarise"]

SAMPLES_PER_MS = 8
BYTES_PER_MS = 16
"""The documented totalAudioBytes counts 16-bit PCM at 8 kHz (1334720 bytes for 83420 ms)."""


@dataclass(slots=True)
class Tally:
    """What one participant streamed since the last start."""

    samples: int = 0
    transcripts: int = 0


def summarise(tally: Tally) -> Summary:
    """The documented summary: audio as received, without fill; seconds rounded up."""
    duration_ms = tally.samples // SAMPLES_PER_MS
    return Summary(duration_ms * BYTES_PER_MS, duration_ms, -(-duration_ms // 1000), tally.transcripts)


@dataclass(eq=False, slots=True)
class Stream:
    """One media socket after its ``start`` message; its tracks share one clock."""

    stream_sid: str
    tracks: Mapping[Track, TrackMedia]
    connected_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: bool = False
    # Whether audio ends in a checksum instead of the speech stage (GATEWAY_ASR__MODEL=none).
    checksums: bool = False

    @property
    def anchor_ms(self) -> int | None:
        """Monotonic time of the stream's timestamp zero; None before its first media."""
        anchors = [media.anchor_ms for media in self.tracks.values() if media.anchor_ms is not None]
        return min(anchors) if anchors else None

    @property
    def newest_ms(self) -> int | None:
        """The highest media time read on any of its tracks, monotonic; None before its first media."""
        anchor = self.anchor_ms
        if anchor is None:
            return None
        return anchor + max(m.position // SAMPLES_PER_MS for m in self.tracks.values() if m.anchor_ms is not None)

    @property
    def first_ms(self) -> int | None:
        """The media time at which its first track began, monotonic."""
        anchor = self.anchor_ms
        if anchor is None:
            return None
        firsts = [m.first_position for m in self.tracks.values() if m.first_position is not None]
        return anchor + min(firsts) // SAMPLES_PER_MS if firsts else anchor


@dataclass(slots=True)
class _Zero:
    """Where the call's clock begins.

    Held relative to the stream that defined it for as long as that stream lives, because the anchor of a young stream
    may still settle by some milliseconds, and the stream's own offsets must not move with it.
    """

    stream: Stream | None
    at_ms: int

    def monotonic_ms(self) -> int:
        if self.stream is not None and self.stream.anchor_ms is not None:
            return self.stream.anchor_ms + self.at_ms
        return self.at_ms


class Call:
    """One call of one account: its streams, its participants and its clock."""

    def __init__(self, account_id: str, guid: str, sequence: int) -> None:
        self.account_id = account_id
        self.guid = guid
        # The conversation's id in the store; kept when the call is continued.
        self.call_id = new_ulid()
        # Order of arrival, for listing calls oldest first.
        self.arrival = sequence
        self.connected_at = datetime.now(UTC)
        self.state = CallState.GATED
        self.streams: list[Stream] = []
        self.request: StartRequest | None = None
        # A start or stop request is being worked on: another one is 409-202.
        self.pending = False
        # Whether `call_id` stands in the store.
        self.recorded = False
        self.completed_at_ms: int | None = None
        # Summary of a hang-up, for the one stop request that may still come.
        self.parting: Mapping[Role, Participant] | None = None
        self.parted_at_ms = 0
        self.transcripts = 0
        self._stream_ids: dict[Role, str] = {}
        self._agent_id: str | None = None
        self._zero: _Zero | None = None
        self._tallies = {role: Tally() for role in Role}

    # Streams

    def owner(self, track: Track) -> Stream | None:
        """The live stream that carries ``track``."""
        return next((stream for stream in self.streams if track in stream.tracks), None)

    def displaced_by(self, tracks: frozenset[Track] | set[Track]) -> list[Stream]:
        """Streams that a newer ``start`` message for ``tracks`` takes the place of."""
        return [stream for stream in self.streams if tracks & stream.tracks.keys()]

    def attach(self, stream: Stream) -> None:
        """Add a stream; the caller has ended the ones it displaces."""
        self.streams.append(stream)
        self.completed_at_ms = None
        if self.state is CallState.COMPLETED:
            self.state = CallState.GATED

    def detach(self, stream: Stream) -> None:
        """Remove a stream; the clock goes on without it."""
        stream.ended = True
        if stream in self.streams:
            self.streams.remove(stream)
        if self._zero is not None and self._zero.stream is stream:
            self._zero = _Zero(None, self._zero.monotonic_ms())

    # Participants

    def role_of(self, track: Track) -> Role:
        """Who speaks on ``track``, by the last start request."""
        if self.request is None:
            return Role.CUSTOMER if track is Track.INBOUND else Role.AGENT
        return self.request.track_map[track]

    def external_id(self, role: Role) -> str:
        """The customer's own name for a participant."""
        if self.request is None:
            return ""
        return self.request.customer_id if role is Role.CUSTOMER else self.request.agent_id

    def stream_id(self, role: Role) -> str:
        """The participant's streamId: made once for a call leg, kept over stop and resume."""
        if role not in self._stream_ids:
            self._stream_ids[role] = new_stream_id()
        return self._stream_ids[role]

    def begin(self, request: StartRequest) -> None:
        """A start was accepted: settings, streamIds, counters, and the clock if it is the first one."""
        if self._agent_id is not None and request.agent_id != self._agent_id:
            # A changed agentId is a new leg (asapp-api.md §1.2).
            self._stream_ids.pop(Role.AGENT, None)
        self._agent_id = request.agent_id
        self.request = request
        self.parting = None
        self.state = CallState.TRANSCRIBING
        self._tallies = {role: Tally() for role in Role}
        self._set_zero()

    def participants(self, status: Status = Status.OK, *, summary: bool = False) -> dict[Role, Participant]:
        """Both participants, as a start or stop answer shows them."""
        return {
            role: Participant(self.stream_id(role), status, summarise(self._tallies[role]) if summary else None)
            for role in Role
        }

    def tally(self, role: Role) -> Tally:
        """What ``role`` streamed since the last start."""
        return self._tallies[role]

    # Clock

    def _set_zero(self) -> None:
        if self._zero is not None:
            return
        newest = [(stream.newest_ms, stream) for stream in self.streams if stream.newest_ms is not None]
        if newest:
            at_ms, stream = max(newest, key=lambda pair: pair[0] or 0)
            anchor = stream.anchor_ms
            if anchor is not None and at_ms is not None:
                self._zero = _Zero(stream, at_ms - anchor)

    def offset_ms(self, stream: Stream, position: int) -> int:
        """Milliseconds on the call's clock of sample ``position`` of ``stream``; never below 0."""
        anchor = stream.anchor_ms
        if anchor is None:
            return 0
        if self._zero is None:
            # There were no media when the first start was accepted: the first ones of any stream are zero.
            begins = [(s.first_ms, s) for s in {stream, *self.streams} if s.first_ms is not None]
            first_ms, first = min(begins, key=lambda pair: pair[0] or 0)
            self._zero = _Zero(first, (first_ms or 0) - (first.anchor_ms or 0))
        return max(0, position // SAMPLES_PER_MS + anchor - self._zero.monotonic_ms())

    # Views

    def snapshot(self) -> CallSnapshot:
        """The call as the API shows it."""
        tracks = []
        for stream in self.streams:
            for track, media in stream.tracks.items():
                tracks.append(
                    TrackSnapshot(
                        track=track,
                        role=self.role_of(track),
                        stream_sid=stream.stream_sid,
                        connected=not stream.ended,
                        received_ms=media.received_samples // SAMPLES_PER_MS,
                        filled_ms=media.filled_samples // SAMPLES_PER_MS,
                        samples=media.received_samples + media.filled_samples,
                        checksum=media.checksum_hex() if stream.checksums else None,
                    )
                )
        return CallSnapshot(
            self.guid, self.state, self.connected_at, len(self.streams), self.transcripts, tuple(tracks)
        )
