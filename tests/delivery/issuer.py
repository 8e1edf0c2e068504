"""An OAuth2 token endpoint on a free port, over TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Reply = Callable[["Issuer"], Awaitable[web.StreamResponse]]


async def token(issuer: Issuer) -> web.StreamResponse:
    return issuer.token()


@dataclass
class Issuer:
    """Hands out ``token-1``, ``token-2`` …, or what ``reply`` says."""

    reply: Reply = token
    expires_in: Any = 3600
    url: str = ""
    requests: list[web.Request] = field(default_factory=list)
    forms: list[dict[str, Any]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def token(self, **fields: Any) -> web.Response:
        content = {
            "access_token": f"token-{len(self.requests)}",
            "token_type": "Bearer",
            "expires_in": self.expires_in,
        }
        return web.json_response(content | fields)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.forms.append(dict(await request.post()))
        self.requests.append(request)
        self.came.set()
        return await self.reply(self)


@asynccontextmanager
async def issuing(tls: ssl.SSLContext | None = None, reply: Reply = token, **fields: Any) -> AsyncIterator[Issuer]:
    issuer = Issuer(reply, **fields)
    app = web.Application()
    app.router.add_post("/oauth/token", issuer.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    issuer.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/oauth/token"
    try:
        yield issuer
    finally:
        await runner.cleanup()
