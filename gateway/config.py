"""Settings: a TOML file, then environment variables ``GATEWAY_…``, nested with ``__``.

Every setting has a default with which ``gateway serve`` works. :func:`load` turns any wrong value into a one-line
:class:`~gateway.errors.ConfigError` that names the variable and what it may be.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.errors import ConfigError

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

ENV_PREFIX = "GATEWAY_"

# Variables that are read elsewhere: by the chooser of kernels, the command line's client, the tests, the build.
_NO_SETTINGS = frozenset(
    {"GATEWAY_NO_EXTENSIONS", "GATEWAY_NATIVE_DIR", "GATEWAY_API_ID", "GATEWAY_API_SECRET", "GATEWAY_TEST_PROFILE"}
)
_BUILD_PREFIX = "GATEWAY_BUILD_"


class SignaturePolicy(StrEnum):
    """What is done with ``X-Twilio-Signature`` on a media upgrade."""

    OFF = "off"
    LOG = "log"
    REQUIRE = "require"


class WebhookAuth(StrEnum):
    """How the gateway shows itself to the webhook target."""

    NONE = "none"
    SECRET = "secret"  # noqa: S105 - the name of a method, not a secret
    MTLS = "mtls"
    OAUTH2 = "oauth2"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class TlsSettings(_Section):
    """TLS ended in the process; both or neither."""

    cert: Path | None = Field(None, description="PEM file with the certificate chain")
    key: Path | None = Field(None, description="PEM file with the private key")

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.cert is None) != (self.key is None):
            msg = "GATEWAY_TLS__CERT and GATEWAY_TLS__KEY go together: set both or neither"
            raise ValueError(msg)
        return self


class TwilioSettings(_Section):
    """What the gateway knows of the Twilio account."""

    auth_token: SecretStr | None = Field(None, description="Twilio auth token, for checking X-Twilio-Signature")
    signature: SignaturePolicy = Field(SignaturePolicy.OFF, description="off, log or require")

    @model_validator(mode="after")
    def _token_for_signature(self) -> Self:
        if self.signature is not SignaturePolicy.OFF and self.auth_token is None:
            msg = "signature 'log' or 'require' needs GATEWAY_TWILIO__AUTH_TOKEN"
            raise ValueError(msg)
        return self


class WebhookSettings(_Section):
    """Where transcripts are posted, and how."""

    url: str | None = Field(None, description="http(s) URL that transcripts are posted to; unset: no webhook")
    auth: WebhookAuth = Field(WebhookAuth.NONE, description="none, secret, mtls or oauth2")
    secret_name: str = Field(
        "Authorization", min_length=1, description="header or URL parameter that carries the secret"
    )
    secret_value: SecretStr | None = Field(None, description="the secret itself")
    secret_in: Literal["header", "query"] = Field("header", description="header or query")
    ca: Path | None = Field(None, description="PEM file with the CAs the target's certificate is checked against")
    client_cert: Path | None = Field(None, description="PEM client certificate, for mtls")
    client_key: Path | None = Field(None, description="PEM client key, for mtls")
    oauth2_token_url: str | None = Field(None, description="token endpoint, for oauth2")
    oauth2_client_id: str | None = Field(None, description="client id, for oauth2")
    oauth2_client_secret: SecretStr | None = Field(None, description="client secret, for oauth2")
    oauth2_scope: str | None = Field(None, description="scope asked for, for oauth2")
    timeout: float = Field(5.0, gt=0, le=60, description="seconds a post may take")
    queue_items: int = Field(10_000, ge=1, description="posts that may wait; the oldest is dropped first")
    queue_bytes: int = Field(32 * 1024 * 1024, ge=64 * 1024, description="bytes that may wait")
    connections: int = Field(64, ge=1, le=1024, description="posts in flight at once")

    @field_validator("url")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            msg = "must begin with http:// or https://"
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
        return self


class AsrSettings(_Section):
    """The recognizer."""

    model: str = Field(
        "moonshine-tiny-en", description="name from `gateway models list`, or none: audio ends in a checksum"
    )
    threads: int | None = Field(None, ge=1, le=256, description="recognizer threads (default: cores − 1, at least 1)")
    max_batch: int = Field(8, ge=1, le=64, description="utterances decoded together at the most")
    queue: int = Field(512, ge=1, description="utterances that may wait; new starts are refused from three quarters on")


class VadSettings(_Section):
    """Voice activity."""

    threshold: float = Field(
        0.42,
        gt=0,
        lt=1,
        description="speech begins above this probability; lower takes more noise for speech, higher misses weak words",
    )
    release: float = Field(
        0.30,
        gt=0,
        lt=1,
        description="speech goes on above this probability; higher lets go of weak and distant voices sooner",
    )
    gate_dbfs: float = Field(
        -72.0,
        ge=-96,
        le=0,
        description="in a second of quiet below this level the model is not asked; speech at −55 dBFS passes, "
        "a noisier line costs 0.3 ms of processor time a second",
    )

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        if self.release > self.threshold:
            msg = "release must not be above threshold"
            raise ValueError(msg)
        return self


class EndpointSettings(_Section):
    """When an utterance begins and ends."""

    min_speech_ms: int = Field(
        128,
        ge=32,
        le=2000,
        description="shorter bursts are not speech; 96 takes clicks for words now and then, 160 misses a single word "
        "in 60",
    )
    pause_ms: int = Field(128, ge=64, le=2000, description="silence after which the utterance is decoded ahead")
    complete_ms: int = Field(320, ge=96, le=5000, description="silence that ends a complete sentence")
    silence_ms: int = Field(480, ge=96, le=5000, description="silence that ends what may be complete or not")
    incomplete_ms: int = Field(1248, ge=96, le=5000, description="silence that ends what breaks off in mid-sentence")
    long_ms: int = Field(
        15_000,
        ge=1000,
        le=30_000,
        description="a longer utterance ends at half the silence, one half as long again at a third",
    )
    pre_roll_ms: int = Field(128, ge=0, le=1000, description="audio kept before the first speech frame")
    post_roll_ms: int = Field(192, ge=0, le=1000, description="audio kept after the last speech frame")
    max_utterance_ms: int = Field(20_000, ge=2000, le=30_000, description="a longer one is cut at its quietest place")


class LimitSettings(_Section):
    """What one process accepts before it refuses."""

    sockets: int = Field(8192, ge=1, description="media sockets; 503 at the upgrade beyond")
    calls: int = Field(4096, ge=1, description="started calls; status 5002 beyond")
    tick_ms: int = Field(20, ge=5, le=100, description="how often media are read; with few sockets twice as often")


class RetentionSettings(_Section):
    """How long what is stored is kept."""

    messages_days: int = Field(7, ge=1, le=3650, description="days that transcripts are kept")


class LogSettings(_Section):
    """Logs."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    format: Literal["auto", "console", "json"] = Field("auto", description="auto: console on a terminal, else json")


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
    limits: LimitSettings = Field(default_factory=lambda: LimitSettings.model_validate({}))
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


