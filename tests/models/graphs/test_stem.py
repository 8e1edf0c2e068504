"""The stem against three plain convolutions: a small one of random weights, run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.graphs.build import FLOAT, Builder
from models.graphs.source import Source
from models.graphs.stem import stem
from models.prepare import signed_products_are_exact

from .test_build import run

Numbers = NDArray[np.float32]

WIDTH = 8
SIGNED = [False, pytest.param(True, marks=pytest.mark.skipif(not signed_products_are_exact(), reason="saturates"))]


def shipped() -> onnx.ModelProto:
    """Three convolutions as a Moonshine encoder has them, its names included; channels differ widely in weight."""
    random = np.random.default_rng(0)
    weights = {
        "first": random.normal(0, 0.3, (WIDTH, 1, 127)),
        "gain": np.logspace(-3, 0, WIDTH)[:, None],
        "offset": random.normal(0, 0.1, (WIDTH, 1)),
        "second": random.normal(0, 0.2, (2 * WIDTH, WIDTH, 7)),
        "second_bias": random.normal(0, 0.1, 2 * WIDTH),
        "third": random.normal(0, 0.2, (WIDTH, 2 * WIDTH, 3)),
        "third_bias": random.normal(0, 0.1, WIDTH),
        "ones": np.ones(1),
        "zeros": np.zeros(1),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["audio", "one"], ["sound"]),
        helper.make_node(
            "FusedConv",
            ["sound", "first"],
            ["/Tanh_output_0"],
            domain="com.microsoft",
            strides=[64],
            kernel_shape=[127],
            activation="Tanh",
        ),
        helper.make_node("Reshape", ["/Tanh_output_0", "flat_shape"], ["flat"]),
        helper.make_node("InstanceNormalization", ["flat", "ones", "zeros"], ["even"], epsilon=1e-5),
        helper.make_node("Reshape", ["even", "shape"], ["normed"]),
        helper.make_node("Mul", ["normed", "gain"], ["/groupnorm/Mul_output_0"]),
        helper.make_node("Add", ["/groupnorm/Mul_output_0", "offset"], ["/groupnorm/Add_output_0"]),
        helper.make_node(
            "Conv", ["/groupnorm/Add_output_0", "second", "second_bias"], ["/conv2/Conv_output_0"], strides=[3]
        ),
        helper.make_node("Gelu", ["/conv2/Conv_output_0"], ["thought"]),
        helper.make_node("Conv", ["thought", "third", "third_bias"], ["/conv3/Conv_output_0"], strides=[2]),
        helper.make_node("Gelu", ["/conv3/Conv_output_0"], ["frames"]),
        helper.make_node("Transpose", ["frames"], ["hidden"], perm=[0, 2, 1]),
    ]
    arrays = {name: array.astype(np.float32) for name, array in weights.items()}
    sizes = {"one": [1], "flat_shape": [0, 1, -1], "shape": [0, WIDTH, -1]}
    graph = helper.make_graph(
        nodes,
        "shipped",
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, [1, "frames", WIDTH])],
        initializer=[numpy_helper.from_array(array, name) for name, array in arrays.items()]
        + [numpy_helper.from_array(np.array(size, np.int64), name) for name, size in sizes.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)], ir_version=10
    )


@pytest.fixture(scope="module")
def convolutions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stem") / "encoder.onnx"
    onnx.save(shipped(), path)
    return path


def both(path: Path, audio: Numbers, *, signed: bool) -> tuple[Numbers, Numbers]:
    """Frames by the convolutions and by the stem, (frames, width) each."""
    build = Builder("stem", signed=signed)
    build.input("audio", FLOAT, [1, "samples"])
    hidden = stem(build, Source(path))
    build.output(hidden, FLOAT, [1, "frames", WIDTH])
    expected = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"audio": audio[None]})[0]
    return np.asarray(expected)[0], run(build, {"audio": audio[None]}, hidden)[0]


def noise(samples: int, loudness: float) -> Numbers:
    return np.random.default_rng(1).normal(0, loudness, samples).astype(np.float32)


def distance(heard: Numbers, expected: Numbers) -> float:
    return float(np.linalg.norm(heard - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("signed", SIGNED)
@pytest.mark.parametrize("loudness", [1e-4, 1e-2, 0.3])
def test_frames_are_those_of_the_convolutions_up_to_rounding(convolutions: Path, signed: bool, loudness: float) -> None:
    expected, heard = both(convolutions, noise(32_000, loudness), signed=signed)
    assert distance(heard, expected) < 0.02


@pytest.mark.parametrize("samples", [895, 896, 1000, 1023, 1024, 1087, 1088, 1215, 1279, 2304, 4001])
def test_there_are_as_many_frames_whatever_the_length(convolutions: Path, samples: int) -> None:
    expected, heard = both(convolutions, noise(samples, 0.1), signed=False)
    assert heard.shape == expected.shape
    assert distance(heard, expected) < 0.03


def test_a_click_leaves_what_is_quiet_as_it_was(convolutions: Path) -> None:
    """One scale for all, as later layers have, would round the quiet part to nothing."""
    audio = noise(32_000, 3e-3)
    audio[16_000:16_040] = 1.0
    expected, heard = both(convolutions, audio, signed=False)
    assert distance(heard[:35], expected[:35]) < 0.02
    assert distance(heard[-30:], expected[-30:]) < 0.02


def test_silence_makes_numbers(convolutions: Path) -> None:
    expected, heard = both(convolutions, np.zeros(4000, np.float32), signed=False)
    assert heard == pytest.approx(expected, abs=1e-3)
