"""The encoder's stem: three convolutions from audio to frames, the largest in 8 bits.

As shipped all are float, and the second alone is a third of the encoder's time (3.6 of 11 ms for 4 s of audio); as an
8-bit product it takes 1 ms. What it multiplies is not normalised row by row, as what later layers multiply is: a
click, or the louder of two speakers, would leave the rest of an utterance few of the 255 steps. So each window has a
step of its own. And inputs whose weights are small are made small before they are rounded, their weights large: what
counts has most of the steps. Each by itself leaves an error of 3 % in the product, both together 1 %, as every other
layer has; at the end of the encoder they are as far apart as two runs with noise 120 dB below the speech.

The third stays float: its sums cancel, and the same roundings leave 6 to 10 % there.

The group norm between the first two (one group: mean and variance of everything) is folded into the second.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from .build import EPSILON, Builder
from .source import Linear, Source

__all__ = ["stem"]

# What stands for 0 in 8 bits.
_MIDDLE = 128

# The least peak a window is scaled by, so that digital silence divides by something.
_SILENCE = 1e-6

_END = np.iinfo(np.int64).max


def stem(build: Builder, source: Source) -> str:
    """From ``audio`` (1, samples) to (1, frames, hidden), 384 samples a frame.

    Raises:
        ModelError: ``source`` is not an encoder of this family.
    """
    first = source.input("Tanh_output_0", 1)
    second, second_bias = (source.input("conv2/Conv_output_0", index) for index in (1, 2))
    third, third_bias = (source.input("conv3/Conv_output_0", index) for index in (1, 2))
    gain, offset = (source.input(f"groupnorm/{kind}_output_0", 1).reshape(1, -1, 1) for kind in ("Mul", "Add"))

    sound = build.one("Unsqueeze", "audio", _ints(build, 1))
    waves = build.one("Tanh", build.one("Conv", sound, build.weight(first), kernel_shape=[127], strides=[64]))
    waves = build.one("Transpose", waves, perm=[0, 2, 1])
    mean, deviation = _moments(build, waves)

    # second · (gain · (waves − mean) / deviation + offset), multiplied out.
    second, second_bias = second * gain, second_bias + (second * offset).sum(axis=(1, 2))
    shift = build.one("Mul", build.one("Div", mean, deviation), build.weight(second.sum(axis=(1, 2))))
    bias = build.one("Sub", build.weight(second_bias), shift)
    looked_at = np.maximum(np.sqrt(np.square(second).mean(axis=(0, 2))), _SILENCE)
    waves = build.one("Mul", waves, build.weight(looked_at))
    step = _steps(build, waves, 7, 3)
    rounded = _rounded(build, _windows(build, waves, 7, 3), step)
    products = build.product(rounded, Linear.rounded(_matrix(second / looked_at[:, None])), _MIDDLE)
    waves = build.fused("BiasGelu", build.one("Mul", products, build.one("Div", step, deviation)), bias)

    products = build.one("MatMul", _windows(build, waves, 3, 2), build.weight(_matrix(third)))
    return build.fused("BiasGelu", products, build.weight(third_bias))


def _ints(build: Builder, *numbers: int) -> str:
    return build.weight(np.array(numbers, np.int64))


def _float(build: Builder, number: float) -> str:
    return build.weight(np.array(number, np.float32))


def _moments(build: Builder, what: str) -> tuple[str, str]:
    """Mean and standard deviation of all numbers, one each."""
    mean, power = (build.one("ReduceMean", part, keepdims=0) for part in (what, build.one("Mul", what, what)))
    variance = build.one("Sub", power, build.one("Mul", mean, mean))
    return mean, build.one("Sqrt", build.one("Add", variance, _float(build, EPSILON)))


def _matrix(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weight of a convolution, (outputs, inputs, taps), as what windows are multiplied by."""
    return weight.transpose(2, 1, 0).reshape(-1, len(weight))


def _windows(build: Builder, what: str, taps: int, stride: int) -> str:
    """Of (1, positions, width): (1, windows, taps · width)."""
    axis, every = _ints(build, 1), _ints(build, stride)
    parts = []
    for tap in range(taps):
        # As many positions for each tap as there are windows.
        end = tap - taps + 1 if tap < taps - 1 else _END
        parts.append(build.one("Slice", what, _ints(build, tap), _ints(build, end), axis, every))
    return build.one("Concat", *parts, axis=2)


def _steps(build: Builder, what: str, taps: int, stride: int) -> str:
    """The step that each window of ``what`` is quantised with, (1, windows, 1): ±127 of them reach its peak."""
    peaks = build.one("ReduceMax", build.one("Abs", what), _ints(build, 2), keepdims=0)
    peaks = build.one("MaxPool", build.one("Unsqueeze", peaks, _ints(build, 1)), kernel_shape=[taps], strides=[stride])
    peaks = build.one("Max", build.one("Reshape", peaks, _ints(build, 1, -1, 1)), _float(build, _SILENCE))
    return build.one("Mul", peaks, _float(build, 1 / 127))


def _rounded(build: Builder, windows: str, step: str) -> str:
    """Windows as bytes, each in its own steps."""
    step = build.one("Reshape", step, _ints(build, -1))
    middle = onnx.numpy_helper.from_array(np.array([_MIDDLE], np.uint8))
    zeros = build.one("ConstantOfShape", build.one("Shape", step), value=middle)
    return build.one("QuantizeLinear", windows, step, zeros, axis=1)
