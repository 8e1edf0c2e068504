"""The table of endpoints, and how it gets into an aiohttp application."""

from __future__ import annotations

from functools import cache

import orjson
from aiohttp import web

from gateway.api import configuration, control, exporter, live, messages, openapi, schemas, service
from gateway.api.access import access_middleware, believe
from gateway.api.auth import AUTHENTICATOR, Authenticator, Protected
from gateway.api.context import CONTEXT, ApiContext
from gateway.api.endpoints import Endpoint, Parameter
from gateway.api.envelope import envelope_middleware, expect_handler
from gateway.api.examples import CALL_SID
from gateway.api.origin import Proxies

__all__ = ["ENDPOINTS", "install", "routes"]

_IDENTIFIER: dict[str, object] = {"type": "string", "minLength": 1, "maxLength": 255}
_LIMIT: dict[str, object] = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}


async def _openapi(_request: web.Request) -> web.Response:
    return web.Response(body=_document(), content_type="application/json")


@cache
def _document() -> bytes:
    return orjson.dumps(openapi.document(ENDPOINTS))


_MEDIA_GATEWAY = (
    Endpoint(
        "GET",
        "/mg-autotranscribe/v1/twilio-media-stream-url",
        "getTwilioMediaStreams",
        "Media gateway",
        "Get a URL for Twilio to stream to",
        Protected(control.stream_url),
        schemas.StreamUrl,
        "The URL; its token is checked only when Twilio connects",
    ),
    Endpoint(
        "POST",
        "/mg-autotranscribe/v1/start-streaming",
        "startStreaming",
        "Media gateway",
        "Start or resume transcription",
        Protected(control.start),
        schemas.StreamingResult,
        "The request was processed; isOk tells whether it took effect",
        request=schemas.StartStreamingRequest,
        errors=(400, 408, 409, 413),
    ),
    Endpoint(
        "POST",
        "/mg-autotranscribe/v1/stop-streaming",
        "stopStreaming",
        "Media gateway",
        "Pause or end transcription",
        Protected(control.stop),
        schemas.StreamingResult,
        "The request was processed; each participant has a summary",
        request=schemas.StopStreamingRequest,
        errors=(400, 408, 409, 413),
    ),
)

_CALLS = (
    Endpoint(
        "GET",
        "/conversation/v1/conversation/messages",
        "getMessagesByExternalId",
        "Conversations",
        "Get the transcript of a call",
        Protected(messages.messages),
        schemas.MessageList,
        "The first 1,000 messages, by when they were spoken",
        parameters=(Parameter("externalId", "query", "the guid given at the start", _IDENTIFIER, example=CALL_SID),),
        errors=(400, 404),
    ),
    Endpoint(
        "GET",
        "/gateway/v1/calls",
        "listCalls",
        "Gateway",
        "List the account's calls",
        Protected(messages.calls),
        schemas.CallList,
        "Live calls, oldest first, then stored ones, newest first",
        parameters=(Parameter("limit", "query", "how many at the most", _LIMIT, required=False),),
        errors=(400,),
    ),
    Endpoint(
        "GET",
        "/gateway/v1/calls/{guid}",
        "getCall",
        "Gateway",
        "Get the state of a call and its failed deliveries",
        Protected(messages.call),
        schemas.CallDetail,
        "The call",
        parameters=(Parameter("guid", "path", "the Call SID", _IDENTIFIER, example=CALL_SID),),
        errors=(404,),
    ),
    Endpoint(
        "GET",
        "/gateway/v1/calls/{guid}/live",
        "followCall",
        "Gateway",
        "Follow a call while it is spoken",
        Protected(live.live),
        None,
        "Server-sent events: `partial`, `final` and, as the last one, `ended`",
        parameters=(Parameter("guid", "path", "the Call SID", _IDENTIFIER, example=CALL_SID),),
        errors=(404, 429),
        media_type="text/event-stream",
    ),
)

_SERVICE = (
    Endpoint(
        "GET",
        "/v1/health",
        "getHealth",
        "Service",
        "Check the service and the key",
        Protected(service.health),
        schemas.HealthCheck,
        "SUCCESS, or FAILED where a part of the service is away",
    ),
    Endpoint(
        "GET",
        "/healthz",
        "getLiveness",
        "Service",
        "Is the process alive",
        service.healthz,
        schemas.Liveness,
        "It is",
    ),
    Endpoint(
        "GET",
        "/readyz",
        "getReadiness",
        "Service",
        "Is new work taken",
        service.readyz,
        schemas.Readiness,
        "New work is taken",
        also=((503, "New work is not taken; the checks say why"),),
    ),
    Endpoint(
        "GET",
        "/metrics",
        "getMetrics",
        "Service",
        "Prometheus metrics",
        service.metrics,
        None,
        "Text exposition format",
        media_type="text/plain",
    ),
    Endpoint(
        "GET",
        "/openapi.json",
        "getOpenApi",
        "Service",
        "This document",
        _openapi,
        None,
        "OpenAPI 3.1",
    ),
)

ENDPOINTS: tuple[Endpoint, ...] = (*_MEDIA_GATEWAY, *_CALLS, *configuration.ENDPOINTS, *exporter.ENDPOINTS, *_SERVICE)
"""Every endpoint of the API."""


_ROUTE = {"GET": web.get, "POST": web.post, "PATCH": web.patch, "DELETE": web.delete}


def routes() -> list[web.RouteDef]:
    """The routes, each with and without a trailing slash; GET answers HEAD too."""
    return [
        _ROUTE[endpoint.method](path, endpoint.route_handler, expect_handler=expect_handler)
        for endpoint in ENDPOINTS
        for path in (endpoint.path, endpoint.path + "/")
    ]


def install(app: web.Application, context: ApiContext) -> None:
    """Put the API into ``app``: its routes, and for all of the app's routes the envelope, metrics and access log.

    Run the app with ``access_log=None``: aiohttp's own would show the tokens in media paths.
    """
    app[CONTEXT] = context
    app[AUTHENTICATOR] = Authenticator(context.store)
    believe(app, Proxies(context.settings.trusted_proxies))
    app.middlewares.append(access_middleware)
    app.middlewares.append(envelope_middleware)
    app.add_routes(routes())
