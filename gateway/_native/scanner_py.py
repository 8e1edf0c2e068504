"""The strict reader of Twilio's ``media`` message: the twin and specification of ``gateway._native.scanner``.

It knows one spelling: the compact one with Twilio's key order, as seen on the wire. Anything else is None and
goes to an ordinary JSON parser, so what is accepted here means the same there.
"""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

__all__ = ["INBOUND", "OUTBOUND", "Media", "decoded", "scan"]

INBOUND = 0
OUTBOUND = 1

_NUMBER = rb"(0|[1-9][0-9]{0,14})"
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
_MEDIA = re.compile(
    rb'\{"event":"media","sequenceNumber":"'
    + _NUMBER
    + rb'","media":\{"track":"(inbound|outbound)","chunk":"'
    + _NUMBER
    + rb'","timestamp":"'
    + _NUMBER
    + rb'","payload":"([A-Za-z0-9+/]*={0,2})"\},"streamSid":"'
    rb'([A-Za-z0-9]{1,64})"\}'
)


class Media(NamedTuple):
    """One ``media`` message.

    ``track`` is :data:`INBOUND` or :data:`OUTBOUND`, ``timestamp_ms`` Twilio's time since the start of the
    stream, ``payload`` the decoded μ-law bytes, ``stream_sid`` ASCII.
    """

    track: int
    timestamp_ms: int
    sequence: int
    chunk: int
    payload: bytes
    stream_sid: bytes


def decoded(text: bytes) -> bytes | None:
    """What base64 stands for (RFC 4648 §4); None if it is not strict: whole groups, padding at the end only.

    Raises:
        TypeError: ``text`` is not bytes.
    """
    if not isinstance(text, bytes):
        raise TypeError(f"base64 must be bytes, not {type(text).__name__}")
    if len(text) % 4 or not _BASE64.fullmatch(text):
        return None
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return None


def scan(message: bytes) -> Media | None:
    """The media message in ``message`` (a whole text frame, unmasked), or None if it is anything else.

    Raises:
        TypeError: ``message`` is not bytes.
    """
    if not isinstance(message, bytes):
        raise TypeError(f"a message must be bytes, not {type(message).__name__}")
    match = _MEDIA.fullmatch(message)
    if match is None:
        return None
    sequence, track, chunk, timestamp, payload, stream_sid = match.groups()
    ulaw = decoded(payload)
    if ulaw is None:
        return None
    return Media(
        INBOUND if track == b"inbound" else OUTBOUND,
        int(timestamp),
        int(sequence),
        int(chunk),
        ulaw,
        stream_sid,
    )
