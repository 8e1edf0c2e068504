"""The media clock and PCM queue of a track, both twins."""

from __future__ import annotations

import gc
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._native import track, track_py
from gateway._native.mulaw_py import decode

NOW = 1_000_000
needs_compiled = pytest.mark.skipif(track is track_py, reason="about the compiled kernel's memory")


@pytest.fixture(params=[track, track_py], ids=["chosen", "twin"])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def audio(size: int, seed: int = 0) -> bytes:
    """μ-law bytes in which every place differs from its neighbours."""
    return (bytes(range(256)) * (size // 256 + 2))[seed % 256 : seed % 256 + size]


def opened(kernel: ModuleType, **options: Any) -> track_py.Track:
    made: track_py.Track = kernel.Track(**options)
    made.open_gate()
    return made


def drain(subject: track_py.Track) -> list[tuple[int, bytes]]:
    """All that can be read: (position, PCM bytes) of each segment."""
    segments = []
    while True:
        segments.append((subject.read_position, subject.read(subject.available()).tobytes()))
        if not subject.jump_pending:
            return segments
        subject.take_jump()


def pcm(*parts: bytes | int) -> bytes:
    """PCM of μ-law bytes and of runs of zeros."""
    return b"".join(bytes(2 * part) if isinstance(part, int) else decode(part).tobytes() for part in parts)


STATE = (
    "position",
    "newest_ms",
    "first_position",
    "anchor_ms",
    "last_media_ms",
    "gate_open",
    "messages",
    "received_samples",
    "filled_samples",
    "overlap_samples",
    "gated_samples",
    "dropped_samples",
    "reanchors",
    "read_position",
    "jump_pending",
    "jump_queued",
)


def state(subject: track_py.Track) -> dict[str, object]:
    return {name: getattr(subject, name) for name in STATE} | {
        "available": subject.available(),
        "checksum": subject.checksum_hex(),
    }


def test_is_empty_before_the_first_media(kernel: ModuleType) -> None:
    subject = kernel.Track()
    assert state(subject) == {
        **dict.fromkeys(STATE, 0),
        "first_position": None,
        "anchor_ms": None,
        "gate_open": False,
        "jump_pending": False,
        "jump_queued": False,
        "available": 0,
        "checksum": "0" * 32,
    }


def test_the_first_media_set_the_clock(kernel: ModuleType) -> None:
    subject = opened(kernel)
    subject.place(155, audio(160), NOW)
    assert (subject.first_position, subject.read_position, subject.position) == (1240, 1240, 1400)
    assert subject.newest_ms == 175
    assert subject.last_media_ms == NOW
    assert drain(subject) == [(1240, pcm(audio(160)))]


@pytest.mark.parametrize("late_ms", [-10, -2, 0, 2, 10])
def test_jitter_is_neither_gap_nor_overlap(kernel: ModuleType, late_ms: int) -> None:
    subject = opened(kernel)
    subject.place(100, audio(160), NOW)
    subject.place(120 + late_ms, audio(160, 9), NOW)
    assert drain(subject) == [(800, pcm(audio(160), audio(160, 9)))]
    assert (subject.filled_samples, subject.overlap_samples, subject.position) == (0, 0, 1120)


@pytest.mark.parametrize("gap_ms", [11, 20, 500, 2000])
def test_a_gap_is_filled_with_zeros(kernel: ModuleType, gap_ms: int) -> None:
    subject = opened(kernel)
    subject.place(100, audio(160), NOW)
    subject.place(120 + gap_ms, audio(160, 9), NOW)
    assert drain(subject) == [(800, pcm(audio(160), gap_ms * 8, audio(160, 9)))]
    assert subject.filled_samples == gap_ms * 8
    assert subject.received_samples == 320


def test_a_longer_gap_is_a_jump(kernel: ModuleType) -> None:
    subject: Any = opened(kernel)
    subject.place(100, audio(160), NOW)
    subject.place(2121, audio(80, 9), NOW)
    assert subject.available() == 160
    assert subject.jump_queued
    assert not subject.jump_pending
    with pytest.raises(ValueError, match="no jump is pending"):
        subject.take_jump()
    subject.read(160)
    assert subject.jump_pending
    assert subject.available() == 0
    assert subject.take_jump() == subject.read_position == 2121 * 8
    assert drain(subject) == [(2121 * 8, pcm(audio(80, 9)))]
    assert subject.filled_samples == 0


def test_an_overlap_is_appended_and_counted(kernel: ModuleType) -> None:
    subject = opened(kernel)
    subject.place(1000, audio(160), NOW)
    subject.place(1005, audio(160, 1), NOW)
    subject.place(500, audio(160, 2), NOW)
    assert drain(subject) == [(8000, pcm(audio(160), audio(160, 1), audio(160, 2)))]
    assert subject.overlap_samples == 120 + 160
    assert subject.reanchors == 0


@pytest.mark.parametrize(("back_ms", "reanchors"), [(1000, 0), (1001, 1)])
def test_reanchors_beyond_a_second_only(kernel: ModuleType, back_ms: int, reanchors: int) -> None:
    subject = opened(kernel)
    subject.place(5000, audio(160), NOW)
    subject.place(5020 - back_ms, audio(80), NOW)
    assert (subject.reanchors, subject.overlap_samples) == (reanchors, 0 if reanchors else 80)


def test_a_jump_back_reanchors(kernel: ModuleType) -> None:
    subject = opened(kernel)
    subject.place(5000, audio(160), NOW)
    subject.place(4000, audio(160, 1), NOW + 20)
    assert (subject.reanchors, subject.position) == (1, 40320)
    subject.place(4020, audio(160, 2), NOW + 40)
    subject.place(4140, audio(160, 3), NOW + 160)
    assert drain(subject) == [(40000, pcm(audio(160), audio(160, 1), audio(160, 2), 800, audio(160, 3)))]
    assert subject.anchor_ms == NOW - 5000


def test_media_without_timestamps_are_timed_by_their_length(kernel: ModuleType) -> None:
    subject = opened(kernel)
    for i in range(3):
        subject.place(-1, audio(320, i), NOW + 45 * i)
    assert drain(subject) == [(0, pcm(audio(320, 0), audio(320, 1), audio(320, 2)))]
    assert (subject.first_position, subject.position, subject.anchor_ms) == (0, 960, NOW)


@pytest.mark.parametrize("timestamp", [-2, 10**15, 10**30])
def test_an_absurd_timestamp_is_as_good_as_none(kernel: ModuleType, timestamp: int) -> None:
    subject = opened(kernel)
    subject.place(100, audio(160), NOW)
    subject.place(timestamp, audio(160), NOW)
    assert subject.position == 1120


@pytest.mark.parametrize("gated", [False, True])
def test_one_poisoned_timestamp_leaves_no_trace(kernel: ModuleType, gated: bool) -> None:
    subject = kernel.Track() if gated else opened(kernel)
    for i in range(10):
        subject.place(10**15 - 1 if i == 3 else 100 + 20 * i, audio(160), NOW + 20 * i)
    assert (subject.newest_ms, subject.reanchors, subject.anchor_ms) == (300, 0, NOW - 100)
    assert not subject.jump_queued


def test_a_track_may_run_a_day_ahead_and_no_further(kernel: ModuleType) -> None:
    assert kernel.MAX_AHEAD == 24 * 3600 * 8000
    for beyond, at in ((0, 86_400_120), (1, 120)):
        subject = opened(kernel)
        subject.place(100, audio(160), NOW)
        subject.place(86_400_120 + beyond, audio(160), NOW)
        assert subject.newest_ms == at + 20


def test_a_first_timestamp_may_be_any(kernel: ModuleType) -> None:
    # Some peers count from 1970.
    subject = opened(kernel)
    for i in range(3):
        subject.place(1_790_000_000_000 + 20 * i, audio(160), NOW + 20 * i)
    assert subject.newest_ms == 1_790_000_000_060


def test_timestamps_that_swing_wildly_stay_in_range(kernel: ModuleType) -> None:
    subject = opened(kernel)
    for i in range(400):
        subject.place(86_400_000 * (i % 2) or i, audio(1), NOW)
    assert subject.reanchors == 199
    assert subject.position <= 400 * track.MAX_AHEAD
    assert len(drain(subject)) <= track.MAX_JUMPS + 1


def test_the_anchor_is_the_least_of_the_first_second(kernel: ModuleType) -> None:
    subject = kernel.Track()
    for timestamp, late in ((100, 30), (120, 5), (140, 9)):
        subject.place(timestamp, audio(160), NOW + timestamp + late)
    assert subject.anchor_ms == NOW + 5


@pytest.mark.parametrize(("timestamp", "late"), [(1099, 0), (1100, 30)])
def test_the_anchor_is_frozen_after_a_second(kernel: ModuleType, timestamp: int, late: int) -> None:
    subject = kernel.Track()
    subject.place(100, audio(160), NOW + 100 + 30)
    subject.place(timestamp, audio(160), NOW + timestamp)
    assert subject.anchor_ms == NOW + late
    # Overlapping media do not thaw it.
    subject.place(1110, audio(160), NOW + 1110)
    subject.place(1090, audio(160), NOW)
    assert subject.anchor_ms == NOW + late


def test_a_closed_gate_moves_only_clock_and_counters(kernel: ModuleType) -> None:
    subject = kernel.Track(checksum=True)
    subject.place(100, audio(160), NOW)
    subject.place(3000, audio(80), NOW)
    assert (subject.position, subject.gated_samples, subject.messages) == (24080, 240, 2)
    assert (subject.received_samples, subject.filled_samples, subject.available()) == (0, 0, 0)
    assert subject.checksum_hex() == "0" * 32


def test_a_start_never_reaches_behind_itself(kernel: ModuleType) -> None:
    subject = opened(kernel, checksum=True)
    subject.place(0, audio(160), NOW)
    subject.open_gate()
    assert (subject.available(), subject.read_position, subject.received_samples) == (0, 160, 0)
    assert subject.checksum_hex() == "0" * 32
    subject.place(20, audio(160, 1), NOW)
    assert drain(subject) == [(160, pcm(audio(160, 1)))]


def test_a_gap_after_the_start_is_filled_from_the_start(kernel: ModuleType) -> None:
    subject = kernel.Track()
    subject.place(0, audio(160), NOW)
    subject.open_gate()
    subject.place(40, audio(160), NOW)
    assert drain(subject) == [(160, pcm(160, audio(160)))]


def test_what_is_queued_survives_the_close(kernel: ModuleType) -> None:
    subject = opened(kernel)
    subject.place(0, audio(160), NOW)
    subject.close_gate()
    subject.place(20, audio(160), NOW)
    assert not subject.gate_open
    assert drain(subject) == [(0, pcm(audio(160)))]
    assert (subject.received_samples, subject.gated_samples) == (160, 160)


def test_a_full_queue_drops_the_newest_and_leaves_a_jump(kernel: ModuleType) -> None:
    subject = opened(kernel, capacity_samples=400)
    for i in range(4):
        subject.place(20 * i, audio(160, i), NOW)
    assert (subject.dropped_samples, subject.received_samples, subject.position) == (240, 640, 640)
    assert subject.read(300).tobytes() == pcm(audio(160, 0), audio(140, 1))
    subject.place(80, audio(160, 4), NOW)
    assert drain(subject) == [(300, pcm(audio(20, 141), audio(80, 2))), (640, pcm(audio(160, 4)))]


def test_a_queue_full_of_jumps_drops(kernel: ModuleType) -> None:
    subject = opened(kernel)
    count = track.MAX_JUMPS + 5
    for i in range(count):
        subject.place(3000 * i, audio(2), NOW)
    assert subject.dropped_samples == 2 * 4
    assert [position for position, _ in drain(subject)] == [24000 * i for i in range(track.MAX_JUMPS + 1)]


@pytest.mark.parametrize("count", [-1, 161])
def test_reads_only_what_there_is(kernel: ModuleType, count: int) -> None:
    subject = opened(kernel)
    subject.place(0, audio(160), NOW)
    with pytest.raises(ValueError, match=r"can read 0\.\.160 samples"):
        subject.read(count)
    assert subject.available() == 160


def test_what_was_read_is_a_copy(kernel: ModuleType) -> None:
    subject = opened(kernel)
    subject.place(0, audio(160), NOW)
    first = subject.read(80)
    first[:] = 1
    assert first.dtype == np.int16
    assert subject.read(80).tobytes() == pcm(audio(160))[160:]


def test_the_checksum_is_its_formula(kernel: ModuleType) -> None:
    subject = opened(kernel, checksum=True, keep_pcm=False)
    subject.place(0, audio(500), NOW)
    subject.place(100, audio(300, 7), NOW)
    a = b = 0
    for sample in np.frombuffer(pcm(audio(500), 300, audio(300, 7)), np.int16).tolist():
        a = (a + sample) % 2**64
        b = (b + a) % 2**64
    assert subject.checksum_hex() == f"{a:016x}{b:016x}"
    assert subject.available() == 0
    assert subject.dropped_samples == 0


def test_the_checksum_knows_the_order(kernel: ModuleType) -> None:
    one, other = opened(kernel, checksum=True), opened(kernel, checksum=True)
    one.place(0, audio(160), NOW)
    other.place(0, audio(160)[::-1], NOW)
    assert one.checksum_hex() != other.checksum_hex()


@pytest.mark.parametrize("capacity", [0, -1])
def test_refuses_a_capacity_of_nothing(kernel: ModuleType, capacity: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        kernel.Track(capacity_samples=capacity)


@pytest.mark.parametrize("ulaw", [None, "text", bytearray(4)])
def test_refuses_anything_but_bytes(kernel: ModuleType, ulaw: Any) -> None:
    subject = kernel.Track()
    with pytest.raises(TypeError):
        subject.place(0, ulaw, NOW)
    assert subject.messages == 0


@needs_compiled
def test_memory_follows_what_is_queued() -> None:
    subject = track.Track()
    for i in range(100):
        subject.place(20 * i, audio(160), NOW)
    gated = sys.getsizeof(subject)
    assert gated < 1024
    subject.open_gate()
    subject.place(2000, audio(160), NOW)
    assert sys.getsizeof(subject) == gated + 4096
    subject.place(2020, audio(60_000), NOW)
    assert sys.getsizeof(subject) == gated + 128_000
    subject.read(subject.available())
    assert sys.getsizeof(subject) == gated
    subject.place(9520, audio(160), NOW)
    subject.close_gate()
    assert sys.getsizeof(subject) == gated + 4096
    subject.read(160)
    assert sys.getsizeof(subject) == gated


@needs_compiled
def test_a_late_reader_costs_no_memory_for_long() -> None:
    subject = track.Track()
    gated = sys.getsizeof(subject)
    subject.open_gate()
    subject.place(0, audio(6000), NOW)
    late = sys.getsizeof(subject)
    assert late == gated + 16_384
    # Media may come in such pieces: it is kept until they are small again.
    subject.read(6000)
    assert sys.getsizeof(subject) == late
    # What is still queued stays where it is, and as it is.
    subject.place(750, audio(320), NOW)
    subject.read(256)
    assert sys.getsizeof(subject) == late
    assert subject.read(64).tolist() == decode(audio(320))[256:].tolist()
    assert sys.getsizeof(subject) == gated
    subject.place(790, audio(160), NOW)
    assert sys.getsizeof(subject) == gated + 4096
    assert subject.read(160).tolist() == decode(audio(160)).tolist()
    assert sys.getsizeof(subject) == gated + 4096


def test_counts_the_tracks_that_exist(kernel: ModuleType) -> None:
    gc.collect()
    before = kernel.live()
    tracks = [kernel.Track() for _ in range(3)]
    assert kernel.live() == before + 3
    with pytest.raises(ValueError, match="at least 1"):
        kernel.Track(capacity_samples=0)
    del tracks
    assert kernel.live() == before


@given(st.lists(st.integers(0, 700), max_size=30), st.lists(st.integers(0, 700), max_size=30))
def test_any_chunking_gives_the_same_pcm(sizes: list[int], reads: list[int]) -> None:
    whole, parts = opened(track, checksum=True), opened(track, checksum=True)
    total = sum(sizes)
    whole.place(100, audio(total), NOW)
    got, at = b"", 0
    for i, size in enumerate(sizes):
        # A chunk's timestamp is its first sample's, in whole ms.
        parts.place(100 + at // 8, audio(total)[at : at + size], NOW)
        at += size
        if i < len(reads):
            got += parts.read(min(reads[i], parts.available())).tobytes()
    got += parts.read(parts.available()).tobytes()
    assert got == whole.read(whole.available()).tobytes()
    assert parts.checksum_hex() == whole.checksum_hex()


PLACE = st.tuples(
    st.just("place"),
    st.one_of(st.integers(-60, 60), st.integers(-2500, 4000), st.just(10**9), st.integers(86_399_990, 86_400_010)),
    st.sampled_from([0, 1, 80, 159, 160, 161, 240, 2000, 5000]),
    st.integers(0, 50),
)
OTHER = st.tuples(
    st.sampled_from(["place untimed", "open", "close", "read", "read", "read all", "jump"]),
    st.integers(0, 400),
    st.integers(0, 255),
    st.integers(0, 50),
)


def step(subject: track_py.Track, action: str, value: int, size: int, now: int) -> object:
    match action:
        case "place":
            subject.place(max(subject.position // 8 + value, 0), audio(size, size + now), now)
        case "place untimed":
            subject.place(-1, audio(size), now)
        case "open":
            subject.open_gate()
        case "close":
            subject.close_gate()
        case "jump":
            return subject.take_jump() if subject.jump_pending else None
        case _:
            count = subject.available() if action == "read all" else min(value, subject.available())
            return subject.read(count).tolist()
    return None


@given(
    st.lists(st.one_of(PLACE, PLACE, OTHER), max_size=60),
    st.sampled_from([1, 100, 3000, 64_000]),
    st.booleans(),
    st.booleans(),
)
def test_twins_agree_on_any_sequence(
    actions: list[tuple[str, int, int, int]], capacity: int, checksum: bool, keep_pcm: bool
) -> None:
    compiled, twin = track.Track(capacity, checksum, keep_pcm), track_py.Track(capacity, checksum, keep_pcm)
    now = NOW
    for action, value, size, later in actions:
        now += later
        assert step(compiled, action, value, size, now) == step(twin, action, value, size, now)
        assert state(compiled) == state(twin)
    assert drain(compiled) == drain(twin)
