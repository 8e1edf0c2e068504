"""How the number of calls is searched for, what passes, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speech import density
from benchmarks.speech.density import Row, as_rows, carried, percentile, queued, row, search, table

GOOD = Row(
    calls=20, p50=300, p95=500, p99=580, decided=60, transcripts=90, cores=0.2,
    parts={"loop": 0.05, "recognizer": 0.12, "rest": 0.03},
    mib=300, refused=0, lost=0, shed=0,
    late_ms=1.0, void=False, reasons=(),
)  # fmt: skip


def result(**more: Any) -> dict[str, Any]:
    latency = {"count": 9, "p50": 300.0, "p95": 500.0, "p99": 550.0, "most": 551.0}
    load = {
        "bad": [],
        "void": False,
        "calls": {"asked": 20, "done": 20, "errors": {}},
        "messages": {"sent": 10, "counted": 10, "lost": 0},
        "dropped": {},
        "shed": {},
        "decidedMs": {"p50": 40.0, "p95": 90.0},
        "steady": {"begin": 1.0, "end": 2.0, "latencyMs": latency},
        "latencyMs": {**latency, "p95": 5000.0},
        "pacingMs": {"p50": 0.5, "p99": 1.5},
    }
    parts = {"loop": 0.1, "recognizer": 0.1, "rest": 0.05}
    return {"steadyCores": 0.25, "steadyParts": parts, "steadyMiB": 310, "load": load | more}


def limit(calls: int) -> tuple[Callable[[int], bool], list[int]]:
    tried: list[int] = []

    def run(number: int) -> bool:
        tried.append(number)
        return number <= calls

    return run, tried


def test_steps_go_up_and_the_gap_is_halved() -> None:
    run, tried = limit(97)
    assert search((20, 40, 80, 120, 150), 5, run) == (95, 100)
    assert tried == [20, 40, 80, 120, 100, 90, 95]


def test_a_search_ends_where_nothing_fails_or_everything() -> None:
    assert search((20, 40), 5, limit(1000)[0]) == (40, None)
    assert search((20, 40), 5, limit(0)[0]) == (0, 5)


def test_a_search_ends_with_a_run_that_tells_nothing() -> None:
    assert search((20, 40, 80), 5, lambda calls: None if calls == 40 else True) == (20, None)
    assert search((20, 40), 5, lambda calls: {20: True, 40: False}.get(calls)) == (20, 40)


def test_a_row_is_of_the_time_when_all_calls_spoke() -> None:
    made = row(result())
    assert (made.p95, made.cores, made.mib, made.calls, made.late_ms) == (500.0, 0.25, 310, 20, 1.5)
    assert made.decided == 90.0
    assert made.reasons == ()
    assert row(result(), 450).reasons == ("p95 of 500 ms is over 450",)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"bad": ["calls failed"]}, "calls failed"),
        ({"steady": None}, "there was no time when all calls spoke"),
        (
            {"steady": {"begin": 1, "end": 2, "latencyMs": {"count": 1, "p50": 1, "p95": 600.1, "p99": 1, "most": 1}}},
            "p95 of 600 ms is over 600",
        ),
    ],
)
def test_what_does_not_pass(more: dict[str, Any], reason: str) -> None:
    assert reason in row(result(**more)).reasons


def test_what_was_refused_lost_and_shed_is_counted() -> None:
    made = row(
        result(
            calls={"asked": 20, "done": 18, "errors": {"start 5002": 2}},
            messages={"sent": 10, "counted": 7, "lost": 3},
            dropped={'gateway_asr_shed_total{kind="final"}': 4.0},
            shed={'gateway_asr_shed_total{kind="final"}': 4.0, 'gateway_asr_shed_total{kind="speculative"}': 9.0},
        )
    )
    assert (made.refused, made.lost, made.shed) == (2, 7, 13)


def test_more_calls_do_not_count_where_fewer_failed() -> None:
    late = replace(GOOD, calls=40, reasons=("late",))
    assert carried([GOOD, late, replace(GOOD, calls=80)]) == 20
    assert carried([GOOD, replace(late, void=True), replace(GOOD, calls=80)]) == 80
    assert carried([late]) == 0


def test_utterances_wait_for_those_before_them() -> None:
    # Two calls, one second apart, whose two utterances take a second each, over as soon as their speech ends.
    assert queued([(0.0, 0.0, 1.0), (0.5, 0.5, 1.0)], 10.0, [0.0, 1.0]) == [1.0, 1.5, 2.0, 2.5]
    # A second after it.
    assert queued([(0.0, 1.0, 0.5)], 10.0, [0.0]) == [1.5]


def test_no_values_have_no_percentile() -> None:
    assert percentile([], 0.95) == float("inf")
    assert percentile([1.0, 3.0], 0.5) == 2.0


def document() -> dict[str, Any]:
    rows = [GOOD, replace(GOOD, calls=40, p95=900, reasons=("p95 of 900 ms is over 600",)), replace(GOOD, void=True)]
    peer = {"carried": 3, "coresPerCall": 0.2, "byCpu": 5.0, "how": "by its CPU", "ratio": 4.0}
    return {
        "machine": "a machine", "recording": "call.wav", "seconds": 60.0, "limitMs": 600.0, "carried": 20,
        "rows": as_rows(rows), "peers": {"someone": peer},
    }  # fmt: skip


def test_the_table_names_verdicts_and_peers() -> None:
    lines = table(document()).splitlines()
    assert "0.05         0.12   0.03" in lines[3]
    assert lines[3].endswith("carried")
    assert lines[4].endswith("p95 of 900 ms is over 600")
    assert lines[5].endswith("void")
    assert "20 calls a core" in lines[6]
    assert "5.0 if all its time were used" in lines[7]
    assert "4.0 ×" in lines[7]


def test_the_plot_is_the_same_file_for_the_same_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    density.plot(document(), tmp_path / "one.svg")
    density.plot(document(), tmp_path / "two.svg")
    drawn = (tmp_path / "one.svg").read_bytes()
    assert drawn == (tmp_path / "two.svg").read_bytes()
    assert b"<svg" in drawn
