from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from gateway.server.fragments import Fragments


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=10))
def test_pieces_make_the_message(pieces: list[bytes]) -> None:
    fragments = Fragments()
    results = [
        fragments.add(Frame(Opcode.CONT if index else Opcode.TEXT, piece, fin=index == len(pieces) - 1))
        for index, piece in enumerate(pieces)
    ]
    assert results == [None] * (len(pieces) - 1) + [b"".join(pieces)]


def test_a_binary_message_is_none() -> None:
    fragments = Fragments()
    assert fragments.add(Frame(Opcode.BINARY, b"a", fin=False)) is None
    assert fragments.add(Frame(Opcode.CONT, b"b", fin=True)) is None
    assert fragments.add(Frame(Opcode.TEXT, b"c", fin=True)) == b"c"
