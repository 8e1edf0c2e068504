"""A round is a gateway of its own under a load of its own."""

from __future__ import annotations

import os

from benchmarks.bench_load import measure, table


async def test_a_small_round_loses_nothing() -> None:
    core = min(os.sched_getaffinity(0))
    report = await measure(["--calls=3", "--ramp=0.1", "--duration=1", "--coalesced", "--probe=20"], (core, core))
    # The prober's own call says connected, start and close.
    assert report["messages"] == {"sent": 315, "counted": 315, "lost": 0}
    assert report["server"]["residentMiB"] > 10
    document = {"machine": "here", "loadAverage": 1.0, "lostInAllRounds": {"gated": 0}, "sides": {"gated": report}}
    shown = table(document)
    assert "gated: 3 of 3 calls" in shown
    assert "315 sent, 315 counted by the gateway, 0 lost" in shown
    assert "API p95   streamUrl" in shown
