"""What a user would take instead of a kernel: libraries, each with the few lines that make it do the same.

What a contest compares with is a function of the kernel's own arguments. A library that must be asked for strictness is
asked for as much as its users ask of it: what that leaves is in the names of the sides.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import warnings
from typing import Any

import msgspec
import numpy as np
import orjson
import pybase64
from numpy.typing import NDArray
from websockets.frames import Frame
from websockets.speedups import apply_mask
from websockets.streams import StreamReader

from gateway._native import frames_py, mulaw_py, scanner_py

with warnings.catch_warnings():
    # Python 3.11 and 3.12 warn that it will be gone; from 3.13 on audioop-lts has the name.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

__all__ = [
    "MAX_MESSAGE",
    "apply_mask",
    "audioop_decode",
    "audioop_level",
    "by_json",
    "by_libraries",
    "by_msgspec",
    "by_orjson",
    "numpy_level",
    "numpy_mask",
    "pybase64_lenient",
    "pybase64_strict",
    "python_base64",
    "strict_binascii",
    "websockets_frame",
]


MAX_MESSAGE = 65536
"""Most bytes of payload in a frame."""

_TABLE = mulaw_py.decode(bytes(range(256)))


def python_base64(text: bytes) -> bytes:
    """The standard library's, strict."""
    return base64.b64decode(text, validate=True)


def strict_binascii(text: bytes) -> bytes:
    """What the standard library's stands on."""
    return binascii.a2b_base64(text, strict_mode=True)


def pybase64_strict(text: bytes) -> bytes:
    """With SIMD, strict."""
    return pybase64.b64decode(text, validate=True)


pybase64_lenient = pybase64.b64decode
"""With SIMD; what is no base64 is passed over."""


def audioop_decode(data: bytes) -> NDArray[np.int16]:
    """16-bit PCM of μ-law."""
    return np.frombuffer(audioop.ulaw2lin(data, 2), np.int16)


def numpy_mask(data: bytes, key: bytes) -> bytes:
    """The masking key over and over, by XOR."""
    repeated = np.resize(np.frombuffer(key, np.uint8), len(data))
    return (np.frombuffer(data, np.uint8) ^ repeated).tobytes()


def websockets_frame(data: bytes, _offset: int, limit: int) -> frames_py.Frame:
    """One frame, read by websockets; its unmasking is compiled."""
    reader = StreamReader()
    reader.feed_data(data)
    frame = _next_frame(reader, limit)
    return frames_py.Frame(frame.fin, frame.opcode, bytes(frame.data), 0, len(data))


def _next_frame(reader: StreamReader, limit: int) -> Frame:
    parser = Frame.parse(reader.read_exact, mask=True, max_size=limit)
    try:
        next(parser)
    except StopIteration as stop:
        frame: Frame = stop.value
        return frame
    raise AssertionError("the frame is whole")


class _Payload(msgspec.Struct):
    track: str
    chunk: int
    timestamp: int
    payload: bytes


class _Message(msgspec.Struct, tag_field="event", tag="media"):
    sequenceNumber: int  # noqa: N815  # Twilio's name
    media: _Payload
    streamSid: str  # noqa: N815  # Twilio's name


_DECODER = msgspec.json.Decoder(_Message, strict=False)
_TRACKS = {"inbound": scanner_py.INBOUND, "outbound": scanner_py.OUTBOUND}


def by_msgspec(message: bytes) -> scanner_py.Media:
    """Decoded into types, base64 and numbers too."""
    value = _DECODER.decode(message)
    media = value.media
    sid = value.streamSid.encode()
    return scanner_py.Media(
        _TRACKS[media.track], media.timestamp, value.sequenceNumber, media.chunk, media.payload, sid
    )


def _fields(value: Any) -> scanner_py.Media:
    media = value["media"]
    return scanner_py.Media(
        _TRACKS[media["track"]],
        int(media["timestamp"]),
        int(value["sequenceNumber"]),
        int(media["chunk"]),
        base64.b64decode(media["payload"]),
        value["streamSid"].encode(),
    )


def by_orjson(message: bytes) -> scanner_py.Media:
    """orjson, and base64 that is not strict."""
    return _fields(orjson.loads(message))


def by_json(message: bytes) -> scanner_py.Media:
    """The standard library, and base64 that is not strict."""
    return _fields(json.loads(message))


def by_libraries(stream: bytes) -> NDArray[np.int16]:
    """The same as an application in Python does it, which trusts the order of the messages instead of their clock."""
    reader = StreamReader()
    reader.feed_data(stream)
    pcm = []
    while reader.buffer:
        message = orjson.loads(_next_frame(reader, MAX_MESSAGE).data)
        if message["event"] == "media" and message["media"]["track"] == "inbound":
            ulaw = base64.b64decode(message["media"]["payload"])
            pcm.append(_TABLE[np.frombuffer(ulaw, np.uint8)])
    return np.concatenate(pcm)


def numpy_level(pcm: NDArray[np.int16]) -> float:
    """dBFS around the mean."""
    return float(20 * np.log10(pcm.astype(np.float32).std() / 32768))


def audioop_level(pcm: NDArray[np.int16]) -> float:
    """Of a line without an offset: it leaves the mean in."""
    return 20 * math.log10(audioop.rms(pcm.data, 2) / 32768)
