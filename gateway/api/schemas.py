"""The HTTP contract as pydantic models: what is accepted, what is answered, what ``/openapi.json`` says.

Requests are strict (a number is no string, ``"true"`` is not true), tolerant of unknown fields as the original is,
and take ``null`` for "not given".
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel

__all__ = [
    "AutotranscribeParams",
    "CallDetail",
    "CallList",
    "CallView",
    "DeliveryFailure",
    "ErrorDetail",
    "ErrorEnvelope",
    "HealthCheck",
    "LiveCall",
    "LiveTrack",
    "Liveness",
    "Message",
    "MessageList",
    "ParticipantStatus",
    "ParticipantView",
    "Participants",
    "Readiness",
    "Sender",
    "StartStreamingRequest",
    "StopStreamingRequest",
    "StoredCall",
    "StreamUrl",
    "StreamingResult",
    "SummaryView",
    "TrackMap",
    "TwilioParams",
    "iso_utc",
]

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}")
_CONTROL = frozenset({"Cc", "Zl", "Zp"})


def iso_utc(moment: datetime) -> str:
    """``2021-11-23T12:13:14.555Z``, the API's form of a time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _plain(value: str) -> str:
    if any(unicodedata.category(char) in _CONTROL for char in value):
        msg = "must not contain control characters"
        raise ValueError(msg)
    return value


def _canonical_language(value: str) -> str:
    """RFC 5646 §2.1.1: ``en-us`` → ``en-US``, ``zh-hant-tw`` → ``zh-Hant-TW``."""
    if not _LANGUAGE.fullmatch(value):
        msg = "must be a language tag such as en-US"
        raise ValueError(msg)
    first, *rest = value.lower().split("-")
    return "-".join([first, *({2: str.upper, 4: str.title}.get(len(part), str)(part) for part in rest)])


Identifier = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_plain)]
Language = Annotated[str, Field(max_length=35), AfterValidator(_canonical_language)]
Time = Annotated[datetime, PlainSerializer(iso_utc, return_type=str)]
RoleName = Literal["customer", "agent"]


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if v is not None} if isinstance(data, dict) else data


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


# --- media gateway: requests


class AutotranscribeParams(_Request):
    """How a call is transcribed."""

    language: Language = Field("en-US", description="IETF tag, any case")
    detailed_token: bool = Field(False, description="word-level details; needs redactionOutput unredacted")
    audio_recording_allowed: bool = Field(False, description="accepted and kept with the call; audio is never stored")
    redaction_output: Literal["redacted", "unredacted", "redacted_and_unredacted"] = "redacted"

    @model_validator(mode="after")
    def _tokens_are_not_redacted(self) -> Self:
        if self.detailed_token and self.redaction_output != "unredacted":
            msg = "detailedToken true needs redactionOutput 'unredacted' (the default is 'redacted')"
            raise ValueError(msg)
        return self


class TrackMap(_Request):
    """Which participant speaks on which track, seen from Twilio."""

    inbound: RoleName = "customer"
    outbound: RoleName = "agent"

    @model_validator(mode="after")
    def _two_roles(self) -> Self:
        if self.inbound == self.outbound:
            msg = "inbound (default customer) and outbound (default agent) must be different participants"
            raise ValueError(msg)
        return self


class TwilioParams(_Request):
    """What only Twilio calls have."""

    track_map: TrackMap = Field(default_factory=lambda: TrackMap.model_validate({}))


class StartStreamingRequest(_Request):
    """Start or resume the transcription of a call."""

    namespace: Literal["twilio"] = Field(description="this gateway serves Twilio calls")
    guid: Identifier = Field(description="the Call SID")
    customer_id: Identifier = Field(description="becomes the customer's externalId")
    agent_id: Identifier = Field(description="becomes the agent's externalId; another one begins a new leg")
    autotranscribe_params: AutotranscribeParams = Field(default_factory=lambda: AutotranscribeParams.model_validate({}))
    twilio_params: TwilioParams = Field(default_factory=lambda: TwilioParams.model_validate({}))


