"""What happens before the first call."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.server.boot import LOCK_FILE, alone, first_key
from gateway.store.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}", key=bytes(32))
    yield store
    await store.close()


def test_a_data_directory_is_one_gateways(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    with alone(folder):
        assert stat.S_IMODE((folder / LOCK_FILE).stat().st_mode) == 0o600
        with pytest.raises(ConfigError, match=r"GATEWAY_DATA_DIR: another gateway runs on .*here"), alone(folder):
            pass
    with alone(folder):
        pass


def test_a_data_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"GATEWAY_DATA_DIR: .* cannot be made"), alone(tmp_path / "file" / "data"):
        pass


async def test_the_first_key_is_made_once_and_works(tmp_path: Path, store: Store) -> None:
    await first_key(store, tmp_path)
    path = tmp_path / "first-key.json"
    key = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert await store.authenticate(key["apiId"], key["apiSecret"]) is not None
    path.unlink()
    await first_key(store, tmp_path)
    assert not path.exists()


async def test_on_a_terminal_it_is_shown_and_written_nowhere(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    await first_key(store, tmp_path)
    shown = dict(part.split("=") for part in capsys.readouterr().err.split() if "=" in part)
    assert await store.authenticate(shown["GATEWAY_API_ID"], shown["GATEWAY_API_SECRET"]) is not None
    assert not (tmp_path / "first-key.json").exists()
