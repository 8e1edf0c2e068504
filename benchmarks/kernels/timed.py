"""The pytest module that times :mod:`benchmarks.kernels.cases`; :mod:`benchmarks.bench_kernels` runs it.

Sides take turns, so that a machine that grows slower does so for all of them. A side is timed only if it gives what the
twin gives.
"""

from __future__ import annotations

import os

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.kernels.cases import Contest, Side, contests, differing

TURNS = int(os.environ.get("BENCH_TURNS", "3"))
WANTED = os.environ.get("BENCH_KERNELS", "")
"""Names of kernels, parted by commas; all if empty."""


def cases() -> list[object]:
    """Every side of every contest, as often as there are turns."""
    return [
        pytest.param(contest, side, id=f"{contest.kernel}-{side.name}-{turn}")
        for contest in contests()
        if not WANTED or contest.kernel in WANTED.split(",")
        for turn in range(TURNS)
        for side in contest.sides
    ]


@pytest.mark.parametrize(("contest", "side"), cases())
def test_kernel(benchmark: BenchmarkFixture, contest: Contest, side: Side) -> None:
    """One side, once more."""
    assert not differing(contest)
    benchmark.group = contest.kernel
    benchmark.extra_info.update(kernel=contest.kernel, side=side.name)
    benchmark(side.run, *side.arguments)