class StopStreamingRequest(_Request):
    """Pause or end the transcription of a call."""

    namespace: Literal["twilio"] = Field(description="this gateway serves Twilio calls")
    guid: Identifier = Field(description="the Call SID")


# --- media gateway: answers


class StreamUrl(_Answer):
    """Where Twilio is to stream to; good for a few minutes, for any number of connections."""

    streaming_url: str


class ParticipantStatus(_Answer):
    """Application status: 1000 is OK."""

    code: int
    description: str


class SummaryView(_Answer):
    """What one participant streamed since the last start."""

    total_audio_bytes: int = Field(description="as linear 16-bit PCM at 8 kHz")
    audio_duration_ms: int
    streaming_seconds: int = Field(description="rounded up")
    transcripts: int


class ParticipantView(_Answer):
    """One participant's part of the answer; the summary comes with a stop."""

    stream_id: str
    status: ParticipantStatus
    summary: SummaryView | None = None


class Participants(_Answer):
    """Both participants."""

    customer: ParticipantView | None = None
    agent: ParticipantView | None = None


class StreamingResult(_Answer):
    """The request was processed; ``isOk`` tells whether it took effect."""

    is_ok: bool
    error_message: str | None = None
    autotranscribe_response: Participants


# --- conversations


class Sender(_Answer):
    """Who spoke."""

    role: str = Field(description="agent, customer or system")
    external_id: str | None = None


class Message(_Answer):
    """One utterance."""

    text: str
    sender: Sender
    message_id: str
    created_timestamp: Time = Field(description="when the message was made")
    client_timestamp: Time = Field(description="when the utterance began")


class MessageList(_Answer):
    """The call's first 1,000 messages in the order they were spoken."""

    items: list[Message]


# --- ours: calls


class LiveTrack(_Answer):
    """One track of a live call."""

    track: str
    role: str | None = None
    stream_sid: str
    connected: bool
    received_ms: int = Field(description="audio received")
    filled_ms: int = Field(description="silence put into gaps")
    samples: int = Field(description="at 8 kHz")
    checksum: str | None = Field(None, description="of the PCM, with GATEWAY_ASR__MODEL=none")


class LiveCall(_Answer):
    """What the media plane knows of a call."""

    connected_at: Time
    sockets: int
    transcripts: int
    tracks: list[LiveTrack]


class StoredCall(_Answer):
    """What is kept of a call."""

    call_id: str
    language: str
    customer_id: str
    agent_id: str
    started_at: Time
    completed_at: Time | None = None
    completed_reason: str | None = None


class DeliveryFailure(_Answer):
    """A transcript that did not reach the webhook."""

    message_id: str
    sequence: int
    outcome: str
    reason: str
    at: Time


class CallView(_Answer):
    """A call: live, stored, or both."""

    guid: str
    state: str = Field(description="gated, transcribing, paused or completed")
    live: LiveCall | None = None
    stored: StoredCall | None = None


class CallList(_Answer):
    """Live calls, oldest first, then stored ones, newest first."""

    items: list[CallView]


class CallDetail(CallView):
    """A call with its failed deliveries, newest first."""

    delivery_failures: list[DeliveryFailure]


# --- service


class HealthCheck(_Answer):
    """The documented health answer."""

    health_check: Literal["SUCCESS", "FAILED"]


class Liveness(_Answer):
    """The process turns its loop."""

    status: Literal["ok"] = "ok"


class Readiness(_Answer):
    """Whether new work is taken, and what each part says of itself."""

    ready: bool
    checks: dict[str, str]


class ErrorDetail(_Answer):
    """What went wrong."""

    request_id: str
    message: str
    code: str = Field(description="HTTP status, a hyphen, a subcode: 400-201")


class ErrorEnvelope(_Answer):
    """Every error of the API."""

    error: ErrorDetail
