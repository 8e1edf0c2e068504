"""The voice-activity benchmark's own work: counting words, single costs, and its run where nothing is to be had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import bench_vad
from benchmarks.bench_vad import main, measure_cost, missed, table, words
from benchmarks.speech.vad import Utterance
from gateway.speech.silero import FRAME, Silero


def utterance(begin_ms: int, end_ms: int) -> Utterance:
    start, end = begin_ms // 32, end_ms // 32
    return Utterance(start, end, start, end, cut=False)


def test_missed_words() -> None:
    places = [[(0.0, 320.0), (1000.0, 1300.0)], [(640.0, 900.0)]]
    assert missed(places, [[utterance(960, 1280)], [utterance(0, 640)]]) == pytest.approx(2 / 3)
    assert missed(places, [[utterance(0, 1280)], [utterance(0, 960)]]) == 0


def test_words_of_a_speaker_are_a_second_apart(tmp_path: Path) -> None:
    tone = (3000 * np.sin(np.arange(1600))).astype(np.int16)
    for name in ("0_ann_0", "1_ann_0", "0_bob_0"):
        soundfile.write(tmp_path / f"{name}.wav", tone, 8000)
    (ann, places), (bob, _) = words(tmp_path)
    assert places == [(3000, 3200), (4200, 4400)]
    assert (len(ann), len(bob)) == (8 * 5400, 8 * 4200)
    assert words(tmp_path / "none") == []


def test_table_has_a_column_for_each_figure() -> None:
    lines = list(table("part", {"one": {"a": 1.0, "b": 2.0}, "two": {"a": 3.0, "b": 4.0}}))
    assert lines[:3] == ["part", "  (1) a", "  (2) b"]
    assert [line.split() for line in lines[4:]] == [["one", "1.000", "2.000"], ["two", "3.000", "4.000"]]


@pytest.mark.slow
@pytest.mark.skipif(not bench_vad.MODEL.is_file(), reason="run `gateway models fetch silero-vad`")
def test_cost_is_measured_and_slots_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_vad, "TRACKS", (1, 3))
    monkeypatch.setattr(bench_vad, "PACED_BATCHES", 2)
    model = Silero(bench_vad.MODEL)
    frames = np.random.default_rng(1).normal(0, 500, (16, FRAME)).astype(np.int16)
    rows = measure_cost(model, frames)
    assert list(rows) == ["1", "3"]
    assert all(figure > 0 for row in rows.values() for figure in row.values())
    assert model.used == 0


def test_without_speech_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(bench_vad, "SPEECH", tmp_path / "none")
    assert main([]) == 0
    assert "skipped" in capsys.readouterr().err


def test_without_a_model_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(bench_vad, "SPEECH", tmp_path)
    assert main(["--model", str(tmp_path / "none.onnx")]) == 0
    assert "gateway models fetch" in capsys.readouterr().err
