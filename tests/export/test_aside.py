"""Days built by another process."""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Settings, load
from gateway.errors import InternalError, StoreError
from gateway.export.aside import Aside
from gateway.export.build import Builder, Plan, alone
from gateway.export.partitions import Day
from gateway.export.storage import Folder
from gateway.store.feeds import FeedQueries
from gateway.store.secrets import store_key
from gateway.store.store import Store

from .samples import DAY, three_days

PLAN = Plan(formats=("jsonl",))


def settings_of(path: Path, **export: Any) -> Settings:
    return load(data_dir=path / "data", export=export)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Store, str]]:
    """The settings' store with three days in it, and their account."""
    store = await Store.open(settings.resolved_database_url, key=store_key(settings))
    try:
        yield store, await three_days(store)
    finally:
        await store.close()


@asynccontextmanager
async def silent_storage() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The address of a storage that never answers, and whether it has been asked."""
    asked, done = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await done.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        done.set()
        server.close()
        await server.wait_closed()


def bucket_at(url: str) -> dict[str, str]:
    return {"s3_bucket": "feeds", "s3_endpoint": url, "s3_key": "id", "s3_secret": "secret"}


async def test_it_builds_what_a_builder_builds(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with opened(settings) as (store, account_id):
        hours = []
        folder, mine = tmp_path / "data" / "feeds", Folder(tmp_path / "mine")
        async with alone(folder):
            aside = await Aside(settings).build(account_id, DAY, PLAN, on_hour=lambda: hours.append(1))
        async with alone(mine.root):
            here = await Builder(FeedQueries(store), mine, mine.root).build(account_id, DAY, PLAN)
    assert aside == here
    assert len(hours) == 24
    for key in mine.keys(f"{account_id}/"):
        assert Folder(folder).path(key).read_bytes() == mine.path(key).read_bytes()


async def test_what_is_printed_there_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a library might do that says hello."""
    (tmp_path / "sitecustomize.py").write_text(
        "import pickle\nload = pickle.load\npickle.load = lambda file: (print('hello'), load(file))[1]\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings = settings_of(tmp_path)
    async with opened(settings) as (_, account_id):
        built = await Aside(settings).build(account_id, DAY, replace(PLAN, feeds=("utterances",)))
    assert [one.rows for one in built] == [5]


async def test_an_error_of_ours_quotes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import pickle\ndef dumps(_built): raise ValueError('My PIN is 8765.')\npickle.dumps = dumps\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings = settings_of(tmp_path)
    async with opened(settings) as (_, account_id):
        with pytest.raises(InternalError, match="ended with 1"):
            await Aside(settings).build(account_id, DAY, replace(PLAN, feeds=("utterances",)))
    told = capfd.readouterr()
    assert "our own mistake (ValueError)" in told.err
    assert "8765" not in told.out + told.err


async def test_a_storage_that_refuses_is_told(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, directory=tmp_path / "file")
    (tmp_path / "file").write_text("")
    async with opened(settings) as (_, account_id):
        with pytest.raises(StoreError, match=r"GATEWAY_EXPORT__DIRECTORY: .* cannot be written"):
            await Aside(settings).build(account_id, DAY, PLAN)


async def test_a_process_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.export.aside.sys.executable", "/bin/false")
    with pytest.raises(InternalError, match="ended with 1"):
        await Aside(settings_of(tmp_path)).build("01ACC", DAY, PLAN)


async def test_a_cancelled_build_leaves_no_process(tmp_path: Path) -> None:
    async with silent_storage() as (url, asked):
        settings = settings_of(tmp_path, **bucket_at(url))
        async with opened(settings) as (_, account_id):
            task = asyncio.ensure_future(Aside(settings).build(account_id, DAY, PLAN))
            await asked.wait()
            task.cancel()
            # Waits for the process, which would wait for the storage for ever.
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_it_ends_with_the_gateway(tmp_path: Path) -> None:
    async with silent_storage() as (url, asked):
        settings = settings_of(tmp_path, **bucket_at(url))
        async with opened(settings) as (_, account_id):
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway.export.aside", stdin=pipe, stdout=pipe
            )
            assert process.stdin is not None
            process.stdin.write(pickle.dumps((settings, account_id, DAY, PLAN)))
            await asked.wait()
            process.stdin.close()
            assert await process.wait() == 3
    assert not Folder(tmp_path / "data" / "feeds").keys(Day(account_id, "utterances", "jsonl", DAY).prefix)
