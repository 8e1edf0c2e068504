"""The front door: one port for media, API and pages. aiohttp parses every head; media upgrades leave it here.

Handing a socket over is one synchronous step: the 101 is written, the transport gets the media socket as its protocol,
and aiohttp's request handler is told that its connection is gone. That touches aiohttp's inside (``_message_tail``,
``transport``), so aiohttp is pinned, and ``tests/server/test_front.py`` guards it on fresh and on reused connections.
"""

from __future__ import annotations

import asyncio
import functools
import resource
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from gateway import metrics
from gateway.api.envelope import error_response
from gateway.config import LimitSettings
from gateway.errors import RequestError
from gateway.server.connection import MediaConnection
from gateway.server.handshake import Doorkeeper, RefusedError, upgrade_answer
from gateway.server.services import ConnectionServices
from gateway.server.tls import Door, Failures

__all__ = [
    "BACKLOG",
    "HEAD_BYTES",
    "HEAD_S",
    "KEEPALIVE_S",
    "FrontServer",
    "MediaRoute",
    "listen",
    "raise_descriptor_limit",
]

log = structlog.get_logger(__name__)

BACKLOG = 4096
"""uvloop accepts one connection a loop turn: with its default of 100, 2,000 connects take 40 times as long."""

HEAD_BYTES = 16 * 1024
HEAD_S = 10.0
KEEPALIVE_S = 75.0
"""How long a connection may wait for its next request; above the 60 s that proxies keep theirs."""

TLS_HANDSHAKE_S = 10.0
"""How long a connection may take for its TLS handshake."""

RESERVED_DESCRIPTORS = 64
"""Descriptors kept free for the database, the webhook connections and the model files."""

MAX_STRANGERS = 256
"""Most media sockets that may be open without having shown a token; they have 5 s for it."""

MEDIA_ROUTE = r"/{prefix:(?:[^?]*/)?}twilio-media{token:(?:/[^/]*)?/?}"


