"""How every answer leaves: JSON, an ``X-Request-Id``, and the error envelope for whatever went wrong.

``{"error": {"requestId", "message", "code"}}``, code ``"<HTTP status>-<subcode>"``.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import orjson
import structlog
from aiohttp import HttpVersion11, web
from pydantic import BaseModel

from gateway.api.schemas import ErrorDetail, ErrorEnvelope
from gateway.errors import GatewayError, RequestError, SealedError, StoreError
from gateway.ids import new_request_id

__all__ = [
    "MG_PREFIX",
    "REQUEST_ID_HEADER",
    "Handler",
    "answer",
    "envelope_middleware",
    "error_response",
    "expect_handler",
]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MG_PREFIX = "/mg-autotranscribe/"
"""The media gateway's endpoints have an internal error code of their own (500-201)."""

REQUEST_ID_HEADER = "X-Request-Id"

_MESSAGES = {
    404: "Not found: there is no such path; GET /openapi.json lists them all",
    413: "Request entity too large: a body may have 1 MiB",
    500: "Internal server error: the log has more under this requestId",
    503: "Service unavailable: the store does not answer; try again",
}

_SEALED = (
    "Internal server error: unredacted texts do not open with the gateway's store key; "
    "GATEWAY_STORE_KEY (unset: store-key in its data directory) must be the key that they were stored under"
)

_log = structlog.get_logger(__name__)


def answer(body: BaseModel, status: int = 200, *, nulls: bool = False) -> web.Response:
    """A JSON answer; fields that are None are left out, unless ``nulls`` are part of the contract.

    Answers hold stream tokens and transcripts, so no cache may keep them.
    """
    dumped = body.model_dump(mode="json", by_alias=True, exclude_none=not nulls)
    return web.Response(
        body=orjson.dumps(dumped),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """An error in the envelope; ``request_id`` is made up if not given."""
    request_id = request_id or new_request_id()
    detail = ErrorDetail(request_id=request_id, message=message, code=code)
    response = answer(ErrorEnvelope(error=detail), status=status)
    response.headers[REQUEST_ID_HEADER] = request_id
    response.headers.update(headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        # RFC 9110 §11.6.1 wants a challenge with every 401; the scheme is ours.
        response.headers.setdefault("WWW-Authenticate", 'ApiKey realm="gateway"')
    return response


async def expect_handler(request: web.Request) -> web.Response | None:
    """What aiohttp asks before it calls a handler, where there is an ``Expect`` header (RFC 9110 §10.1.1)."""
    if request.headers.get("Expect", "").lower() != "100-continue":
        return error_response(417, "417-01", "Expectation failed: only 100-continue is understood")
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What was written is no part of the answer.
        request.writer.output_size = 0
    return None


@web.middleware
async def envelope_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raises into an answer, and name the request in every answer."""
    request_id = new_request_id()
    try:
        response = await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        response = _from_http(error, request_id)
    except RequestError as error:
        response = error_response(error.status, error.code, error.message, request_id=request_id)
    except SealedError as error:
        _log.error("stored text cannot be opened", request_id=request_id, reason=str(error))
        response = error_response(500, "500-01", _SEALED, request_id=request_id)
    except StoreError as error:
        _log.warning("store unavailable", request_id=request_id, reason=str(error))
        response = error_response(503, "503-01", _MESSAGES[503], request_id=request_id)
    except Exception as error:
        _log_failure(error, request, request_id)
        code = "500-201" if request.path.startswith(MG_PREFIX) else "500-01"
        response = error_response(500, code, _MESSAGES[500], request_id=request_id)
    if not response.prepared:
        response.headers.setdefault(REQUEST_ID_HEADER, request_id)
        # aiohttp's own would name its version and Python's.
        response.headers.setdefault("Server", "gateway")
    return response


def _from_http(error: web.HTTPException, request_id: str) -> web.Response:
    status = error.status
    headers: dict[str, str] = {}
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        headers["Allow"] = allowed
        message = f"Method not allowed: this path takes {allowed}"
    else:
        message = _MESSAGES.get(status, error.reason)
    return error_response(status, f"{status}-01", message, request_id=request_id, headers=headers)


def _log_failure(error: Exception, request: web.Request, request_id: str) -> None:
    # Only our own errors promise to hold no transcript text; a database driver's message may quote its parameters.
    reason = str(error) if isinstance(error, GatewayError) else None
    _log.error(
        "request failed",
        request_id=request_id,
        method=request.method,
        error=type(error).__name__,
        reason=reason,
        traceback="".join(traceback.format_tb(error.__traceback__)),
    )
