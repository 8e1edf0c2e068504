"""One log line and one measurement a request; nothing in either tells a token, a secret or a call's text."""

from __future__ import annotations

import time

import structlog
from aiohttp import web

from gateway.api.envelope import REQUEST_ID_HEADER, Handler
from gateway.api.origin import Origin, Proxies
from gateway.log import mask_path
from gateway.metrics import HTTP_REQUESTS, HTTP_SECONDS

__all__ = ["access_middleware", "believe", "route_label"]

# Asked every few seconds by machines: worth a line only when they fail.
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_MAX_PATH_CHARS = 300
_CLIENT_CLOSED = 499  # nginx's number for a client that left before its answer

_WARN_SECONDS = 60.0

PROXIES = web.AppKey("proxies", Proxies)
_WARNED = web.AppKey("plain_http_warned", dict[str, float])

_log = structlog.get_logger(__name__)


def believe(app: web.Application, proxies: Proxies) -> None:
    """Set whose ``X-Forwarded-…`` headers are believed."""
    app[PROXIES] = proxies
    app[_WARNED] = {}


def route_label(request: web.Request) -> str:
    """The route's template, which never grows with calls or callers; ``unmatched`` for unknown paths."""
    resource = request.match_info.route.resource
    if resource is None:
        return "unmatched"
    return resource.canonical.rstrip("/") or "/"


@web.middleware
async def access_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count, time and log a request."""
    began = time.perf_counter()
    status, request_id = _CLIENT_CLOSED, None
    try:
        response = await handler(request)
        status, request_id = response.status, response.headers.get(REQUEST_ID_HEADER)
        return response
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        _record(request, status, request_id, time.perf_counter() - began)


def _origin(request: web.Request) -> Origin:
    proxies = request.app.get(PROXIES)
    origin = proxies.origin(request) if proxies is not None else Origin(request.remote, private=True)
    if not origin.private and "asapp-api-secret" in request.headers:
        now = time.monotonic()
        if now - request.app[_WARNED].get("at", float("-inf")) > _WARN_SECONDS:
            request.app[_WARNED]["at"] = now
            _log.warning("an API key crossed plain HTTP; end TLS here or in a trusted proxy", remote=origin.remote)
    return origin


def _record(request: web.Request, status: int, request_id: str | None, seconds: float) -> None:
    route = route_label(request)
    HTTP_REQUESTS.labels(route=route, status=str(status)).inc()
    HTTP_SECONDS.labels(route=route).observe(seconds)
    write = _log.debug if route in _PROBES and status < 400 else _log.info
    write(
        "request",
        method=request.method,
        path=mask_path(request.path_qs)[:_MAX_PATH_CHARS],
        status=status,
        milliseconds=round(seconds * 1000, 1),
        remote=_origin(request).remote,
        request_id=request_id,
    )
