"""What a core can send is measured on all that was sent."""

from __future__ import annotations

import os

import pytest

from benchmarks.bench_sender import KINDS, NAMES, measure, table
from gateway._native import NO_EXTENSIONS

pytestmark = pytest.mark.skipif(NO_EXTENSIONS, reason="GATEWAY_NO_EXTENSIONS=1 asks for the twins")


@pytest.mark.parametrize(("coalesced", "together"), KINDS)
def test_all_that_is_sent_is_read_and_paid_for(coalesced: bool, together: int) -> None:
    core = min(os.sched_getaffinity(0))
    row = measure(10, 0.5, coalesced, (core, core), together)
    assert (row["messages"], row["complete"], row["askedPerSecond"]) == (500, True, 1000)
    # A message is 355 to 380 bytes, with its numbers.
    assert 350 * 500 < row["bytesRead"] < 385 * 500
    assert row["perCore"] > 0
    shown = table({"machine": "here", "rows": [row]})
    assert NAMES[coalesced, together] in shown
