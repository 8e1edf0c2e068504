"""``X-Twilio-Signature`` on a media upgrade: base64 of HMAC-SHA1 over the ``wss://`` URL.

Source: https://www.twilio.com/docs/usage/security#validating-requests; a WebSocket GET has no form fields, so
the message is the URL alone. Behind proxies the request does not tell that URL: the configured one does.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable
from urllib.parse import urlsplit

__all__ = ["HEADER", "candidates", "matches", "sign"]

HEADER = "X-Twilio-Signature"

_DEFAULT_PORTS = {"wss": 443, "https": 443, "ws": 80, "http": 80}


def sign(auth_token: str, url: str) -> str:
    """The signature that Twilio sends for ``url``."""
    # SHA-1 is Twilio's choice; HMAC does not lean on its collision resistance.
    digest = hmac.digest(auth_token.encode(), url.encode("utf-8", "surrogateescape"), "sha1")
    return base64.b64encode(digest).decode()


def candidates(public_url: str, target: str) -> tuple[str, ...]:
    """The URLs Twilio may have signed for a request.

    With and without a trailing slash on the path and the scheme's default port; the query as it came.

    Args:
        public_url: the configured base, ``wss://host[:port][/prefix]``.
        target: the request target, path and query, as received: with the base's prefix or without it.
    """
    base = urlsplit(public_url)
    path, mark, query = target.partition("?")
    path = path.rstrip("/")
    prefix = base.path.rstrip("/")
    if prefix and path != prefix and not path.startswith(prefix + "/"):
        path = prefix + path
    return tuple(
        f"{base.scheme}://{host}{path}{slash}{mark}{query}"
        for host in _hosts(base.scheme, base.netloc)
        for slash in ("", "/")
    )


def _hosts(scheme: str, netloc: str) -> tuple[str, ...]:
    default = f":{_DEFAULT_PORTS.get(scheme, 443)}"
    if netloc.endswith(default):
        return netloc, netloc.removesuffix(default)
    has_port = ":" in netloc.rpartition("]")[2]
    return (netloc,) if has_port else (netloc, netloc + default)


def matches(auth_token: str, signature: str | None, urls: Iterable[str]) -> bool:
    """Whether ``signature`` is Twilio's for one of ``urls``; takes the same time whichever it is."""
    given = (signature or "").encode("utf-8", "surrogateescape")
    found = False
    for url in urls:
        found |= hmac.compare_digest(sign(auth_token, url).encode(), given)
    return found