def load(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings.

    Args:
        config: TOML file; its keys are the names of :class:`Settings`.
        overrides: values that win over the file (the environment wins over both).

    Raises:
        ConfigError: one line that names the variable and what it may be.
    """
    _refuse_unknown(os.environ)
    values: dict[str, Any] = {}
    if config is not None:
        try:
            values = tomllib.loads(config.read_text(encoding="utf-8"))
        except OSError as error:
            msg = f"--config {config}: cannot be read ({error.strerror}); name a readable TOML file"
            raise ConfigError(msg) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            msg = f"--config {config}: is not valid TOML ({error})"
            raise ConfigError(msg) from error
    values.update(overrides)
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError(_one_line(error)) from None


def variables() -> Iterator[str]:
    """The environment variable of every setting, sections included."""
    for name, field in Settings.model_fields.items():
        yield f"{ENV_PREFIX}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, _Section):
            for inner in field.annotation.model_fields:
                yield f"{ENV_PREFIX}{name.upper()}__{inner.upper()}"


def _refuse_unknown(names: Iterable[str]) -> None:
    """A misspelt variable would otherwise be a setting silently left at its default."""
    known = frozenset(variables())
    for name in sorted(name.upper() for name in names):
        ours = name.startswith(ENV_PREFIX) and not name.startswith(_BUILD_PREFIX)
        if not ours or name in known or name in _NO_SETTINGS:
            continue
        # Without the prefix that all of them share, which would make any two names alike.
        bare = [variable.removeprefix(ENV_PREFIX) for variable in known]
        close = difflib.get_close_matches(name.removeprefix(ENV_PREFIX), bare, n=1, cutoff=0.7)
        hint = f"did you mean {ENV_PREFIX}{close[0]}?" if close else "`gateway serve --help` lists them all"
        msg = f"{name}: is not a setting; {hint}"
        raise ConfigError(msg)


def _one_line(error: ValidationError) -> str:
    """The first error, as ``GATEWAY_X__Y: what was wrong``; the value itself may be a secret and is left out."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    names = [str(part) for part in first["loc"] if not isinstance(part, int)]
    variable = ENV_PREFIX + "__".join(names).upper()
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        reason = "is not a setting; `gateway serve --help` lists them all"
    return f"{variable}: {reason[:1].lower()}{reason[1:]}"
