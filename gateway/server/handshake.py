"""Who may open a media socket, and the upgrade answer; sans-I/O apart from one question to the store.

Everything is decided before the 101. The one exception is a socket without any token in its URL: it may still bring one
as the custom parameter ``token`` of its ``start`` message, and has five seconds and 64 KiB for that.
"""

from __future__ import annotations

import http
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from gateway.config import SignaturePolicy, TwilioSettings
from gateway.errors import PeerError
from gateway.server import signature
from gateway.server.tokens import StreamTokens, TokenError, extract
from gateway.store.records import Principal

__all__ = ["MAX_MESSAGE", "Doorkeeper", "RefusedError", "open_protocol", "upgrade_answer"]

log = structlog.get_logger(__name__)

MAX_MESSAGE = 64 * 1024
"""Largest WebSocket message, in bytes; a longer one closes the socket with 1009."""

# At debug level websockets logs frames, payload and all: it never gets there.
_quiet = logging.getLogger("gateway.websockets")
_quiet.setLevel(logging.WARNING)


class RefusedError(PeerError):
    """An upgrade that is refused with ``status``; ``reason`` is one word for the metric."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Checks tokens and signatures.

    ``key_active`` tells whether a key has not been revoked. ``public_url`` is the ``wss://`` base that Twilio connects
    to, which is what it signs.
    """

    tokens: StreamTokens
    key_active: Callable[[str], Awaitable[bool]]
    twilio: TwilioSettings
    public_url: Callable[[], str]

    async def admit(self, path: str, query: str, headers: Iterable[tuple[str, str]]) -> Principal | None:
        """Who opens this socket; None while it has shown no token.

        Raises:
            RefusedError: 401 for a bad token or signature.
        """
        token = extract(path, query)
        principal = None if token is None else await self.principal(token)
        self._check_signature(path, query, {name.lower(): value for name, value in headers})
        return principal

    async def principal(self, token: str) -> Principal:
        """Whom ``token`` was issued to.

        Raises:
            RefusedError: 401, the token is not good, or its key was revoked.
        """
        try:
            principal = self.tokens.verify(token)
        except TokenError as error:
            raise RefusedError(401, "token", str(error)) from None
        if not await self.key_active(principal.key_id):
            raise RefusedError(401, "revoked", "stream token refused: its API key was revoked")
        return principal

    def _check_signature(self, path: str, query: str, headers: dict[str, str]) -> None:
        policy, auth_token = self.twilio.signature, self.twilio.auth_token
        if policy is SignaturePolicy.OFF or auth_token is None:
            return
        target = f"{path}?{query}" if query else path
        urls = signature.candidates(self.public_url(), target)
        if signature.matches(auth_token.get_secret_value(), headers.get("x-twilio-signature"), urls):
            return
        present = "x-twilio-signature" in headers
        log.warning("media upgrade without a valid Twilio signature", present=present, policy=str(policy))
        if policy is SignaturePolicy.REQUIRE:
            raise RefusedError(401, "signature", "X-Twilio-Signature is missing or does not match the stream URL")


def upgrade_answer(path: str, headers: Iterable[tuple[str, str]]) -> tuple[int, bytes]:
    """The answer to an upgrade request that was admitted: its status and all its bytes.

    The status is 101, or an error where the request is not a WebSocket handshake (RFC 6455 §4.2).
    """
    response = ServerProtocol(logger=_quiet).accept(Request(path, Headers(list(headers))))
    if response.status_code != http.HTTPStatus.SWITCHING_PROTOCOLS:
        response.headers["Connection"] = "close"
    return int(response.status_code), response.serialize()


def open_protocol() -> ServerProtocol:
    """The protocol of a socket whose upgrade was answered: all that is not a plain text frame goes through it."""
    return ServerProtocol(state=State.OPEN, max_size=MAX_MESSAGE, logger=_quiet)
