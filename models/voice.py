"""Silero VAD's 8 kHz head as a graph of its own: the shipped numbers by a tenth of the nodes, on a better-heard line.

The shipped file holds two heads (8 and 16 kHz) behind an ``If``, works out shapes in every run, and convolves over four
places in time, for which ONNX Runtime's convolutions are not made. Here every layer is one matrix product over all
rows: the windows of the Fourier transform come side by side, a convolution over four, two or one places is a matrix
with its kernel repeated. A batch of 50 rows took a quarter of the time.

Three things are put in front of the model, for lines on which it hears worse than it could (``benchmarks/bench_vad.py``
has the figures). They cost nothing, have no memory and need no start-up, because they change constants:

* *blind to bias*: the transform's functions are made orthogonal to a constant and to a slope over their window. So a
  DC offset, however it drifts, is not there, and mains hum is weaker by far; of speech, which telephony sends from
  300 Hz, nothing is lost.
* *gain*: quiet speech is found more surely, loud speech as before. More than this and throats that are cleared
  begin to count as speech.
* *a floor of noise*: the power of faint hiss is added to each band. The model knows recordings, in which it is never
  quite still; it is late to notice speech out of digital silence, which packet networks, echo suppressors and μ-law's
  own rounding make. The floor is below what one step of μ-law makes.

Inputs (rows B):
    ``windows`` float (B, 4, 128): 16-bit PCM in samples of its own scale (±32768), 64 apart: see :data:`WINDOW`;
    ``hidden``, ``cell`` float (B, 128): the row's state.
Outputs:
    ``probability`` float (B, 1); ``new_hidden``, ``new_cell`` float (B, 128).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from gateway.errors import ModelError

from .graphs.build import FLOAT, Builder

__all__ = ["FLOOR_DBFS", "GAIN_DB", "HOP", "UNITS", "WINDOW", "WINDOWS", "voice_graph"]

WINDOW = 128
"""Samples of a window of the Fourier transform, 16 ms."""
HOP = 64
"""Samples between two windows."""
WINDOWS = 4
"""Windows that are judged together: 32 samples before a frame, its 256, and its last 32 mirrored."""
UNITS = 128
"""Of each part of the recurrent state."""

GAIN_DB = 8.0
FLOOR_DBFS = -78.0
"""Level of the hiss that the floor stands for, on the line; one step of μ-law up and down is −72."""

_BINS = WINDOW // 2 + 1
_FULL_SCALE = 32768.0
# Kernel and state widths of silero-vad 6: (outputs, inputs, kernel, stride, places in time that go in).
_LAYERS = ((128, _BINS, 3, 1, 4), (64, 128, 3, 2, 4), (64, 64, 3, 2, 2), (128, 64, 3, 1, 1))
_SHAPES = {
    "stft.forward_basis_buffer": (2 * _BINS, 1, WINDOW),
    **{f"encoder.{i}.reparam_conv.weight": layer[:3] for i, layer in enumerate(_LAYERS)},
    **{f"encoder.{i}.reparam_conv.bias": layer[:1] for i, layer in enumerate(_LAYERS)},
    **{f"decoder.rnn.weight_{part}": (4 * UNITS, UNITS) for part in ("ih", "hh")},
    **{f"decoder.rnn.bias_{part}": (4 * UNITS,) for part in ("ih", "hh")},
    "decoder.decoder.2.weight": (1, UNITS, 1),
    "decoder.decoder.2.bias": (1,),
}

Array = NDArray[np.float32]


def voice_graph(path: Path, *, conditioned: bool = True) -> bytes:
    """The graph, serialized.

    Args:
        path: ``silero_vad.onnx`` as shipped.
        conditioned: with what is put in front of the model; without it the graph gives the shipped one's numbers.

    Raises:
        ModelError: the file is missing, is no ONNX model, or not silero-vad 6.
    """
    weights = _weights(path)
    build = Builder("silero-vad-8k", signed=True)
    windows = build.input("windows", FLOAT, ["rows", WINDOWS, WINDOW])
    hidden, cell = (build.input(name, FLOAT, ["rows", UNITS]) for name in ("hidden", "cell"))
    what = _magnitudes(build, windows, weights["stft.forward_basis_buffer"][:, 0], conditioned=conditioned)
    for index, (_, _, _, stride, places) in enumerate(_LAYERS):
        kernel, bias = (weights[f"encoder.{index}.reparam_conv.{name}"] for name in ("weight", "bias"))
        matrix = _repeated(kernel, places, stride)
        wide = np.tile(bias, matrix.shape[1] // len(bias))
        what = build.one("Relu", build.one("Gemm", what, build.weight(matrix), build.weight(wide)))
    state = _recur(build, what, hidden, cell, weights)
    last = build.weight(weights["decoder.decoder.2.weight"][0])
    score = build.one("Gemm", build.one("Relu", state), last, build.weight(weights["decoder.decoder.2.bias"]))
    build.one("Sigmoid", score, to="probability")
    build.output("probability", FLOAT, ["rows", 1])
    model: bytes = build.model().SerializeToString()
    return model


def _magnitudes(build: Builder, windows: str, basis: Array, *, conditioned: bool) -> str:
    """Magnitudes of the Fourier transform, (rows, 4 × 65)."""
    functions = basis.astype(np.float64)
    scale = 1.0 / _FULL_SCALE
    floor = 0.0
    if conditioned:
        gain = 10 ** (GAIN_DB / 20)
        # White noise of variance v has the power v × the squared window's sum in each band.
        floor = 10 ** (FLOOR_DBFS / 10) * gain**2 * float(np.sum(functions[0] ** 2))
        functions, scale = _blind(functions), scale * gain
    matrix = (functions * scale).astype(np.float32).T
    parts = build.one("MatMul", windows, build.weight(matrix))
    split = build.weight(np.array([_BINS, _BINS]))
    real, imaginary = build.add("Split", [build.one("Mul", parts, parts), split], 2, axis=2)
    power = build.one("Add", real, imaginary)
    if floor:
        power = build.one("Add", power, build.weight(np.array(floor, np.float32)))
    flat = build.weight(np.array([-1, WINDOWS * _BINS]))
    return build.one("Reshape", build.one("Sqrt", power), flat)


def _blind(functions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The transform's functions less what they see of a constant and a slope, which is taken off under their window."""
    window = functions[0]  # cosine of band 0: the window itself
    place = np.arange(WINDOW) - (WINDOW - 1) / 2
    unseen = np.stack([np.ones(WINDOW), place / WINDOW])
    tapered = unseen * window
    share = np.linalg.solve(tapered @ unseen.T, (functions @ unseen.T).T).T
    blind: NDArray[np.float64] = functions - share @ tapered
    return blind


