"""Many sockets, every sort of jitter, gap and chunking: each track comes to the very PCM its twin comes to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.calls.model import StartRequest
from tests.adversity.server import serving
from tests.adversity.wire import Talk, dialled
from tests.harness import Customer, gateway_running, settings_for
from tests.server.test_front import make_certificate

Start = Callable[[str], Awaitable[tuple[int, Any]]]
Show = Callable[[str], Awaitable[dict[str, tuple[int, str]]]]


async def converse(url: str, start: Start, show: Show, seed: int, messages: int, **options: Any) -> None:
    """One call from its upgrade on, judged at its end."""
    talk = Talk(seed)
    async with dialled(url, **options) as bare:
        await bare.send(talk.opening())
        await bare.settle()
        assert (await start(talk.call_sid))[0] == 200
        for chunk in talk.chunks(messages):
            await bare.send(chunk)
            # Others get their turn in the middle of a frame.
            await asyncio.sleep(0)
        await bare.settle()
        assert await show(talk.call_sid) == talk.expected(), f"seed {seed}"


def tracks_of(customer: Customer) -> Show:
    async def show(guid: str) -> dict[str, tuple[int, str]]:
        call = await customer.call(guid)
        return {track.track: (track.samples, track.checksum) for track in call.tracks}

    return show


@pytest.mark.parametrize(("sockets", "messages"), [(20, 500), pytest.param(200, 1500, marks=pytest.mark.slow)])
async def test_every_track_comes_to_its_checksum(tmp_path: Path, sockets: int, messages: int) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer, asyncio.TaskGroup() as group:
        url = await customer.stream_url()
        for seed in range(sockets):
            group.create_task(converse(url, customer.start, tracks_of(customer), seed, messages))


async def test_every_track_comes_to_its_checksum_under_tls(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(cert))
    async with gateway_running(settings_for(tmp_path, tls={"cert": cert, "key": key})) as customer:
        token = customer.gateway.tokens.issue(customer.key.account_id, customer.key.api_id)
        url = f"{customer.gateway.public_url}/twilio-media/{token}"

        async def start(guid: str) -> tuple[int, Any]:
            outcome = await customer.gateway.registry.start(customer.key.account_id, StartRequest(guid, "C1", "A1"))
            return (200 if outcome.ok else 500), outcome

        async with asyncio.TaskGroup() as group:
            for seed in range(10):
                group.create_task(converse(url, start, tracks_of(customer), seed, 500, ssl=context))


@pytest.mark.slow
@pytest.mark.parametrize("kernels", ["compiled", "twins"])
async def test_every_track_comes_to_its_checksum_in_a_process_of_its_own(tmp_path: Path, kernels: str) -> None:
    variables = {"GATEWAY_NO_EXTENSIONS": "1"} if kernels == "twins" else {}
    async with serving(tmp_path, **variables) as server, AsyncExitStack() as stack:
        assert ("twins" in server.log[-1]["kernels"]) == (kernels == "twins")

        async def show(guid: str) -> dict[str, tuple[int, str]]:
            live = (await server.call(guid))["live"]
            return {track["track"]: (track["samples"], track["checksum"]) for track in live["tracks"]}

        url = await server.stream_url()
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for seed in range(20):
            group.create_task(converse(url, server.start, show, 1000 + seed, 500))
