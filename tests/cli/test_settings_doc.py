from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.cli.settings_doc import page, settings, settings_help
from gateway.config import load

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_committed_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m gateway.cli.settings_doc > docs/configuration.md"


def test_every_setting_is_described() -> None:
    assert [setting.variable for setting in settings() if not setting.description] == []


def test_no_setting_is_left_out() -> None:
    leaves = {
        f"{name}__{inner}" if isinstance(value, BaseModel) else name
        for name, value in load()
        for inner in (type(value).model_fields if isinstance(value, BaseModel) else ("",))
    }
    assert {setting.variable for setting in settings()} == {f"GATEWAY_{leaf}".upper() for leaf in leaves}


def test_the_help_names_every_setting_on_lines_of_its_own() -> None:
    lines = settings_help().splitlines()
    assert all(line.strip() for line in lines)
    assert [line.split()[0] for line in lines[1:]] == [setting.variable for setting in settings()]


def test_a_described_variable_reaches_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_LIMITS__TICK_MS", "40")
    monkeypatch.setenv("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")
    loaded = load()
    assert loaded.limits.tick_ms == 40
    assert loaded.trusted_proxies == ["10.0.0.0/8", "127.0.0.1"]


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("GATEWAY_PORT", "whole number from 0 to 65535"),
        ("GATEWAY_VAD__THRESHOLD", "number above 0 below 1"),
        ("GATEWAY_TWILIO__SIGNATURE", "`off`, `log`, `require`"),
        ("GATEWAY_STORE_KEY", "secret"),
        ("GATEWAY_TRUSTED_PROXIES", "list, parted by commas"),
        ("GATEWAY_DATA_DIR", "path"),
    ],
)
def test_values_are_told_in_words(variable: str, words: str) -> None:
    assert {setting.variable: setting.values for setting in settings()}[variable] == words
