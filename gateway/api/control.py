"""The media gateway endpoints: stream URL, start, stop."""

from __future__ import annotations

from aiohttp import web

from gateway.api.body import read_json, validated
from gateway.api.context import ApiContext
from gateway.api.envelope import answer
from gateway.api.schemas import (
    Participants,
    ParticipantStatus,
    ParticipantView,
    StartStreamingRequest,
    StopStreamingRequest,
    StreamingResult,
    StreamUrl,
    SummaryView,
)
from gateway.calls.model import Outcome, Participant, StartRequest
from gateway.participants import RedactionOutput, Role, Track
from gateway.store.records import Principal

__all__ = ["result", "start", "start_request", "stop", "stream_url"]


async def stream_url(_request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    """A fresh stream URL for the account."""
    url = context.tokens.url(context.public_url(), principal.account_id, principal.key_id)
    return answer(StreamUrl(streaming_url=url))


async def start(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    """Start or resume transcription."""
    body = validated(StartStreamingRequest, await read_json(request))
    outcome = await context.control.start(principal.account_id, start_request(body))
    return answer(result(outcome))


async def stop(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    """Pause or end transcription."""
    body = validated(StopStreamingRequest, await read_json(request))
    outcome = await context.control.stop(principal.account_id, body.guid)
    return answer(result(outcome))


def start_request(body: StartStreamingRequest) -> StartRequest:
    """The request as the calls stage takes it."""
    params, tracks = body.autotranscribe_params, body.twilio_params.track_map
    return StartRequest(
        guid=body.guid,
        customer_id=body.customer_id,
        agent_id=body.agent_id,
        language=params.language,
        detailed_token=params.detailed_token,
        recording_allowed=params.audio_recording_allowed,
        redaction=RedactionOutput(params.redaction_output),
        track_map={Track.INBOUND: Role(tracks.inbound), Track.OUTBOUND: Role(tracks.outbound)},
    )


def result(outcome: Outcome) -> StreamingResult:
    """The calls stage's outcome as it is answered."""
    views = {role.value: _participant(participant) for role, participant in outcome.participants.items()}
    return StreamingResult(
        is_ok=outcome.ok,
        error_message=outcome.error_message,
        autotranscribe_response=Participants(
            customer=views.get(Role.CUSTOMER.value), agent=views.get(Role.AGENT.value)
        ),
    )


def _participant(participant: Participant) -> ParticipantView:
    summary = participant.summary
    return ParticipantView(
        stream_id=participant.stream_id,
        status=ParticipantStatus(code=int(participant.status), description=participant.status.description),
        summary=None
        if summary is None
        else SummaryView(
            total_audio_bytes=summary.total_audio_bytes,
            audio_duration_ms=summary.audio_duration_ms,
            streaming_seconds=summary.streaming_seconds,
            transcripts=summary.transcripts,
        ),
    )
