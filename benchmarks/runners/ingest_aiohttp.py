"""aiohttp (its C parsers, no compression, no text decoding) + orjson + numpy, on uvloop."""

from __future__ import annotations

import uvloop
from aiohttp import WSMsgType, web

from benchmarks.runners.ingest_work import Stream, context, serve_until_closed


async def call(request: web.Request) -> web.WebSocketResponse[bool]:
    """One media socket."""
    socket = web.WebSocketResponse(compress=False, max_msg_size=64 * 1024, decode_text=False)
    await socket.prepare(request)
    take = Stream().take
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            take(message.data)
    return socket


async def listen() -> int:
    """On a free port."""
    application = web.Application()
    application.router.add_get("/{path:.*}", call)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096, ssl_context=context()).start()
    port: int = runner.addresses[0][1]
    return port


if __name__ == "__main__":
    uvloop.run(serve_until_closed(listen))