class _HeadGuard(RequestHandler):
    """A request handler that gives a request head 16 KiB and 10 s.

    A head that has come is measured as it was parsed, whatever came with it; of one that is still coming, the bytes are
    counted. While a request is being answered only aiohttp's own limits hold for the head behind it (8 KiB a field, 128
    fields).
    """

    __slots__ = ("_head_bytes", "_head_timer", "_heads", "under")

    def __init__(self, manager: Server, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        # The transport that lies under TLS.
        self.under: asyncio.Transport | None = None
        self._heads = 0
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._await_head()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = asyncio.get_running_loop().call_later(HEAD_S, self._too_slow)

    def _head_done(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if self._current_request is None:
            self.force_close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._request_count != self._heads:
            self._heads = self._request_count
            self._head_done()
            return
        # The handler's task waits for a head, or has yet to begin; else these bytes are a body's, or wait their turn.
        if self._request_count and (self._waiter is None or self._waiter.done()):
            return
        if self._head_timer is None:
            self._await_head()
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES and self.transport is not None:
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
            self.force_close()

    async def _handle_request(
        self,
        request: web.BaseRequest,
        start_time: float | None,
        request_handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    ) -> tuple[web.StreamResponse, bool]:
        if _head_size(request) > HEAD_BYTES:
            request_handler = self._refuse_head
        return await super()._handle_request(request, start_time, request_handler)

    async def _refuse_head(self, request: web.BaseRequest) -> web.StreamResponse:
        log.info("request head too large", remote=request.remote)
        self.close()
        response = error_response(431, "431-01", f"The request's head is longer than {HEAD_BYTES} bytes.")
        response.headers["Server"] = "gateway"
        response.force_close()
        return response

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp could not read in the API's envelope; what was sent is quoted nowhere."""
        log.info("malformed request", status=status, error=type(exc).__name__, remote=request.remote)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        self.close()
        response = error_response(status, f"{status}-01", "The request is not valid HTTP/1.1, or has no handler.")
        response.headers["Server"] = "gateway"
        response.force_close()
        return response

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_done()
        super().connection_lost(exc)


def _head_size(request: web.BaseRequest) -> int:
    """Bytes of a request's head, from its first line to the empty one, without padding around values."""
    fields = sum(len(name) + len(value) + len(b": \r\n") for name, value in request.raw_headers)
    return len(request.method) + len(request.raw_path) + len("  HTTP/1.1\r\n\r\n") + fields


class _HandedOver(web.StreamResponse):
    """What the media route returns to aiohttp: an answer that has been sent already, on a socket that is gone."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class FrontServer:
    """Makes request handlers for :meth:`asyncio.loop.create_server`."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __call__(self) -> _HeadGuard:
        """A handler for one connection."""
        return _HeadGuard(self._server, loop=asyncio.get_running_loop(), **self._server._kwargs)


class MediaRoute:
    """The route that Twilio connects to: checks, the 101, and the hand-over to a media socket."""

    def __init__(self, doorkeeper: Doorkeeper, services: ConnectionServices, limits: LimitSettings) -> None:
        self._doorkeeper = doorkeeper
        self._services = services
        self._limits = limits
        # Sockets that came without a token, some of which have shown theirs or are gone by now.
        self._strangers: set[MediaConnection] = set()
        self.draining = False

    def install(self, app: web.Application) -> None:
        """Add the route; it must come before the API's catch-all."""
        app.router.add_get(MEDIA_ROUTE, self.handle, allow_head=False)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one upgrade request."""
        try:
            self._admit_one_more(request.transport)
            principal = await self._doorkeeper.admit(request.path, request.query_string, request.headers.items())
            self._admit_one_more(request.transport)
            if principal is None:
                self._admit_stranger()
        except RefusedError as error:
            metrics.UPGRADES.labels(error.reason).inc()
            log.info("media upgrade refused", status=error.status, reason=error.reason)
            raise RequestError(error.status, f"{error.status}-01", str(error)) from None
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers]
        status, answer = upgrade_answer(request.path, headers)
        if status != 101:
            metrics.UPGRADES.labels("bad_handshake").inc()
            message = "This is a media stream's address: it takes a WebSocket handshake (RFC 6455) only."
            raise RequestError(status, f"{status}-01", message)
        handler = request.protocol
        transport = handler.transport
        # Between the end of TLS and the handler's being told lies a turn of the loop.
        if transport is None or transport.get_extra_info("socket") is None:
            return _HandedOver(status=101)
        metrics.UPGRADES.labels("accepted").inc()
        under = handler.under if isinstance(handler, _HeadGuard) else None
        connection = MediaConnection(self._services, principal, direct=self._services.plane.direct, under=under)
        _hand_over(handler, transport, answer, connection)
        if principal is None:
            self._strangers.add(connection)
        return _HandedOver(status=101)

    def _admit_one_more(self, transport: asyncio.Transport | None) -> None:
        if self.draining:
            raise RefusedError(503, "draining", "The gateway is shutting down; connect to another one.")
        if len(self._services.plane) >= self._limits.sockets or not _descriptors_left(transport):
            raise RefusedError(503, "full", "No more media sockets can be taken; connect to another gateway.")

    def _admit_stranger(self) -> None:
        """Sockets without a token must not fill the house: they are let in before anything is known of them."""
        limit = min(MAX_STRANGERS, max(self._limits.sockets // 8, 1))
        if len(self._strangers) >= limit:
            plane = self._services.plane
            self._strangers = {one for one in self._strangers if one in plane and one.principal is None}
        if len(self._strangers) >= limit:
            raise RefusedError(503, "strangers", "Too many media sockets wait to show a token; put it into the URL.")


def _hand_over(handler: RequestHandler, transport: asyncio.Transport, answer: bytes, protocol: MediaConnection) -> None:
    """Give the transport to ``protocol``; one synchronous step, so that no byte falls between the two."""
    tail, handler._message_tail = handler._message_tail, b""
    transport.write(answer)
    # Without its transport the handler ends itself and closes nothing.
    handler.transport = None
    transport.set_protocol(protocol)
    handler.connection_lost(None)
    # aiohttp pauses a transport whose tail grew long; it reads on from here.
    if not transport.is_reading():
        transport.resume_reading()
    protocol.connection_made(transport)
    if tail:
        protocol.data_received(tail)


def raise_descriptor_limit() -> int:
    """Raise the soft limit on descriptors to the hard one; the limit that then holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            log.warning("descriptor limit stays as it is", soft=soft, hard=hard)
    return soft


def _descriptors_left(transport: asyncio.Transport | None) -> bool:
    """Whether a few more descriptors can be opened than are open with this transport's.

    The lowest free number is given out first (POSIX, ``accept``): a number near the limit means that all below it are
    taken, by whatever it be.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    socket = None if transport is None else transport.get_extra_info("socket")
    if socket is None or soft == resource.RLIM_INFINITY:
        return True
    number: int = socket.fileno()
    return number + RESERVED_DESCRIPTORS < soft


async def listen(runner: web.AppRunner, host: str, port: int, context: ssl.SSLContext | None) -> asyncio.Server:
    """Open the port.

    Raises:
        OSError: the address is taken, or not of this machine.
    """
    await runner.setup()
    assert runner.server is not None  # noqa: S101 - set by setup()
    front = FrontServer(runner.server)
    make = front if context is None else functools.partial(Door, context, TLS_HANDSHAKE_S, Failures(), front)
    return await asyncio.get_running_loop().create_server(make, host, port, backlog=BACKLOG, reuse_address=True)
