"""The density benchmark pins what it measures, hears its peers out, and runs from end to end."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import bench_density
from benchmarks.audio.files import SAMPLE
from benchmarks.process import pinned
from gateway.errors import PeerError


def script(folder: Path, body: str) -> list[str]:
    path = folder / "peer.py"
    path.write_text(body)
    return [sys.executable, str(path)]


def test_a_peer_is_held_on_its_core_and_its_lines_are_read(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    body = "import json, os, sys\nfor line in sys.stdin: print(json.dumps({line.strip(): [*os.sched_getaffinity(0)]}))"
    assert bench_density._run(script(tmp_path, body), core, [Path("a.wav")]) == [{"a.wav": [core]}]


@pytest.mark.parametrize(
    "body", ["raise SystemExit('no such model')", "import sys; print('no such model', file=sys.stderr)"]
)
def test_a_peer_that_fails_or_says_nothing_is_an_error(tmp_path: Path, body: str) -> None:
    with pytest.raises(PeerError, match=r"peer\.py ended with \d: no such model"):
        bench_density._run(script(tmp_path, body), min(os.sched_getaffinity(0)))


def test_without_a_core_a_command_is_as_it_was() -> None:
    assert pinned(["true"], None) == ["true"]


def stream(folder: Path, cores: float) -> Path:
    """A stand-in for a peer's Python: each stream takes so many cores; half a second late for each beyond the core."""
    path = folder / "python"
    path.write_text(
        f"""#!{sys.executable}
import json, sys
seconds, streams = float(sys.argv[2].partition("=")[2]), len(sys.argv[3:])
busy = streams * {cores}
print(json.dumps({{"done": True, "cpu": busy * seconds, "late": {{"p95": 0.1 if busy <= 1 else 5.0}}}}))
"""
    )
    path.chmod(0o755)
    return path


def test_a_streaming_peer_is_doubled_until_it_falls_behind(tmp_path: Path) -> None:
    recording = tmp_path / "call.wav"
    soundfile.write(recording, np.zeros((8000, 2), np.int16), 8000)
    found = bench_density.moonshine(stream(tmp_path, 0.07), recording, 1.0, min(os.sched_getaffinity(0)))
    # Two streams a call: 7 × 0.14 is within the core, 8 × 0.14 is not.
    assert found["carried"] == 7
    assert found["coresPerCall"] == 0.14
    assert found["byCpu"] == 7.1


def test_one_core_is_not_enough(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert bench_density.main([]) == 2
    assert "two cores" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs a core for the gateway and one for the load")
def test_a_short_run_from_end_to_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench_density, "RAMP_S", 1.0)
    monkeypatch.setattr(bench_density, "RESOLUTION", 10)
    monkeypatch.setattr(bench_density, "RESULTS", tmp_path)
    short = ["--steps", "2", "--seconds", "12", "--peers", "--recording", str(SAMPLE), "--json"]
    assert bench_density.main(short) == 0
    document = json.loads(capsys.readouterr().out)
    # A busy machine may void the run or make it late; it loses nothing, and hears something.
    (first, *_) = document["rows"]
    assert first["calls"] == 2
    assert (first["refused"], first["lost"]) == (0, 0)
    assert first["transcripts"] > 0
    assert 0 < first["cores"] < 1.01
    assert all(first["parts"][part] > 0 for part in ("loop", "recognizer"))
    assert document["peers"] == {}
