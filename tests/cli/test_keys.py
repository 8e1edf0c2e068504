from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.store.store import Store


@pytest.fixture(autouse=True)
def _data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path / "data"))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gateway", "keys", *arguments])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def principal(tmp_path: Path, api_id: str, api_secret: str) -> Any:
    async def ask() -> Any:
        key = (tmp_path / "data" / "store-key").read_bytes()
        store = await Store.open(f"sqlite:///{tmp_path / 'data' / 'gateway.db'}", key=key)
        try:
            return await store.authenticate(api_id, api_secret)
        finally:
            await store.close()

    return asyncio.run(ask())


def test_a_made_key_opens_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "create", "--name", "first", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert set(made) == {"apiId", "apiSecret"}
    assert principal(tmp_path, made["apiId"], made["apiSecret"]) is not None


def test_the_secret_is_shown_once_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "create", "--name", "first") == 0
    shown = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert run(monkeypatch, "list") == 0
    listed = capsys.readouterr().out
    assert shown["asapp-api-id"].strip() in listed
    assert shown["asapp-api-secret"].strip() not in listed


def test_keys_are_listed_with_their_accounts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "create", "--name", "first")
    run(monkeypatch, "create", "--name", "second [bold]", "--account", "acme")
    capsys.readouterr()
    assert run(monkeypatch, "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(key["name"], key["account"], key["revokedAt"]) for key in listed] == [
        ("first", "default", None),
        ("second [bold]", "acme", None),
    ]


def test_looking_for_keys_makes_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run in another directory than the gateway's, it would find an empty one of its own and say that all is well."""
    for command in (("list",), ("list", "--json"), ("revoke", "ANY")):
        assert run(monkeypatch, *command) == 2
        assert "GATEWAY_DATA_DIR" in capsys.readouterr().err
    assert list(tmp_path.rglob("gateway.db")) == []


def test_a_revoked_key_is_refused_and_revoking_it_again_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "create", "--name", "first", "--json")
    made = json.loads(capsys.readouterr().out)
    assert run(monkeypatch, "revoke", made["apiId"]) == 0
    assert principal(tmp_path, made["apiId"], made["apiSecret"]) is None
    capsys.readouterr()
    assert run(monkeypatch, "revoke", made["apiId"]) == 2
    assert "no such key, or it is revoked already" in capsys.readouterr().err
    run(monkeypatch, "list", "--json")
    assert json.loads(capsys.readouterr().out)[0]["revokedAt"] is not None


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 201])
def test_a_name_that_cannot_be_shown_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "create", "--name", name) == 2
    assert "--name: must be 1 to 200 printable characters" in " ".join(capsys.readouterr().err.split())


def test_a_database_that_cannot_be_opened_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a database, but a text that is long enough to be read as one" * 20)
    monkeypatch.setenv("GATEWAY_DATABASE_URL", f"sqlite:///{tmp_path}/file")
    assert run(monkeypatch, "list") == 1
    assert "GATEWAY_DATABASE_URL must name a database we may write" in " ".join(capsys.readouterr().err.split())


def test_the_command_itself_makes_a_key(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("gateway")), "keys", "create", "--name", "x", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=100)
    assert set(json.loads(done.stdout)) == {"apiId", "apiSecret"}
    assert done.stderr == ""
