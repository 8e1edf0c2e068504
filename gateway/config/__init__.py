"""Settings: a TOML file, then environment variables ``GATEWAY_…``, nested with ``__``.

Every setting has a default with which ``gateway serve`` works. :func:`load` turns any wrong value into a one-line
:class:`~gateway.errors.ConfigError` that names the variable and what it may be.
"""

from gateway.config.loading import load, variables
from gateway.config.sections import (
    ENV_PREFIX,
    AsrSettings,
    EndpointSettings,
    LimitSettings,
    LogSettings,
    RetentionSettings,
    SignaturePolicy,
    TlsSettings,
    TwilioSettings,
    VadSettings,
    WebhookAuth,
    WebhookSettings,
)
from gateway.config.settings import Settings

__all__ = [
    "ENV_PREFIX",
    "AsrSettings",
    "EndpointSettings",
    "LimitSettings",
    "LogSettings",
    "RetentionSettings",
    "Settings",
    "SignaturePolicy",
    "TlsSettings",
    "TwilioSettings",
    "VadSettings",
    "WebhookAuth",
    "WebhookSettings",
    "load",
    "variables",
]
