"""What is late and what is cut is reckoned from labels alone."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.load.tally import Said
from benchmarks.speech.labels import Labels
from benchmarks.speech.latency import Judged, judge, marks, report, table
from gateway.participants import Track

PERIOD = 10_000
LABELS = Labels(
    file="x.wav",
    sha256="",
    # Two utterances: the first with a pause in its middle.
    ends={Track.INBOUND: (2000, 4000, 8000), Track.OUTBOUND: ()},
    borders={Track.INBOUND: (4000, 8000), Track.OUTBOUND: ()},
    begins={Track.INBOUND: (1000, 2400, 6000), Track.OUTBOUND: ()},
)


def said(start: float, end: float, at: float, track: Track = Track.INBOUND) -> Said:
    return Said(track, start, end, at)


def judged(*those: Said, begin_ms: int = 0, seconds: float = 10.0) -> Judged:
    return judge(those, LABELS, PERIOD, begin_ms, seconds)


def test_latency_counts_from_the_frame_with_the_last_speech() -> None:
    found = judged(said(1000, 4050, 4380))
    # The last ms before 4,000 is in the frame that is due at 3,980.
    assert (found.latencies, found.at_borders, found.cuts) == ([400.0], [400.0], [])


def test_an_end_that_is_no_border_is_a_cut_and_has_a_latency() -> None:
    found = judged(said(1000, 2000, 2380), said(2400, 4000, 4380))
    assert (found.latencies, found.at_borders) == ([400.0, 400.0], [400.0])
    assert (found.cuts, found.stray) == ([(Track.INBOUND, 2000)], 0)


def test_an_end_without_any_label_is_a_cut_only_where_somebody_speaks() -> None:
    assert judged(said(1000, 3200, 3500)).cuts == [(Track.INBOUND, 3200)]
    quiet = judged(said(5000, 5200, 5500), said(9000, 9400, 9700))
    assert (quiet.cuts, quiet.stray, quiet.latencies) == ([], 2, [])
    other = judged(said(1000, 3200, 3500, Track.OUTBOUND))
    assert (other.cuts, other.stray) == ([], 1)


def test_a_label_is_that_of_one_transcript() -> None:
    found = judged(said(1000, 3700, 4000), said(3750, 4010, 4480))
    assert found.at_borders == [500.0]
    assert len(found.cuts) + found.stray == 1


def test_borders_within_a_transcript_are_counted() -> None:
    assert judged(said(1000, 8000, 8400)).joined == 1
    assert judged(said(1000, 4100, 4400)).joined == 0


def test_the_recording_is_counted_on_behind_its_end() -> None:
    found = judged(said(11_000, 12_000, 12_300), said(12_400, 14_000, 14_380), begin_ms=5000)
    assert (found.latencies, found.at_borders) == ([320.0, 400.0], [400.0])
    assert found.cuts == [(Track.INBOUND, 2000)]


def test_what_the_end_of_the_pass_cut_short_is_left_out() -> None:
    assert not judged(said(6000, 6900, 7000), seconds=7.0).cuts
    assert judged(said(6000, 6900, 7000), seconds=7.5).cuts


def passes() -> dict[str, Any]:
    found = judged(said(1000, 4000, 4280), said(6000, 8000, 8280))
    found.after = [80.0, 100.0]
    found.add(judged(said(1000, 4000, 4300)))
    return report(found)


def test_passes_add_up() -> None:
    told = passes()
    assert told["latencyMs"]["count"] == told["atBordersMs"]["count"] == 3
    assert told["afterDecisionMs"]["count"] == 2
    assert told["minutes"] == pytest.approx(1 / 3, abs=0.01)
    assert told["utterancesAMinute"] == pytest.approx(9.0)


def test_marks() -> None:
    ours = passes()
    assert all(marks(ours, None).values())
    cutting = ours | {"cutsAMinute": 2.0}
    missed = [name for name, held in marks(cutting, ours).items() if not held]
    assert missed == ["cuts a minute <= moonshine-voice's"]
    assert not any(marks(report(Judged()), None).values())
    late = ours | {"latencyMs": ours["latencyMs"] | {"p50": 351.0, "p95": 601.0}}
    assert list(marks(late, None).values()) == [False, False, True, True]


def test_the_table_has_a_row_for_each_system_and_mark() -> None:
    ours = passes()
    result = {
        "recording": "x.wav",
        "seconds": 10.0,
        "repeats": 2,
        "systems": {"gateway": ours, "peer": report(Judged())},
        "marks": marks(ours, None),
    }
    lines = table(result).splitlines()
    assert len(lines) == 2 + 2 + 4
    assert lines[2].startswith("gateway")
    # Nobody knows when a peer decides.
    assert ("–" in lines[2], "–" in lines[3]) == (True, True)
    assert lines[3].count("–") == 4
    assert "held" in lines[-1]
