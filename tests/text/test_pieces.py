"""A long text is cut, and nothing of it is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.text.pieces import LONGEST, MOST_PIECES, Pieces, cut


@given(st.sampled_from(["a", "ab ", "It rained. ", "4", "\n", "é, "]), st.integers(0, LONGEST * (MOST_PIECES + 2)))
def test_the_pieces_are_the_text(unit: str, size: int) -> None:
    text = (unit * size)[:size]
    pieces, rest = cut(text)
    assert "".join(pieces) + rest == text
    assert all(0 < len(piece) <= LONGEST for piece in pieces)
    assert len(pieces) == MOST_PIECES or not rest


def test_a_piece_ends_with_a_sentence_or_a_word() -> None:
    pieces, _ = cut("It rained all day. " * 300)
    assert all(piece.endswith("day. ") for piece in pieces)
    pieces, _ = cut("and it rained " * 300)
    assert all(piece.endswith(" ") for piece in pieces)
    assert [len(piece) for piece in cut("4" * (LONGEST + 1))[0]] == [LONGEST, 1]


def test_a_piece_is_revised_in_its_place() -> None:
    pieces = Pieces(7, ["one ", "two ", "three"])
    pieces.revise(8, "### ")
    assert pieces.text() == "one ### three"
