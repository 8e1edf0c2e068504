"""Every answer of the API is timed, and failures are told without what differs from call to call."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from benchmarks.load.timed import ENDPOINTS, Prober, Timed, failure
from gateway.errors import GatewayError, PeerError
from gateway.peers.client import ApiError
from tests.harness import gateway_running, settings_for
from tests.peers.peer import Peer, serving


def because(cause: Exception) -> PeerError:
    error = PeerError("start-streaming: no answer from http://127.0.0.1:8080/x?token=y of CA123")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ApiError("start-streaming", 400, "400-203", "no call CA123"), "api 400-203"),
        (TimeoutError(), "timeout"),
        (because(TimeoutError()), "timeout"),
        (because(aiohttp.ServerDisconnectedError()), "api ServerDisconnectedError"),
        (PeerError("the answer of http://127.0.0.1:8080 is not a JSON object"), "api malformed"),
    ],
)
def test_a_kind_names_no_url_and_no_call(error: Exception, kind: str) -> None:
    assert failure(error) == kind


@asynccontextmanager
async def refusing() -> AsyncIterator[Timed]:
    """To a gateway that starts nothing."""
    async with (
        serving(Peer(refuse_start=(400, "400-203", "no call"))) as peer,
        Timed(peer.url, "id", "secret") as timed,
    ):
        yield timed


async def test_what_is_refused_has_a_kind_and_no_latency() -> None:
    async with refusing() as timed:
        assert (await timed.stream_url()).startswith("ws://")
        with pytest.raises(GatewayError, match=r"^api 400-203$"):
            await timed.start("CA1")
        found = timed.between(0.0, math.inf)
    assert set(found) == {"streamUrl", "all"}
    assert found["all"]["count"] == 1
    assert timed.between(0.0, 0.0) == {"all": {"count": 0, "p50": 0.0, "p95": 0.0, "p99": 0.0, "most": 0.0}}


async def test_a_prober_starts_and_stops_a_call_of_its_own(tmp_path: Path) -> None:
    failed: Counter[str] = Counter()
    async with gateway_running(settings_for(tmp_path)) as customer:
        url = customer.gateway.public_url_of("http")
        async with (
            Timed(url, customer.key.api_id, customer.key.api_secret) as timed,
            Prober(timed, None, 100.0, lambda kind: failed.update([kind])) as prober,
        ):
            while timed.between(0.0, math.inf)["all"]["count"] < 9:
                await asyncio.sleep(0.01)
    assert failed == {}
    assert set(timed.between(0.0, math.inf)) == {*ENDPOINTS, "all"}
    # connected, start, close.
    assert prober.frames == 3


async def test_a_prober_tells_what_fails() -> None:
    failed: Counter[str] = Counter()
    async with refusing() as timed, Prober(timed, None, 100.0, lambda kind: failed.update([kind])):
        while not failed:
            await asyncio.sleep(0.01)
    assert set(failed) == {"probe api 400-203"}
