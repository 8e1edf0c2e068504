"""WebSocket frames of a client (RFC 6455 §5.2): twin and specification of ``gateway._native.frames``."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "BINARY", "BROKEN", "CLOSE", "CONTINUATION", "NEED", "PING", "PONG", "TEXT", "Frame", "parse", "unmasked",
]  # fmt: skip

NEED = 0
"""The buffer ends inside the frame."""
BROKEN = -1
"""No client without extensions may send this header; the connection can't be read any further."""

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

_OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))


class Frame(NamedTuple):
    """One whole frame; ``payload`` is unmasked, ``buffer[start:end]`` holds the frame as it came."""

    fin: bool
    opcode: int
    payload: bytes
    start: int
    end: int


def parse(buffer: bytes, offset: int, max_payload: int) -> Frame | int:
    """The frame that begins at ``offset``, :data:`NEED`, or :data:`BROKEN`.

    Broken are: no mask, reserved bits, a reserved opcode, a control frame over 125 bytes or not final, a
    length that is not in its shortest form, a payload over ``max_payload`` bytes. The verdict needs the
    header only.

    Raises:
        TypeError: ``buffer`` is not bytes.
        ValueError: ``offset`` lies outside the buffer, or ``max_payload`` is negative.
    """
    if not isinstance(buffer, bytes):
        raise TypeError(f"the buffer must be bytes, not {type(buffer).__name__}")
    if not 0 <= offset <= len(buffer):
        raise ValueError(f"the offset must lie in 0..{len(buffer)}, not {offset}")
    if max_payload < 0:
        raise ValueError(f"max_payload must not be negative, not {max_payload}")
    header = _header(buffer, offset, max_payload)
    if isinstance(header, int):
        return header
    body, length = header
    end = body + length
    if len(buffer) < end:
        return NEED
    first = buffer[offset]
    payload = unmasked(buffer[body:end], buffer[body - 4 : body])
    return Frame(bool(first & 0x80), first & 0x0F, payload, offset, end)


def _header(buffer: bytes, offset: int, max_payload: int) -> tuple[int, int] | int:
    """Where the payload begins and its length."""
    if len(buffer) - offset < 2:
        return NEED
    first, second = buffer[offset], buffer[offset + 1]
    opcode, length, body = first & 0x0F, second & 0x7F, offset + 6
    if first & 0x70 or opcode not in _OPCODES or not second & 0x80:
        return BROKEN
    if opcode & 8 and (length > 125 or not first & 0x80):
        return BROKEN
    if length > 125:
        width, least = (2, 126) if length == 126 else (8, 65536)
        body += width
        if len(buffer) - offset < 2 + width:
            return NEED
        length = int.from_bytes(buffer[offset + 2 : offset + 2 + width], "big")
        if length < least:
            return BROKEN
    return BROKEN if length > max_payload else (body, length)


def unmasked(data: bytes, key: bytes) -> bytes:
    """``data`` under a masking key of four bytes, which masks and unmasks (RFC 6455 §5.3).

    Raises:
        TypeError: one of them is not bytes.
        ValueError: the key has not four bytes.
    """
    if not isinstance(data, bytes) or not isinstance(key, bytes):
        raise TypeError("data and masking key must be bytes")
    if len(key) != 4:
        raise ValueError(f"a masking key has 4 bytes, not {len(key)}")
    length = len(data)
    repeated = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(data, "little") ^ int.from_bytes(repeated, "little")).to_bytes(length, "little")
