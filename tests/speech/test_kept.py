"""What is kept is what was appended and not dropped, whatever the pieces."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from gateway.speech.kept import PIECE, Kept

SIZES = st.one_of(st.integers(0, 600), st.sampled_from([PIECE - 1, PIECE, PIECE + 1, 3 * PIECE]))
STEPS = st.lists(st.tuples(st.sampled_from(["append", "drop", "read", "clear"]), SIZES, SIZES), max_size=30)


@given(STEPS)
def test_it_is_as_a_bytearray_is(steps: list[tuple[str, int, int]]) -> None:
    kept, plain, count = Kept(), bytearray(), 0
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
            assert kept.read(one, other) == plain[one:other]
        elif one < 100:
            kept.clear()
            plain.clear()
        assert len(kept) == len(plain)
    assert kept.read(0, len(plain)) == plain


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
        assert kept.read(0, len(kept)) == 25 * frame
        kept.drop(25 * 256)
        assert tracemalloc.get_traced_memory()[0] - before < PIECE // 2
    finally:
        tracemalloc.stop()
    assert full > least
