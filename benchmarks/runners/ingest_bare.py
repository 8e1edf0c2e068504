"""The floor: uvloop, a protocol that accepts the upgrade and throws all bytes away.

``buffered`` as the last argument receives into one buffer instead (``asyncio.BufferedProtocol``).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import sys
from typing import cast

import uvloop

from benchmarks.runners.ingest_work import context, serve_until_closed

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ROOM = memoryview(bytearray(1 << 18))
ALL: list[Discard] = []


class Discard(asyncio.Protocol):
    """One socket: nothing but its bytes is counted."""

    __slots__ = ("bytes", "head", "transport")

    def __init__(self) -> None:
        self.bytes = -1
        self.head = b""
        ALL.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Throw it away."""
        if self.bytes >= 0:
            self.bytes += len(data)
        else:
            self.upgrade(data)

    def upgrade(self, data: bytes) -> None:
        """Answer the request when it is whole."""
        self.head += data
        head, parted, rest = self.head.partition(b"\r\n\r\n")
        key = re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", head)
        if not parted or key is None:
            return
        accept = base64.b64encode(hashlib.sha1(key[1] + GUID, usedforsecurity=False).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        self.bytes, self.head = len(rest), b""


class Buffered(asyncio.BufferedProtocol):
    """The same without an object for each read; what is read is overwritten."""

    __slots__ = ("inner",)

    def __init__(self) -> None:
        self.inner = Discard()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        self.inner.connection_made(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """The same for all sockets."""
        return ROOM

    def buffer_updated(self, nbytes: int) -> None:
        """Throw it away."""
        if self.inner.bytes >= 0:
            self.inner.bytes += nbytes
        else:
            self.inner.upgrade(bytes(ROOM[:nbytes]))


def told(question: str) -> dict[str, int]:
    """Bytes behind the upgrade requests."""
    return {"messages": 0, "bytes": sum(max(one.bytes, 0) for one in ALL)}


async def listen() -> int:
    """On a free port."""
    made = Buffered if sys.argv[-1] == "buffered" else Discard
    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0, backlog=4096, ssl=context())
    port: int = server.sockets[0].getsockname()[1]
    LISTENING.append(server)
    return port


LISTENING: list[asyncio.AbstractServer] = []

if __name__ == "__main__":
    uvloop.run(serve_until_closed(listen, told))
