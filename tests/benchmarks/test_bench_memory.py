"""A call's bytes are measured on a gateway of its own, and the table says whether the marks are met."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bench_memory
from benchmarks.audio.files import SAMPLE
from benchmarks.bench_memory import STATES, State, measure, quiet, table, unbroken
from gateway._native import mulaw
from gateway.config import VadSettings

HELD = {"rss": 30.0, "pss": 20.0, "private": 10.0}


async def test_streaming_calls_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_memory, "SETTLE_S", 0.1)
    monkeypatch.setattr(bench_memory, "STEADY_S", 0.1)
    row = await measure(State("started", "none", started=True, marks=(96,)), calls=3, seconds=0.5)
    assert (row["calls"], row["errors"], row["utterances"]) == (3, {}, {})
    assert row["descriptorsPerCall"] >= 1
    (figure,) = row["figures"]
    assert figure["what"] == "started"
    assert figure["met"] == (figure["rss"] <= 96)


@pytest.mark.slow
async def test_speech_without_a_pause_is_cut_for_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_memory, "WARM_SPEAKING_S", 1.0)
    monkeypatch.setattr(bench_memory, "REFUSING_S", 0.1)
    (state,) = (state for state in STATES if state.speaks)
    row = await measure(state, calls=2)
    assert row["errors"] == {}
    assert row["utterances"] == {"cut": 4}
    assert [figure["what"] for figure in row["figures"]] == ["speech open", "cut, and waiting"]
    # An utterance as long as it may be is 136 KiB of μ-law on each track; of so few calls some finds room in the heap.
    assert row["figures"][0]["rss"] > 8 * 17


def test_a_quiet_line_is_nothing_to_ask_the_model_about() -> None:
    line = quiet(1)
    for track in line.ulaw:
        pcm = mulaw.decode(track).astype(float) / 32768
        assert 20 * np.log10(pcm.std()) < VadSettings.model_validate({}).gate_dbfs
        assert pcm.any()


def test_speech_without_a_pause_has_no_quiet_frame() -> None:
    speech = unbroken(SAMPLE)
    assert speech.frames > 50 * 5
    for track in speech.ulaw:
        pcm = mulaw.decode(track).reshape(-1, 160).astype(float) / 32768
        assert 20 * np.log10(np.sqrt(np.mean(pcm**2, axis=1)).min()) > -41


def test_the_table_tells_what_is_met(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def row(state: State, calls: int, seed: int) -> dict[str, object]:
        if not state.marks:
            return {"state": state.name, "model": "none", "idle": HELD}
        figures = [{"what": state.name, **HELD, "markKib": mark, "met": mark >= 30} for mark in state.marks]
        more = {"descriptorsPerCall": 1.0, "leftKibPerCall": 0.5, "utterances": {"cut": 2}, "errors": {}}
        return {"state": state.name, "model": "none", "calls": calls, "figures": figures, **more}

    async def measured(state: State, calls: int, seed: int) -> dict[str, object]:
        return row(state, calls, seed)

    monkeypatch.setattr(bench_memory, "measure", measured)
    monkeypatch.setattr(bench_memory, "RESULT", tmp_path / "memory.json")
    assert bench_memory.main(["--states", "idle", "started", "--keep", "--json"]) == 0
    assert bench_memory.main(["--states", "gated", "started"]) == 1
    text = capsys.readouterr().out
    assert "MISSED" in text
    assert "2 utterances ended by cut" in text
    assert "MISSED" not in table(json.loads((tmp_path / "memory.json").read_text()))
