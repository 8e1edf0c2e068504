"""Media under TLS that ends in the process: who shakes hands, and how the tick reads.

uvloop's TLS would wake Python for every message. Here the loop stops reading a media socket's descriptor after the 101:
once a tick all that has come is taken off it in one call and given to uvloop's TLS, which decrypts it at once into the
media socket's reader. TLS itself (records, alerts, close_notify, key updates) stays uvloop's. How that is made, and
that it is a ``BufferedProtocol``, is uvloop's inside: so uvloop is pinned, and ``tests/server/test_tls.py`` guards it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

import structlog
import uvloop.loop

from gateway import metrics
from gateway._native.reader_py import Reader
from gateway.clock import monotonic_ms

__all__ = ["SLICE_S", "Door", "Failures", "HttpProtocol", "SealedSocket", "SealedSockets"]

log = structlog.get_logger(__name__)

# Its stubs leave it out.
SSLProtocol: Any = vars(uvloop.loop)["SSLProtocol"]

NEVER = 1 << 30
"""A mark that what waits to be decrypted never reaches: uvloop would read the descriptor again when it has fallen."""

BUDGET = 64 * 1024
"""Most bytes taken off a socket at a time; what comes faster waits in the kernel, and then with the peer."""

SLICE_S = 0.002
"""What one tick gives to them, before requests and all else have their turn."""

TELL_S = 10.0
"""How often failed handshakes are told of."""

CATCH_UP_READS = 16
"""Most reads of one socket before a start or stop."""

# What a read decrypts, until it is copied to the reader; a record of 16 KiB may have begun in the read before.
_plain = memoryview(bytearray(BUDGET + 32 * 1024))


class HttpProtocol(Protocol):
    """What reads HTTP off a connection: an asyncio protocol with room for what lies under its transport."""

    under: asyncio.Transport | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done."""


class Failures:
    """Counts handshakes that failed, and tells of them now and then: plain HTTP, old TLS, another authority's trust."""

    def __init__(self) -> None:
        self._told_at = -TELL_S
        self._untold = 0

    def note(self, error: BaseException) -> None:
        """A handshake has failed; a peer that only hangs up, as who asks whether a port is open, is no news."""
        if isinstance(error, (ConnectionResetError, BrokenPipeError)):
            return
        metrics.TLS_FAILED.inc()
        self._untold += 1
        now = time.monotonic()
        if now - self._told_at >= TELL_S:
            log.warning("TLS handshakes failed", count=self._untold, last=_reason(error))
            self._told_at, self._untold = now, 0


def _reason(error: BaseException) -> str:
    """OpenSSL's name of what went wrong; it quotes nothing of the peer's."""
    if isinstance(error, ssl.SSLError):
        return str(error.reason)
    return "timed out" if isinstance(error, ConnectionAbortedError) else type(error).__name__


