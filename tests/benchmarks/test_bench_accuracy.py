from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import bench_accuracy
from benchmarks.audio.conditions import disturb
from benchmarks.bench_accuracy import load, main

SAMPLE = Path(__file__).parents[2] / "samples"


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """A folder of speech: the first words of the sample's agent."""
    pcm, rate = soundfile.read(SAMPLE / "support-call.wav", dtype="int16", stop=6 * 8000)
    assert rate == 8000
    soundfile.write(tmp_path / "a.wav", pcm[:, 1], rate)
    entry = {"id": "greeting", "file": "a.wav", "text": "thank you for calling"}
    (tmp_path / "manifest.json").write_text(json.dumps({"utterances": [entry]}))
    return tmp_path


def test_every_file_comes_in_every_condition(speech: Path) -> None:
    items = load(speech, ["clean", "white"])
    assert [(item.id, item.condition) for item in items] == [("greeting", "clean"), ("greeting", "white")]
    pcm = soundfile.read(speech / "a.wav", dtype="int16")[0]
    assert np.array_equal(items[1].pcm, disturb(pcm, "white", "greeting"))


@pytest.mark.slow
def test_the_gateway_hears_the_sample(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "results" / "accuracy.json"
    monkeypatch.setattr(bench_accuracy, "RESULTS", kept)
    arguments = ["--speech", str(speech), "--conditions", "clean", "level", "--peers", "--json", "--keep"]
    assert main(arguments) == 0
    shown = json.loads(capsys.readouterr().out)
    item = shown["items"][0]
    assert item["words"] == 4
    # What follows the first words counts as put in; the words themselves are there.
    assert all(change.startswith("∅") for change in item["gateway"]["alignment"])
    stored = json.loads(kept.read_text())
    assert stored["items"][0]["gateway"] == item["gateway"]["errors"]
    assert stored["wer"] == shown["wer"]
    assert shown["machine"].startswith("gateway ")


def test_missing_speech_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--speech", str(tmp_path / "nowhere")]) == 2
    assert "there is no speech to measure with" in capsys.readouterr().err
