"""JSON bodies: bounded, strict, and never quoted back."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway.errors import RequestError

__all__ = ["MAX_BODY_BYTES", "read_json", "validated"]

MAX_BODY_BYTES = 1024 * 1024
_BODY_SECONDS = 10.0

_Model = TypeVar("_Model", bound=BaseModel)

# What pydantic calls it → what we say; its own words may quote what was sent.
_WORDS = {
    "missing": "is missing",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "model_type": "must be an object",
    "list_type": "must be an array",
    "too_long": "must have at most {max_length} items",
    "string_too_short": "must be at least {min_length} character long",
    "string_too_long": "must be at most {max_length} characters long",
    "literal_error": "must be {expected}",
}


async def read_json(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object, whatever the content type says.

    Raises:
        RequestError: 400-01 (not JSON, not an object), 408-01, 413-01.
    """
    body = await _read(request)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # Its message quotes nothing of the body, only the place.
        place = f" (line {error.lineno}, column {error.colno})" if body else ": it is empty"
        raise RequestError(400, "400-01", f"Bad request: the body must be JSON{place}") from None
    if not isinstance(value, dict):
        raise RequestError(400, "400-01", "Bad request: the body must be a JSON object")
    return value


async def _read(request: web.Request) -> bytes:
    too_large = RequestError(413, "413-01", "Request entity too large: a body may have 1 MiB")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise too_large
    except TimeoutError:
        raise RequestError(408, "408-01", "Request timeout: the body did not arrive in 10 s") from None
    except (web.RequestPayloadError, ConnectionError):
        raise RequestError(400, "400-01", "Bad request: the body is cut short or wrongly encoded") from None
    return bytes(body)


def validated(model: type[_Model], value: dict[str, Any], code: str = "400-201") -> _Model:
    """``value`` as ``model``.

    Raises:
        RequestError: 400-202 for the transcription parameters, else ``code``; the first thing wrong, by its path.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
    path = "/" + "/".join(str(part) for part in first["loc"])
    if first["loc"][:1] == ("autotranscribeParams",):
        code = "400-202"
    raise RequestError(400, code, f"ERROR - [Path '{path}'] {_words(first['type'], first.get('ctx', {}))}")


def _words(kind: str, details: dict[str, Any]) -> str:
    if kind == "value_error":
        return str(details["error"])
    words = _WORDS.get(kind)
    return words.format_map(details) if words else "is not valid"
