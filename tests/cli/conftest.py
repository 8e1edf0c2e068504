"""What the command's tests share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
import uvloop

from tests.peers.peer import Peer, item, serving


@pytest.fixture
def peer_in_thread() -> Iterator[Peer]:
    """A peer beside the test, for commands, which bring their own loop; it has one transcript."""
    peer, up, down = Peer(transcripts=[item("Hello.")]), threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(peer):
            up.set()
            await asyncio.get_running_loop().run_in_executor(None, down.wait)

    thread = threading.Thread(target=uvloop.run, args=(serve(),))
    thread.start()
    assert up.wait(10)
    yield peer
    down.set()
    thread.join(10)
