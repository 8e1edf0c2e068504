"""Token ids to text, from Moonshine's ``tokenizer.bin``.

The file is a list of byte strings, each behind its length: one byte below 128, else two, ``low | 0x80`` then
``high`` (length = low + 128 × high). A token's place in the list is its id. Ids 3 to 258 are the raw bytes, the rest
are SentencePiece pieces in which ``▁`` stands for a space.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Self

from gateway.errors import ModelError

__all__ = ["END", "START", "Tokenizer"]

START = 1
"""Id of ``<s>``, with which a decode begins."""

END = 2
"""Id of ``</s>``, with which a decode ends."""

# Ids of the raw bytes begin here, and those of the pieces behind them.
_BYTES = 3
_FIRST_PIECE = _BYTES + 256

# <unk>, <s>, </s> and the 768 reserved <<ST_n>> say nothing; the piece b"<" and its like are text.
_SPECIAL = re.compile(rb"<unk>|</?s>|<<ST_\d+>>")


class Tokenizer:
    """The vocabulary of a model: ``pieces[id]`` is what a token adds to the text, in UTF-8 (parts of) characters."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [b"" if _SPECIAL.fullmatch(piece) else piece for piece in pieces]
        self._ids: dict[bytes, int] = {}
        for token, piece in enumerate(self._pieces[_FIRST_PIECE:], _FIRST_PIECE):
            self._ids.setdefault(piece, token)

    def __len__(self) -> int:
        return len(self._pieces)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read ``tokenizer.bin``.

        Raises:
            ModelError: it cannot be read, or ends within a token.
        """
        try:
            return cls(_pieces(path.read_bytes()))
        except OSError as error:
            msg = f"{path} cannot be read ({error.strerror}); run `gateway models fetch`"
            raise ModelError(msg) from error
        except IndexError:
            msg = f"{path} is cut short: it ends within a token; run `gateway models verify`"
            raise ModelError(msg) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``; special tokens are left out, bytes that are no UTF-8 become U+FFFD.

        Raises:
            IndexError: an id is not in the vocabulary.
        """
        text = b"".join(self._pieces[token] for token in ids).decode("utf-8", "replace")
        return text.replace("▁", " ").strip()

    def pieces(self, ids: Iterable[int]) -> list[bytes]:
        """What each of ``ids`` adds to the text: ``▁`` for a space, in UTF-8 (parts of) characters."""
        return [self._pieces[token] for token in ids]

    def encode(self, text: str) -> list[int]:
        """Ids that decode to ``text`` behind a space, as the tokenizer that the model was trained with splits it.

        The pieces are those of a byte pair encoding in the order in which they were merged: the pair with the lowest
        id is joined first. What has no piece becomes bytes.
        """
        parts = ["▁", *text.strip().replace(" ", "▁")]
        none = len(self)
        joined = [self._ids.get((one + two).encode(), none) for one, two in pairwise(parts)]
        while (best := min(joined, default=none)) < none:
            at = joined.index(best)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
            del joined[at]
            # Only the pairs that it is part of are other ones now: a long phrase would take seconds otherwise.
            for pair in range(max(0, at - 1), min(at + 1, len(joined))):
                joined[pair] = self._ids.get((parts[pair] + parts[pair + 1]).encode(), none)
        ids: list[int] = []
        for part in parts:
            raw = part.encode()
            ids += [self._ids[raw]] if raw in self._ids else [_BYTES + byte for byte in raw]
        return ids


def _pieces(data: bytes) -> list[bytes]:
    pieces = []
    at = 0
    while at < len(data):
        length = data[at]
        at += 1
        if length >= 0x80:
            length = length - 0x80 + 0x80 * data[at]
            at += 1
        if at + length > len(data):
            raise IndexError
        pieces.append(data[at : at + length])
        at += length
    return pieces