def _repeated(kernel: Array, places: int, stride: int) -> Array:
    """A convolution over ``places`` in time, one more on each side being zero, as a matrix (inputs, outputs)."""
    outputs, inputs, width = kernel.shape
    steps = (places + 2 - width) // stride + 1
    matrix = np.zeros((places, inputs, steps, outputs), np.float32)
    for step in range(steps):
        for tap in range(width):
            place = step * stride + tap - 1
            if 0 <= place < places:
                matrix[place, :, step] = kernel[:, :, tap].T
    return matrix.reshape(places * inputs, steps * outputs)


def _recur(build: Builder, what: str, hidden: str, cell: str, weights: dict[str, Array]) -> str:
    """A step of the LSTM; its new hidden state."""
    both = np.concatenate([weights["decoder.rnn.weight_ih"], weights["decoder.rnn.weight_hh"]], axis=1)
    bias = weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"]
    # PyTorch's order is input, forget, cell, output: the three that go through a sigmoid come together.
    order = np.concatenate([np.arange(2 * UNITS), np.arange(3 * UNITS, 4 * UNITS), np.arange(2 * UNITS, 3 * UNITS)])
    joined = build.one("Concat", what, hidden, axis=1)
    gates = build.one("Gemm", joined, build.weight(both[order].T), build.weight(bias[order]))
    opening, candidate = build.add("Split", [gates, build.weight(np.array([3 * UNITS, UNITS]))], 2, axis=1)
    thirds = build.weight(np.array([UNITS] * 3))
    enter, keep, leave = build.add("Split", [build.one("Sigmoid", opening), thirds], 3, axis=1)
    taken = build.one("Mul", enter, build.one("Tanh", candidate))
    new = build.one("Add", build.one("Mul", keep, cell), taken, to="new_cell")
    state = build.one("Mul", leave, build.one("Tanh", new), to="new_hidden")
    for name in ("new_hidden", "new_cell"):
        build.output(name, FLOAT, ["rows", UNITS])
    return state


def _weights(path: Path) -> dict[str, Array]:
    """The constants of the 8 kHz head: the branch that is taken where the rate is not 16 kHz."""
    if not path.is_file():
        msg = f"{path}: the voice-activity model is not there; `gateway models fetch` fetches it"
        raise ModelError(msg)
    try:
        branches = _branches(onnx.load(str(path)).graph)
    except Exception as error:  # protobuf's, which has no type hints, and what a wrong graph leads to
        msg = f"{path}: is not a model that ONNX reads; `gateway models verify` tells more ({type(error).__name__})"
        raise ModelError(msg) from error
    for constants in branches:
        if all(name in constants and constants[name].shape == shape for name, shape in _SHAPES.items()):
            return constants
    msg = f"{path}: has no 8 kHz head of the known shape; Silero VAD 6 is needed"
    raise ModelError(msg)


def _branches(graph: Any) -> list[dict[str, Array]]:
    """The constants of every branch of every top-level ``If``, by the last part of their names."""
    branches = [attribute.g for node in graph.node if node.op_type == "If" for attribute in node.attribute]
    return [
        {
            # "If_0_else_branch__Inline_0__decoder.rnn.weight_ih"
            node.output[0].rpartition("__")[2]: numpy_helper.to_array(node.attribute[0].t)
            for node in branch.node
            if node.op_type == "Constant" and node.attribute[0].name == "value"
        }
        for branch in branches
    ]
