"""What requests to the owner's servers have in common: TLS, connections, bounded answers, words for what went wrong."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp

from gateway._version import __version__
from gateway.errors import ConfigError

__all__ = [
    "ANSWER_BYTES",
    "FAILURES",
    "error_detail",
    "error_word",
    "new_session",
    "read_answer",
    "retry_after",
    "status_ok",
    "tls_context",
]

ANSWER_BYTES = 64 * 1024
"""More of an answer is not read."""

FAILURES = (TimeoutError, aiohttp.ClientError, OSError, ssl.SSLError, ValueError)
"""What a request raises for what the peer, or the way to it, does."""

# Shorter than the keep-alive of common servers (uvicorn 5 s, nginx 75 s): a post that meets a connection just being
# closed would be lost, since there may be no second try.
_KEEPALIVE_SECONDS = 4.0

# Order matters: aiohttp's errors are also OSErrors and ClientErrors.
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (aiohttp.ClientSSLError, "tls"),
    (ssl.SSLError, "tls"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientConnectorError, "connect"),
    (aiohttp.ServerDisconnectedError, "disconnected"),
    (OSError, "disconnected"),
)


def error_word(error: Exception) -> str:
    """One of: timeout, tls, dns, connect, disconnected, protocol."""
    return next((word for kind, word in _WORDS if isinstance(error, kind)), "protocol")


def error_detail(error: Exception) -> str:
    """What is wrong with the certificate that was shown, in OpenSSL's words; empty for any other error."""
    refused = getattr(error, "certificate_error", error)
    return refused.verify_message if isinstance(refused, ssl.SSLCertVerificationError) else ""


def status_ok(status: int) -> bool:
    """Whether the status is a 2xx."""
    return 200 <= status < 300


def tls_context(
    ca: Path | None, variable: str, client_cert: Path | None = None, client_key: Path | None = None
) -> ssl.SSLContext:
    """At least TLS 1.2, certificate and host name checked.

    Args:
        ca: PEM file of the CAs that are believed; None: the system's.
        variable: the setting that names it, for the error.
        client_cert: PEM file of the certificate that is shown, if the server asks for one.
        client_key: PEM file of its key.

    Raises:
        ConfigError: a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as error:
        msg = f"{variable}: {ca} is no readable PEM file of CA certificates"
        raise ConfigError(msg) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if client_cert is not None:
        try:
            context.load_cert_chain(client_cert, client_key, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            msg = (
                "GATEWAY_WEBHOOK__CLIENT_CERT, __CLIENT_KEY: must be PEM files of a certificate and its unencrypted key"
            )
            raise ConfigError(msg) from error
    return context


def _no_password() -> str:
    """In place of OpenSSL's question on the terminal, which would hold the start up."""
    msg = "the key is encrypted"
    raise ValueError(msg)


def new_session(tls: ssl.SSLContext | None, timeout: float, connections: int) -> aiohttp.ClientSession:
    """A session without cookies; on a running loop.

    Args:
        tls: for https; None where the URL is http.
        timeout: seconds that a request may take, all in all.
        connections: open at once at the most.
    """
    connector = aiohttp.TCPConnector(limit=connections, ssl=tls or True, keepalive_timeout=_KEEPALIVE_SECONDS)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"gateway/{__version__}"},
        # Unpacking would let a small answer grow.
        auto_decompress=False,
    )


async def read_answer(response: aiohttp.ClientResponse, limit: int = ANSWER_BYTES) -> bytes:
    """The answer's first ``limit`` bytes. Read to its end, the connection can be used again; else aiohttp closes it."""
    answer = bytearray()
    while len(answer) < limit:
        chunk = await response.content.read(limit - len(answer))
        if not chunk:
            break
        answer += chunk
    return bytes(answer)


def retry_after(value: str | None, most: float) -> float:
    """Seconds that a ``Retry-After`` asks for (RFC 9110 §10.2.3), from 0 to ``most``; 0 if it says nothing we know."""
    if value is None:
        return 0.0
    value = value.strip()
    if value.isascii() and value.isdigit():
        # Of a number with many digits its length says enough.
        return min(most, float(value[:9]))
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(most, max(0.0, (at - datetime.now(UTC)).total_seconds()))
