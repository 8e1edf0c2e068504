"""The table, what it counts, and the refusals; the real models (slow) on a few seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.bench_nothing import HEAD, Heard, main, read, row, total
from gateway.errors import GatewayError

MODELS = Path(__file__).parents[2] / "models" / "cache"


def test_the_table_adds_up() -> None:
    rows = [Heard("hum", 100, 3, 2, 2, 0, (), 0.1), Heard("coughs", 90, 9, 3, 4, 2, ("Uh?", "You"), 0.2)]
    assert row(rows[0]).split() == ["hum", "100", "3", "2", "2", "0", "0.10"]
    assert row(rows[1]).endswith("0.20   Uh? | You")
    assert len(row(rows[0])) == len(HEAD)
    assert total(rows).split() == ["all", "5", "6", "2"]


def test_a_recording_of_another_rate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "music.wav"
    soundfile.write(path, np.zeros((80, 2), np.int16), 44_100)
    with pytest.raises(GatewayError, match="44100 samples a second; convert it to 8000"):
        read(path)
    soundfile.write(path, np.arange(160, dtype=np.int16).reshape(80, 2), 8000)
    assert read(path).tolist() == list(range(0, 160, 2))


def test_without_models_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_MODELS_DIR", str(tmp_path))
    assert main(["--seconds", "1"]) == 2
    assert "gateway models fetch" in capsys.readouterr().err


@pytest.mark.slow
def test_a_short_run_with_the_real_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GATEWAY_MODELS_DIR", str(MODELS))
    assert main(["--seconds", "10", "--kind", "silence", "ringback", "--json"]) == 0
    silence, ringback = json.loads(capsys.readouterr().out)
    assert silence["judged"] < 40 < ringback["judged"]
    assert silence["words"] == ringback["words"] == 0
