"""A media socket that costs next to nothing to feed: for hundreds of calls from one process.

``websockets``' Sans-I/O client shakes hands and answers pings; the media frames are put together here and written to
the transport as they are. Their masking key is zero, so that a payload need not be touched: a server unmasks it all
the same.
"""

from __future__ import annotations

import asyncio
import base64
import random
import ssl
import struct
from collections.abc import Callable
from typing import cast

import numpy as np
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.frames import CloseCode
from websockets.protocol import State
from websockets.uri import parse_uri

from gateway._native import mulaw
from gateway.errors import PeerError
from gateway.peers.emitter import FRAME_MS, JITTER_MS
from gateway.peers.recording import Recording
from gateway.speech.engine import Pcm

__all__ = ["MediaSocket", "Payloads", "Voice", "frame"]

FRAME_BYTES = 8 * FRAME_MS
_DRAWS = 509


def frame(text: bytes) -> bytes:
    """A final text frame from a client, masked with zero (RFC 6455 §5.2); ``text`` is under 64 KiB."""
    if len(text) < 126:
        return b"\x81" + bytes((0x80 | len(text),)) + bytes(4) + text
    return b"\x81\xfe" + struct.pack("!H", len(text)) + bytes(4) + text


class Payloads:
    """The base64 payloads of a recording, shared by all calls; every track has the same number of frames.

    Args:
        recording: what is said.
        gain_db: louder or quieter than it was recorded; what grows too loud is clipped.
    """

    def __init__(self, recording: Recording, gain_db: float = 0.0) -> None:
        self.tracks = tuple(recording.tracks)
        coded = [mulaw.encode(_louder(pcm, gain_db)) for pcm in recording.tracks.values()]
        self.frames = -(-max(map(len, coded)) // FRAME_BYTES)
        padded = [data.ljust(self.frames * FRAME_BYTES, b"\xff") for data in coded]
        self.of = [
            [base64.b64encode(data[i : i + FRAME_BYTES]) for i in range(0, len(data), FRAME_BYTES)] for data in padded
        ]


def _louder(pcm: Pcm, gain_db: float) -> Pcm:
    if not gain_db:
        return pcm
    louder: Pcm = np.clip(np.rint(pcm * 10 ** (gain_db / 20)), -32768, 32767).astype(np.int16)
    return louder


class Voice:
    """The media frames of one call, one after another: both tracks, numbered and stamped as Twilio does.

    Args:
        payloads: what is said.
        stream_sid: of the stream.
        first: the frame of the recording that the call begins with; the recording is repeated.
        dice: draws first timestamp and jitter.
    """

    def __init__(self, payloads: Payloads, stream_sid: str, first: int, dice: random.Random) -> None:
        self._payloads = payloads
        self._at = first
        # Drawn beforehand: a draw for each message would be a third of what a message costs. 509 is a prime, so that
        # two messages a frame meet all of it.
        self._jitter = dice.choices(range(-JITTER_MS, JITTER_MS + 1), k=_DRAWS)
        self._stamp = dice.randint(100, 170)
        self._tail = b'"},"streamSid":"' + stream_sid.encode() + b'"}'
        self._track_heads = [b'","media":{"track":"' + track.encode() + b'","chunk":"' for track in payloads.tracks]
        self.sequence = 1
        self.sent = 0
        """20 ms frames given out so far, of each track."""

    def next(self) -> list[bytes]:
        """The WebSocket frames of the next 20 ms, one for each track."""
        index = self._at % self._payloads.frames
        chunk = b"%d" % (self.sent + 1)
        grid = self._stamp + FRAME_MS * self.sent
        frames = []
        for head, payloads in zip(self._track_heads, self._payloads.of, strict=True):
            self.sequence += 1
            stamp = grid + self._jitter[self.sequence % _DRAWS] if self.sent else grid
            frames.append(
                frame(
                    b'{"event":"media","sequenceNumber":"%d%b%b","timestamp":"%d","payload":"%b%b'
                    % (self.sequence, head, chunk, stamp, payloads[index], self._tail)
                )
            )
        self._at += 1
        self.sent += 1
        return frames


class MediaSocket(asyncio.Protocol):
    """A WebSocket client for sending only; made by :meth:`open`.

    ``on_lost`` is told once why the socket ended, unless :meth:`close` ended it.
    """

    def __init__(self, url: str, on_lost: Callable[[str], None]) -> None:
        self._protocol = ClientProtocol(parse_uri(url), max_size=64 * 1024)
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._closing = False
        self.frames = 0
        """WebSocket frames sent, control frames too: a gateway counts what it reads."""

    @classmethod
    async def open(
        cls, url: str, on_lost: Callable[[str], None], context: ssl.SSLContext | None = None, seconds: float = 10.0
    ) -> MediaSocket:
        """Connect and shake hands; ``context`` is for ``wss://``, None for the system's.

        Raises:
            PeerError: nobody there, refused (``upgrade 503``), or no answer in time.
        """
        address = parse_uri(url)
        secure = (context or True) if address.secure else None
        try:
            async with asyncio.timeout(seconds):
                _, socket = await asyncio.get_running_loop().create_connection(
                    lambda: cls(url, on_lost), address.host, address.port, ssl=secure
                )
                await socket._opened
        except TimeoutError as error:
            raise PeerError("upgrade timeout") from error
        except OSError as error:
            raise PeerError(f"connect {type(error).__name__}") from error
        return socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the upgrade request."""
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._protocol.send_request(self._protocol.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        """The upgrade answer, pings, a close."""
        self._protocol.receive_data(data)
        self._flush()
        if not self._opened.done():
            if self._protocol.handshake_exc is not None:
                self._opened.set_exception(_refusal(self._protocol.handshake_exc))
            elif self._protocol.state is State.OPEN:
                self._opened.set_result(None)

    def eof_received(self) -> None:
        """The peer has said all it will."""
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits, and why."""
        if not self._opened.done():
            self._opened.set_exception(PeerError("upgrade connection lost"))
        elif not self._closing:
            code = self._protocol.close_code
            self._on_lost(f"closed {code}" if code not in (None, CloseCode.ABNORMAL_CLOSURE) else "reset")
        if not self._ended.done():
            self._ended.set_result(None)

    def _flush(self) -> None:
        assert self._transport is not None
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
                self.frames += self._opened.done()
            else:
                self._transport.close()

    @property
    def lost(self) -> bool:
        """Whether the connection is gone or going."""
        return self._transport is None or self._transport.is_closing()

    @property
    def unsent(self) -> int:
        """Bytes that the gateway has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def write(self, data: bytes) -> None:
        """Send one frame, as it is."""
        if self._transport is not None:
            self._transport.write(data)
            self.frames += 1

    async def close(self, seconds: float = 5.0) -> None:
        """Close with 1000, waiting for the answer so long; then drop the connection."""
        self._closing = True
        if self._transport is None or self._ended.done():
            return
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        await asyncio.wait([self._ended], timeout=seconds)
        self._transport.abort()


def _refusal(error: Exception) -> PeerError:
    if isinstance(error, InvalidStatus):
        return PeerError(f"upgrade {error.response.status_code}")
    kind = "handshake" if isinstance(error, InvalidHandshake) else type(error).__name__
    return PeerError(f"upgrade {kind}")
