"""Every error the gateway raises on purpose, in three families.

::

    GatewayError
    ├── CallerError            the caller's mistake: an API request, a command line, a setting
    │   ├── ConfigError        a setting that stops the start
    │   ├── RequestError       an API request that is refused; carries HTTP status and code
    │   └── UsageError         a command-line mistake; carries the exit code
    ├── PeerError              a peer's mistake: Twilio, a webhook target, a registry, a database
    │   ├── WireError          a WebSocket peer broke the protocol; carries the close code
    │   ├── ModelError         a model could not be fetched, or is not what the manifest says
    │   └── StoreError         the database refused or is away
    │       └── SealedError    a stored text does not open with the store key
    └── InternalError          our bug

A message says what was wrong and what would be right. It never holds transcript text, audio, tokens or secrets.
"""

from __future__ import annotations

__all__ = [
    "CallerError",
    "ConfigError",
    "GatewayError",
    "InternalError",
    "ModelError",
    "PeerError",
    "RequestError",
    "SealedError",
    "StoreError",
    "UsageError",
    "WireError",
]


class GatewayError(Exception):
    """Base of all errors raised on purpose."""


class CallerError(GatewayError):
    """The caller's mistake."""


class ConfigError(CallerError):
    """A setting that stops the start: names the variable and what it may be."""


class RequestError(CallerError):
    """An API request that is refused.

    Args:
        status: HTTP status of the answer.
        code: the API's own code, ``"<HTTP>-<SUBCODE>"`` (ASAPP error tables).
        message: what was wrong and what would be right.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class UsageError(CallerError):
    """A command-line mistake; ``exit_code`` is what the process ends with."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class PeerError(GatewayError):
    """A peer's mistake: Twilio, a webhook target, a registry, a database."""


class WireError(PeerError):
    """A WebSocket peer broke the protocol; ``close_code`` is what its socket is closed with (RFC 6455 §7.4)."""

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.reason = reason


class ModelError(PeerError):
    """A model could not be fetched, or is not what the manifest says."""


class StoreError(PeerError):
    """The database refused or is away."""


class SealedError(StoreError):
    """A stored text does not open with the store key: to try again does not help, the right key does."""


class InternalError(GatewayError):
    """Our bug: an invariant of the gateway does not hold."""
