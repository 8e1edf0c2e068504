"""The parts of the settings, in the order of the way of the data: a class a section."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

__all__ = [
    "ENV_PREFIX",
    "AsrSettings",
    "EndpointSettings",
    "LimitSettings",
    "LogSettings",
    "RedactionSettings",
    "RetentionSettings",
    "Section",
    "SignaturePolicy",
    "TextSettings",
    "TlsSettings",
    "TwilioSettings",
    "VadSettings",
]

ENV_PREFIX = "GATEWAY_"


class SignaturePolicy(StrEnum):
    """What is done with ``X-Twilio-Signature`` on a media upgrade."""

    OFF = "off"
    LOG = "log"
    REQUIRE = "require"


class Section(BaseModel):
    """A part of the settings: ``GATEWAY_NAME__FIELD``."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class TlsSettings(Section):
    """TLS ended in the process; both or neither."""

    cert: Path | None = Field(None, description="PEM file with the certificate chain")
    key: Path | None = Field(None, description="PEM file with the private key")

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.cert is None) != (self.key is None):
            msg = "GATEWAY_TLS__CERT and GATEWAY_TLS__KEY go together: set both or neither"
            raise ValueError(msg)
        return self


class TwilioSettings(Section):
    """What the gateway knows of the Twilio account."""

    auth_token: SecretStr | None = Field(None, description="Twilio auth token, for checking X-Twilio-Signature")
    signature: SignaturePolicy = Field(SignaturePolicy.OFF, description="off, log or require")

    @model_validator(mode="after")
    def _token_for_signature(self) -> Self:
        if self.signature is not SignaturePolicy.OFF and self.auth_token is None:
            msg = "signature 'log' or 'require' needs GATEWAY_TWILIO__AUTH_TOKEN"
            raise ValueError(msg)
        return self


class AsrSettings(Section):
    """The recognizer."""

    model: str = Field(
        "moonshine-tiny-en", description="name from `gateway models list`, or none: audio ends in a checksum"
    )
    threads: int | None = Field(None, ge=1, le=256, description="recognizer threads (default: cores − 1, at least 1)")
    max_batch: int = Field(8, ge=1, le=64, description="utterances decoded together at the most")
    queue: int = Field(512, ge=1, description="utterances that may wait; new starts are refused from three quarters on")


class VadSettings(Section):
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


class EndpointSettings(Section):
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


class RedactionSettings(Section):
    """What is hidden in texts; which entities are is set by account, with the configuration API."""

    always: bool = Field(False, description="refuse starts that ask for unredacted text (status 4094)")


class TextSettings(Section):
    """What becomes of recognised text."""

    formatting: bool = Field(
        True, description="write numbers, money, times, telephone numbers and addresses as one writes them (English)"
    )


class LimitSettings(Section):
    """What one process accepts before it refuses."""

    sockets: int = Field(8192, ge=1, description="media sockets; 503 at the upgrade beyond")
    calls: int = Field(4096, ge=1, description="started calls; status 5002 beyond")
    tick_ms: int = Field(20, ge=5, le=100, description="how often media are read; few sockets more, many less often")


class RetentionSettings(Section):
    """How long what is stored is kept."""

    messages_days: int = Field(7, ge=1, le=3650, description="days that transcripts are kept")


class LogSettings(Section):
    """Logs."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    format: Literal["auto", "console", "json"] = Field("auto", description="auto: console on a terminal, else json")
