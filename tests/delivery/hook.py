"""A webhook target on a free port that does what a test wants of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def ok(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="thanks")


@dataclass
class Hook:
    """What came, and what is answered."""

    answer: Answer = ok
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(orjson.loads(await request.read()))
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        async with self._came:
            self._came.notify_all()
        try:
            return await self.answer(request)
        finally:
            self.in_flight -= 1

    async def came(self, count: int) -> list[dict[str, Any]]:
        """Wait for this many requests."""
        async with asyncio.timeout(30), self._came:
            await self._came.wait_for(lambda: len(self.bodies) >= count)
        return self.bodies

    @property
    def texts(self) -> list[str]:
        return [body["autotranscribeResponse"]["utterance"][0]["text"] for body in self.bodies]


@asynccontextmanager
async def serving(answer: Answer = ok, tls: ssl.SSLContext | None = None) -> AsyncIterator[Hook]:
    hook = Hook(answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hook.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    hook.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/hook"
    try:
        yield hook
    finally:
        await runner.cleanup()
