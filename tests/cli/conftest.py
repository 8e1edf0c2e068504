"""What the command's tests share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import uvloop
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from gateway.api.context import ApiContext, HealthReport
from gateway.api.routes import install
from gateway.calls.configuration import Configurations
from gateway.config import load
from gateway.server.tokens import StreamTokens
from gateway.store.records import NewKey
from gateway.store.store import Store
from tests.api.conftest import SECRET, Desk
from tests.cli.command import Ended, gateway_here
from tests.peers.peer import Peer, item, serving


@dataclass
class Place:
    """A served API, and what is behind it."""

    url: str
    desk: Desk
    store: Store
    key: NewKey
    directory: Path

    async def ask(self, *arguments: str, **variables: str) -> Ended:
        """Run a command that asks this API, in a thread, with a key of it."""
        key = {"GATEWAY_API_ID": self.key.api_id, "GATEWAY_API_SECRET": self.key.api_secret}
        return await gateway_here(*arguments, "--url", self.url, **{**key, **variables})

    async def calls(self, *arguments: str, **variables: str) -> Ended:
        return await self.ask("calls", *arguments, **variables)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}", key=SECRET)
    desk, key = Desk(), await store.create_key("test")
    app = web.Application()
    health = partial(HealthReport, True, {})
    tokens, configurations = StreamTokens(SECRET, 300), Configurations(store)
    install(app, ApiContext(desk, store, tokens, lambda: "ws://h", health, load(), configurations))
    # What the API logs would come between what the command prints, which runs in this process.
    with capture_logs():
        async with TestServer(app) as server:
            yield Place(str(server.make_url("")), desk, store, key, tmp_path)
    await store.close()


@pytest.fixture
def peer_in_thread() -> Iterator[Peer]:
    """A peer beside the test, for commands, which bring their own loop; it has one transcript."""
    peer, up, down = Peer(transcripts=[item("Hello.", after=1)]), threading.Event(), threading.Event()

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
