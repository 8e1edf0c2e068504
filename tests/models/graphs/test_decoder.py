"""The decoder's step made of graphs that differ in what the family's models differ in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from models.graphs.decoder import step_graph
from models.graphs.layout import layout
from models.graphs.source import Source, _as_onnx, _graphs

MODEL = Path(__file__).parents[3] / "models" / "cache" / "moonshine-tiny-en" / "decoder_model_merged.ort"
ROWS = 2


def full_precision(decoder: Path, target: Path) -> Path:
    """The decoder with its embedding in full precision, saved in the runtime's format as the shipped ones are."""
    whole = _as_onnx(decoder)
    arrays = {
        tensor.name: numpy_helper.to_array(tensor) for graph in _graphs(whole.graph) for tensor in graph.initializer
    }
    (name,) = (name for name in arrays if name.endswith("embed_tokens.weight_merged_0_quantized"))
    stem = name.removesuffix("_quantized")
    table = (arrays[name].astype(np.float32) - arrays[f"{stem}_zero_point"]) * arrays[f"{stem}_scale"]
    whole.graph.initializer.append(numpy_helper.from_array(table.astype(np.float32), stem))
    for graph in _graphs(whole.graph):
        graph.name = graph.name or "branch"  # the runtime wants a name, and saves none
        nodes = []
        for node in graph.node:
            if node.op_type == "DequantizeLinear" and f"{stem}_scale" in node.input:
                nodes.append(helper.make_node("Gather", [stem, "input_ids"], list(node.output), axis=0))
            elif name not in node.input:
                nodes.append(node)
        graph.ClearField("node")
        graph.node.extend(nodes)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.optimized_model_filepath = str(target)
    ort.InferenceSession(whole.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return target


def first_step(decoder: Path) -> tuple[onnx.ModelProto, np.ndarray]:
    """The graph of a step, and what it says to the first token of two rows that heard the same noise."""
    source = Source(decoder)
    graph = step_graph(source, layout(source), signed=False)
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    feeds: dict[str, np.ndarray] = {
        "token": np.array([[1], [17]], np.int64),
        "past": np.zeros(ROWS, np.int32),
        "total": np.array(1, np.int32),
        "frames": np.full(ROWS, 40, np.int32),
    }
    for entry in session.get_inputs():
        if entry.name.startswith(("own_", "cross_")):
            _, heads, _, width = entry.shape
            frames = 4 if entry.name.startswith("own_") else 40
            feeds[entry.name] = random.normal(size=(ROWS, heads, frames, width)).astype(np.float32)
    (likely,) = session.run(["probabilities"], feeds)
    return graph, np.asarray(likely)


@pytest.mark.slow
def test_an_embedding_in_full_precision_says_the_same(tmp_path: Path) -> None:
    quantised, expected = first_step(MODEL)
    whole, likely = first_step(full_precision(MODEL, tmp_path / "decoder_model_merged.ort"))
    assert [graph.ByteSize() > 40e6 for graph in (quantised, whole)] == [False, True]
    np.testing.assert_array_equal(likely, expected)
