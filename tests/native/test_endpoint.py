"""The endpoint kernel and its twin: the rules one by one, then any sequence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._native import endpoint, endpoint_py
from gateway._native.endpoint_py import CUT, ENDED, RESUMED, STARTED, TENTATIVE

SPEECH = (0.9, -20.0)
MURMUR = (0.35, -50.0)  # between release and threshold, too quiet for a consonant
CONSONANT = (0.05, -35.0)  # loud, but no speech to the model
SILENCE = (0.02, -70.0)

DEFAULTS: dict[str, Any] = {
    "threshold": 0.5,
    "release": 0.3,
    "min_speech_frames": 3,
    "pause_frames": 4,
    "silence_frames": 12,
    "pre_roll_frames": 5,
    "post_roll_frames": 4,
    "max_frames": 100,
}
Frames = Sequence[tuple[float, float]]


@pytest.fixture(params=[endpoint, endpoint_py], ids=["chosen", "twin"])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def machine(kernel: ModuleType, **changes: float) -> Any:
    return kernel.Endpointer(**(DEFAULTS | changes))


def push(machine: Any, frames: Frames) -> list[tuple[int, int]]:
    """Frames that had events, with them."""
    events = []
    for probability, level_db in frames:
        mask = machine.push(probability, level_db)
        if mask:
            events.append((machine.frame - 1, mask))
    return events


def test_an_utterance_from_onset_to_end(kernel: ModuleType) -> None:
    m = machine(kernel)
    assert push(m, [SILENCE] * 20 + [SPEECH] * 10) == [(22, STARTED)]
    assert (m.start_frame, m.speech_start_frame, m.open, m.in_speech) == (15, 20, True, True)
    assert push(m, [SILENCE] * 12) == [(33, TENTATIVE), (41, ENDED)]
    assert (m.start_frame, m.speech_start_frame, m.speech_end_frame, m.end_frame) == (15, 20, 30, 34)
    assert (m.open, m.in_speech, m.frame) == (False, False, 42)


def test_the_onset_counts_back_over_weak_frames(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [SILENCE] * 20 + [MURMUR] * 4 + [SPEECH] * 3)
    assert (m.start_frame, m.speech_start_frame) == (15, 20)


def test_a_long_murmur_is_no_onset(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [MURMUR] * 50 + [SPEECH] * 3)
    assert m.speech_start_frame == 50 - 8


def test_the_onset_takes_in_a_loud_consonant(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [SILENCE] * 20 + [CONSONANT] * 4 + [SPEECH] * 3)
    assert (m.start_frame, m.speech_start_frame) == (15, 20)


def test_noise_is_no_consonant(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [(0.05, -35.0)] * 50 + [SPEECH] * 3)
    assert m.speech_start_frame == 50


def test_the_onset_takes_in_six_frames_at_the_most(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [SILENCE] * 200 + [CONSONANT] * 12 + [SPEECH] * 3)
    assert m.speech_start_frame == 212 - 6


def test_a_tail_at_the_noise_floor_is_not_speech(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [SILENCE] * 20 + [SPEECH] * 10 + [(0.9, -68.0)] * 4 + [SILENCE] * 12)
    assert (m.speech_end_frame, m.end_frame) == (30, 38)


def test_the_floor_rises_with_the_noise(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [SILENCE] * 20 + [(0.02, -40.0)] * 100 + [SPEECH] * 10 + [(0.9, -38.0)] * 4 + [(0.02, -40.0)] * 12)
    assert (m.speech_start_frame, m.speech_end_frame) == (120, 130)


def test_a_murmur_alone_opens_nothing(kernel: ModuleType) -> None:
    assert push(machine(kernel), [MURMUR] * 500) == []


def test_hysteresis_keeps_weak_speech(kernel: ModuleType) -> None:
    m = machine(kernel)
    assert push(m, [SPEECH] * 3 + [MURMUR] * 40) == [(2, STARTED)]
    push(m, [SILENCE] * 12)
    assert m.speech_end_frame == 43


@pytest.mark.parametrize("burst", [1, 2])
def test_short_bursts_open_nothing(kernel: ModuleType, burst: int) -> None:
    m = machine(kernel)
    assert push(m, ([SPEECH] * burst + [SILENCE] * 6) * 20) == []
    assert m.flush() == 0


def test_a_closure_does_not_break_an_onset(kernel: ModuleType) -> None:
    m = machine(kernel)
    assert push(m, [SILENCE] * 10 + [SPEECH] * 2 + [SILENCE] * 2 + [SPEECH]) == [(14, STARTED)]
    assert m.speech_start_frame == 10


def test_a_pause_that_does_not_hold(kernel: ModuleType) -> None:
    m = machine(kernel)
    events = push(m, [SPEECH] * 10 + [SILENCE] * 6 + [SPEECH] * 2 + [SILENCE] * 12)
    assert events == [(2, STARTED), (13, TENTATIVE), (17, RESUMED), (21, TENTATIVE), (29, ENDED)]
    assert m.speech_end_frame == 18


def test_a_short_pause_is_no_event(kernel: ModuleType) -> None:
    assert push(machine(kernel), [SPEECH] * 10 + [SILENCE] * 3 + [SPEECH] * 10) == [(2, STARTED)]


def test_a_click_does_not_put_the_end_off(kernel: ModuleType) -> None:
    m = machine(kernel)
    events = push(m, [SPEECH] * 10 + [SILENCE] * 6 + [SPEECH] + [SILENCE] * 5)
    assert events == [(2, STARTED), (13, TENTATIVE), (21, ENDED)]
    assert m.speech_end_frame == 10


def test_speech_in_the_last_frame_of_the_silence_holds_the_end_off(kernel: ModuleType) -> None:
    m = machine(kernel)
    assert push(m, [SPEECH] * 10 + [SILENCE] * 11 + [SPEECH] * 2) == [(2, STARTED), (13, TENTATIVE), (22, RESUMED)]
    push(m, [SILENCE] * 12)
    assert m.speech_end_frame == 23


def test_pre_roll_stops_at_the_last_end(kernel: ModuleType) -> None:
    m = machine(kernel, post_roll_frames=11, pre_roll_frames=30)
    push(m, [SPEECH] * 5 + [SILENCE] * 12)
    assert m.end_frame == 16
    assert push(m, [SPEECH] * 3) == [(19, STARTED)]
    assert m.start_frame == 16


def test_post_roll_stops_at_the_newest_frame(kernel: ModuleType) -> None:
    m = machine(kernel, post_roll_frames=50)
    push(m, [SPEECH] * 5 + [SILENCE] * 12)
    assert m.end_frame == 17


def test_pre_roll_stops_at_the_reset(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [SPEECH] * 20)
    m.reset(1000)
    assert (m.open, m.frame, m.in_speech, m.silence_run) == (False, 1000, False, 0)
    push(m, [SILENCE, *[SPEECH] * 3])
    assert (m.start_frame, m.speech_start_frame) == (1000, 1001)


def test_flush_ends_what_is_open(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [SPEECH] * 10 + [SILENCE] * 2)
    assert m.flush() == ENDED
    assert (m.start_frame, m.speech_end_frame, m.end_frame, m.open) == (0, 10, 12, False)
    assert m.flush() == 0


def test_flush_takes_the_last_frame_for_speech(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [SPEECH] * 10 + [SILENCE] * 6 + [SPEECH])
    assert m.flush() == ENDED
    assert m.speech_end_frame == 17


def test_silence_that_is_not_sent(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [SPEECH] * 10)
    assert push(m, [(0.0, -96.0)] * 12)[-1] == (21, ENDED)


def test_a_monologue_is_cut_at_its_pause(kernel: ModuleType) -> None:
    m = machine(kernel)
    frames = [SPEECH] * 75 + [SILENCE] * 6 + [SPEECH] * 60
    assert push(m, frames[:100]) == [(2, STARTED), (78, TENTATIVE), (82, RESUMED), (99, CUT)]
    assert (m.start_frame, m.speech_start_frame, m.speech_end_frame) == (0, 0, 75)
    assert 77 <= m.cut_frame == m.end_frame <= 78
    cut = m.cut_frame
    assert push(m, frames[100:]) == []
    assert (m.open, m.start_frame, m.speech_start_frame) == (True, cut, 81)


def test_without_a_pause_the_level_decides(kernel: ModuleType) -> None:
    m = machine(kernel)
    frames = [(0.9, -20.0 if frame != 70 else -30.0) for frame in range(100)]
    assert push(m, frames)[-1] == (99, CUT)
    assert m.cut_frame == 70


def test_a_quiet_place_early_in_the_utterance_is_too_early(kernel: ModuleType) -> None:
    m = machine(kernel)
    assert push(m, [SPEECH] * 40 + [SILENCE] * 8 + [SPEECH] * 52)[-1] == (99, CUT)
    assert m.cut_frame >= 60


def test_a_cut_in_the_last_pause_is_an_end(kernel: ModuleType) -> None:
    m = machine(kernel)
    assert push(m, [SPEECH] * 94 + [SILENCE] * 6) == [(2, STARTED), (97, TENTATIVE), (99, ENDED)]
    assert (m.speech_end_frame, m.end_frame, m.open) == (94, 98, False)
    push(m, [SPEECH] * 3)
    assert (m.start_frame, m.speech_start_frame) == (98, 100)


def test_the_silence_may_change_while_it_runs(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [SPEECH] * 10 + [SILENCE] * 5)
    m.silence_frames = 6
    assert push(m, [SILENCE]) == [(15, ENDED)]
    m.silence_frames = 40
    assert push(m, [SPEECH] * 10 + [SILENCE] * 39) == [(18, STARTED), (29, TENTATIVE)]
    with pytest.raises(ValueError, match="silence_frames"):
        m.silence_frames = 0


def test_the_tail_is_what_the_ear_no_longer_hears(kernel: ModuleType) -> None:
    m = machine(kernel)
    murmur = (0.9, -52.0)  # speech to the model, 32 dB below the voice
    assert push(m, [SILENCE] * 30 + [SPEECH] * 10 + [murmur] * 3) == [(32, STARTED)]
    assert m.tail_frames == 3
    push(m, [SILENCE] * 5)
    assert m.tail_frames == 3
    push(m, [SPEECH] * 2)
    assert m.tail_frames == 0
    push(m, [murmur] * 20)
    assert m.tail_frames == 8
    push(m, [SILENCE] * 12)
    assert (m.open, m.tail_frames) == (False, 0)


def test_speech_stands_out_of_the_noise(kernel: ModuleType) -> None:
    m = machine(kernel)
    push(m, [(0.02, -60.0)] * 30)
    assert m.prominence_db == 0.0
    push(m, [SPEECH] * 10)
    assert m.prominence_db == pytest.approx(SPEECH[1] + 60.0)


def test_a_voice_is_forgotten_in_a_long_silence(kernel: ModuleType) -> None:
    m = machine(kernel, min_speech_frames=1, silence_frames=30, max_frames=40)
    push(m, [SILENCE] * 30 + [SPEECH] + [SILENCE] * 20)
    assert m.open
    assert (m.prominence_db, m.tail_frames) == (pytest.approx(0.0, abs=0.1), 0)


def test_what_is_no_number_is_silence(kernel: ModuleType) -> None:
    m = machine(kernel)
    assert push(m, [(math.nan, math.nan)] * 20) == []
    assert push(m, [(math.inf, math.inf)] * 3) == [(22, STARTED)]
    assert push(m, [(-math.inf, -math.inf)] * 12)[-1] == (34, ENDED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.2},
        {"threshold": 1.5},
        {"release": 0.0},
        {"release": math.nan},
        {"min_speech_frames": 0},
        {"min_speech_frames": 1001},
        {"pause_frames": 0},
        {"silence_frames": 0},
        {"pre_roll_frames": -1},
        {"post_roll_frames": -1},
        {"max_frames": 1},
        {"max_frames": 1_000_001},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(kernel: ModuleType, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"is needed|must be"):
        machine(kernel, **wrong)
    with pytest.raises(ValueError, match="negative"):
        machine(kernel).reset(-1)


# Any sequence.

SETTINGS = st.fixed_dictionaries(
    {
        "threshold": st.sampled_from([0.3, 0.5, 1.0]),
        "release": st.sampled_from([0.1, 0.3]),
        "min_speech_frames": st.integers(1, 5),
        "pause_frames": st.integers(1, 8),
        "silence_frames": st.integers(1, 20),
        "pre_roll_frames": st.integers(0, 12),
        "post_roll_frames": st.integers(0, 25),
        "max_frames": st.integers(2, 60),
    }
)
# Runs of like frames reach the rules about pauses; single ones do not.
RUNS = st.lists(
    st.tuples(
        st.integers(1, 40),
        st.one_of(st.sampled_from([0.9, 0.02, 0.2, 0.4]), st.floats(width=32)),
        st.one_of(st.floats(-96, 0, width=32), st.just(-60.0)),
    ),
    max_size=40,
)
STEPS = st.lists(st.one_of(RUNS, st.just("flush"), st.integers(0, 5000)), max_size=4)
TOLD = ("frame", "open", "in_speech", "silence_run", "silence_frames", "tail_frames", "prominence_db", "keep_frame")
FRAMES_TOLD = ("start_frame", "end_frame", "cut_frame", "speech_start_frame", "speech_end_frame")


def frames_of(runs: list[tuple[int, float, float]]) -> Iterator[tuple[float, float]]:
    for count, probability, level_db in runs:
        yield from [(probability, level_db)] * count


@given(SETTINGS, STEPS)
def test_twins_agree(settings: dict[str, float], steps: list[Any]) -> None:
    pair = [module.Endpointer(**settings) for module in (endpoint, endpoint_py)]

    def same() -> None:
        told = [[getattr(m, name) for name in TOLD + FRAMES_TOLD] for m in pair]
        assert told[0] == told[1]

    for step in steps:
        if step == "flush":
            assert pair[0].flush() == pair[1].flush()
        elif isinstance(step, int):
            for m in pair:
                m.reset(step)
        else:
            for frame in frames_of(step):
                assert pair[0].push(*frame) == pair[1].push(*frame)
                same()
        same()


@dataclass
class Watch:
    """Follows one machine and holds every utterance against the contract."""

    machine: Any
    settings: dict[str, float]
    last_end: int = 0
    last_keep: int = 0
    open_start: int | None = None
    tentative: bool = False

    def push(self, frame: tuple[float, float]) -> None:
        keep = self.machine.keep_frame
        assert self.last_keep <= keep <= self.machine.frame
        self.last_keep = keep
        events = self.machine.push(*frame)
        assert 0 <= events < 32
        if events & STARTED:
            assert self.open_start is None
            assert self.last_end <= keep <= self.machine.start_frame <= self.machine.speech_start_frame
            assert self.machine.speech_start_frame < self.machine.frame
            self.open_start = self.machine.start_frame
        if events & TENTATIVE:
            assert not self.tentative
            self.tentative = True
        if events & RESUMED:
            assert self.tentative
            self.tentative = False
        if events & (CUT | ENDED):
            assert events & (CUT | ENDED) != CUT | ENDED
            self.complete(events)
        assert self.machine.open == (self.open_start is not None)
        if self.open_start is not None:
            assert self.machine.keep_frame == self.open_start
            assert self.machine.frame - self.open_start < self.settings["max_frames"]

    def complete(self, events: int) -> None:
        m = self.machine
        assert self.open_start is not None
        assert m.start_frame == self.open_start
        assert m.start_frame <= m.speech_start_frame < m.speech_end_frame <= m.end_frame <= m.frame
        assert m.end_frame - m.start_frame <= self.settings["max_frames"]
        self.tentative = False
        self.last_end = m.end_frame
        self.open_start = m.cut_frame if events & CUT else None
        if events & CUT:
            assert m.end_frame == m.cut_frame < m.frame


@given(SETTINGS, RUNS)
def test_utterances_are_well_formed(settings: dict[str, float], runs: list[tuple[int, float, float]]) -> None:
    watch = Watch(endpoint.Endpointer(**settings), settings)  # type: ignore[arg-type]  # mixed ints and floats
    for frame in frames_of(runs):
        watch.push(frame)
    assert watch.machine.flush() == (ENDED if watch.open_start is not None else 0)
    if watch.open_start is not None:
        watch.complete(ENDED)


# From here on an utterance can hold its pre-roll and all that comes before it is confirmed.
ROOMY = st.builds(lambda settings, most: settings | {"max_frames": most}, SETTINGS, st.integers(80, 120))


@given(ROOMY, RUNS)
def test_all_speech_that_is_long_enough_is_in_an_utterance(
    settings: dict[str, float], runs: list[tuple[int, float, float]]
) -> None:
    m = endpoint.Endpointer(**settings)  # type: ignore[arg-type]  # mixed ints and floats
    covered: set[int] = set()
    speech: list[list[int]] = [[]]
    for probability, level_db in frames_of(runs):
        if probability >= settings["threshold"]:
            speech[-1].append(m.frame)
        elif speech[-1]:
            speech.append([])
        events = m.push(probability, level_db)
        if events & (CUT | ENDED):
            covered.update(range(m.start_frame, m.end_frame))
    if m.flush():
        covered.update(range(m.start_frame, m.end_frame))
    for run in speech:
        if len(run) >= max(2, settings["min_speech_frames"]):
            assert covered.issuperset(run)
