"""μ-law, both twins."""

from __future__ import annotations

import warnings
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gateway._native import mulaw, mulaw_py

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    audioop = pytest.importorskip("audioop", reason="the oracle left the standard library in Python 3.13")

CODES = bytes(range(256))
SAMPLES = np.arange(-32768, 32768).astype(np.int16)


@pytest.fixture(params=[mulaw, mulaw_py], ids=["chosen", "twin"])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def test_decodes_every_code_like_the_standard_library(kernel: ModuleType) -> None:
    pcm = kernel.decode(CODES)
    assert pcm.dtype == np.int16
    assert pcm.tobytes() == audioop.ulaw2lin(CODES, 2)


def test_encodes_every_sample_like_the_standard_library(kernel: ModuleType) -> None:
    assert kernel.encode(SAMPLES) == audioop.lin2ulaw(SAMPLES.tobytes(), 2)


def test_known_codes(kernel: ModuleType) -> None:
    assert kernel.decode(b"\xff\x7f\x00\x80\xfe\x7e").tolist() == [0, 0, -32124, 32124, 8, -8]


def test_survives_a_round_trip_but_for_the_second_zero(kernel: ModuleType) -> None:
    assert kernel.encode(kernel.decode(CODES)) == CODES.replace(b"\x7f", b"\xff")


@given(st.binary(max_size=700))
def test_twins_decode_alike(data: bytes) -> None:
    np.testing.assert_array_equal(mulaw.decode(data), mulaw_py.decode(data))


@given(hnp.arrays(np.int16, st.integers(0, 700)))
def test_twins_encode_alike(pcm: NDArray[np.int16]) -> None:
    assert mulaw.encode(pcm) == mulaw_py.encode(pcm)


def test_encodes_strided_samples(kernel: ModuleType) -> None:
    assert kernel.encode(SAMPLES[::3]) == kernel.encode(SAMPLES[::3].copy())


@pytest.mark.parametrize("data", [None, "text", bytearray(3), 7])
def test_refuses_to_decode_anything_but_bytes(kernel: ModuleType, data: object) -> None:
    with pytest.raises(TypeError):
        kernel.decode(data)


@pytest.mark.parametrize(
    "pcm", [None, [1, 2], np.zeros(3, np.float32), np.zeros(3, np.int32), np.zeros((2, 2), np.int16)]
)
def test_refuses_to_encode_anything_but_one_row_of_int16(kernel: ModuleType, pcm: object) -> None:
    with pytest.raises(TypeError):
        kernel.encode(pcm)
