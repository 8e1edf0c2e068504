"""The webhook's target: one POST, and in a word how it went."""

from __future__ import annotations

import re
import ssl
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp
from yarl import URL

from gateway._version import __version__
from gateway.config import WebhookAuth, WebhookSettings
from gateway.errors import ConfigError

__all__ = ["PostResult", "Target"]

# More of an answer is not read.
_ANSWER_BYTES = 64 * 1024

# Shorter than the keep-alive of common servers (uvicorn 5 s, nginx 75 s): a post that meets a connection just being
# closed would be lost, since there is no second try.
_KEEPALIVE_SECONDS = 4.0

# RFC 9110 §5.1 (names) and §5.5 (values), without obs-text.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?")


@dataclass(frozen=True, slots=True)
class PostResult:
    """How one post went. ``reason`` is empty when the target took it (2xx), else one of a small set of words."""

    status: int | None
    ms: float
    reason: str

    @property
    def ok(self) -> bool:
        """Whether the target took the post."""
        return not self.reason


class Target:
    """The URL that is posted to, with its authentication and its connections.

    Raises:
        ConfigError: the settings cannot work: no URL, an unreadable certificate, a secret that fits no header,
            or a kind of authentication that this version does not have.
    """

    def __init__(self, settings: WebhookSettings) -> None:
        if settings.url is None:
            msg = "GATEWAY_WEBHOOK__URL: is not set; set the http(s) URL that transcripts are posted to"
            raise ConfigError(msg)
        if settings.auth is WebhookAuth.OAUTH2:
            msg = "GATEWAY_WEBHOOK__AUTH: oauth2 is not available in this version; use none, secret or mtls"
            raise ConfigError(msg)
        self._url = URL(settings.url)
        if not self._url.host:
            msg = "GATEWAY_WEBHOOK__URL: names no host; write it as https://HOST/PATH"
            raise ConfigError(msg)
        self._headers = {"Content-Type": "application/json", "User-Agent": f"gateway/{__version__}"}
        self._add_secret(settings)
        self._tls = _tls_context(settings)
        self._timeout = aiohttp.ClientTimeout(total=settings.timeout)
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

    async def post(self, body: bytes) -> PostResult:
        """POST once; never raises for what the target or the way to it does."""
        # Not the loop's clock: uvloop reads it once a turn, in whole milliseconds.
        began = time.perf_counter()
        status: int | None = None
        try:
            async with self._open_session().post(
                self._url, data=body, headers=self._headers, allow_redirects=False
            ) as response:
                status = response.status
                await _discard(response)
        except (TimeoutError, aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
            # With the status the target has answered; what became of the rest of it does not matter.
            reason = _word(error) if status is None else _status_word(status)
        else:
            reason = _status_word(status)
        return PostResult(status, (time.perf_counter() - began) * 1000, reason)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._connections, ssl=self._tls or True, keepalive_timeout=_KEEPALIVE_SECONDS
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                # An answer is thrown away as it comes; unpacking it would only let it grow.
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _discard(response: aiohttp.ClientResponse) -> None:
    """Read the answer, so that the connection can be used again; aiohttp closes one that has more to say."""
    left = _ANSWER_BYTES
    while left > 0:
        chunk = await response.content.read(left)
        if not chunk:
            return
        left -= len(chunk)


def _status_word(status: int) -> str:
    return "" if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES else f"status {status}"


def _word(error: Exception) -> str:
    """One of: timeout, tls, dns, connect, disconnected, protocol."""
    # Order matters: aiohttp's errors are also OSErrors and ClientErrors.
    words: tuple[tuple[type[Exception], str], ...] = (
        (TimeoutError, "timeout"),
        (aiohttp.ClientSSLError, "tls"),
        (ssl.SSLError, "tls"),
        (aiohttp.ClientConnectorDNSError, "dns"),
        (aiohttp.ClientConnectorError, "connect"),
        (aiohttp.ServerDisconnectedError, "disconnected"),
        (OSError, "disconnected"),
    )
    return next((word for kind, word in words if isinstance(error, kind)), "protocol")


def _tls_context(settings: WebhookSettings) -> ssl.SSLContext | None:
    """For https: at least TLS 1.2, the settings' CAs and client certificate."""
    if settings.url is None or not settings.url.startswith("https://"):
        return None
    try:
        context = ssl.create_default_context(cafile=_path(settings.ca))
    except (OSError, ssl.SSLError) as error:
        msg = f"GATEWAY_WEBHOOK__CA: {settings.ca} is no readable PEM file of CA certificates"
        raise ConfigError(msg) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.auth is WebhookAuth.MTLS and settings.client_cert is not None:
        try:
            context.load_cert_chain(settings.client_cert, settings.client_key)
        except (OSError, ssl.SSLError) as error:
            msg = (
                "GATEWAY_WEBHOOK__CLIENT_CERT, __CLIENT_KEY: must be PEM files of a certificate and its unencrypted key"
            )
            raise ConfigError(msg) from error
    return context


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)
