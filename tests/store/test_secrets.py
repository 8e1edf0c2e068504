from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.errors import ConfigError
from gateway.store.secrets import derive, load_or_create, resolve


def test_a_secret_is_made_once_and_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "store.key"
    made = load_or_create(path)
    assert len(made) == 32
    assert load_or_create(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["store.key"]


def test_two_secrets_differ(tmp_path: Path) -> None:
    assert load_or_create(tmp_path / "a", 16) != load_or_create(tmp_path / "b", 16)


def test_all_who_come_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        for number in range(20):
            path = tmp_path / f"{number}"
            assert len(set(pool.map(lambda _, path=path: load_or_create(path), range(16)))) == 1
    assert len(list(tmp_path.iterdir())) == 20


def test_a_damaged_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "store.key"
    path.write_bytes(b"half")
    with pytest.raises(ConfigError, match="holds 4 bytes instead of 32"):
        load_or_create(path)
    assert path.read_bytes() == b"half"


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="GATEWAY_DATA_DIR"):
        load_or_create(tmp_path / "file" / "store.key")


def test_a_setting_wins_over_the_file_and_is_derived(tmp_path: Path) -> None:
    path = tmp_path / "store.key"
    value = resolve(SecretStr("a good long secret"), "GATEWAY_STORE_KEY", path)
    assert value == resolve(SecretStr("a good long secret"), "GATEWAY_STORE_KEY", path)
    assert value != resolve(SecretStr("a good long secret"), "GATEWAY_STREAM_TOKEN_SECRET", path)
    assert len(value) == 32
    assert not path.exists()
    assert resolve(None, "GATEWAY_STORE_KEY", path) == path.read_bytes()


def test_a_short_setting_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="GATEWAY_STORE_KEY: needs at least 16 characters") as raised:
        resolve(SecretStr("swordfish"), "GATEWAY_STORE_KEY", tmp_path / "k")
    assert "swordfish" not in str(raised.value)


def test_derivation_does_not_change() -> None:
    # A changed derivation would lock owners out of what they stored.
    assert derive("sixteen characters", "GATEWAY_STORE_KEY").hex()[:16] == "80e0acff9adab0bd"
