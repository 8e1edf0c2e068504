"""Requests to one gateway over kept connections, at a third of what a general client costs.

Thousands of calls are started from beside a sender that must keep time. Only what the gateway's API says is understood:
HTTP/1.1 answers with a length.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

from gateway.errors import PeerError

__all__ = ["Answer", "Lean"]

CONNECTIONS = 64
"""At the most; who finds none free waits, and that time is not the gateway's."""
TIMEOUT_SECONDS = 15.0
"""As the other client's: a start waits 2 s for its stream, a stop 2 s for its transcripts."""
MAX_HEAD = 16 * 1024
MAX_BODY = 1024 * 1024

Answer = tuple[int, bytes, float, float]
"""Status, body, when the request was sent (monotonic clock), and ms from there to the answer's last byte."""


class _Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._data = bytearray()
        self._asked = 0.0
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self.usable = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Of no more use, and whoever waits is told."""
        self.usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        """An answer, or a part of it."""
        self._data += data
        if self._answer is None or self._answer.done():
            self.drop()
            return
        try:
            found = self._whole()
        except PeerError as error:
            self.drop()
            self._answer.set_exception(error)
            return
        if found is not None:
            self._answer.set_result((*found, self._asked, (time.monotonic() - self._asked) * 1000))

    def _whole(self) -> tuple[int, bytes] | None:
        """Status and body if all of it is there."""
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            if len(self._data) > MAX_HEAD:
                raise PeerError("no HTTP answer")
            return None
        status, *lines = bytes(self._data[:end]).lower().split(b"\r\n")
        headers = {name: value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        code, length = status[9:12], headers.get(b"content-length", b"")
        if not status.startswith(b"http/1.1 ") or not code.isdigit() or not length.isdigit() or int(length) > MAX_BODY:
            raise PeerError("no HTTP answer with a length")
        end += 4
        if len(self._data) < end + int(length):
            return None
        body = bytes(self._data[end : end + int(length)])
        del self._data[: end + int(length)]
        if headers.get(b"connection") == b"close":
            self.drop()
        return int(code), body

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send it; its answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._asked = time.monotonic()
        self._transport.write(request)
        return self._answer

    def drop(self) -> None:
        """Use it no more."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()


class Lean:
    """A client of one gateway; an async context manager in all but name: :meth:`close` ends it.

    Args:
        url: ``http://`` or ``https://``.
        headers: of every request.
        context: for ``https://``; None is the system's.
    """

    def __init__(self, url: str, headers: Mapping[str, str], context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._ssl = (context or True) if parts.scheme == "https" else None
        said = {"Host": parts.netloc, **headers, "Content-Type": "application/json"}
        self._head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        self._free: list[_Connection] = []
        self._places = asyncio.Semaphore(CONNECTIONS)

    async def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        """One request.

        Raises:
            PeerError: nobody there, no answer in time, or none of HTTP; why is its cause.
        """
        request = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        try:
            async with self._places, asyncio.timeout(TIMEOUT_SECONDS):
                return await self._ask(request)
        except (OSError, TimeoutError) as error:
            raise PeerError("no answer") from error

    async def _ask(self, request: bytes) -> Answer:
        while True:
            kept = bool(self._free)
            connection = self._free.pop() if kept else await self._connect()
            if kept and not connection.usable:
                continue
            try:
                answer = await connection.ask(request)
            except ConnectionResetError:
                # A server may close what was kept just as it is used: that says nothing about this request.
                if kept:
                    continue
                raise
            except asyncio.CancelledError:
                connection.drop()
                raise
            if connection.usable:
                self._free.append(connection)
            return answer

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, self._host, self._port, ssl=self._ssl))[1]

    def close(self) -> None:
        """Close what is kept."""
        while self._free:
            self._free.pop().drop()
