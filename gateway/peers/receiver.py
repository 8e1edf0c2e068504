"""A webhook receiver for the commands that watch what the gateway posts."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import web

from gateway.errors import UsageError

__all__ = ["Receiver"]

OnPost = Callable[[float, dict[str, Any]], None]
"""Told of each transcript: when it came, on the monotonic clock, and its body."""


class Receiver:
    """Takes transcripts on ``http://HOST:PORT/webhook``; an async context manager.

    Args:
        port: to listen on; 0 takes a free one.
        on_post: told of each; must not block.
        host: address to listen on.

    Raises:
        UsageError: on entering, if the port cannot be had.
    """

    def __init__(self, port: int, on_post: OnPost, host: str = "127.0.0.1") -> None:
        self._host = host
        self._port = port
        self._on_post = on_post
        self._runner: web.AppRunner | None = None
        self.bad = 0
        """Posts that were no transcript."""

    @property
    def url(self) -> str:
        """What ``GATEWAY_WEBHOOK__URL`` has to be."""
        return f"http://{self._host}:{self._port}/webhook"

    async def __aenter__(self) -> Self:
        if not 0 <= self._port <= 65535:  # the system would take it modulo 65536
            raise UsageError(f"no webhook receiver on port {self._port}: must be 0 to 65535")
        app = web.Application(client_max_size=1024 * 1024)
        app.router.add_post("/webhook", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise UsageError(f"no webhook receiver on port {self._port}: {error.strerror or error}") from error
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        arrived = time.monotonic()
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict) or body.get("type") != "transcript":
            self.bad += 1
            return web.Response(status=400)
        self._on_post(arrived, body)
        return web.Response()
