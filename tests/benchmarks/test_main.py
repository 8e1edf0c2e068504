"""Benchmarks are chosen by name."""

from __future__ import annotations

import pytest

from benchmarks import __main__ as benchmarks


def test_an_unknown_name_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmarks.main(["nosuch"])
    assert ended.value.code == 2
    assert "no benchmark nosuch; there are accuracy, calls" in capsys.readouterr().err


def test_every_benchmark_has_a_name() -> None:
    assert {"ingest", "kernels", "load", "memory", "sender", "storm"} <= set(benchmarks.names())
