"""OAuth 2.0 client credentials (RFC 6749 §4.4): the token that a post carries, and when it is renewed.

Written here because what matters is not the one form that is posted: one renewal at a time, ahead of the expiry and
beside the posts, and a pause after a failure. Authlib has none of these, and its async client brings httpx.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import re
from dataclasses import dataclass
from urllib.parse import quote_plus

import aiohttp
import orjson
from yarl import URL

from gateway.config import WebhookSettings
from gateway.delivery.backoff import Backoff
from gateway.delivery.https import (
    ANSWER_BYTES,
    FAILURES,
    error_detail,
    error_word,
    new_session,
    read_answer,
    retry_after,
    status_ok,
    tls_context,
)
from gateway.errors import ConfigError, PeerError
from gateway.metrics import WEBHOOK_TOKENS

__all__ = ["TokenError", "TokenSource"]

logger = logging.getLogger(__name__)

# A token is renewed when this share of its life is over, and so long before its end at least, unless that would be
# in its first half.
_RENEW_SHARE = 0.8
_RENEW_SECONDS = 10.0
# It is not used in its last seconds (or tenth): it has to be valid when the target reads it.
_LAST_SECONDS = 5.0
# RFC 6749 §5.1 leaves `expires_in` optional.
_UNTOLD_SECONDS = 300.0
_LONGEST_SECONDS = 86_400.0

# A target that refuses every token would otherwise cost a renewal for every post.
_REJECT_SECONDS = 10.0

_RETRY_AFTER_MOST = 300.0

# RFC 6750 §2.1. Longer ones fit no server's header.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,16384}=*")

# RFC 6749 §5.2; anything else in `error` is the server's own text, and not for our log.
_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)


class TokenError(PeerError):
    """There is no token; ``reason`` is ``oauth2_status 401``, ``oauth2_timeout``, ``oauth2_reply`` or the like."""

    def __init__(self, reason: str, detail: str = "", retry_after: float = 0.0) -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, repr=False)
class _Token:
    value: str
    # Loop times.
    renew_at: float
    usable_until: float


class TokenSource:
    """Keeps one token of the settings' token endpoint fresh.

    Args:
        settings: with the ``oauth2_…`` ones filled in.
        backoff: how long the endpoint is left alone after failures.
        reject_seconds: how soon after a token that the target refused another one is given up for the same reason.

    Raises:
        ConfigError: the settings cannot work.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        *,
        backoff: Backoff | None = None,
        reject_seconds: float = _REJECT_SECONDS,
    ) -> None:
        self._url = _endpoint(settings.oauth2_token_url or "")
        self._headers, self._form = _request(settings)
        ca, variable = settings.oauth2_ca, "GATEWAY_WEBHOOK__OAUTH2_CA"
        if ca is None:
            ca, variable = settings.ca, "GATEWAY_WEBHOOK__CA"
        self._tls = tls_context(ca, variable) if self._url.scheme == "https" else None
        self._timeout = settings.timeout
        self._backoff = backoff or Backoff()
        self._reject_seconds = reject_seconds
        self._session: aiohttp.ClientSession | None = None
        self._token: _Token | None = None
        self._renewal: asyncio.Task[_Token] | None = None
        self._failures = 0
        self._failure: TokenError | None = None
        # Loop times: before it the endpoint is not asked again; when a token was last given up.
        self._held_until = float("-inf")
        self._rejected_at = float("-inf")

    @property
    def failures(self) -> int:
        """Requests in a row that brought no token."""
        return self._failures

    async def token(self) -> str:
        """A token that can be used now.

        A renewal that is due runs beside; only where there is no token left is it waited for.

        Raises:
            TokenError: there is none, and either none could be had, or it is too soon to ask again.
        """
        now = _now()
        token = self._token
        if token is not None and now < token.usable_until:
            if now >= token.renew_at and now >= self._held_until:
                self._renew()
            return token.value
        if self._renewal is None and now < self._held_until and self._failure is not None:
            # Raised by many: a traceback of its own each.
            raise TokenError(self._failure.reason, "held off")
        # Who waits may be cancelled; the renewal is everybody's.
        return (await asyncio.shield(self._renew())).value

    def reject(self, value: str) -> bool:
        """The target refused this token with 401; whether it is worth asking :meth:`token` for another one."""
        if self._token is not None and self._token.value != value:
            return True
        now = _now()
        if self._token is None or now - self._rejected_at < self._reject_seconds:
            return self._token is None
        self._rejected_at = now
        self._token = None
        return True

    def _renew(self) -> asyncio.Task[_Token]:
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._fetch(), name="webhook-token")
            self._renewal.add_done_callback(self._renewed)
        return self._renewal

    def _renewed(self, task: asyncio.Task[_Token]) -> None:
        self._renewal = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._token, self._failure, self._failures = task.result(), None, 0
            WEBHOOK_TOKENS.labels("renewed").inc()
            return
        if not isinstance(error, TokenError):
            logger.error("webhook: a token could not be had by our own mistake", exc_info=error)
            error = TokenError("oauth2_internal")
        self._failures += 1
        self._failure = error
        wait = max(self._backoff.delay(self._failures), error.retry_after)
        self._held_until = _now() + wait
        WEBHOOK_TOKENS.labels(error.reason.removeprefix("oauth2_").partition(" ")[0]).inc()
        logger.warning("webhook: no token from %s: %s; not asked again for %.1f s", self._url.origin(), error, wait)

    async def _fetch(self) -> _Token:
        began = _now()
        if self._session is None:
            self._session = new_session(self._tls, self._timeout, connections=1)
        try:
            async with self._session.post(
                self._url, data=self._form, headers=self._headers, allow_redirects=False
            ) as response:
                # One byte more, to see that there is more.
                answer = await read_answer(response, ANSWER_BYTES + 1)
                status = response.status
                wait = retry_after(response.headers.get("Retry-After"), _RETRY_AFTER_MOST)
        except FAILURES as error:
            raise TokenError(f"oauth2_{error_word(error)}", error_detail(error)) from None
        if not status_ok(status):
            raise TokenError(f"oauth2_status {status}", _told(answer), wait)
        return _parse(answer, began)

    async def close(self) -> None:
        """Stop a renewal that runs, close the connection."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait({self._renewal})
        if self._session is not None:
            await self._session.close()
            self._session = None


def _now() -> float:
    """The loop's time; tests turn this clock."""
    return asyncio.get_running_loop().time()


