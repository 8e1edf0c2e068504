"""Settings: every mistake is one line that names the variable and what it may be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Settings, SignaturePolicy, WebhookAuth, load, variables
from gateway.errors import ConfigError


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("GATEWAY_"):
            monkeypatch.delenv(name)


def refusal(config: Path | None = None, **overrides: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(config, **overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.__cause__ is None or config is not None
    return message


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "gateway.toml"


def test_defaults_work() -> None:
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.stream_token_ttl == 300
    assert settings.webhook.url is None
    assert settings.twilio.signature is SignaturePolicy.OFF
    assert settings.resolved_database_url.startswith("sqlite:////")
    assert settings.resolved_database_url.endswith("/data/gateway.db")


def test_environment_over_file_and_overrides(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text('port = 1\nhost = "0.0.0.0"\n[asr]\nthreads = 3\nmax_batch = 2\n')
    monkeypatch.setenv("GATEWAY_PORT", "3")
    monkeypatch.setenv("GATEWAY_ASR__THREADS", "4")
    settings = load(toml, port=2, drain_seconds=1)
    assert (settings.port, settings.host, settings.drain_seconds) == (3, "0.0.0.0", 1)
    assert (settings.asr.threads, settings.asr.max_batch) == (4, 2)


def test_nested_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_WEBHOOK__URL", "https://example.com/hook")
    monkeypatch.setenv("GATEWAY_WEBHOOK__AUTH", "secret")
    monkeypatch.setenv("GATEWAY_WEBHOOK__SECRET_VALUE", "hush")
    monkeypatch.setenv("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")
    settings = load()
    assert settings.webhook.auth is WebhookAuth.SECRET
    assert settings.webhook.secret_value is not None
    assert settings.webhook.secret_value.get_secret_value() == "hush"
    assert settings.trusted_proxies == ["10.0.0.0/8", "127.0.0.1"]
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("GATEWAY_PORT", "http", "integer"),
        ("GATEWAY_PORT", "70000", "65535"),
        ("GATEWAY_PUBLIC_URL", "https://gw.example.com", "wss://"),
        ("GATEWAY_DATABASE_URL", "mysql://x", "sqlite:///"),
        ("GATEWAY_STREAM_TOKEN_TTL", "0", "greater than or equal to 1"),
        ("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8,proxy", "network"),
        ("GATEWAY_TLS__CERT", "cert.pem", "both or neither"),
        ("GATEWAY_TWILIO__SIGNATURE", "on", "'off', 'log' or 'require'"),
        ("GATEWAY_TWILIO__SIGNATURE", "require", "needs GATEWAY_TWILIO__AUTH_TOKEN"),
        ("GATEWAY_WEBHOOK__URL", "ftp://x", "http://"),
        ("GATEWAY_WEBHOOK__AUTH", "basic", "'none', 'secret', 'mtls' or 'oauth2'"),
        ("GATEWAY_WEBHOOK__AUTH", "oauth2", "GATEWAY_WEBHOOK__OAUTH2_CLIENT_SECRET"),
        ("GATEWAY_VAD__RELEASE", "0.9", "must not be above threshold"),
        ("GATEWAY_LOG__LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("GATEWAY_ASR", "tiny", "a group of settings"),
        ("GATEWAY_REDACTION__ALWAYS", "maybe", "must be true or false"),
    ],
)
def test_a_wrong_value(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str) -> None:
    monkeypatch.setenv(variable, value)
    message = refusal()
    section = variable.partition("__")[0]
    assert message.startswith((f"{variable}: ", f"{section}: ", f"{section}__"))
    assert words in message


@pytest.mark.parametrize(
    ("variable", "value"),
    [("GATEWAY_WEBHOOK__SECRET_IN", "hush-hush"), ("GATEWAY_WEBHOOK__URL", "hush-hush"), ("GATEWAY_PORT", "hush-hush")],
)
def test_the_value_is_not_quoted(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    assert value not in refusal()


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("GATEWAY_FOO", "`gateway serve --help`"),
        ("GATEWAY_PROT", "did you mean GATEWAY_PORT?"),
        ("GATEWAY_WEBHOOK_URL", "did you mean GATEWAY_WEBHOOK__URL?"),
        ("GATEWAY_ASR__THREAD", "did you mean GATEWAY_ASR__THREADS?"),
        ("GATEWAY_WEBHOK__URL", "did you mean GATEWAY_WEBHOOK__URL?"),
        ("GATEWAY_WEBHOOK__RETRYFOR", "did you mean GATEWAY_WEBHOOK__RETRY_FOR?"),
        ("GATEWAY_WEBHOOK__NOPE", "`gateway serve --help` lists them all"),
        ("gateway_hosts", "did you mean GATEWAY_HOST?"),
        ("GATEWAY_", "is not a setting"),
    ],
)
def test_an_unknown_variable(monkeypatch: pytest.MonkeyPatch, variable: str, words: str) -> None:
    monkeypatch.setenv(variable, "hush")
    message = refusal()
    assert message.startswith(f"{variable.upper()}: is not a setting; ")
    assert words in message
    assert "hush" not in message


@pytest.mark.parametrize(
    "variable",
    [
        "GATEWAY_NO_EXTENSIONS",
        "GATEWAY_NATIVE_DIR",
        "GATEWAY_BUILD_DEBUG",
        "GATEWAY_API_ID",
        "GATEWAY_API_SECRET",
        "GATEWAY_TEST_PROFILE",
        "OTHER_GATEWAY_FOO",
    ],
)
def test_variables_that_others_read(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    load()


def test_every_setting_has_its_variable() -> None:
    names = list(variables())
    assert len(set(names)) == len(names)
    assert {"GATEWAY_HOST", "GATEWAY_TLS__CERT", "GATEWAY_WEBHOOK__OAUTH2_SCOPE", "GATEWAY_LOG__FORMAT"} <= set(names)
    sections = {name for name in Settings.model_fields if any(f"_{name.upper()}__" in known for known in names)}
    fixed = {"tls", "twilio", "webhook", "asr", "vad", "endpoint", "redaction", "text", "limits", "retention", "log"}
    assert sections == {*fixed, "export"}


def test_unknown_keys_in_the_file(toml: Path) -> None:
    toml.write_text("prot = 1\n")
    assert refusal(toml) == "GATEWAY_PROT: is not a setting; `gateway serve --help` lists them all"
    toml.write_text("[webhook]\nuri = 'x'\n")
    assert refusal(toml).startswith("GATEWAY_WEBHOOK__URI: is not a setting")


@pytest.mark.parametrize("content", [b"port = \n", b"\xff\xfe", b"[webhook\n"])
def test_a_file_that_is_no_toml(toml: Path, content: bytes) -> None:
    toml.write_bytes(content)
    message = refusal(toml)
    assert message.startswith(f"--config {toml}: is not valid TOML")


def test_a_file_that_cannot_be_read(toml: Path, tmp_path: Path) -> None:
    assert "No such file" in refusal(toml)
    assert "Is a directory" in refusal(tmp_path)
