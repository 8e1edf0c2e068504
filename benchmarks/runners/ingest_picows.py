"""picows (its listener, on aiofastnet's server) + orjson + numpy, on uvloop; in an environment of its own."""

from __future__ import annotations

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from benchmarks.runners.ingest_work import Stream, context, serve_until_closed


class Call(WSListener):  # type: ignore[misc]  # picows is not in the gateway's environment
    """One media socket."""

    def __init__(self) -> None:
        self.take = Stream().take

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One message: nobody fragments media."""
        if frame.msg_type == WSMsgType.TEXT:
            self.take(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


def accepted(request: WSUpgradeRequest) -> Call:
    """Whoever asks."""
    return Call()


async def listen() -> int:
    """On a free port."""
    server = await ws_create_server(accepted, "127.0.0.1", 0, max_frame_size=64 * 1024, backlog=4096, ssl=context())
    LISTENING.append(server)
    port: int = server.sockets[0].getsockname()[1]
    return port


LISTENING: list[object] = []

if __name__ == "__main__":
    uvloop.run(serve_until_closed(listen))
