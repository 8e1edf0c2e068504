"""The benchmark runs as a user runs it (slow: the real model), and its floor is a step's products and no more."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import onnx
import pytest

from benchmarks.bench_recognizer import floor_graph, main
from models.prepare import prepare

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "models" / "cache"


@pytest.mark.slow
def test_the_table_has_every_column(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_MODELS_DIR", str(CACHE))
    assert main(["--json", "--rounds", "1", "--seconds", "1"]) == 0
    report = json.loads(capsys.readouterr().out)
    lengths = {"first, 2 s", "first, 4 s", "first, 8 s"}
    assert set(report["ms"]) == lengths | {"step of 1", "step of 4", "step of 8", "step of 16"}
    assert set(report["ms"]["step of 8"]) == {"shipped", "prepared", "floor"}
    assert all(spent > 0 for row in report["ms"].values() for spent in row.values())
    assert set(report["decodes"]) == {"1", "4", "8", "16"}
    assert all(row["new"] > 0 and row["again"] > 0 for row in report["decodes"].values())
    assert set(report["shares"]) == {"0", "1", "8"}
    assert all(sum(kinds.values()) == pytest.approx(1) for kinds in report["shares"].values())


@pytest.mark.slow
def test_the_floor_is_the_products_of_a_step() -> None:
    step = prepare(CACHE / "moonshine-tiny-en").step
    floor = floor_graph(step)
    onnx.checker.check_model(floor)
    kinds = Counter(node.op_type for node in floor.graph.node)
    # Six layers of two attentions (in and out) and a feed-forward (wide and narrow); and the vocabulary.
    assert kinds == {"DynamicQuantizeMatMul": 6 * 6 + 1}


def test_without_a_model_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_MODELS_DIR", str(tmp_path))
    assert main([]) == 0
    assert "skipped: model moonshine-tiny-en is not in" in capsys.readouterr().err
