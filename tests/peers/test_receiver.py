"""The receiver takes transcripts and tells when they came."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest

from gateway.errors import UsageError
from gateway.peers.receiver import Receiver
from tests.peers.peer import transcript


async def test_transcripts_are_handed_on_with_their_time() -> None:
    taken: list[tuple[float, dict[str, Any]]] = []
    before = time.monotonic()
    async with (
        Receiver(0, lambda at, body: taken.append((at, body))) as receiver,
        aiohttp.ClientSession() as session,
        session.post(receiver.url, json=transcript("Hello.")) as answer,
    ):
        assert answer.status == 200
    ((at, body),) = taken
    assert before <= at <= time.monotonic()
    assert body == transcript("Hello.")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"type":"other"}', b"\xff"])
async def test_what_is_no_transcript_is_counted_and_refused(body: bytes) -> None:
    taken: list[float] = []
    async with Receiver(0, lambda at, _: taken.append(at)) as receiver, aiohttp.ClientSession() as session:
        async with session.post(receiver.url, data=body) as answer:
            assert answer.status == 400
        assert receiver.bad == 1
    assert taken == []


async def test_a_port_that_is_none() -> None:
    with pytest.raises(UsageError, match="port 65536: must be 0 to 65535"):
        async with Receiver(65536, lambda at, body: None):
            pass


async def test_a_port_that_is_taken() -> None:
    async with Receiver(0, lambda at, body: None) as receiver:
        port = int(receiver.url.split(":")[2].split("/")[0])
        with pytest.raises(UsageError, match=f"no webhook receiver on port {port}"):
            async with Receiver(port, lambda at, body: None):
                pass
