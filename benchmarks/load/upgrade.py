"""The client's side of a WebSocket that only sends (RFC 6455): the upgrade, and what a server may say after it. No I/O.

Written by hand because thousands of sockets are opened beside a sender that must keep time, and the client of a library
costs twice as much of the processor for each. What it has to read is little: an answer, pings, a close.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from urllib.parse import urlsplit

from gateway.errors import PeerError, UsageError

__all__ = ["Dialogue", "control"]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MAX_ANSWER = 16 * 1024
MAX_FRAME = 64 * 1024
CLOSE, PING, PONG = 0x8, 0x9, 0xA
ABNORMAL = 1006


def control(opcode: int, payload: bytes = b"") -> bytes:
    """A control frame from a client; ``payload`` is at most 125 bytes."""
    key = os.urandom(4)
    masked = bytes(byte ^ key[at & 3] for at, byte in enumerate(payload))
    return bytes((0x80 | opcode, 0x80 | len(payload))) + key + masked


class Dialogue:
    """One connection's talk.

    Args:
        url: ``ws://`` or ``wss://``.

    Raises:
        UsageError: it is neither.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise UsageError("a stream URL begins with ws:// or wss:// and has a host")
        self.secure = parts.scheme == "wss"
        self.host = parts.hostname
        self.port = parts.port or (443 if self.secure else 80)
        key = base64.b64encode(os.urandom(16))
        self._accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.request = (
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode("ascii")
        self._data = bytearray()
        self.opened = False
        """Whether the upgrade was answered with a 101."""
        self.closing = False
        """Whether either side has said that it closes."""
        self.close_code = ABNORMAL
        """What the server closed with."""

    def close(self, code: int) -> bytes:
        """The frame that closes; nothing may be sent after it."""
        self.closing = True
        return control(CLOSE, struct.pack("!H", code))

    def feed(self, data: bytes) -> list[bytes]:
        """Take what the server sent; the frames to answer with.

        Raises:
            PeerError: the upgrade was refused (``upgrade 503``), or this is no such server (``upgrade handshake``).
        """
        self._data += data
        if not self.opened and not self._answered():
            return []
        answers = []
        while (frame := self._frame()) is not None:
            opcode, payload = frame
            if opcode == PING:
                answers.append(control(PONG, payload))
            elif opcode == CLOSE:
                if len(payload) >= 2:
                    self.close_code = struct.unpack_from("!H", payload)[0]
                if not self.closing:
                    self.closing = True
                    answers.append(control(CLOSE, payload[:2]))
        return answers

    def _answered(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            if len(self._data) > MAX_ANSWER:
                raise PeerError("upgrade handshake")
            return False
        status, *lines = bytes(self._data[:end]).split(b"\r\n")
        del self._data[: end + 4]
        version, _, rest = status.partition(b" ")
        code = rest[:3]
        if version != b"HTTP/1.1" or not code.isdigit():
            raise PeerError("upgrade handshake")
        if code != b"101":
            raise PeerError(f"upgrade {code.decode()}")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        fits = (
            headers.get(b"upgrade", b"").lower() == b"websocket"
            and b"upgrade" in headers.get(b"connection", b"").lower()
            and headers.get(b"sec-websocket-accept") == self._accept
        )
        if not fits:
            raise PeerError("upgrade handshake")
        self.opened = True
        return True

    def _frame(self) -> tuple[int, bytes] | None:
        """The next frame, if all of it is there: opcode and payload."""
        if len(self._data) < 2:
            return None
        size, at = self._data[1] & 0x7F, 2
        if size >= 126:
            at = 4 if size == 126 else 10
            size = int.from_bytes(self._data[2:at], "big") if len(self._data) >= at else 0
        if self._data[1] & 0x80 or size > MAX_FRAME:
            raise PeerError("no frame of a server")
        if len(self._data) < at + size:
            return None
        opcode, payload = self._data[0] & 0x0F, bytes(self._data[at : at + size])
        del self._data[: at + size]
        return opcode, payload
