"""Benchmarks are chosen by name."""

from __future__ import annotations

import importlib

import pytest

from benchmarks import __main__ as benchmarks


def test_an_unknown_name_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmarks.main(["nosuch"])
    assert ended.value.code == 2
    assert "no benchmark nosuch; there are accuracy, calls" in capsys.readouterr().err


def test_every_benchmark_has_a_name() -> None:
    assert {"ingest", "kernels", "load", "memory", "sender", "storm"} <= set(benchmarks.names())


@pytest.mark.parametrize(
    ("name", "arguments"), [("memory", ["--calls", "0"]), ("kernels", ["--turns", "0"]), ("sender", ["--calls", "0"])]
)
def test_nothing_to_measure_is_a_mistake(
    name: str, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [name, *arguments])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"benchmarks.bench_{name}").main()
    assert ended.value.code == 2
    assert "must be at least 1" in capsys.readouterr().err
