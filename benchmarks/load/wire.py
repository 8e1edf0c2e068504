"""A media socket that costs next to nothing to feed: for thousands of calls from one process.

It shakes hands and answers pings (:mod:`benchmarks.load.upgrade`); the media frames are put together elsewhere
(:mod:`benchmarks.load.voice`) and written to the transport as they are, or past it by a sender that is lent the socket.
"""

from __future__ import annotations

import asyncio
import socket as sockets
import ssl
import struct
from collections.abc import Callable
from typing import cast

import numpy as np

from benchmarks.load.upgrade import ABNORMAL, Dialogue
from benchmarks.load.voice import FRAME_BYTES, Sound, frame
from gateway._native import mulaw
from gateway.errors import PeerError
from gateway.peers.emitter import QUIET_DBFS
from gateway.peers.recording import Recording
from gateway.speech.engine import Pcm

__all__ = ["MediaSocket", "frame", "sound"]

NORMAL_CLOSURE = 1000


def sound(recording: Recording, gain_db: float = 0.0) -> Sound:
    """A recording, ready to be sent.

    Args:
        recording: what is said.
        gain_db: louder or quieter than it was recorded; what grows too loud is clipped.

    Raises:
        UsageError: it has no audio.
    """
    tracks = [_louder(pcm, gain_db) for pcm in recording.tracks.values()]
    return Sound.of(tuple(recording.tracks), [mulaw.encode(pcm) for pcm in tracks], [_quiet(pcm) for pcm in tracks])


def _louder(pcm: Pcm, gain_db: float) -> Pcm:
    if not gain_db:
        return pcm
    louder: Pcm = np.clip(np.rint(pcm * 10 ** (gain_db / 20)), -32768, 32767).astype(np.int16)
    return louder


def _quiet(pcm: Pcm) -> bytes:
    """A byte for each frame, 1 if it is silence."""
    frames = np.pad(pcm.astype(np.float64), (0, -len(pcm) % FRAME_BYTES)).reshape(-1, FRAME_BYTES)
    power = np.mean((frames / 32768) ** 2, axis=1)
    return bytes((power < 10 ** (QUIET_DBFS / 10)).astype(np.uint8))


class MediaSocket(asyncio.Protocol):
    """A WebSocket client for sending only; made by :meth:`open`.

    ``on_lost`` is told once why the socket ended, unless :meth:`close` ended it.
    """

    def __init__(self, url: str, on_lost: Callable[[str], None]) -> None:
        self._dialogue = Dialogue(url)
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._closing = False
        self.detour: Callable[[bytes], None] | None = None
        """Takes control frames while somebody else writes media, lest they come to lie within a message."""
        self.frames = 0
        """WebSocket frames sent, control frames too: a gateway counts what it reads."""

    @classmethod
    async def open(
        cls, url: str, on_lost: Callable[[str], None], context: ssl.SSLContext | None = None, seconds: float = 10.0
    ) -> MediaSocket:
        """Connect and shake hands; ``context`` is for ``wss://``, None for the system's.

        Raises:
            PeerError: nobody there, refused (``upgrade 503``), or no answer in time.
            UsageError: it is no ``ws://`` or ``wss://`` URL.
        """
        socket = cls(url, on_lost)
        to = socket._dialogue
        secure = (context or True) if to.secure else None
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().create_connection(lambda: socket, to.host, to.port, ssl=secure)
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
        self._transport.write(self._dialogue.request)

    def data_received(self, data: bytes) -> None:
        """The upgrade answer, pings, a close."""
        try:
            answers = self._dialogue.feed(data)
        except PeerError as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            if self._transport is not None:
                self._transport.abort()
            return
        if self._dialogue.opened and not self._opened.done():
            self._opened.set_result(None)
        for answer in answers:
            self._say(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits, and why."""
        if not self._opened.done():
            self._opened.set_exception(PeerError("upgrade connection lost"))
        elif not self._closing:
            code = self._dialogue.close_code
            self._on_lost(f"closed {code}" if code != ABNORMAL else "reset")
        if not self._ended.done():
            self._ended.set_result(None)

    def _say(self, data: bytes) -> None:
        if self.detour is not None:
            self.detour(data)
        else:
            self.write(data)

    @property
    def lost(self) -> bool:
        """Whether the connection is gone or going."""
        return self._transport is None or self._transport.is_closing()

    @property
    def unsent(self) -> int:
        """Bytes that the gateway has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    @property
    def descriptor(self) -> int:
        """Of the socket, for who writes past the transport; negative under TLS, and when it is gone."""
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_extra_info("ssl_object") is not None:
            return -1
        number: int = transport.get_extra_info("socket").fileno()
        return number

    def write(self, data: bytes, frames: int = 1) -> None:
        """Send frames, or the rest of the last one, as they are."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
            self.frames += frames

    def reset(self) -> None:
        """Drop the connection without a word: the peer sees a reset."""
        self._closing = True
        if self._transport is None or self._transport.is_closing():
            return
        linger = struct.pack("ii", 1, 0)
        self._transport.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, linger)
        self._transport.abort()

    def hang_up(self) -> None:
        """End the TCP connection without a word of WebSocket: the peer sees its end."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    async def close(self, seconds: float = 5.0) -> None:
        """Close with 1000, waiting for the answer so long; then drop the connection."""
        self._closing = True
        if self._transport is None or self._ended.done():
            return
        if self._dialogue.opened and not self._dialogue.closing:
            self.write(self._dialogue.close(NORMAL_CLOSURE))
        await asyncio.wait([self._ended], timeout=seconds)
        self._transport.abort()
