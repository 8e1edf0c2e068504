"""What a text message says, read by other means than the gateway's: the reference for scanner and fallback together.

Written from Twilio's "Media Streams - WebSocket messages" and ``docs/twilio.md``, with orjson alone, and with the
standard library's parser as a second opinion on what JSON says.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import orjson

from gateway.calls import messages
from gateway.errors import WireError
from gateway.participants import Track

__all__ = ["same_json", "written"]

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)


def written(message: bytes) -> object:
    """The event of a ``media`` message or of one that is none of Twilio's; others as :func:`messages.parse` has them.

    Raises:
        SkippedError, WireError: as :func:`gateway.calls.messages.parse` must.
    """
    try:
        value = orjson.loads(message)
    except orjson.JSONDecodeError:
        if message.decode("utf-8", "replace").encode() != message:
            raise WireError(1007, "not UTF-8") from None
        raise messages.SkippedError("bad_json") from None
    if not isinstance(value, dict):
        raise messages.SkippedError("bad_json")
    event = value.get("event")
    if event == "media":
        return _media(value)
    if event in ("connected", "start", "stop", "dtmf", "mark") and isinstance(event, str):
        return messages.parse(message)
    raise messages.SkippedError("unknown_event")


def _media(value: dict[str, Any]) -> messages.Media:
    media, sid = value.get("media"), value.get("streamSid")
    if type(media) is not dict or type(sid) not in (str, type(None)) or type(media.get("payload")) is not str:
        raise messages.SkippedError("bad_media")
    if not _BASE64.fullmatch(media["payload"]):
        raise messages.SkippedError("bad_base64")
    if "track" in media and media["track"] not in ("inbound", "outbound"):
        raise messages.SkippedError("bad_media")
    # Padding to the right, then cut: the bits behind the last whole byte are of no interest.
    payload = base64.b64decode(media["payload"])
    return messages.Media(Track(media.get("track", "inbound")), _timestamp(media.get("timestamp")), payload, sid)


def _timestamp(value: object) -> int:
    match value:
        case None:
            return -1
        case str() if _DIGITS.fullmatch(value):
            return int(value)
        case int() if type(value) is int and 0 <= value <= 999_999_999_999_999:
            return value
    raise messages.SkippedError("bad_media")


def same_json(message: bytes) -> None:
    """Raise AssertionError if orjson reads other fields than the standard library's parser does.

    Above all of repeated keys both must take the last.
    """
    try:
        value = orjson.loads(message)
    except orjson.JSONDecodeError:
        return
    try:
        other = json.loads(message, parse_int=_number, parse_float=float)
    except RecursionError:
        return
    assert repr(value) == repr(other)


def _number(text: str) -> int | float:
    """A number as orjson has it: beyond 64 bits it is a float."""
    number = int(text) if len(text) <= 20 else None
    return number if number is not None and -(1 << 63) <= number < 1 << 64 else float(text)