def _endpoint(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or url.user is not None:
        msg = "GATEWAY_WEBHOOK__OAUTH2_TOKEN_URL: must be written as https://HOST/PATH"
        raise ConfigError(msg)
    if url.scheme == "http" and not _is_loopback(url.host):
        msg = "GATEWAY_WEBHOOK__OAUTH2_TOKEN_URL: must be https; plain http is for this machine only (RFC 6749 §3.2)"
        raise ConfigError(msg)
    return url.with_fragment(None)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _request(settings: WebhookSettings) -> tuple[dict[str, str], dict[str, str]]:
    """Headers and form of the token request."""
    client_id = settings.oauth2_client_id or ""
    secret = settings.oauth2_client_secret.get_secret_value() if settings.oauth2_client_secret else ""
    headers = {"Accept": "application/json"}
    form = {"grant_type": "client_credentials"}
    if settings.oauth2_scope:
        form["scope"] = settings.oauth2_scope
    if settings.oauth2_audience:
        form["audience"] = settings.oauth2_audience
    if settings.oauth2_auth == "post":
        form |= {"client_id": client_id, "client_secret": secret}
    else:
        # RFC 6749 §2.3.1: each is form-encoded first.
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return headers, form


def _told(answer: bytes) -> str:
    """The error that the endpoint names, if it is one of the standard's."""
    try:
        told = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return ""
    name = told.get("error") if isinstance(told, dict) else None
    return name if isinstance(name, str) and name in _ERRORS else ""


def _parse(answer: bytes, began: float) -> _Token:
    if len(answer) > ANSWER_BYTES:
        raise TokenError("oauth2_reply", f"over {ANSWER_BYTES} bytes")
    try:
        reply = orjson.loads(answer)
    except orjson.JSONDecodeError:
        raise TokenError("oauth2_reply", "no JSON") from None
    if not isinstance(reply, dict):
        raise TokenError("oauth2_reply", "no JSON object")
    value, kind = reply.get("access_token"), reply.get("token_type", "Bearer")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise TokenError("oauth2_reply", "no usable access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenError("oauth2_reply", "token_type is not Bearer")
    life = _life(reply.get("expires_in"))
    renew = max(life / 2, min(life * _RENEW_SHARE, life - _RENEW_SECONDS))
    return _Token(value, began + renew, began + life - min(_LAST_SECONDS, life / 10))


def _life(expires_in: object) -> float:
    """Seconds; some servers write the number as a string."""
    if expires_in is None:
        return _UNTOLD_SECONDS
    try:
        life = float(expires_in) if isinstance(expires_in, (int, float, str)) else -1.0
    except ValueError:
        life = -1.0
    if not 0 < life < float("inf"):
        raise TokenError("oauth2_reply", "expires_in is no number of seconds")
    return min(life, _LONGEST_SECONDS)
