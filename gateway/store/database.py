"""The database engine and its migrations: how a database URL becomes connections with the newest schema."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import URL, Connection, Engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from gateway.errors import StoreError
from gateway.store.migrations import HEAD

__all__ = ["BUSY_TIMEOUT_MS", "WRITE", "Queries", "Transactions", "create_engine", "explain", "migrate"]

T = TypeVar("T")

# How long SQLite waits for another process's write (the `keys` commands beside a running server).
BUSY_TIMEOUT_MS = 5000

# Execution option of a transaction that writes: SQLite then locks at BEGIN, where it can wait.
WRITE = {"gateway_write": True}

# Parameters hold transcript text and the hashes of secrets: they stay out of error messages.
_OPTIONS: dict[str, Any] = {"hide_parameters": True}
_POOL = {"pool_size": 5, "max_overflow": 5}
# Any constant that nobody else uses on the same PostgreSQL server.
_ADVISORY_LOCK = 0x67_61_74_65_77_61_79


def create_engine(database_url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> AsyncEngine:
    """An engine for ``sqlite:///PATH`` or ``postgresql://…``.

    Raises:
        StoreError: the URL is not one of a database we know.
    """
    url = _known(database_url)
    if url.get_backend_name() == "postgresql":
        return create_async_engine(url.set(drivername="postgresql+asyncpg"), **_OPTIONS, **_POOL)
    engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"), **_OPTIONS, **_POOL)
    _tune_sqlite(engine.sync_engine, busy_timeout_ms)
    return engine


def _known(database_url: str) -> URL:
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        msg = "GATEWAY_DATABASE_URL: is not a database URL; use sqlite:///PATH or postgresql://USER@HOST/NAME"
        raise StoreError(msg) from error
    in_memory = url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")
    if url.get_backend_name() not in ("sqlite", "postgresql") or in_memory:
        msg = "GATEWAY_DATABASE_URL: must be sqlite:///PATH (a file) or postgresql://USER@HOST/NAME"
        raise StoreError(msg)
    return url


def _tune_sqlite(engine: Engine, busy_timeout_ms: int) -> None:
    @event.listens_for(engine, "connect")
    def _connect(dbapi_connection: Any, _record: Any) -> None:
        # The driver would open transactions by itself, and late; ours begin where we say.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        try:
            cursor.execute(f"PRAGMA busy_timeout = {busy_timeout_ms:d}")
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            # Nobody else would: the pool does not know this connection yet.
            dbapi_connection.close()
            raise
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("gateway_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


class Queries:
    """What queries stand on: transactions of an engine, whose errors are a :class:`~gateway.errors.StoreError`."""

    engine: AsyncEngine

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self.engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            msg = f"the database cannot be read: {explain(error)}"
            raise StoreError(msg) from error

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self.engine.execution_options(**WRITE).begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            msg = f"the database cannot be written: {explain(error)}"
            raise StoreError(msg) from error


class Transactions:
    """Write transactions for the writer, each one piece of work on a connection.

    On SQLite it is done in a thread of its own with the standard library's driver: one hop to another thread instead
    of one a statement, which halves what a commit costs (1.6 instead of 3.1 ms CPU where it was measured).
    """

    def __init__(self, engine: AsyncEngine, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self._engine = engine
        self._sqlite: Engine | None = None
        if engine.dialect.name == "sqlite":
            sqlite = sqlalchemy.create_engine(engine.url.set(drivername="sqlite"), **_OPTIONS)
            _tune_sqlite(sqlite, busy_timeout_ms)
            self._sqlite = sqlite.execution_options(**WRITE)
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do the work and commit; roll back if it raises."""
        if self._sqlite is not None:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._in_thread, self._sqlite, work)
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    @staticmethod
    def _in_thread(engine: Engine, work: Callable[[Connection], T]) -> T:
        with engine.begin() as connection:
            return work(connection)

    def close(self) -> None:
        """Close the connection; work that has been begun ends by itself."""
        if self._sqlite is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._sqlite.dispose()


def explain(error: BaseException) -> str:
    """What a driver's error says, without statement and parameters.

    Its first line only: on the next ones PostgreSQL shows the row.
    """
    cause = getattr(error, "orig", None) or error
    return str(cause).partition("\n")[0].strip() or type(cause).__name__


async def migrate(database_url: str) -> None:
    """Bring the database to the newest schema; one process at a time, off the event loop.

    Raises:
        StoreError: the database is newer than this gateway, unreachable, or not writable.
    """
    await asyncio.to_thread(_migrate, database_url)


def _migrate(database_url: str) -> None:
    url = _known(database_url)
    shown = url.render_as_string(hide_password=True)
    try:
        if url.get_backend_name() == "postgresql":
            asyncio.run(_upgrade_postgresql(url))
        else:
            _upgrade_sqlite(url)
    except OSError as error:
        raise StoreError(_unusable(shown, error.strerror or explain(error))) from error
    except SQLAlchemyError as error:
        raise StoreError(_unusable(shown, explain(error))) from error


def _unusable(shown: str, reason: str) -> str:
    return f"{shown}: cannot be opened ({reason}); GATEWAY_DATABASE_URL must name a database we may write"


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold ``FILE.lock``: SQLite does not wait when two first starts both turn a new file to WAL."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(file.name + ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _upgrade_sqlite(url: URL) -> None:
    # The driver of the standard library: this thread has no loop, and should not need one.
    engine = sqlalchemy.create_engine(url.set(drivername="sqlite"), poolclass=NullPool, **_OPTIONS)
    _tune_sqlite(engine, BUSY_TIMEOUT_MS)
    file = Path(str(url.database))
    with _locked(file):
        # Transcripts are nobody else's to read; SQLite gives its other files the same mode.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        with engine.execution_options(**WRITE).begin() as connection:
            _upgrade(connection)


async def _upgrade_postgresql(url: URL) -> None:
    engine = create_async_engine(url.set(drivername="postgresql+asyncpg"), poolclass=NullPool, **_OPTIONS)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    if _revision(connection) == HEAD:
        return
    # Alembic takes a while to import and most starts need none of it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    found = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        msg = (
            f"the database is at revision {found}, this gateway knows up to {HEAD}; "
            "run the newer gateway, or restore a backup"
        )
        raise StoreError(msg)
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
