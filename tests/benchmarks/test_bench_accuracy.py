from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import bench_accuracy
from benchmarks.bench_accuracy import cut, measure
from gateway.speech.engine import Hypothesis, Job, Kind, Session
from gateway.speech.moonshine import MoonshineSession


class FixedEngine:
    """Hears the same sentence in every piece."""

    name = "fixed"
    languages = frozenset({"en"})

    def open(self) -> Session:
        return MoonshineSession()

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        return [Hypothesis("Hello there, World!", job.kind is Kind.FINAL) for job in jobs]

    def warm_up(self) -> None:
        """Nothing is lazy."""


def test_pieces_are_cut_at_quiet_places_and_lose_nothing() -> None:
    rng = np.random.default_rng(0)
    pcm = rng.integers(-8000, 8000, 45 * 8000).astype(np.int16)
    quiet = [12 * 8000, 26 * 8000]
    for at in quiet:
        pcm[at : at + 4000] //= 100
    pieces = cut(pcm)
    assert np.array_equal(np.concatenate(pieces), pcm)
    ends = np.cumsum([len(piece) for piece in pieces])[:-1]
    assert all(at < end < at + 4000 for at, end in zip(quiet, ends, strict=True))


def test_what_is_short_stays_whole() -> None:
    pcm = np.ones(20 * 8000, np.int16)
    assert [len(piece) for piece in cut(pcm)] == [len(pcm)]


def test_errors_are_counted_after_normalising(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", np.ones(8000, np.int16), 8000)
    texts = {"same": "hello there world", "two wrong": "hello my dear world"}
    entries = [{"id": name, "file": "a.wav", "text": text} for name, text in texts.items()]
    (tmp_path / "manifest.json").write_text(json.dumps({"utterances": entries}))
    monkeypatch.setattr(bench_accuracy, "SPEECH", tmp_path)
    results = measure(FixedEngine(), 0.0, 1)
    assert [(result.id, result.errors, result.words) for result in results] == [("same", 0, 3), ("two wrong", 2, 4)]
    assert results[0].seconds == 1.0


def test_missing_speech_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_accuracy, "SPEECH", tmp_path / "nowhere")
    monkeypatch.setattr("sys.argv", ["bench_accuracy"])
    assert bench_accuracy.main() == 2
    assert "there is no speech to measure with" in capsys.readouterr().err
