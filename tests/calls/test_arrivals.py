from __future__ import annotations

import asyncio

import pytest

from gateway.calls.arrivals import Arrivals
from gateway.errors import RequestError

KEY = ("account", "CA1")


async def test_a_start_waits_until_its_stream_comes() -> None:
    arrivals = Arrivals()
    waiting = asyncio.ensure_future(arrivals.wait(KEY))
    await asyncio.sleep(0)
    assert KEY in arrivals
    arrivals.came(("another", "CA1"))
    assert not waiting.done()
    arrivals.came(KEY)
    arrivals.came(KEY)
    await waiting
    assert KEY not in arrivals
    arrivals.came(KEY)


async def test_a_stream_that_never_comes_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.calls.arrivals.START_WAIT_S", 0)
    arrivals = Arrivals()
    with pytest.raises(RequestError) as refused:
        await arrivals.wait(KEY)
    assert refused.value.code == "400-203"
    assert KEY not in arrivals
