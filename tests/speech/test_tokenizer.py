from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ModelError
from gateway.speech.tokenizer import Tokenizer

PIECES = [b"<unk>", b"<s>", b"</s>", "▁Hi".encode(), "▁you".encode(), b"<", b"<<ST_7>>", b"\xc3", b"\xa9", b"x" * 300]


def packed(pieces: list[bytes]) -> bytes:
    """The file's format, written from its description."""
    result = b""
    for piece in pieces:
        size = len(piece)
        result += (bytes([size]) if size < 128 else bytes([size % 128 + 128, size // 128])) + piece
    return result


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    path = tmp_path / "tokenizer.bin"
    path.write_bytes(packed(PIECES))
    return Tokenizer.read(path)


def test_every_piece_is_read(tokenizer: Tokenizer) -> None:
    assert len(tokenizer) == len(PIECES)
    assert tokenizer.decode([9]) == "x" * 300


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([], ""),
        ([3, 4], "Hi you"),
        ([1, 3, 4, 2], "Hi you"),  # <s> and </s> say nothing
        ([3, 6, 4], "Hi you"),  # nor does a reserved token
        ([3, 5], "Hi<"),
        ([3, 7, 8], "Hié"),  # a character in two byte tokens
        ([3, 7], "Hi\ufffd"),  # half a character
    ],
)
def test_ids_become_text(tokenizer: Tokenizer, ids: list[int], text: str) -> None:
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("cut", [1, 300, 301])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "tokenizer.bin"
    path.write_bytes(packed(PIECES)[:-cut])
    with pytest.raises(ModelError, match="cut short"):
        Tokenizer.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.bin cannot be read"):
        Tokenizer.read(tmp_path / "tokenizer.bin")


@pytest.mark.slow
def test_the_real_vocabulary() -> None:
    path = Path(__file__).parents[2] / "models" / "cache" / "moonshine-tiny-en" / "tokenizer.bin"
    tokenizer = Tokenizer.read(path)
    assert len(tokenizer) == 32768
    assert tokenizer.decode([3 + byte for byte in "café".encode()]) == "café"
    assert tokenizer.decode(range(32_000, 32_768)) == ""


# --- text to ids ------------------------------------------------------------------------------------------------

ALPHABET = [bytes([byte]) for byte in range(256)]
MERGED = ["▁t", "he", "▁the", "an", "▁", "t", "h", "e", "a", "n", "▁n"]


@pytest.fixture
def byte_pairs() -> Tokenizer:
    """A tokenizer as the model's: special tokens, bytes, pieces in the order in which they were merged."""
    return Tokenizer([b"<unk>", b"<s>", b"</s>", *ALPHABET, *(piece.encode() for piece in MERGED)])


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("the", ["▁the"]),
        ("than", ["▁t", "h", "an"]),  # "▁t" and "an" were merged before anything with "h"
        ("n the", ["▁n", "▁the"]),
        (" the  ", ["▁the"]),
        ("", ["▁"]),
    ],
)
def test_text_is_split_as_pairs_were_merged(byte_pairs: Tokenizer, text: str, pieces: list[str]) -> None:
    ids = byte_pairs.encode(text)
    assert [piece.decode() for piece in byte_pairs.pieces(ids)] == pieces
    assert byte_pairs.decode(ids) == text.strip()


def test_what_has_no_piece_becomes_bytes(byte_pairs: Tokenizer) -> None:
    ids = byte_pairs.encode("é")
    assert ids[1:] == [3 + 0xC3, 3 + 0xA9]
    assert byte_pairs.decode(ids) == "é"


def test_a_long_text_takes_little_more_than_its_letters(byte_pairs: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    class Counting(dict[bytes, int]):
        def get(self, key: bytes, default: int) -> int:  # type: ignore[override]  # asked for with a default only
            nonlocal asked
            asked += 1
            return super().get(key, default)

    monkeypatch.setattr(byte_pairs, "_ids", Counting(byte_pairs._ids))
    text = " ".join(["than", "the"] * 30)
    assert byte_pairs.decode(byte_pairs.encode(text)) == text
    assert asked <= 3 * (len(text) + 1)
