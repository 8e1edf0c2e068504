"""Links to files that the gateway serves itself: signed, and good for a while. Sans-I/O."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from urllib.parse import quote

__all__ = ["FILES_PATH", "Links"]

FILES_PATH = "/fileexporter/v1/files/"

# No link made by us lives longer than GATEWAY_EXPORT__LINK_TTL may be; a number of so many digits is no time of ours.
_MAX_DIGITS = 12


class Links:
    """Makes and checks links.

    Args:
        secret: 32 bytes that survive restarts; the signing key is derived from it for this purpose alone.
        ttl: seconds a link is good for.
        clock: seconds since the epoch.
    """

    def __init__(self, secret: bytes, ttl: int, *, clock: Callable[[], float] = time.time) -> None:
        self._key = hmac.digest(secret, b"gateway feed links v1", "sha256")
        self.ttl = ttl
        self._clock = clock

    def link(self, base: str, key: str) -> str:
        """The URL of a file below ``base``, such as ``https://calls.example.com``."""
        expires = str(int(self._clock()) + self.ttl)
        signature = self._signature(key, expires)
        return f"{base.rstrip('/')}{FILES_PATH}{quote(key, safe='/=')}?expires={expires}&signature={signature}"

    def good(self, key: str, expires: str, signature: str) -> bool:
        """Whether we made this link, for this file, and its time is not over."""
        # Compared first and in constant time: nothing is told of an altered link.
        right = hmac.compare_digest(self._signature(key, expires).encode(), signature.encode("utf-8", "replace"))
        plain = expires.isascii() and expires.isdigit() and len(expires) <= _MAX_DIGITS
        return right and plain and self._clock() < int(expires)

    def _signature(self, key: str, expires: str) -> str:
        said = f"GET\n{key}\n{expires}".encode("utf-8", "replace")
        return hmac.new(self._key, said, hashlib.sha256).hexdigest()
