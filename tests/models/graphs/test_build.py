"""Products of a built graph, run by ONNX Runtime, against what numpy makes of the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from models.graphs.build import FLOAT, UINT8, Builder
from models.graphs.source import Linear
from models.prepare import signed_products_are_exact

SIGNED = [False, pytest.param(True, marks=pytest.mark.skipif(not signed_products_are_exact(), reason="saturates"))]


def linear(seed: int, inputs: int = 24, outputs: int = 16, *, bias: bool = False) -> Linear:
    random = np.random.default_rng(seed)
    return Linear(
        random.integers(0, 256, (inputs, outputs), np.uint8),
        np.full(outputs, random.uniform(0.001, 0.01), np.float32),
        np.full(outputs, random.integers(100, 150), np.uint8),
        random.normal(size=outputs).astype(np.float32) if bias else None,
    )


def product(what: NDArray[np.float32], by: Linear) -> NDArray[np.float64]:
    weight = (by.weight.astype(np.float64) - by.zero) * by.scale
    return np.asarray(what @ weight + (0.0 if by.bias is None else by.bias))


def numbers(rows: int = 3, columns: int = 24) -> NDArray[np.float32]:
    return np.random.default_rng(7).normal(size=(rows, columns)).astype(np.float32)


def run(build: Builder, feeds: dict[str, NDArray[Any]], fetch: str) -> NDArray[Any]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(build.model().SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([fetch], feeds)[0])


def one(by: Linear, what: NDArray[np.float32], *, signed: bool) -> NDArray[Any]:
    build = Builder("one", signed=signed)
    build.input("x", FLOAT, ["rows", by.weight.shape[0]])
    build.linear("x", by, to=build.output("y", FLOAT, ["rows", by.weight.shape[1]]))
    return run(build, {"x": what}, "y")


@pytest.mark.parametrize("signed", SIGNED)
@pytest.mark.parametrize("bias", [False, True])
def test_a_product_is_right_up_to_the_rounding_of_its_input(signed: bool, bias: bool) -> None:
    by = linear(0, bias=bias)
    # 8 bits of the input: half a step of 6/255 in each of 24 products with weights below 1.3.
    assert one(by, numbers(), signed=signed) == pytest.approx(product(numbers(), by), abs=0.2)


@pytest.mark.parametrize("signed", SIGNED)
def test_products_side_by_side_are_the_products_alone(signed: bool) -> None:
    parts = [linear(seed) for seed in range(3)]
    together = one(Linear.beside(parts), numbers(), signed=signed)
    assert np.array_equal(together, np.concatenate([one(part, numbers(), signed=signed) for part in parts], axis=1))


@pytest.mark.parametrize("signed", SIGNED)
def test_products_of_one_quantised_input_are_the_products_alone(signed: bool) -> None:
    parts = [linear(seed) for seed in range(2)]
    build = Builder("several", signed=signed)
    build.input("x", FLOAT, ["rows", 24])
    first, second = build.linears("x", parts)
    build.one("Concat", first, second, axis=1, to=build.output("y", FLOAT, ["rows", 32]))
    together = run(build, {"x": numbers()}, "y")
    assert together == pytest.approx(
        np.concatenate([one(part, numbers(), signed=signed) for part in parts], axis=1), rel=1e-6, abs=1e-6
    )


@pytest.mark.skipif(not signed_products_are_exact(), reason="signed products saturate here")
def test_signed_and_unsigned_weights_make_the_same_numbers() -> None:
    by = Linear.beside([linear(1), linear(2)])
    assert np.array_equal(one(by, numbers(), signed=True), one(by, numbers(), signed=False))


def test_wider_heads_add_zeros_and_change_nothing_else() -> None:
    by = Linear.beside([linear(1)])
    wide = by.wider_outputs(heads=4, to=6)
    narrow, widened = one(by, numbers(), signed=False), one(wide, numbers(), signed=False).reshape(3, 4, 6)
    assert np.array_equal(widened[:, :, :4].reshape(3, 16), narrow)
    assert not widened[:, :, 4:].any()
    assert by.wider_outputs(heads=4, to=4) is by


def test_what_a_wider_head_says_counts_for_nothing() -> None:
    by = linear(3, bias=True)
    wide = by.wider_inputs(heads=4, to=8)
    what = numbers().reshape(3, 4, 6)
    widened = np.concatenate([what, np.zeros((3, 4, 2), np.float32)], axis=2).reshape(3, 32)
    assert np.array_equal(one(wide, widened, signed=False), one(by, numbers(), signed=False))


def test_a_factor_goes_into_the_scale() -> None:
    by = linear(4)
    assert one(by.times(0.5), numbers(), signed=False) == pytest.approx(one(by, numbers(), signed=False) / 2)


def test_a_sum_and_its_norm() -> None:
    build = Builder("norm", signed=False)
    build.input("x", FLOAT, ["rows", 24])
    gamma = np.linspace(0.5, 2, 24, dtype=np.float32)
    normed, both = build.add_norm("x", "x", gamma)
    build.one("Concat", normed, both, axis=1, to=build.output("y", FLOAT, ["rows", 48]))
    heard = run(build, {"x": numbers()}, "y")
    twice = 2 * numbers().astype(np.float64)
    expected = (twice - twice.mean(axis=1, keepdims=True)) / np.sqrt(twice.var(axis=1, keepdims=True) + 1e-5) * gamma
    assert heard == pytest.approx(np.concatenate([expected, twice], axis=1), abs=1e-5)


@pytest.mark.parametrize("signed", SIGNED)
def test_a_matrix_is_rounded_by_outputs(signed: bool) -> None:
    """A small output next to a large one keeps its bits; one of zeros stays zeros."""
    matrix = np.random.default_rng(5).normal(size=(24, 16)).astype(np.float32) * np.logspace(
        -4, 2, 16, dtype=np.float32
    )
    matrix[:, 7] = 0
    by = Linear.rounded(matrix)
    restored = (by.weight.astype(np.float64) - by.zero) * by.scale
    assert np.all(np.abs(restored - matrix) <= np.abs(matrix).max(axis=0) / 127 * 0.501)
    build = Builder("bytes", signed=signed)
    build.input("x", UINT8, ["rows", 24])
    build.output(build.product("x", by, 100), FLOAT, ["rows", 16])
    what = np.random.default_rng(6).integers(0, 256, (3, 24), np.uint8)
    (name,) = (entry.name for entry in build.model().graph.output)
    assert run(build, {"x": what}, name) == pytest.approx((what - 100.0) @ restored, rel=1e-4, abs=1e-2)
