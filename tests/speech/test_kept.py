"""What is kept is what was appended and not dropped, whatever the pieces."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.speech.kept import PIECE, Kept, Stretch

SIZES = st.one_of(st.integers(0, 600), st.sampled_from([PIECE - 1, PIECE, PIECE + 1, 3 * PIECE]))
STEPS = st.lists(st.tuples(st.sampled_from(["append", "drop", "read", "clear"]), SIZES, SIZES), max_size=30)


@given(STEPS)
def test_it_is_as_a_bytearray_is(steps: list[tuple[str, int, int]]) -> None:
    kept, plain, count = Kept(), bytearray(), 0
    read: list[tuple[Stretch, bytes]] = []
    for step, one, other in steps:
        if step == "append":
            data = bytes((count + at) % 251 for at in range(one))
            count += one
            kept.append(data)
            plain += data
        elif step == "drop":
            kept.drop(one)
            del plain[:one]
        elif step == "read":
            read.append((kept.read(one, other), bytes(plain[one:other])))
            read.append((read[-1][0].tail(one), read[-1][1][-one:] if one else b""))
        elif one < 100:
            kept.clear()
            plain.clear()
        assert len(kept) == len(plain)
    assert bytes(kept.read(0, len(plain))) == plain
    # What was read stays as it was, whatever was kept and dropped since.
    for stretch, was in read:
        assert bytes(stretch) == was
        assert len(stretch) == len(was)


@given(st.binary(max_size=3 * PIECE))
def test_a_stretch_of_bytes_has_those_bytes(data: bytes) -> None:
    assert bytes(Stretch.of(data)) == data


def test_one_may_go_on_while_another_is_being_read() -> None:
    kept = Kept()
    kept.append(b"a" * 100)
    with memoryview(kept.read(0, 100)._pieces[0]) as held:
        kept.append(b"b" * 3 * PIECE)
        kept.drop(50)
        kept.clear()
        assert bytes(held[:100]) == b"a" * 100


def taken(make: Callable[[], object]) -> int:
    """Bytes that what it makes takes beyond what is there."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        made = make()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        del made


def test_what_waits_is_in_memory_once() -> None:
    kept = Kept()
    kept.append(bytes(160_000))
    assert taken(lambda: [kept.read(0, 160_000) for _ in range(10)]) < 10_000


@pytest.mark.parametrize("count", [0, 1, 8000])
def test_an_end_holds_no_more_than_it_needs(count: int) -> None:
    data = bytes(160_000)
    assert taken(lambda: Stretch.of(data).tail(count)) < 1.03 * count + 2 * PIECE + 500


def test_memory_follows_what_is_kept() -> None:
    frame = bytes(256)
    tracemalloc.start()
    try:
        kept = Kept()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(625):
            kept.append(frame)
        full, most = tracemalloc.get_traced_memory()
        assert most - before < 1.03 * len(kept) + 2 * PIECE
        kept.drop(600 * 256)
        least, _ = tracemalloc.get_traced_memory()
        assert least - before < len(kept) + 2 * PIECE
        assert bytes(kept.read(0, len(kept))) == 25 * frame
        kept.drop(25 * 256)
        assert tracemalloc.get_traced_memory()[0] - before < PIECE // 2
    finally:
        tracemalloc.stop()
    assert full > least
