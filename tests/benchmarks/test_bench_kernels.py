"""pytest-benchmark times every side that was asked for, and the table says who is faster."""

from __future__ import annotations

import json

import pytest

from benchmarks import bench_kernels
from benchmarks.kernels.cases import contests
from gateway._native import NO_EXTENSIONS


@pytest.mark.skipif(NO_EXTENSIONS, reason="GATEWAY_NO_EXTENSIONS=1 asks for the twins")
def test_a_short_run(capsys: pytest.CaptureFixture[str]) -> None:
    short = ["--kernels", "unmask", "clock", "--turns", "1", "--seconds", "0.002", "--json"]
    assert bench_kernels.main(short) == 0
    document = json.loads(capsys.readouterr().out)
    assert [kernel["kernel"] for kernel in document["kernels"]] == ["unmask", "clock"]
    (ours, twin, compiled, _) = document["kernels"][0]["sides"]
    assert ours["timesOurs"] == 1.0
    assert min(twin["ns"], compiled["ns"]) > 0
    shown = bench_kernels.table(document)
    assert "websockets, C" in shown
    assert "× ours" in shown


def test_the_least_of_all_turns_counts_for_one_item() -> None:
    contest = next(contest for contest in contests() if contest.kernel == "clock")
    runs = [("gateway", 2e-6), ("gateway", 1e-6), ("Python twin", 4e-6), ("Python twin", 9e-6)]
    document = {
        "benchmarks": [
            {"extra_info": {"kernel": "clock", "side": side}, "stats": {"min": least}} for side, least in runs
        ]
    }
    ours, twin = bench_kernels.rows(document, contest)
    assert (ours["ns"], ours["perSecond"], ours["timesOurs"]) == (20.0, 50_000_000, 1.0)
    assert (twin["ns"], twin["timesOurs"]) == (80.0, 4.0)


def test_without_kernels_nothing_is_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench_kernels, "chosen", lambda: {"mulaw": "python", "scanner": "compiled"})
    assert bench_kernels.main([]) == 2
    assert "not compiled: mulaw;" in capsys.readouterr().err
