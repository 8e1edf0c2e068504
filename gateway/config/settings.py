"""All settings, with their defaults and where they come from."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.config.export import ExportSettings
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
from gateway.config.webhook import WebhookSettings

__all__ = ["Settings"]


def _split_list(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _folder_url(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"https?://[^/?#@\s]+(/[^?#@\s]*)?", value):
        msg = "must be an http:// or https:// address without user, query and fragment"
        raise ValueError(msg)
    return value


class Settings(BaseSettings):
    """All settings of the gateway; see ``docs/configuration.md``."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        validate_default=True,
        enable_decoding=False,
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    public_url: str | None = Field(None, description="wss:// base put into stream URLs; unset: the bind address")
    data_dir: Path = Field(Path("data"), description="where the database, keys and secrets live")
    models_dir: Path = Field(Path("models/cache"), description="where fetched models live")
    models_url: Annotated[str | None, AfterValidator(_folder_url)] = Field(
        None, description="http(s) URL of a mirror that models are fetched from, as NAME/FILE; unset: their own sources"
    )
    database_url: str | None = Field(
        None, description="sqlite:///… or postgresql://…; unset: sqlite in the data directory"
    )
    stream_token_ttl: int = Field(300, ge=1, le=86_400, description="seconds a stream URL is valid")
    stream_token_secret: SecretStr | None = Field(
        None, description="signs stream URLs; unset: made once in the data directory"
    )
    store_key: SecretStr | None = Field(
        None, description="encrypts unredacted text; unset: made once in the data directory"
    )
    trusted_proxies: Annotated[list[str], BeforeValidator(_split_list)] = Field(
        default_factory=list, description="addresses or networks whose X-Forwarded-… headers are believed"
    )
    drain_seconds: float = Field(5.0, ge=0, le=3600, description="how long SIGTERM waits for calls to end")
    tls: TlsSettings = TlsSettings(cert=None, key=None)
    twilio: TwilioSettings = TwilioSettings.model_construct(auth_token=None, signature=SignaturePolicy.OFF)
    webhook: WebhookSettings = Field(default_factory=lambda: WebhookSettings.model_validate({}))
    asr: AsrSettings = Field(default_factory=lambda: AsrSettings.model_validate({}))
    vad: VadSettings = Field(default_factory=lambda: VadSettings.model_validate({}))
    endpoint: EndpointSettings = Field(default_factory=lambda: EndpointSettings.model_validate({}))
    redaction: RedactionSettings = Field(default_factory=lambda: RedactionSettings.model_validate({}))
    text: TextSettings = Field(default_factory=lambda: TextSettings.model_validate({}))
    limits: LimitSettings = Field(default_factory=lambda: LimitSettings.model_validate({}))
    export: ExportSettings = Field(default_factory=lambda: ExportSettings.model_validate({}))
    retention: RetentionSettings = Field(default_factory=lambda: RetentionSettings.model_validate({}))
    log: LogSettings = Field(default_factory=lambda: LogSettings.model_validate({}))

    @field_validator("public_url")
    @classmethod
    def _websocket_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("wss://", "ws://")):
            msg = "must begin with wss:// (or ws:// for tests on this machine)"
            raise ValueError(msg)
        return value.rstrip("/") if value else None

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("sqlite:///", "postgresql://")):
            msg = "must begin with sqlite:/// or postgresql://"
            raise ValueError(msg)
        return value

    @field_validator("retention")
    @classmethod
    def _longer_than_feeds_take(cls, value: RetentionSettings, info: ValidationInfo) -> RetentionSettings:
        export = info.data.get("export")
        if isinstance(export, ExportSettings) and export.enabled and value.messages_days < 2:
            # A day's feeds are built on the next one: the messages of its first hours would be gone.
            msg = "messages_days must be 2 or more while feeds are built (GATEWAY_EXPORT__ENABLED=false builds none)"
            raise ValueError(msg)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for entry in value:
            ipaddress.ip_network(entry, strict=False)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file: :func:`load` hands the file's content over as init values."""
        return env_settings, init_settings

    @property
    def resolved_database_url(self) -> str:
        """The database URL, with the default in the data directory filled in."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'gateway.db').absolute()}"
