from __future__ import annotations

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, CreateTable, text
from sqlalchemy.dialects import postgresql

import gateway.store.migrations
from gateway.errors import StoreError
from gateway.store.migrations import HEAD
from gateway.store.records import ConfigurationRecord
from gateway.store.schema import metadata
from gateway.store.store import Store

from .samples import KEY


def _differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def test_migrations_build_what_the_queries_expect(store: Store) -> None:
    async with store.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


def test_head_is_the_newest_migration() -> None:
    folder = Path(gateway.store.migrations.__file__).parent
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


def test_postgresql_takes_the_tables() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))


async def test_the_database_is_durable_and_checks_its_keys(store: Store) -> None:
    async with store.engine.connect() as connection:
        found = [
            await connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert found == ["wal", 2, 1, 50]


async def test_the_files_are_their_owners_only(store: Store, tmp_path: Path) -> None:
    await store.create_key("first")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in _files(tmp_path) if ".lock" not in path.name}
    assert modes == {"gateway.db": 0o600, "gateway.db-wal": 0o600, "gateway.db-shm": 0o600}


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_first_starts_at_once_do_not_race(url: str) -> None:
    stores = await asyncio.gather(*(Store.open(url, key=KEY) for _ in range(4)))
    for store in stores:
        await store.ping()
        await store.close()


async def test_an_open_database_opens_again_with_what_it_held(store: Store, url: str) -> None:
    key = await store.create_key("first")
    again = await Store.open(url, key=KEY)
    assert await again.authenticate(key.api_id, key.api_secret) is not None
    await again.close()


def _downgrade(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(gateway.store.migrations.__file__).parent))
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()


async def test_the_first_versions_database_opens_with_what_it_held(store: Store, url: str) -> None:
    key = await store.create_key("first")
    await store.set_redaction(key.account_id, "EMAIL", True)
    await store.close()
    await asyncio.to_thread(_downgrade, url, "0001")
    again = await Store.open(url, key=KEY)
    assert await again.authenticate(key.api_id, key.api_secret) is not None
    assert await again.configuration(key.account_id) == ConfigurationRecord()
    async with again.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await again.close()


async def test_a_newer_database_is_refused(store: Store, url: str, tmp_path: Path) -> None:
    await store.close()
    with sqlite3.connect(tmp_path / "gateway.db") as plain:
        plain.execute("UPDATE alembic_version SET version_num = '9999'")
    plain.close()
    with pytest.raises(StoreError, match=f"revision 9999, this gateway knows up to {HEAD}"):
        await Store.open(url, key=KEY)


async def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"these are notes, not a database\n" * 200)
    with pytest.raises(StoreError, match="not a database"):
        await Store.open(f"sqlite:///{path}", key=KEY)
    assert path.read_bytes().startswith(b"these are notes")


async def test_a_path_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="GATEWAY_DATABASE_URL must name a database we may write"):
        await Store.open(f"sqlite:///{tmp_path}/file/gateway.db", key=KEY)


async def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gateway.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        await Store.open(f"sqlite:///{tmp_path}/gateway.db", key=KEY)


@pytest.mark.parametrize("bad", ["sqlite://", "sqlite:///:memory:", "mysql://h/x", "nonsense"])
async def test_a_url_of_no_known_database_is_refused(bad: str) -> None:
    with pytest.raises(StoreError, match="GATEWAY_DATABASE_URL"):
        await Store.open(bad, key=KEY)


async def test_an_unreachable_postgresql_is_refused_without_its_password(unused_tcp_port: int) -> None:
    with pytest.raises(StoreError, match="cannot be opened") as raised:
        await Store.open(f"postgresql://u:hunter2@127.0.0.1:{unused_tcp_port}/g", key=KEY)
    assert "hunter2" not in str(raised.value)


async def test_a_short_key_is_our_bug(url: str) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        await Store.open(url, key=b"short")
