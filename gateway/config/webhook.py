"""Where transcripts are posted, and how: the ``GATEWAY_WEBHOOK__…`` settings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.config.sections import ENV_PREFIX, Section

__all__ = ["WebhookAuth", "WebhookDelivery", "WebhookSettings"]

_MIN_SIGNING_CHARS = 16


class WebhookAuth(StrEnum):
    """How the gateway shows itself to the webhook target."""

    NONE = "none"
    SECRET = "secret"  # noqa: S105 - the name of a method, not a secret
    MTLS = "mtls"
    OAUTH2 = "oauth2"


class WebhookDelivery(StrEnum):
    """What becomes of a post that fails."""

    AT_MOST_ONCE = "at_most_once"
    AT_LEAST_ONCE = "at_least_once"


class WebhookSettings(Section):
    """Where transcripts are posted, and how."""

    url: str | None = Field(None, description="http(s) URL that transcripts are posted to; unset: no webhook")
    auth: WebhookAuth = Field(WebhookAuth.NONE, description="none, secret, mtls or oauth2")
    secret_name: str = Field(
        "Authorization", min_length=1, description="header or URL parameter that carries the secret"
    )
    secret_value: SecretStr | None = Field(None, description="the secret itself")
    secret_in: Literal["header", "query"] = Field("header", description="header or query")
    ca: Path | None = Field(None, description="PEM file with the CAs the target's certificate is checked against")
    client_cert: Path | None = Field(None, description="PEM client certificate, for mtls; with any other auth as well")
    client_key: Path | None = Field(None, description="its PEM key")
    oauth2_token_url: str | None = Field(None, description="token endpoint, for oauth2")
    oauth2_client_id: str | None = Field(None, description="client id, for oauth2")
    oauth2_client_secret: SecretStr | None = Field(None, description="client secret, for oauth2")
    oauth2_auth: Literal["basic", "post"] = Field(
        "basic", description="basic or post: where the client secret goes, header or form"
    )
    oauth2_scope: str | None = Field(None, description="scope asked for, for oauth2")
    oauth2_audience: str | None = Field(None, description="audience asked for, for oauth2")
    oauth2_ca: Path | None = Field(None, description="PEM file with the CAs of the token endpoint; unset: as for `ca`")
    signing_secret: SecretStr | None = Field(
        None, description="signs each post (X-Gateway-Signature); at least 16 characters; unset: no signature"
    )
    delivery: WebhookDelivery = Field(
        WebhookDelivery.AT_MOST_ONCE,
        description="at_most_once (a post that fails is not sent again) or at_least_once (it is, also after a restart)",
    )
    retry_for: float = Field(
        3600.0, ge=1, le=7 * 86_400, description="seconds after which at_least_once gives a post up"
    )
    timeout: float = Field(5.0, gt=0, le=60, description="seconds a post may take")
    queue_items: int = Field(
        10_000, ge=1, description="posts that may wait in memory; the oldest is dropped first, or left to the database"
    )
    queue_bytes: int = Field(32 * 1024 * 1024, ge=64 * 1024, description="bytes that may wait in memory")
    connections: int = Field(64, ge=1, le=1024, description="posts in flight at once")

    @field_validator("url")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            msg = "must begin with http:// or https://"
            raise ValueError(msg)
        return value

    @field_validator("signing_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _MIN_SIGNING_CHARS:
            msg = f"must have at least {_MIN_SIGNING_CHARS} characters; `openssl rand -base64 32` makes one"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _details_for_auth(self) -> Self:
        needed: dict[WebhookAuth, tuple[str, ...]] = {
            WebhookAuth.NONE: (),
            WebhookAuth.SECRET: ("secret_value",),
            WebhookAuth.MTLS: ("client_cert", "client_key"),
            WebhookAuth.OAUTH2: ("oauth2_token_url", "oauth2_client_id", "oauth2_client_secret"),
        }
        missing = [name for name in needed[self.auth] if getattr(self, name) is None]
        if missing:
            variables = ", ".join(f"{ENV_PREFIX}WEBHOOK__{name.upper()}" for name in missing)
            msg = f"auth '{self.auth}' needs {variables}"
            raise ValueError(msg)
        if (self.client_cert is None) != (self.client_key is None):
            msg = f"{ENV_PREFIX}WEBHOOK__CLIENT_CERT and …__CLIENT_KEY go together: set both or neither"
            raise ValueError(msg)
        return self
