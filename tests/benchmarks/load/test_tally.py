"""Transcripts are judged by when they came, in which order, from whom."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.load.tally import Said, Spread, Tally, Watched
from gateway.participants import Track
from tests.peers.peer import transcript

STREAMS = {"customer": "s-customer", "agent": "s-agent"}


def tally(first_frame: int = 0, begin: float = 100.0) -> Tally:
    """Speech ends at 1,000 and 3,000 ms (customer) and 2,000 ms (agent) of a recording of 4 s."""
    made = Tally({Track.INBOUND: (1000, 3000), Track.OUTBOUND: (2000,)}, 200)
    made.watch("CA1", Watched(STREAMS, first_frame, begin))
    return made


def post(end: int, role: str = "customer", start: int = 0, **more: Any) -> dict[str, Any]:
    return transcript("Hello.", role, start, end) | {"externalConversationId": "CA1"} | more


def test_latency_is_from_the_planned_sending_of_the_last_frame_of_speech() -> None:
    judged = tally()
    judged.post(101.5, post(1000))
    # The frame that holds the ms before 1,000 is the 50th, sent 980 ms after the first.
    assert judged.latencies_ms == [pytest.approx(520)]
    assert judged.offsets_ms == [0]


def test_the_label_counts_and_not_the_end_that_the_gateway_claims() -> None:
    judged = tally()
    judged.post(101.5, post(1180))
    judged.post(103.5, post(2700, start=2000))
    assert judged.latencies_ms == [pytest.approx(520), pytest.approx(520)]
    assert judged.offsets_ms == [180, 300]


def test_far_from_every_label_is_unmatched() -> None:
    judged = tally()
    judged.post(105, post(1401))
    judged.post(105, post(1600, "agent"))
    judged.post(105, post(1599, "agent", start=10))
    assert (judged.unmatched, len(judged.latencies_ms)) == (2, 1)
    assert not judged.problems


@pytest.mark.parametrize(
    ("first_frame", "end", "planned"),
    [
        (50, 2000, 1.98),  # the label at 3,000 ms, 1,000 ms into the recording
        (150, 2000, 1.98),  # begun at 3,000 ms: the label at 1,000 ms of the second time through
        (150, 20, 0.0),  # begun right at a label, which lies before the first frame
        (199, 4020 + 1000, 5.0),  # the second time through
    ],
)
def test_calls_that_begin_elsewhere_and_repeat(first_frame: int, end: int, planned: float) -> None:
    judged = tally(first_frame)
    judged.post(110.0, post(end))
    assert judged.latencies_ms == [pytest.approx((10 - planned) * 1000, abs=20.1)]


def test_problems_are_told_apart() -> None:
    judged = tally()
    judged.post(105, post(3000, start=2000))
    judged.post(105, post(3000, start=2000))
    judged.post(105, post(1000, start=500))
    judged.post(105, post(2000, "agent", streamId="s-customer"))
    judged.post(105, post(2000, externalConversationId="CA2"))
    judged.post(105, {"type": "transcript"})
    judged.post(105, post(1000) | {"sender": {"role": "robot"}})
    assert judged.problems == {"duplicate": 1, "order": 1, "role": 1, "foreign": 1, "malformed": 2}
    assert judged.posts == 7
    assert judged.calls["CA1"].utterances == 3


def test_order_is_by_role() -> None:
    judged = tally()
    judged.post(105, post(3000, start=2000))
    judged.post(105, post(2000, "agent", start=1000))
    judged.post(105, post(3050, start=2000))
    assert not judged.problems


def test_spreads() -> None:
    assert Spread.of([]) == Spread(0, 0.0, 0.0, 0.0, 0.0)
    assert Spread.of([float(value) for value in range(101)]) == Spread(101, 50.0, 95.0, 99.0, 100.0)
    judged = tally()
    judged.watch("CA2", Watched(STREAMS, 0, 0.0))
    judged.post(105, post(1000))
    assert judged.utterances == Spread(2, 0.5, 0.9, 1.0, 1.0)


def test_latency_of_a_time_is_of_what_was_said_in_it() -> None:
    judged = tally()
    judged.post(101.5, post(1000))
    judged.post(104.0, post(3000, start=2000))
    assert judged.between(100.0, 102.0).count == 1
    assert judged.between(102.0, 104.0).p50 == pytest.approx(1020)
    assert judged.between(103.5, 200.0).count == 0


def test_what_was_said_is_kept_on_the_clock_of_the_recording() -> None:
    judged = tally(first_frame=150)
    judged.post(101.5, post(1000, start=200))
    judged.post(101.5, post(1000, start=200))
    assert judged.said == {"CA1": [Said(Track.INBOUND, 3200, 4000, 4500.0)]}
