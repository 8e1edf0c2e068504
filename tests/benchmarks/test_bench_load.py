"""A round is a gateway of its own under a load of its own."""

from __future__ import annotations

import os

from benchmarks.bench_load import measure, table


async def test_a_small_round_loses_nothing() -> None:
    core = min(os.sched_getaffinity(0))
    report = await measure(["--calls=3", "--ramp=0.1", "--duration=1", "--coalesced"], (core, core))
    assert report["messages"] == {"sent": 312, "counted": 312, "lost": 0}
    assert report["server"]["residentMiB"] > 10
    shown = table({"machine": "here", "loadAverage": 1.0, "lostInAllRounds": 0, "load": report})
    assert "3 of 3 calls, 312 messages, 0 lost" in shown
