"""What is sent, decided and drawn around a pass; the reckoning itself is tested with `latency`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import bench_latency
from benchmarks.bench_latency import Decided, after, as_said, decide, figure, rolled
from benchmarks.load.tally import Said
from benchmarks.speech import labels
from benchmarks.speech.latency import judge
from gateway.participants import Track
from gateway.peers import recording
from gateway.peers.recording import Recording

SAMPLE = Path(__file__).parents[2] / "samples" / "support-call.wav"


def test_a_pass_goes_on_behind_the_end_with_the_beginning_in_whole_frames() -> None:
    # 1 s and half a frame, which a call that repeats it leaves out.
    call = Recording({Track.INBOUND: np.arange(8080, dtype=np.int16)})
    audio = rolled(call, 900, 0.3).tracks[Track.INBOUND]
    assert len(audio) == 2400
    assert audio[0] == 7200
    assert audio[799:802].tolist() == [7999, 0, 1]


def decided(track: Track, start: float, end: float, at: float) -> Decided:
    return Decided(track, start, end, at, np.zeros(0, np.int16))


def test_after_the_decision_counts_from_the_frame_that_decided() -> None:
    found = [decided(Track.INBOUND, 1000, 2000, 2464), decided(Track.OUTBOUND, 1000, 2000, 2200)]
    assert after([Said(Track.INBOUND, 1000, 2000, 2530)], found) == [pytest.approx(70)]
    assert after([Said(Track.INBOUND, 1031, 1990, 2530)], found) == [pytest.approx(70)]
    assert after([Said(Track.INBOUND, 1000, 2032, 2530)], found) == []
    # A frame that ends just there is the one.
    assert after([Said(Track.INBOUND, 1000, 2000, 2530)], [decided(Track.INBOUND, 1000, 2000, 2460)]) == [90]


def test_a_decision_falls_to_the_frame_that_holds_it() -> None:
    said = as_said([decided(Track.INBOUND, 1000, 2000, 2464), decided(Track.INBOUND, 3000, 4000, 4480)])
    assert [one.at for one in said] == [2460, 4460]


def test_the_figure_shows_every_transcript(tmp_path: Path) -> None:
    drawn = figure({"recording": "x.wav", "latencies": {"gateway": [100, 300], "silent": []}}, tmp_path / "x.png")
    steps = drawn["panels"][0]["steps"]
    assert steps[0] == {"x": [0, 100, 300], "y": [0, 0.5, 1.0], "label": "gateway"}
    assert steps[1]["x"] == [0]


def test_a_recording_without_labels_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_latency.main(["--recording", str(tmp_path / "none.wav")]) == 2
    assert "has no labels" in capsys.readouterr().err


@pytest.mark.slow
def test_the_labels_know_what_the_endpointing_finds_in_the_sample() -> None:
    """Whatever the endpointing is, an utterance is decided behind its end, and nearly every one has its label."""
    call = recording.load(SAMPLE)
    file = labels.committed(SAMPLE)
    assert file is not None
    found = decide(call, 0)
    assert found == sorted(found, key=lambda one: one.decided)
    assert all(one.start < one.end <= one.decided for one in found)
    judged = judge(as_said(found), labels.read(file), call.duration_ms, 0, call.duration_ms / 1000)
    assert judged.stray == 0
    assert len(judged.latencies) >= 0.9 * judged.said
