"""Twilio's messages, read with orjson: the ordinary path that everything but plain ``media`` takes.

Sans-I/O: bytes in, an event out. Facts about the wire: ``docs/twilio.md`` and Twilio's "Media Streams - WebSocket
messages". What a message may be and what it may not is one place, here; :mod:`gateway._native.scanner` accepts a strict
subset of it and is held equal by a test.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.errors import PeerError, WireError
from gateway.participants import Track

__all__ = ["Connected", "Event", "Ignored", "Media", "SkippedError", "Start", "Stop", "parse"]

MAX_CUSTOM_PARAMETERS = 99
"""Name-value pairs that Twilio's API takes at the most (Parameter1 … Parameter99)."""

MAX_SID_LENGTH = 255
MAX_TIMESTAMP_DIGITS = 15


class SkippedError(PeerError):
    """A message that is skipped and counted; ``reason`` is one word from a small set, fit for a metric's label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Connected:
    """The first message of a stream; carries nothing that is needed."""


@dataclass(frozen=True, slots=True)
class Start:
    """The message that names the call. ``tracks`` is never empty; minimal emitters leave ``account_sid`` out."""

    stream_sid: str
    call_sid: str
    account_sid: str | None
    tracks: frozenset[Track]
    custom: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Media:
    """Audio. ``timestamp_ms`` is −1 and ``stream_sid`` None where the emitter leaves them out; payload is μ-law."""

    track: Track
    timestamp_ms: int
    payload: bytes
    stream_sid: str | None


@dataclass(frozen=True, slots=True)
class Stop:
    """The stream has ended; ``stream_sid`` is None where the emitter leaves it out."""

    stream_sid: str | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """``dtmf`` and ``mark``: known, and of no use to a transcript."""


Event = Connected | Start | Media | Stop | Ignored


def parse(message: bytes) -> Event:
    """Read one text message.

    Raises:
        WireError: 1007 for bytes that are not UTF-8; 1008 for a media format the gateway cannot read.
        SkippedError: anything else that is not one of Twilio's messages.
    """
    try:
        value = orjson.loads(message)
    except orjson.JSONDecodeError:
        try:
            message.decode("utf-8")
        except UnicodeDecodeError as error:
            raise WireError(1007, "text message is not UTF-8") from error
        raise SkippedError("bad_json") from None
    if not isinstance(value, dict):
        raise SkippedError("bad_json")
    match value.get("event"):
        case "media":
            return _media(value)
        case "start":
            return _start(value)
        case "stop":
            stream_sid = value.get("streamSid")
            return Stop(stream_sid if isinstance(stream_sid, str) else None)
        case "connected":
            return Connected()
        case "dtmf" | "mark":
            return Ignored()
    raise SkippedError("unknown_event")


def _media(value: dict[str, Any]) -> Media:
    media = value.get("media")
    stream_sid = value.get("streamSid")
    if not isinstance(media, dict) or not (stream_sid is None or isinstance(stream_sid, str)):
        raise SkippedError("bad_media")
    encoded = media.get("payload")
    if not isinstance(encoded, str):
        raise SkippedError("bad_media")
    try:
        payload = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise SkippedError("bad_base64") from None
    if len(encoded) != (len(payload) + 2) // 3 * 4:
        # CPython's strict mode lets any number of "=" pass behind whole groups.
        raise SkippedError("bad_base64")
    # An emitter that names no track sends one, and that is the party's own voice (pipecat's serializer).
    track = media.get("track", "inbound")
    if track not in ("inbound", "outbound"):
        raise SkippedError("bad_media")
    return Media(Track(track), _timestamp(media.get("timestamp")), payload, stream_sid)


def _timestamp(value: object) -> int:
    if value is None:
        return -1
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**MAX_TIMESTAMP_DIGITS:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= MAX_TIMESTAMP_DIGITS:
        return int(value)
    raise SkippedError("bad_media")


def _start(value: dict[str, Any]) -> Start:
    start = value.get("start")
    if not isinstance(start, dict):
        raise SkippedError("bad_start")
    stream_sid = _sid(start.get("streamSid", value.get("streamSid")))
    call_sid = _sid(start.get("callSid"))
    account_sid = start.get("accountSid")
    custom = start.get("customParameters") or {}
    if not isinstance(custom, dict) or len(custom) > MAX_CUSTOM_PARAMETERS:
        raise SkippedError("bad_start")
    _check_format(start.get("mediaFormat"))
    return Start(
        stream_sid,
        call_sid,
        account_sid if isinstance(account_sid, str) else None,
        _tracks(start.get("tracks")),
        {name: text for name, text in custom.items() if isinstance(text, str)},
    )


def _sid(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_SID_LENGTH or not value.isprintable():
        raise SkippedError("bad_start")
    return value


def _tracks(value: object) -> frozenset[Track]:
    """The tracks announced; both where an emitter announces none, so that no audio is turned away."""
    if not isinstance(value, list):
        return frozenset(Track)
    return frozenset(Track(name) for name in value if name in ("inbound", "outbound")) or frozenset(Track)


def _check_format(value: object) -> None:
    if not isinstance(value, dict):
        return
    encoding, rate, channels = value.get("encoding"), value.get("sampleRate"), value.get("channels")
    if encoding not in (None, "audio/x-mulaw") or rate not in (None, 8000) or channels not in (None, 1):
        raise WireError(1008, "mediaFormat must be audio/x-mulaw, 8000 Hz, 1 channel")
