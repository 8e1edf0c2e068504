"""Settings: a TOML file, then environment variables ``GATEWAY_…``, nested with ``__``.

Every setting has a default with which ``gateway serve`` works. :func:`load` turns any wrong value into a one-line
:class:`~gateway.errors.ConfigError` that names the variable and what it may be.
"""

from gateway.config.export import ExportSettings
from gateway.config.loading import load, variables
from gateway.config.sections import (
    ENV_PREFIX,
    AsrSettings,
    EndpointSettings,
    LimitSettings,
    LogSettings,
    RedactionSettings,
    RetentionSettings,
    SignaturePolicy,
    TextSettings,
    TlsSettings,
    TwilioSettings,
    VadSettings,
)
from gateway.config.settings import Settings
from gateway.config.webhook import WebhookAuth, WebhookDelivery, WebhookSettings

__all__ = [
    "ENV_PREFIX",
    "AsrSettings",
    "EndpointSettings",
    "ExportSettings",
    "LimitSettings",
    "LogSettings",
    "RedactionSettings",
    "RetentionSettings",
    "Settings",
    "SignaturePolicy",
    "TextSettings",
    "TlsSettings",
    "TwilioSettings",
    "VadSettings",
    "WebhookAuth",
    "WebhookDelivery",
    "WebhookSettings",
    "load",
    "variables",
]