class Door(asyncio.Protocol):
    """Puts TLS onto a new connection, and HTTP onto that, which is told what lies under TLS.

    Args:
        context: the server's certificate.
        seconds: how long the handshake may take.
        failures: told of every handshake that fails.
        handler: makes what reads HTTP.
    """

    def __init__(
        self, context: ssl.SSLContext, seconds: float, failures: Failures, handler: Callable[[], HttpProtocol]
    ) -> None:
        self._context = context
        self._seconds = seconds
        self._failures = failures
        self._handler = handler

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake; what reads HTTP hears of the connection when it is done."""
        # uvloop's transports are none of asyncio's classes.
        under = cast(asyncio.Transport, transport)
        handler = self._handler()
        handler.under = under
        # What uvloop itself does for a server with a context. `start_tls` may lose the client's first bytes.
        loop = asyncio.get_running_loop()
        shaken = loop.create_future()
        shaken.add_done_callback(self._shaken)
        layer = SSLProtocol(
            loop,
            handler,
            self._context,
            shaken,
            server_side=True,
            ssl_handshake_timeout=self._seconds,
        )
        under.set_protocol(layer)
        layer.connection_made(under)

    def _shaken(self, shaken: asyncio.Future[None]) -> None:
        error = None if shaken.cancelled() else shaken.exception()
        if error is not None:
            self._failures.note(error)


class SealedOwner(Protocol):
    """A media socket, as far as what lies below it needs it."""

    def drain(self) -> None:
        """Handle the reader's events."""

    def eof_received(self) -> bool:
        """The peer will send no more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""


class SealedSocket(asyncio.BufferedProtocol):
    """Below a media socket: what it gets from TLS goes to its reader; the loop does not read it, the tick does.

    Args:
        above: the transport that TLS gives, whose protocol this becomes.
        under: the transport under TLS.
        reader: gets what was decrypted.
        owner: handles the reader's events.
    """

    def __init__(self, above: asyncio.Transport, under: asyncio.Transport, reader: Reader, owner: SealedOwner) -> None:
        self._under = under
        self._layer: asyncio.BufferedProtocol | None = cast(asyncio.BufferedProtocol, under.get_protocol())
        self._fd: int = under.get_extra_info("socket").fileno()
        self.reader = reader
        self._owner = owner
        above.set_protocol(self)
        # Much may wait from before the 101. asyncio's transports have no such limits.
        cast(Any, above).set_read_buffer_limits(NEVER, NEVER)
        under.pause_reading()

    def receive(self) -> bool:
        """Take what has come, and handle it; while events wait nothing is read. Whether there may be more."""
        # DANGER: what closes a descriptor marks its transport first, and only then may another socket get its number.
        layer = self._layer
        if layer is None or self._under.is_closing() or self.reader.dead:
            return False
        if self.reader.pending:
            self._owner.drain()
            if self.reader.pending:
                return False
        try:
            got = os.readv(self._fd, (cast(memoryview, layer.get_buffer(BUDGET))[:BUDGET],))
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._end(error.errno or 0)
            return False
        if got:
            layer.buffer_updated(got)
        else:
            self._end(0)
        return got == BUDGET

    def _end(self, errno: int) -> None:
        self.reader.set_eof(errno)
        self._owner.drain()

    def abort(self) -> None:
        """End the connection at once."""
        self._under.abort()

    def release(self) -> None:
        """The loop reads again, for what TLS says at the end."""
        if not self._under.is_closing():
            self._under.resume_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where TLS decrypts to."""
        return _plain

    def buffer_updated(self, nbytes: int) -> None:
        """TLS has decrypted."""
        self.reader.feed(bytes(_plain[:nbytes]), monotonic_ms())
        self._owner.drain()

    def eof_received(self) -> bool:
        """TLS was ended by the peer."""
        return self._owner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        # uvloop's TLS keeps this one's methods: a circle.
        self._layer = None
        self._owner.connection_lost(exc)


class SealedSockets:
    """All media sockets under TLS, which a tick reads in slices of :data:`SLICE_S`."""

    def __init__(self) -> None:
        self._sockets: dict[Reader, SealedSocket] = {}
        # Those that are still to be read in this round.
        self._left: list[SealedSocket] = []

    def __len__(self) -> int:
        return len(self._sockets)

    def add(self, socket: SealedSocket) -> None:
        """Read it at every tick from now on."""
        self._sockets[socket.reader] = socket

    def discard(self, reader: Reader) -> None:
        """Leave it to the loop; safe to call twice."""
        socket = self._sockets.pop(reader, None)
        if socket is not None:
            socket.release()
        if not self._sockets:
            self._left.clear()

    def receive(self, reader: Reader) -> None:
        """Read the socket of ``reader`` now, if it is one of these, until it is empty or has given 1 MiB."""
        socket = self._sockets.get(reader)
        for _ in range(CATCH_UP_READS):
            if socket is None or not _receive(socket):
                return

    @property
    def under_way(self) -> bool:
        """Whether a round has begun and is not over."""
        return bool(self._left)

    def begin(self) -> None:
        """Begin a round."""
        self._left = list(self._sockets.values())

    def read(self) -> None:
        """Read a slice of the round: sockets that have not had their turn, each once, for :data:`SLICE_S`."""
        end = time.perf_counter() + SLICE_S
        while self._left:
            socket = self._left.pop()
            # It may have been let go since the slice before.
            if socket.reader in self._sockets:
                _receive(socket)
            if time.perf_counter() >= end:
                return


def _receive(socket: SealedSocket) -> bool:
    try:
        return socket.receive()
    except Exception:
        # Once: what fails in TLS or on the descriptor would fail at every tick.
        log.exception("media socket failed")
        socket.abort()
        return False
