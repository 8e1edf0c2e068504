"""Unredacted text at rest: AES-256-GCM, each text bound to its message."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import SealedError

__all__ = ["KEY_BYTES", "TextCipher"]

KEY_BYTES = 32

# One byte of version, 96 bits of random nonce (NIST SP 800-38D §8.2.2: good for 2³² texts under one key).
_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16


class TextCipher:
    """Encrypts and decrypts texts under one key.

    Args:
        key: 32 bytes.

    Raises:
        ValueError: the key is not 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            msg = f"the store key is {KEY_BYTES} bytes, not {len(key)}"
            raise ValueError(msg)
        self._aead = AESGCM(key)

    def encrypt(self, message_id: str, text: str) -> bytes:
        """Version, nonce, ciphertext and tag; opens only for the same ``message_id``."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._aead.encrypt(nonce, text.encode("utf-8"), message_id.encode("ascii"))

    def decrypt(self, message_id: str, blob: bytes) -> str:
        """The text.

        Raises:
            SealedError: another key, another message, or altered bytes.
        """
        if len(blob) < 1 + _NONCE_BYTES + _TAG_BYTES or blob[:1] != _VERSION:
            msg = f"message {message_id}: the stored unredacted text has an unknown form"
            raise SealedError(msg)
        nonce, sealed = blob[1 : 1 + _NONCE_BYTES], blob[1 + _NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, sealed, message_id.encode("ascii")).decode("utf-8")
        except InvalidTag as error:
            msg = (
                f"message {message_id}: the unredacted text does not open with GATEWAY_STORE_KEY "
                "(unset: store-key in the data directory); give back the key it was stored under"
            )
            raise SealedError(msg) from error
