"""The signature of a post: who holds the secret can tell that it is ours, whole, and new."""

from __future__ import annotations

import hashlib
import hmac

__all__ = ["MIN_SECRET_CHARS", "SIGNATURE_HEADER", "sign"]

SIGNATURE_HEADER = "X-Gateway-Signature"

MIN_SECRET_CHARS = 16


def sign(secret: str, body: bytes, at: int) -> str:
    """The header's value, ``t=SECONDS,v1=HEX``: HMAC-SHA256 over ``SECONDS.BODY``, as Stripe's webhooks have it.

    Args:
        secret: its UTF-8 bytes are the key.
        body: as it is sent.
        at: Unix time of the sending; the receiver refuses old ones, so that a post cannot be played again.
    """
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256)
    return f"t={at},v1={digest.hexdigest()}"
