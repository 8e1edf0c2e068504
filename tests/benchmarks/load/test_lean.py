"""The lean client asks over kept connections and tells what is no answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from benchmarks.load import lean
from benchmarks.load.lean import Lean
from gateway.errors import PeerError
from tests.peers.peer import KEY, Peer, serving

PATH = "/mg-autotranscribe/v1/twilio-media-stream-url"


@asynccontextmanager
async def saying(answers: Sequence[bytes]) -> AsyncIterator[tuple[Lean, list[int]]]:
    """A client of a server whose connections say one of these after each request, then close; and how many came."""
    came: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        turn = len(came)
        came.append(turn)
        await reader.readuntil(b"\r\n\r\n")
        for piece in answers[turn].split(b"|"):
            writer.write(piece)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        client = Lean(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {})
        yield client, came
        client.close()


async def test_connections_are_kept_and_used_side_by_side() -> None:
    async with serving(Peer()) as peer:
        client = Lean(peer.url, KEY)
        answers = await asyncio.gather(*(client.ask("GET", PATH) for _ in range(100)))
        assert {status for status, *_ in answers} == {200}
        assert all(took > 0 for *_, took in answers)
        assert 0 < len(client._free) <= lean.CONNECTIONS
        client.close()
        status, body, _, _ = await client.ask("POST", "/mg-autotranscribe/v1/start-streaming", b'{"guid":"CA1"}')
        assert (status, b"isOk" in body) == (200, True)
        client.close()
    assert peer.requests == [("start", {"guid": "CA1"})]


async def test_an_answer_in_pieces_and_one_that_ends_the_connection() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-|Length: 2\r\nConnection: close\r\n\r|\n{|}"
    async with saying([whole, whole]) as (client, came):
        assert (await client.ask("GET", "/"))[:2] == (200, b"{}")
        assert (await client.ask("GET", "/"))[:2] == (200, b"{}")
    assert came == [0, 1]


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"x" * (lean.MAX_HEAD + 1),
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
    ],
    ids=["no HTTP", "no length", "too long", "no end", "nothing", "half"],
)
async def test_what_is_no_answer_is_told(answer: bytes) -> None:
    async with saying([answer]) as (client, _):
        with pytest.raises(PeerError, match=r"no (HTTP )?answer"):
            await client.ask("GET", "/")


async def test_a_kept_connection_that_is_gone_is_no_failure() -> None:
    kept = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    async with saying([kept, kept, kept]) as (client, came):
        for _ in range(3):
            assert (await client.ask("GET", "/"))[0] == 200
    assert came == [0, 1, 2]


async def test_nobody_there_and_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PeerError) as refused:
        await Lean("http://127.0.0.1:1", {}).ask("GET", "/")
    assert isinstance(refused.value.__cause__, ConnectionRefusedError)
    monkeypatch.setattr(lean, "TIMEOUT_SECONDS", 0.05)
    gone = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionResetError):
            await reader.read(-1)
        writer.close()
        gone.set()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        with pytest.raises(PeerError) as late:
            await Lean(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {}).ask("GET", "/")
        await gone.wait()
    assert isinstance(late.value.__cause__, TimeoutError)
