"""websockets (its asyncio server with the C speedups, no compression, no text decoding) + orjson + numpy, on uvloop."""

from __future__ import annotations

import contextlib

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.runners.ingest_work import Stream, context, serve_until_closed


async def call(connection: ServerConnection) -> None:
    """One media socket."""
    take, receive = Stream().take, connection.recv
    with contextlib.suppress(ConnectionClosed):
        while True:
            take(await receive(decode=False))


async def listen() -> int:
    """On a free port."""
    server = await serve(
        call, "127.0.0.1", 0, compression=None, max_size=64 * 1024, ping_interval=None, backlog=4096, ssl=context()
    )
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


if __name__ == "__main__":
    uvloop.run(serve_until_closed(listen))
