"""What is known of calls: the transcript of one, the list of all, the state of one."""

from __future__ import annotations

from aiohttp import web

from gateway.api.context import ApiContext
from gateway.api.envelope import answer
from gateway.api.schemas import (
    CallDetail,
    CallList,
    CallView,
    DeliveryFailure,
    LiveCall,
    LiveTrack,
    Message,
    MessageList,
    Sender,
    StoredCall,
)
from gateway.calls.model import CallSnapshot, CallState
from gateway.errors import RequestError
from gateway.store.records import CallRecord, DeliveryRecord, MessageRecord, Principal

__all__ = ["call", "calls", "messages"]

_MAX_MESSAGES = 1000  # the documented limit of one answer
_MAX_FAILURES = 100
_DEFAULT_CALLS = 100
_MAX_CALLS = 1000
_MAX_ID_CHARS = 255


async def messages(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    """The transcript of a call: all of it afterwards, what there is while the call is live."""
    guid = _external_id(request)
    records = await context.store.messages(principal.account_id, guid, _MAX_MESSAGES)
    if records is None:
        if context.control.snapshot(principal.account_id, guid) is None:
            raise _unknown_call()
        records = []
    return answer(MessageList(items=[_message(record) for record in records]))


async def calls(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    """Live calls, then stored ones."""
    limit = _limit(request)
    live = context.control.snapshots(principal.account_id)
    stored: dict[str, CallRecord] = {}
    for record in await context.store.calls(principal.account_id, limit):
        # A call may have several sessions; the newest comes first and is the one shown.
        stored.setdefault(record.guid, record)
    views = [_view(snapshot.guid, snapshot, stored.pop(snapshot.guid, None)) for snapshot in live]
    views += [_view(guid, None, record) for guid, record in stored.items()]
    return answer(CallList(items=views[:limit]))


async def call(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    """One call with its failed deliveries."""
    guid = request.match_info["guid"]
    account_id = principal.account_id
    record = await context.store.call(account_id, guid) if len(guid) <= _MAX_ID_CHARS else None
    snapshot = context.control.snapshot(account_id, guid)
    if record is None and snapshot is None:
        raise _unknown_call()
    failures = await context.store.delivery_failures(account_id, guid, _MAX_FAILURES) if record else []
    view = _view(guid, snapshot, record)
    return answer(
        CallDetail(
            guid=view.guid,
            state=view.state,
            live=view.live,
            stored=view.stored,
            delivery_failures=[_failure(failure) for failure in failures],
        )
    )


def _external_id(request: web.Request) -> str:
    values = request.query.getall("externalId", [])
    if len(values) != 1 or not 1 <= len(values[0]) <= _MAX_ID_CHARS:
        raise RequestError(
            400, "400-01", f"Bad request: give the query parameter externalId once, 1 to {_MAX_ID_CHARS} characters"
        )
    return values[0]


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", str(_DEFAULT_CALLS))
    # int() takes signs, spaces, underscores and other scripts' digits; a limit has none of them.
    limit = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    if not 1 <= limit <= _MAX_CALLS:
        raise RequestError(400, "400-01", f"Bad request: limit must be a number from 1 to {_MAX_CALLS}")
    return limit


def _unknown_call() -> RequestError:
    return RequestError(404, "404-01", "Not found: this account has no such call")


def _message(record: MessageRecord) -> Message:
    return Message(
        text=record.shown,
        sender=Sender(role=record.role, external_id=record.external_id),
        message_id=record.message_id,
        created_timestamp=record.created_timestamp,
        client_timestamp=record.client_timestamp,
    )


def _view(guid: str, snapshot: CallSnapshot | None, record: CallRecord | None) -> CallView:
    return CallView(
        guid=guid,
        state=CallState.COMPLETED if snapshot is None else snapshot.state,
        live=None if snapshot is None else _live(snapshot),
        stored=None if record is None else _stored(record),
    )


def _live(snapshot: CallSnapshot) -> LiveCall:
    return LiveCall(
        connected_at=snapshot.connected_at,
        sockets=snapshot.sockets,
        transcripts=snapshot.transcripts,
        tracks=[
            LiveTrack(
                track=track.track,
                role=track.role,
                stream_sid=track.stream_sid,
                connected=track.connected,
                received_ms=track.received_ms,
                filled_ms=track.filled_ms,
                samples=track.samples,
                checksum=track.checksum,
            )
            for track in snapshot.tracks
        ],
    )


def _stored(record: CallRecord) -> StoredCall:
    return StoredCall(
        call_id=record.call_id,
        language=record.language,
        customer_id=record.customer_id,
        agent_id=record.agent_id,
        started_at=record.started_at,
        completed_at=record.completed_at,
        completed_reason=record.completed_reason,
    )


def _failure(record: DeliveryRecord) -> DeliveryFailure:
    return DeliveryFailure(
        message_id=record.message_id,
        sequence=record.sequence,
        outcome=record.outcome,
        reason=record.reason,
        at=record.at,
    )
