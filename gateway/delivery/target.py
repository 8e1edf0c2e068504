"""The webhook's target: one POST, and in a word how it went."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from yarl import URL

from gateway.config import WebhookAuth, WebhookSettings
from gateway.delivery.https import (
    FAILURES,
    error_detail,
    error_word,
    new_session,
    read_answer,
    retry_after,
    status_ok,
    tls_context,
)
from gateway.delivery.oauth2 import TokenError, TokenSource
from gateway.delivery.signature import SIGNATURE_HEADER, sign
from gateway.errors import ConfigError

__all__ = ["MESSAGE_ID_HEADER", "PostResult", "Target"]

MESSAGE_ID_HEADER = "X-Gateway-Message-Id"
"""The same for every sending of the same utterance: what a receiver tells repeats by."""

# A target that asks for more, by mistake or by malice, would let everything expire.
_RETRY_AFTER_MOST = 900.0

# RFC 9110 §5.1 (names) and §5.5 (values), without obs-text.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?")


@dataclass(frozen=True, slots=True)
class PostResult:
    """How one post went.

    ``reason`` is empty when the target took it (2xx), else one of a small set of words. ``retry_after`` is how many
    seconds the target asked to be left alone for, with 429 or 503; 0 if it did not. ``detail`` says more, for people:
    what is wrong with the certificate, or the error that the token endpoint names.
    """

    status: int | None
    ms: float
    reason: str
    retry_after: float = 0.0
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the target took the post."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class _Sent:
    """How one sending went; ``wait`` is what Retry-After asks for."""

    status: int | None
    reason: str
    wait: float = 0.0
    detail: str = ""


class Target:
    """The URL that is posted to, with its authentication, its signature and its connections.

    Args:
        settings: the webhook's.
        tokens: for oauth2; None: made from the settings.

    Raises:
        ConfigError: the settings cannot work: no URL, an unreadable certificate, a secret that fits no header.
    """

    def __init__(self, settings: WebhookSettings, *, tokens: TokenSource | None = None) -> None:
        if settings.url is None:
            msg = "GATEWAY_WEBHOOK__URL: is not set; set the http(s) URL that transcripts are posted to"
            raise ConfigError(msg)
        self._url = URL(settings.url)
        if not self._url.host:
            msg = "GATEWAY_WEBHOOK__URL: names no host; write it as https://HOST/PATH"
            raise ConfigError(msg)
        self._headers = {"Content-Type": "application/json"}
        self._add_secret(settings)
        self._tls = None
        if self._url.scheme == "https":
            self._tls = tls_context(settings.ca, "GATEWAY_WEBHOOK__CA", settings.client_cert, settings.client_key)
        self._tokens = tokens
        if tokens is None and settings.auth is WebhookAuth.OAUTH2:
            self._tokens = TokenSource(settings)
        self._signing = None if settings.signing_secret is None else settings.signing_secret.get_secret_value()
        self._timeout = settings.timeout
        self._connections = settings.connections
        self._session: aiohttp.ClientSession | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port; path and query may hold secrets."""
        return str(self._url.origin())

    def _add_secret(self, settings: WebhookSettings) -> None:
        if settings.auth is not WebhookAuth.SECRET or settings.secret_value is None:
            return
        name, value = settings.secret_name, settings.secret_value.get_secret_value()
        if settings.secret_in == "query":  # noqa: S105 - the name of a place, not a secret
            self._url = self._url.update_query({name: value})
            return
        if not _HEADER_NAME.fullmatch(name):
            msg = "GATEWAY_WEBHOOK__SECRET_NAME: is no header name; use letters, digits and hyphens"
            raise ConfigError(msg)
        if not _HEADER_VALUE.fullmatch(value):
            msg = "GATEWAY_WEBHOOK__SECRET_VALUE: fits no header; use printable ASCII without surrounding spaces"
            raise ConfigError(msg)
        self._headers[name] = value

    async def post(self, body: bytes, message_id: str | None = None) -> PostResult:
        """POST; never raises for what the target or the way to it does.

        Sent once. With oauth2 a 401 may only mean that the token was withdrawn: then once more with a new one.
        """
        # Not the loop's clock: uvloop reads it once a turn, in whole milliseconds.
        began = time.perf_counter()
        headers = dict(self._headers)
        if message_id is not None:
            headers[MESSAGE_ID_HEADER] = message_id
        if self._signing is not None:
            headers[SIGNATURE_HEADER] = sign(self._signing, body, int(time.time()))
        try:
            sent = await self._authorized(body, headers)
        except TokenError as error:
            sent = _Sent(None, error.reason, detail=error.detail)
        return PostResult(sent.status, (time.perf_counter() - began) * 1000, sent.reason, sent.wait, sent.detail)

    async def _authorized(self, body: bytes, headers: dict[str, str]) -> _Sent:
        if self._tokens is None:
            return await self._send(body, headers)
        token = await self._tokens.token()
        sent = await self._send(body, headers | {"Authorization": f"Bearer {token}"})
        if sent.status == HTTPStatus.UNAUTHORIZED and self._tokens.reject(token):
            token = await self._tokens.token()
            sent = await self._send(body, headers | {"Authorization": f"Bearer {token}"})
        return sent

    async def _send(self, body: bytes, headers: dict[str, str]) -> _Sent:
        status: int | None = None
        wait, detail = 0.0, ""
        if self._session is None:
            self._session = new_session(self._tls, self._timeout, self._connections)
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                status = response.status
                if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
                    wait = retry_after(response.headers.get("Retry-After"), _RETRY_AFTER_MOST)
                await read_answer(response)
        except FAILURES as error:
            # With the status the target has answered; what became of the rest of it does not matter.
            reason = error_word(error) if status is None else _status_word(status)
            detail = error_detail(error)
        else:
            reason = _status_word(status)
        return _Sent(status, reason, wait, detail)

    async def close(self) -> None:
        """Close all connections."""
        if self._tokens is not None:
            await self._tokens.close()
        if self._session is not None:
            await self._session.close()
            self._session = None


def _status_word(status: int) -> str:
    return "" if status_ok(status) else f"status {status}"
