"""Bare media sockets that may send anything, and audio whose checksum is known."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from gateway._native.track_py import Track as Twin
from tests.harness import new_sid

TRACKS = ("inbound", "outbound")


def text(message: object) -> bytes:
    """A masked text frame."""
    data = message if isinstance(message, bytes) else json.dumps(message, separators=(",", ":")).encode()
    return Frame(Opcode.TEXT, data).serialize(mask=True)


def ping(payload: bytes) -> bytes:
    """A masked ping frame."""
    return Frame(Opcode.PING, payload).serialize(mask=True)


class Bare:
    """An upgraded connection; what is written goes out as it is."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._pings = 0

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def settle(self) -> None:
        """Return when all that was sent has been read: its last ping is answered."""
        self._pings += 1
        mark = b"settle %d" % self._pings
        await self.send(ping(mark))
        await self.reader.readuntil(mark)

    async def end(self) -> bytes:
        """What the gateway still says until it closes the connection."""
        try:
            return await self.reader.read()
        except ConnectionResetError:
            return b""


@asynccontextmanager
async def dialled(url: str, **options: object) -> AsyncIterator[Bare]:
    """A media socket after its 101; aborted in the end."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, **options)  # type: ignore[arg-type]  # an SSL context
    try:
        protocol = ClientProtocol(parse_uri(url))
        protocol.send_request(protocol.connect())
        writer.write(b"".join(protocol.data_to_send()))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield Bare(reader, writer)
    finally:
        writer.transport.abort()


@dataclass
class Talk:
    """A stream's messages, and what each track must come to: the twin is told the same.

    Timestamps jitter, gap, overlap and jump back; payloads have odd sizes; some messages have no timestamp.
    """

    seed: int
    call_sid: str = field(default_factory=lambda: new_sid("CA"))
    stream_sid: str = field(default_factory=lambda: new_sid("MZ"))

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._at = dict.fromkeys(TRACKS, self._random.randrange(100, 171))
        self.twins = {track: Twin(checksum=True, keep_pcm=False) for track in TRACKS}
        for twin in self.twins.values():
            twin.open_gate()

    def opening(self) -> bytes:
        """``connected`` and ``start``, as frames."""
        start = {
            "event": "start",
            "streamSid": self.stream_sid,
            "start": {"streamSid": self.stream_sid, "callSid": self.call_sid, "tracks": list(TRACKS)},
        }
        return text({"event": "connected"}) + text(start)

    def message(self) -> bytes:
        """The next media message, as a frame."""
        dice = self._random
        track = dice.choice(TRACKS)
        payload = dice.randbytes(dice.choice((160, 160, 160, 160, 0, 1, 33, 320, 777)))
        self._at[track] += dice.choice((0,) * 40 + (500, 3000, -300, -2000))
        at = max(0, self._at[track] + dice.randrange(-2, 3))
        self._at[track] += len(payload) // 8
        if dice.random() < 0.02:
            at = -1
        self.twins[track].place(at, payload, 0)
        media = {"track": track, "chunk": "1", "timestamp": str(at), "payload": base64.b64encode(payload).decode()}
        if at < 0:
            del media["timestamp"]
        return text({"event": "media", "sequenceNumber": "2", "media": media, "streamSid": self.stream_sid})

    def chunks(self, messages: int) -> Iterator[bytes]:
        """So many messages as a byte stream, cut anywhere."""
        buffer = bytearray()
        for _ in range(messages):
            buffer += self.message()
            if self._random.random() < 0.2:
                cut = self._random.randrange(len(buffer) + 1)
                yield bytes(buffer[:cut])
                del buffer[:cut]
        yield bytes(buffer)

    def expected(self) -> dict[str, tuple[int, str]]:
        """Samples and checksum of each track."""
        return {
            track: (twin.received_samples + twin.filled_samples, twin.checksum_hex())
            for track, twin in self.twins.items()
        }
