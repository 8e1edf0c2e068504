"""What the control API and the calls stage say to each other: plain values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Protocol

from gateway.delivery.live import Subscription
from gateway.errors import RequestError
from gateway.participants import RedactionOutput, Role, Track

__all__ = [
    "CallControl",
    "CallSnapshot",
    "CallState",
    "MediaSocket",
    "Outcome",
    "Participant",
    "StartRequest",
    "Status",
    "Summary",
    "TrackSnapshot",
    "pending",
    "unknown",
]


class CallState(StrEnum):
    """Where a call stands."""

    GATED = "gated"  # media may flow; nothing is decoded
    TRANSCRIBING = "transcribing"
    PAUSED = "paused"  # stopped by request, media may go on
    COMPLETED = "completed"


class Status(IntEnum):
    """Application status of a participant (reference/asapp-api.md §1.5)."""

    OK = 1000
    LANGUAGE_NOT_SUPPORTED = 4050
    ALWAYS_REDACTED = 4094
    SHUTTING_DOWN = 5001
    NO_INSTANCES_AVAILABLE = 5002

    @property
    def description(self) -> str:
        """The text beside the code."""
        return {
            Status.OK: "OK",
            Status.LANGUAGE_NOT_SUPPORTED: "Language not supported",
            Status.ALWAYS_REDACTED: "RedactionOutput cannot be unredacted or redacted_and_unredacted: always redacted",
            Status.SHUTTING_DOWN: "Service shutting down",
            Status.NO_INSTANCES_AVAILABLE: "No instances available",
        }[self]


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A validated start-streaming request."""

    guid: str
    customer_id: str
    agent_id: str
    language: str = "en-US"
    detailed_token: bool = False
    recording_allowed: bool = False
    redaction: RedactionOutput = RedactionOutput.REDACTED
    track_map: Mapping[Track, Role] = field(
        default_factory=lambda: {Track.INBOUND: Role.CUSTOMER, Track.OUTBOUND: Role.AGENT}
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """What was streamed by one participant since the last start."""

    total_audio_bytes: int
    audio_duration_ms: int
    streaming_seconds: int
    transcripts: int


@dataclass(frozen=True, slots=True)
class Participant:
    """One participant's part of a start or stop answer."""

    stream_id: str
    status: Status
    summary: Summary | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a start or stop: 200, with ``ok`` telling whether it took effect."""

    ok: bool
    participants: Mapping[Role, Participant]
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class TrackSnapshot:
    """One track as it stands; ``checksum`` is filled with ``GATEWAY_ASR__MODEL=none``."""

    track: Track
    role: Role | None
    stream_sid: str
    connected: bool
    received_ms: int
    filled_ms: int
    samples: int
    checksum: str | None


@dataclass(frozen=True, slots=True)
class CallSnapshot:
    """One live call as it stands."""

    guid: str
    state: CallState
    connected_at: datetime
    sockets: int
    transcripts: int
    tracks: tuple[TrackSnapshot, ...]


class MediaSocket(Protocol):
    """The socket of a stream, as far as the registry needs it."""

    def displace(self) -> None:
        """Close normally (1000): a newer stream has taken this one's tracks."""

    def read_now(self) -> None:
        """Take all that has come up to now."""


class CallControl(Protocol):
    """What the API asks of the calls stage; implemented by :class:`gateway.calls.registry.Registry`."""

    async def start(self, account_id: str, request: StartRequest) -> Outcome:
        """Start or resume transcription.

        Waits up to 2 s for the call's media stream.

        Raises:
            RequestError: 400-201, 400-203, 409-201 or 409-202.
        """

    async def stop(self, account_id: str, guid: str) -> Outcome:
        """Pause or end transcription, after what is in flight is transcribed (2 s at most).

        Raises:
            RequestError: 400-203, 409-201 or 409-202.
        """

    def snapshots(self, account_id: str) -> list[CallSnapshot]:
        """The account's live calls, oldest first."""

    def snapshot(self, account_id: str, guid: str) -> CallSnapshot | None:
        """One live call of the account; None if there is none."""

    def watch(self, account_id: str, guid: str) -> Subscription:
        """Partial and final texts of a live call of the account, from now on, until it ends.

        Raises:
            RequestError: 404-01, the account has no such live call; 429-01, there are too many readers.
        """


def pending(guid: str) -> RequestError:
    """409-202: two requests for one call at a time."""
    return RequestError(409, "409-202", f"Another request for call '{guid}' is pending; retry when it is answered.")


def unknown(guid: str) -> RequestError:
    """400-203: no such call, or none with a media stream."""
    return RequestError(
        400,
        "400-203",
        f"No call with guid '{guid}' was found; its media stream must be connected before the start.",
    )
