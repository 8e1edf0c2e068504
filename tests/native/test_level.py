"""The level kernel and its twin."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gateway._native import level, level_py

SAMPLES = hnp.arrays(np.int16, st.integers(0, 600))
FRAMES = hnp.arrays(np.int16, st.tuples(st.integers(0, 6), st.integers(0, 300)))


@pytest.fixture(params=[level, level_py], ids=["chosen", "twin"])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def square(amplitude: int, samples: int = 256, offset: int = 0) -> NDArray[np.int16]:
    return np.where(np.arange(samples) % 2 == 0, amplitude, -amplitude).astype(np.int16) + np.int16(offset)


@given(SAMPLES)
def test_twins_agree_on_a_frame(pcm: NDArray[np.int16]) -> None:
    assert level.frame_level_db(pcm) == pytest.approx(level_py.frame_level_db(pcm), abs=1e-9)


@given(FRAMES)
def test_twins_agree_on_frames(frames: NDArray[np.int16]) -> None:
    compiled, twin = level.frame_levels_db(frames), level_py.frame_levels_db(frames)
    assert compiled.dtype == twin.dtype == np.float32
    assert compiled.shape == twin.shape == (len(frames),)
    np.testing.assert_allclose(compiled, twin, atol=1e-5)


@given(FRAMES)
def test_many_are_as_one_by_one(frames: NDArray[np.int16]) -> None:
    one_by_one = [level.frame_level_db(frame) for frame in frames]
    np.testing.assert_array_equal(level.frame_levels_db(frames), np.array(one_by_one, np.float32))


@given(SAMPLES)
def test_is_on_the_scale(pcm: NDArray[np.int16]) -> None:
    assert -96.0 <= level_py.frame_level_db(pcm) <= 1e-9


def test_full_scale_square_is_zero(kernel: ModuleType) -> None:
    assert kernel.frame_level_db(square(32767)) == pytest.approx(0.0, abs=0.001)


def test_half_the_amplitude_is_six_decibels_less(kernel: ModuleType) -> None:
    loud, quiet = kernel.frame_level_db(square(16000)), kernel.frame_level_db(square(8000))
    assert loud - quiet == pytest.approx(20 * math.log10(2))


def test_sine_is_three_decibels_below_its_peak(kernel: ModuleType) -> None:
    sine = np.round(32767 * np.sin(2 * np.pi * np.arange(256) / 32)).astype(np.int16)
    assert kernel.frame_level_db(sine) == pytest.approx(-3.01, abs=0.01)


def test_direct_current_is_silence(kernel: ModuleType) -> None:
    assert kernel.frame_level_db(np.full(256, -12345, np.int16)) == -96.0
    assert kernel.frame_level_db(square(1000, offset=20000)) == pytest.approx(kernel.frame_level_db(square(1000)))


@pytest.mark.parametrize("samples", [0, 1, 256])
def test_silence_is_the_floor(kernel: ModuleType, samples: int) -> None:
    assert kernel.frame_level_db(np.zeros(samples, np.int16)) == -96.0
    assert kernel.frame_levels_db(np.zeros((3, samples), np.int16)).tolist() == [-96.0] * 3


def test_read_only_samples_are_read(kernel: ModuleType) -> None:
    pcm = np.frombuffer(square(5).tobytes(), np.int16)
    assert kernel.frame_level_db(pcm) == kernel.frame_level_db(square(5))


@pytest.mark.parametrize(
    "wrong",
    [np.zeros(4, np.float32), np.zeros((2, 2), np.int16), np.zeros(8, np.int16)[::2], np.zeros(4, np.uint8)],
    ids=["float", "two dimensions", "strided", "bytes"],
)
def test_other_arrays_are_refused(kernel: ModuleType, wrong: NDArray[np.int16]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        kernel.frame_level_db(wrong)


def test_none_is_refused(kernel: ModuleType) -> None:
    with pytest.raises(TypeError):
        kernel.frame_level_db(None)
    with pytest.raises(TypeError):
        kernel.frame_levels_db(None)
    with pytest.raises(ValueError, match=r".+"):
        kernel.frame_levels_db(np.zeros(256, np.int16))


LEVELS = st.lists(st.one_of(st.floats(-96, 0, width=32), st.sampled_from([-70.0, -20.0, math.nan])), max_size=60)


@given(st.floats(-96, 0), st.integers(0, 8), LEVELS, st.lists(st.integers(0, 60), max_size=4))
def test_twin_gates_agree_for_any_chunking(gate_db: float, hold: int, levels: list[float], cuts: list[int]) -> None:
    values = np.array(levels, np.float32)
    whole = level_py.LevelGate(gate_db, hold).admit(values)
    pieces = np.split(values, sorted(min(cut, len(values)) for cut in cuts))
    gate = level.LevelGate(gate_db, hold)
    admitted = np.concatenate([gate.admit(piece) for piece in pieces])
    assert admitted.dtype == whole.dtype == np.bool_
    assert admitted.tolist() == whole.tolist()


@given(hnp.arrays(np.int16, st.tuples(st.integers(0, 6), st.integers(0, 60))), st.integers(0, 3))
def test_a_look_is_level_and_gate_in_one(frames: NDArray[np.int16], hold: int) -> None:
    together = [kernel.LevelGate(-20.0, hold).look(frames) for kernel in (level, level_py)]
    levels = level.frame_levels_db(frames)
    asked = level.LevelGate(-20.0, hold).admit(levels)
    for seen, admitted in together:
        assert seen == pytest.approx(levels.tolist(), abs=1e-4)
        assert admitted == asked.tolist()
        assert all(type(value) is bool for value in admitted)


def test_the_gate_closes_after_the_hold(kernel: ModuleType) -> None:
    gate = kernel.LevelGate(-60.0, 3)
    levels = np.array([-20, -70, -70, -70, -70, -70, -60, -70], np.float32)
    assert gate.admit(levels).tolist() == [True, True, True, True, False, False, True, True]
    gate.admit(np.full(10, -70, np.float32))
    gate.reset()
    assert gate.admit(np.full(4, -70, np.float32)).tolist() == [True, True, True, False]


def test_the_gate_refuses_what_it_cannot_read(kernel: ModuleType) -> None:
    with pytest.raises(ValueError, match="hold_frames"):
        kernel.LevelGate(-60.0, -1)
    gate = kernel.LevelGate(-60.0, 1)
    with pytest.raises(ValueError, match=r".+"):
        gate.admit(np.zeros(4))
    with pytest.raises(TypeError):
        gate.admit(None)
    with pytest.raises(ValueError, match=r".+"):
        gate.look(np.zeros(256, np.int16))
    with pytest.raises(TypeError):
        gate.look(None)
