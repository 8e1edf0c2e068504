"""The voice-activity model's graph; ``tests/speech/test_silero.py`` holds it against the shipped one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from gateway.errors import ModelError
from models.voice import UNITS, WINDOW, WINDOWS, voice_graph

ROOT = Path(__file__).parents[2]
MODEL = Path(os.environ.get("GATEWAY_MODELS_DIR", ROOT / "models" / "cache")) / "silero-vad" / "silero_vad.onnx"

needs_model = pytest.mark.skipif(not MODEL.is_file(), reason="run `gateway models fetch silero-vad`")

RISE = np.arange(WINDOWS * WINDOW, dtype=np.float32).reshape(1, WINDOWS, WINDOW)
NOISE = np.random.default_rng(4).normal(0, 300, (1, WINDOWS, WINDOW)).astype(np.float32)


def judge(graph: bytes, windows: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Probability and new state of rows that have heard nothing yet."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    still = np.zeros((len(windows), UNITS), np.float32)
    return list(session.run(None, {"windows": windows, "hidden": still, "cell": still}))


@needs_model
@pytest.mark.slow
@pytest.mark.parametrize("unseen", [np.full_like(RISE, 5000), RISE * np.float32(10)], ids=["offset", "slope"])
def test_conditioned_it_is_blind_to_bias(unseen: NDArray[np.float32]) -> None:
    for graph, apart in ((voice_graph(MODEL), False), (voice_graph(MODEL, conditioned=False), True)):
        pairs = zip(judge(graph, NOISE + unseen), judge(graph, NOISE), strict=True)
        assert any(np.abs(one - other).max() > 0.01 for one, other in pairs) == apart


@needs_model
@pytest.mark.slow
def test_conditioned_it_hears_hiss_in_silence() -> None:
    """Below the floor there is no telling silence from faint noise; without one there is."""
    faint = NOISE / np.float32(300)
    for graph, apart in ((voice_graph(MODEL), False), (voice_graph(MODEL, conditioned=False), True)):
        pairs = zip(judge(graph, faint), judge(graph, np.zeros_like(faint)), strict=True)
        assert any(np.abs(one - other).max() > 0.05 for one, other in pairs) == apart


@needs_model
@pytest.mark.slow
def test_it_is_small_and_has_one_head() -> None:
    graph = onnx.load_from_string(voice_graph(MODEL)).graph
    assert {node.op_type for node in graph.node}.isdisjoint({"If", "Conv", "LSTM", "Shape"})
    assert [value.name for value in graph.input] == ["windows", "hidden", "cell"]
    assert {value.name for value in graph.output} == {"probability", "new_hidden", "new_cell"}


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="gateway models fetch"):
        voice_graph(tmp_path / "silero_vad.onnx")


def test_a_model_without_the_head_is_refused(tmp_path: Path) -> None:
    """An ``If`` like that around the two heads, with other constants."""
    value = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])
    one = helper.make_node("Constant", [], ["out"], value=numpy_helper.from_array(np.ones(1, np.float32)))
    branch = helper.make_graph([one], "branch", [], [value])
    choice = helper.make_node("If", ["sr"], ["out"], then_branch=branch, else_branch=branch)
    rate = helper.make_tensor_value_info("sr", TensorProto.BOOL, [])
    path = tmp_path / "silero_vad.onnx"
    onnx.save(helper.make_model(helper.make_graph([choice], "other", [rate], [value])), path)
    with pytest.raises(ModelError, match="Silero VAD 6 is needed"):
        voice_graph(path)
