"""Conversations and calls: what was said, and what is known of a call."""

from __future__ import annotations

from pydantic import Field

from gateway.api.schemas.common import Answer, Time

__all__ = [
    "CallDetail",
    "CallList",
    "CallView",
    "DeliveryFailure",
    "LiveCall",
    "LiveTrack",
    "Message",
    "MessageList",
    "Sender",
    "StoredCall",
]


class Sender(Answer):
    """Who spoke."""

    role: str = Field(description="agent, customer or system")
    external_id: str | None = None


class Message(Answer):
    """One utterance."""

    text: str
    sender: Sender
    message_id: str
    created_timestamp: Time = Field(description="when the message was made")
    client_timestamp: Time = Field(description="when the utterance began")


class MessageList(Answer):
    """The call's first 1,000 messages in the order they were spoken."""

    items: list[Message]


class LiveTrack(Answer):
    """One track of a live call."""

    track: str
    role: str | None = None
    stream_sid: str
    connected: bool
    received_ms: int = Field(description="audio received")
    filled_ms: int = Field(description="silence put into gaps")
    samples: int = Field(description="at 8 kHz")
    checksum: str | None = Field(None, description="of the PCM, with GATEWAY_ASR__MODEL=none")


class LiveCall(Answer):
    """What the media plane knows of a call."""

    connected_at: Time
    sockets: int
    transcripts: int
    tracks: list[LiveTrack]


class StoredCall(Answer):
    """What is kept of a call: ``callId`` and ``startedAt`` of its first start, the rest as of its last one."""

    call_id: str
    language: str
    customer_id: str
    agent_id: str
    started_at: Time
    completed_at: Time | None = None
    completed_reason: str | None = None


class DeliveryFailure(Answer):
    """A transcript that did not reach the webhook."""

    message_id: str
    sequence: int
    outcome: str
    reason: str
    at: Time


class CallView(Answer):
    """A call: live, stored, or both."""

    guid: str
    state: str = Field(description="gated, transcribing, paused or completed")
    live: LiveCall | None = None
    stored: StoredCall | None = None


class CallList(Answer):
    """Live calls, oldest first, then stored ones, newest first."""

    items: list[CallView]


class CallDetail(CallView):
    """A call with its failed deliveries, newest first."""

    delivery_failures: list[DeliveryFailure]
