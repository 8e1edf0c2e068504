"""A call as it is spoken, as server-sent events (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

import asyncio

import orjson
import structlog
from aiohttp import web

from gateway.api.auth import AUTHENTICATOR
from gateway.api.context import ApiContext
from gateway.api.envelope import REQUEST_ID_HEADER
from gateway.api.schemas import iso_utc
from gateway.delivery.live import LiveEnded, LiveEvent, LiveFinal, LivePartial, Subscription
from gateway.errors import GatewayError
from gateway.ids import new_request_id
from gateway.store.records import Principal

__all__ = ["HEARTBEAT_S", "encode", "live"]

log = structlog.get_logger(__name__)

HEARTBEAT_S = 10.0
"""A comment after so much silence keeps proxies from closing the connection (their usual patience is 60 s). The key is
looked at again as often, in a lively call too."""

_WRITE_S = 30.0
"""How long a reader may take nothing before it is given up; meanwhile the subscription keeps the newest for it."""

_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    # Proxies of nginx's kind would hold events back until a buffer is full.
    "X-Accel-Buffering": "no",
    "Server": "gateway",
}


async def live(request: web.Request, context: ApiContext, principal: Principal) -> web.StreamResponse:
    """Partial and final texts of a live call, until it ends."""
    guid = request.match_info["guid"]
    with context.control.watch(principal.account_id, guid) as subscription:
        response = web.StreamResponse(headers={**_HEADERS, REQUEST_ID_HEADER: new_request_id()})
        await response.prepare(request)
        if request.method == "GET":
            try:
                await _follow(request, response, subscription)
            except TimeoutError:
                # A goodbye would have to wait as well.
                if request.transport is not None:
                    request.transport.abort()
            except (ConnectionError, GatewayError) as error:
                # The reader has gone; or its key is none any more.
                log.info("live view ended", call=guid, reason=type(error).__name__)
    return response


async def _follow(request: web.Request, response: web.StreamResponse, subscription: Subscription) -> None:
    # At once, so that the reader sees that it is connected.
    await response.write(b": reading along\n\n")
    clock = asyncio.get_running_loop().time
    due = clock() + HEARTBEAT_S
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                event = await anext(subscription, None)
        except TimeoutError:
            text = b": \n\n"
        else:
            if event is None:
                return
            text = encode(event)
        if clock() >= due:
            await request.app[AUTHENTICATOR].authenticate(request)
            due = clock() + HEARTBEAT_S
        async with asyncio.timeout(_WRITE_S):
            await response.write(text)


def encode(event: LiveEvent) -> bytes:
    """An event on the wire: ``event:`` names its kind, ``data:`` is JSON."""
    body: dict[str, object]
    match event:
        case LivePartial():
            kind = "partial"
            body = {
                "streamId": event.stream_id,
                "sender": {"role": event.role, "externalId": event.external_id},
                "start": event.start_ms,
                "text": event.text,
                "stable": event.stable,
                "revision": event.revision,
            }
        case LiveFinal():
            kind, message = "final", event.message
            body = {
                "streamId": message.stream_id,
                "sender": {"role": message.role, "externalId": message.external_id},
                "start": message.start_ms,
                "end": message.end_ms,
                "text": message.shown,
                "messageId": message.message_id,
                "clientTimestamp": iso_utc(message.client_timestamp),
            }
        case LiveEnded():
            kind, body = "ended", {"reason": event.reason}
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(body))
