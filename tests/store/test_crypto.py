from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StoreError
from gateway.store.crypto import TextCipher

CIPHER = TextCipher(bytes(range(32)))


@given(st.text())
def test_what_was_encrypted_comes_back(text: str) -> None:
    blob = CIPHER.encrypt("01M", text)
    assert CIPHER.decrypt("01M", blob) == text
    assert blob != CIPHER.encrypt("01M", text)


@given(st.integers(min_value=0), st.integers(1, 255))
def test_any_altered_byte_is_refused(position: int, change: int) -> None:
    blob = bytearray(CIPHER.encrypt("01M", "my PIN is 8765"))
    blob[position % len(blob)] ^= change
    with pytest.raises(StoreError):
        CIPHER.decrypt("01M", bytes(blob))


def test_a_text_moved_to_another_message_is_refused() -> None:
    with pytest.raises(StoreError, match="does not open"):
        CIPHER.decrypt("02M", CIPHER.encrypt("01M", "my PIN is 8765"))


@pytest.mark.parametrize("length", [0, 1, 28])
def test_a_short_text_is_refused(length: int) -> None:
    with pytest.raises(StoreError, match="unknown form"):
        CIPHER.decrypt("01M", b"\x01" * length)
