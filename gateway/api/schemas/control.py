"""The media gateway's control: stream URL, start and stop."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from gateway.api.schemas.common import Answer, Identifier, Language, RequestModel, RoleName

__all__ = [
    "AutotranscribeParams",
    "ParticipantStatus",
    "ParticipantView",
    "Participants",
    "StartStreamingRequest",
    "StopStreamingRequest",
    "StreamUrl",
    "StreamingResult",
    "SummaryView",
    "TrackMap",
    "TwilioParams",
]


_TOKENS_ARE_NOT_REDACTED: dict[str, JsonValue] = {
    "if": {"properties": {"detailedToken": {"const": True}}, "required": ["detailedToken"]},
    "then": {"properties": {"redactionOutput": {"const": "unredacted"}}, "required": ["redactionOutput"]},
}
_TWO_ROLES: dict[str, JsonValue] = {
    "anyOf": [
        {"properties": {"inbound": {"enum": ["customer", None]}, "outbound": {"enum": ["agent", None]}}},
        {
            "properties": {"inbound": {"const": "agent"}, "outbound": {"const": "customer"}},
            "required": ["inbound", "outbound"],
        },
    ]
}


class AutotranscribeParams(RequestModel):
    """How a call is transcribed."""

    model_config = ConfigDict(json_schema_extra=_TOKENS_ARE_NOT_REDACTED)

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


class TrackMap(RequestModel):
    """Which participant speaks on which track, seen from Twilio."""

    model_config = ConfigDict(json_schema_extra=_TWO_ROLES)

    inbound: RoleName = "customer"
    outbound: RoleName = "agent"

    @model_validator(mode="after")
    def _two_roles(self) -> Self:
        if self.inbound == self.outbound:
            msg = "inbound (default customer) and outbound (default agent) must be different participants"
            raise ValueError(msg)
        return self


class TwilioParams(RequestModel):
    """What only Twilio calls have."""

    track_map: TrackMap = Field(default_factory=lambda: TrackMap.model_validate({}))


class StartStreamingRequest(RequestModel):
    """Start or resume the transcription of a call."""

    namespace: Literal["twilio"] = Field(description="this gateway serves Twilio calls")
    guid: Identifier = Field(description="the Call SID")
    customer_id: Identifier = Field(description="becomes the customer's externalId")
    agent_id: Identifier = Field(description="becomes the agent's externalId; another one begins a new leg")
    autotranscribe_params: AutotranscribeParams = Field(default_factory=lambda: AutotranscribeParams.model_validate({}))
    twilio_params: TwilioParams = Field(default_factory=lambda: TwilioParams.model_validate({}))


class StopStreamingRequest(RequestModel):
    """Pause or end the transcription of a call."""

    namespace: Literal["twilio"] = Field(description="this gateway serves Twilio calls")
    guid: Identifier = Field(description="the Call SID")


class StreamUrl(Answer):
    """Where Twilio is to stream to; good for a few minutes, for any number of connections."""

    streaming_url: str


class ParticipantStatus(Answer):
    """Application status: 1000 is OK."""

    code: int
    description: str


class SummaryView(Answer):
    """What one participant streamed since the last start."""

    total_audio_bytes: int = Field(description="as linear 16-bit PCM at 8 kHz")
    audio_duration_ms: int
    streaming_seconds: int = Field(description="rounded up")
    transcripts: int


class ParticipantView(Answer):
    """One participant's part of the answer; the summary comes with a stop."""

    stream_id: str
    status: ParticipantStatus
    summary: SummaryView | None = None


class Participants(Answer):
    """Both participants."""

    customer: ParticipantView | None = None
    agent: ParticipantView | None = None


class StreamingResult(Answer):
    """The request was processed; ``isOk`` tells whether it took effect."""

    is_ok: bool
    error_message: str | None = None
    autotranscribe_response: Participants
