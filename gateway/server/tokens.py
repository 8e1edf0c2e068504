"""Stream tokens: the short-lived JWT inside the URL that Twilio connects to.

Twilio drops the query string of a stream URL, so the token is the last path segment:
``wss://HOST/twilio-media/JWT``. ``?token=JWT`` is read as well, for other speakers of the protocol.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs, unquote

import jwt

from gateway.errors import ConfigError, PeerError
from gateway.ids import new_ulid
from gateway.store.records import Principal

__all__ = ["MEDIA_PATH", "StreamTokens", "TokenError", "TokenReason", "extract", "stream_url"]

MEDIA_PATH = "twilio-media"
"""Path segment that stands before the token."""

_ALGORITHM = "HS256"
_ISSUER = "gateway"
_AUDIENCE = "twilio-media"
_MIN_SECRET_BYTES = 32  # RFC 7518 §3.2: a key at least as long as the hash
_MAX_TOKEN_CHARS = 2048  # ours are about 330
_CLAIMS = ["iss", "aud", "sub", "kid", "iat", "exp", "jti"]


class TokenReason(StrEnum):
    """Why a stream token is refused."""

    EXPIRED = "expired"
    MALFORMED = "malformed"
    BAD_SIGNATURE = "bad signature"
    WRONG_AUDIENCE = "wrong audience"


class TokenError(PeerError):
    """A stream token that is not good; ``reason`` says why, and the token itself is nowhere in it."""

    def __init__(self, reason: TokenReason) -> None:
        super().__init__(f"stream token refused: {reason}; fetch a new stream URL")
        self.reason = reason


class StreamTokens:
    """Issues and checks stream tokens (HS256 only).

    Args:
        secret: signing key, at least 32 bytes.
        ttl: seconds a token is good for.
        clock: seconds since the epoch.

    Raises:
        ConfigError: the secret is too short to sign with.
    """

    def __init__(self, secret: bytes, ttl: int, *, clock: Callable[[], float] = time.time) -> None:
        if len(secret) < _MIN_SECRET_BYTES:
            msg = f"GATEWAY_STREAM_TOKEN_SECRET: must be {_MIN_SECRET_BYTES} bytes or more; unset, one is made"
            raise ConfigError(msg)
        self._secret = secret
        self._ttl = ttl
        self._clock = clock

    def issue(self, account_id: str, key_id: str) -> str:
        """A token for the account, bound to the key that asked for it."""
        now = int(self._clock())
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": account_id,
            "kid": key_id,
            "iat": now,
            "exp": now + self._ttl,
            "jti": new_ulid(now),
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def url(self, base_wss: str, account_id: str, key_id: str) -> str:
        """A fresh stream URL for the account."""
        return stream_url(base_wss, self.issue(account_id, key_id))

    def verify(self, token: str) -> Principal:
        """Who the token was issued to.

        Whether the key is still active is the caller's to ask of the store.

        Raises:
            TokenError: the token is not one of ours, or not good any more.
        """
        if len(token) > _MAX_TOKEN_CHARS:
            raise TokenError(TokenReason.MALFORMED)
        claims = self._decode(token)
        account_id, key_id, expires = claims["sub"], claims["kid"], claims["exp"]
        if not (isinstance(account_id, str) and isinstance(key_id, str) and isinstance(expires, int)):
            raise TokenError(TokenReason.MALFORMED)
        if self._clock() >= expires:
            raise TokenError(TokenReason.EXPIRED)
        return Principal(account_id=account_id, key_id=key_id)

    def _decode(self, token: str) -> dict[str, Any]:
        try:
            # verify() checks exp on the clock that issued it. iat decides nothing: a clock that was set back
            # a second must not refuse a token just issued.
            return jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                issuer=_ISSUER,
                options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidSignatureError:
            reason = TokenReason.BAD_SIGNATURE
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            reason = TokenReason.WRONG_AUDIENCE
        except (jwt.PyJWTError, ValueError):
            # ValueError: lone surrogates and the like, which PyJWT lets through.
            reason = TokenReason.MALFORMED
        # Raised here, so that no traceback leads back to the token.
        raise TokenError(reason)


def stream_url(base_wss: str, token: str) -> str:
    """The URL for Twilio: ``{base_wss}/twilio-media/{token}``."""
    return f"{base_wss.rstrip('/')}/{MEDIA_PATH}/{token}"


def extract(path: str, query: str) -> str | None:
    """The token in a request target, unchecked: the segment after ``/twilio-media/``, else ``?token=``.

    A prefix before ``/twilio-media`` (a proxy's mount point) and one trailing slash are tolerated.
    """
    segments = path.rstrip("/").split("/")
    if len(segments) > 2 and segments[-2] == MEDIA_PATH and segments[-1]:
        return unquote(segments[-1])
    if segments[-1] != MEDIA_PATH:
        return None
    try:
        values = parse_qs(query, max_num_fields=64).get("token", [])
    except ValueError:
        return None
    return values[0] if len(values) == 1 else None
