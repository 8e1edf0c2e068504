"""What the benchmark says when it cannot measure."""

from pathlib import Path

import pytest

from benchmarks.bench_vocabulary import main


def test_speech_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["harm", "--speech", str(tmp_path)]) == 2
    assert str(tmp_path / "manifest.json") in capsys.readouterr().err
