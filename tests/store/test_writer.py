from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from gateway.errors import StoreError
from gateway.ids import new_ulid
from gateway.metrics import REGISTRY
from gateway.store.records import RevisionRecord
from gateway.store.rows import Record
from gateway.store.store import Store
from gateway.store.writer import GROUP_ROWS, Writer

from .samples import KEY, NOON, delivery, message, opened_call

T = TypeVar("T")


@pytest.fixture
async def writer(store: Store) -> AsyncIterator[Writer]:
    writer = Writer(store)
    yield writer
    await writer.close(0)


@pytest.fixture
def lock(tmp_path: Path, store: Store) -> sqlite3.Connection:
    """Another process that holds the database: every commit fails until it rolls back."""
    plain = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    plain.execute("BEGIN IMMEDIATE")
    return plain


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def ends(awaitable: Awaitable[T]) -> T:
    async with asyncio.timeout(30):
        return await awaitable


def _note(finished: list[int], number: int, _future: asyncio.Future[None]) -> None:
    finished.append(number)


def dropped() -> float:
    return REGISTRY.get_sample_value("gateway_store_dropped_total") or 0.0


async def test_a_committed_record_is_there_for_everybody(store: Store, writer: Writer, tmp_path: Path) -> None:
    opened = await opened_call(store)
    said = message(opened.call_id, 0, "my PIN is ####", unredacted="my PIN is 8765")
    await ends(writer.submit(said))
    with sqlite3.connect(tmp_path / "gateway.db") as plain:
        assert plain.execute("SELECT message_id, text FROM messages").fetchall() == [(said.message_id, said.text)]
    plain.close()
    assert await store.messages(opened.account_id, "CA01") == [said]
    assert writer.healthy
    assert writer.backlog == 0


async def test_what_comes_at_once_is_committed_together_and_in_order(store: Store, writer: Writer) -> None:
    opened = await opened_call(store)
    commits = REGISTRY.get_sample_value("gateway_store_commit_seconds_count") or 0.0
    said = [message(opened.call_id, number) for number in range(600)]
    finished: list[int] = []
    for number, record in enumerate(said):
        writer.submit(record).add_done_callback(partial(_note, finished, number))
    await until(lambda: writer.backlog == 0)
    assert await store.messages(opened.account_id, "CA01", limit=700) == said
    assert finished == list(range(600))
    assert (REGISTRY.get_sample_value("gateway_store_commit_seconds_count") or 0.0) - commits == 3


async def test_the_last_state_of_a_delivery_and_of_a_call_wins(store: Store, writer: Writer) -> None:
    opened = await opened_call(store)
    said = message(opened.call_id, 0)
    pending = delivery(said)
    failed = dataclasses.replace(pending, outcome="failed", reason="timeout")
    done = dataclasses.replace(opened, completed_at=NOON, completed_reason="hangup")
    records: list[Record] = [opened, said, pending, failed]
    for record in records:
        writer.submit(record)
    await ends(writer.submit(done))
    assert await store.delivery_failures(opened.account_id) == [failed]
    assert await store.call(opened.account_id, "CA01") == done


async def test_a_post_and_its_message_are_committed_together(store: Store, writer: Writer) -> None:
    opened = await opened_call(store)
    for number in range(GROUP_ROWS - 1):
        writer.submit(message(opened.call_id, number))
    said = message(opened.call_id, GROUP_ROWS)
    pending, done = writer.submit(delivery(said)), writer.submit(said)
    await ends(pending)
    assert done.done()


async def test_that_a_post_was_delivered_waits_for_company_but_not_for_ever(store: Store, writer: Writer) -> None:
    opened = await opened_call(store)
    said = message(opened.call_id, 0)
    await ends(writer.submit(said))
    before = REGISTRY.get_sample_value("gateway_store_commit_seconds_count") or 0.0
    lazy = writer.submit(delivery(said, "delivered"))
    # Several turns of the loop: time enough for a commit to begin, if it did not wait.
    for _ in range(20):
        await asyncio.sleep(0)
    assert not lazy.done()
    await ends(asyncio.gather(lazy, writer.submit(message(opened.call_id, 1))))
    assert (REGISTRY.get_sample_value("gateway_store_commit_seconds_count") or 0.0) - before == 1
    await ends(writer.submit(delivery(said, "delivered")))
    assert writer.backlog == 0


async def test_a_poisonous_record_holds_up_nobody(store: Store, writer: Writer) -> None:
    opened = await opened_call(store)
    good, other = message(opened.call_id, 0), message(opened.call_id, 1)
    poison: list[Record] = [
        message("no such call", 0),
        dataclasses.replace(message(opened.call_id, 2), message_id=good.message_id + "X", sequence=0),
        message(opened.call_id, 3, "\ud800 is no text"),
        dataclasses.replace(message(opened.call_id, 4), start_ms=1 << 70),
        delivery(good, "no such outcome"),
    ]
    before = dropped()
    records: list[Record] = [good, *poison, other]
    futures = [writer.submit(record) for record in records]
    await ends(asyncio.wait(futures))
    assert futures[0].result() is None
    assert futures[-1].result() is None
    for future in futures[1:-1]:
        with pytest.raises(StoreError, match="refused the record"):
            future.result()
    assert await store.messages(opened.account_id, "CA01") == [good, other]
    assert dropped() - before == len(poison)
    assert writer.healthy


async def test_a_revision_changes_the_text_of_its_message_and_nothing_else(store: Store, writer: Writer) -> None:
    opened = await opened_call(store)
    said, other = message(opened.call_id, 0, "4 1", unredacted="4 1"), message(opened.call_id, 1)
    writer.submit(said)
    # In one commit with its message, in a later one, and for a message that was never written.
    for record in (RevisionRecord(said.message_id, "# 1"), other, RevisionRecord(new_ulid(), "lost")):
        writer.submit(record)
    await ends(writer.submit(RevisionRecord(said.message_id, "##")))
    assert await store.messages(opened.account_id, "CA01") == [dataclasses.replace(said, text="##"), other]
    await ends(writer.submit(RevisionRecord(other.message_id, "###")))
    assert [one.text for one in await store.messages(opened.account_id, "CA01") or ()] == ["##", "###"]
    # A message that is written again, after its revision, does not bring its text back.
    await ends(writer.submit(said))
    assert (await store.messages(opened.account_id, "CA01") or [])[0].text == "##"


async def test_a_message_written_twice_stands_once(store: Store, writer: Writer) -> None:
    opened = await opened_call(store)
    said = message(opened.call_id, 0, unredacted="8765")
    await ends(asyncio.gather(writer.submit(said), writer.submit(said)))
    await ends(writer.submit(said))
    assert await store.messages(opened.account_id, "CA01") == [said]


async def test_records_wait_while_the_database_is_held(
    store: Store, writer: Writer, tmp_path: Path, lock: sqlite3.Connection
) -> None:
    lock.rollback()
    opened = await opened_call(store)
    lock.execute("BEGIN IMMEDIATE")
    said = [message(opened.call_id, number) for number in range(3)]
    futures = [writer.submit(record) for record in said]
    await until(lambda: not writer.healthy)
    assert writer.backlog == 3
    assert not any(future.done() for future in futures)
    lock.rollback()
    await ends(asyncio.gather(*futures))
    assert await store.messages(opened.account_id, "CA01") == said
    assert writer.healthy
    assert writer.backlog == 0
    lock.close()


async def test_an_error_of_no_database_is_tried_again_and_not_quoted(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = await opened_call(store)
    said = message(opened.call_id, 0)

    def broken(operation: Callable[[Connection], object]) -> Awaitable[object]:
        raise RuntimeError(f"cannot write {said.text}")

    with monkeypatch.context() as patch:
        patch.setattr(store.transactions, "run", broken)
        future = writer.submit(said)
        await until(lambda: not writer.healthy)
        assert writer.backlog == 1
    await ends(future)
    assert await store.messages(opened.account_id, "CA01") == [said]
    assert writer.healthy
    assert "RuntimeError" in caplog.text
    assert said.text not in caplog.text


def fill(connection: Connection) -> None:
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


async def test_a_full_disk_loses_nothing_that_fits_the_queue(store: Store, writer: Writer) -> None:
    opened = await opened_call(store)
    # SQLite then answers as it does on a full disk (SQLITE_FULL).
    await store.transactions.run(fill)
    said = message(opened.call_id, 0, "long " * 10_000)
    future = writer.submit(said)
    await until(lambda: not writer.healthy)
    assert not future.done()
    await store.transactions.run(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1000000"))
    await ends(future)
    assert await store.messages(opened.account_id, "CA01") == [said]


async def test_the_oldest_is_dropped_when_the_queue_is_full(store: Store, lock: sqlite3.Connection) -> None:
    lock.rollback()
    opened = await opened_call(store)
    lock.execute("BEGIN IMMEDIATE")
    writer = Writer(store, max_rows=4)
    before = dropped()
    said = [message(opened.call_id, number) for number in range(6)]
    futures = [writer.submit(record) for record in said]
    assert writer.backlog == 4
    assert dropped() - before == 2
    for future in futures[:2]:
        with pytest.raises(StoreError, match="full"):
            await future
    lock.close()
    await ends(asyncio.gather(*futures[2:]))
    assert await store.messages(opened.account_id, "CA01") == said[2:]
    assert await writer.close()


async def test_a_full_queue_drops_messages_before_what_redacts_others(store: Store, lock: sqlite3.Connection) -> None:
    lock.rollback()
    opened = await opened_call(store)
    secret = message(opened.call_id, 0, "my PIN is 8765")
    writer = Writer(store, max_rows=3)
    await ends(writer.submit(secret))
    lock.execute("BEGIN IMMEDIATE")
    revised = writer.submit(RevisionRecord(secret.message_id, "my PIN is ####"))
    said = [message(opened.call_id, number) for number in range(1, 5)]
    futures = [writer.submit(record) for record in said]
    lock.rollback()
    await ends(asyncio.gather(revised, *futures[2:]))
    kept = await store.messages(opened.account_id, "CA01")
    assert kept is not None
    assert [one.text for one in kept] == ["my PIN is ####", "Hello.", "Hello."]
    assert await writer.close()


async def test_a_record_dropped_while_it_is_committed_takes_no_other_with_it(url: str, tmp_path: Path) -> None:
    store = await Store.open(url, key=KEY)
    opened = await opened_call(store)
    lock = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    writer = Writer(store, max_rows=1)
    first, second = message(opened.call_id, 0), message(opened.call_id, 1)
    dropped_one = writer.submit(first)
    # Until the commit has begun, and waits for the lock.
    await until(lambda: not writer.idle)
    kept = writer.submit(second)
    lock.close()
    await ends(kept)
    with pytest.raises(StoreError, match="full"):
        await dropped_one
    # Its commit was under way already.
    assert await store.messages(opened.account_id, "CA01") == [first, second]
    assert writer.backlog == 0
    assert await writer.close()
    await store.close()


async def test_bytes_are_bounded_too_and_the_newest_always_stays(store: Store) -> None:
    opened = await opened_call(store)
    writer = Writer(store, max_bytes=10_000)
    first, large = message(opened.call_id, 0), message(opened.call_id, 1, "x" * 5000)
    lost = writer.submit(first)
    await ends(writer.submit(large))
    with pytest.raises(StoreError, match="full"):
        await lost
    assert await store.messages(opened.account_id, "CA01") == [large]
    assert await writer.close()


async def test_closing_commits_what_waits_and_refuses_what_comes_after(store: Store) -> None:
    opened = await opened_call(store)
    writer = Writer(store)
    said = [message(opened.call_id, number) for number in range(300)]
    futures = [writer.submit(record) for record in said]
    assert await writer.close()
    assert all(future.done() and future.exception() is None for future in futures)
    assert await store.messages(opened.account_id, "CA01") == said
    with pytest.raises(StoreError, match="closed"):
        await writer.submit(message(opened.call_id, 301))


async def test_closing_with_a_dead_database_ends_and_says_what_is_lost(store: Store, lock: sqlite3.Connection) -> None:
    lock.rollback()
    opened = await opened_call(store)
    lock.execute("BEGIN IMMEDIATE")
    writer = Writer(store)
    future = writer.submit(message(opened.call_id, 0))
    assert not await writer.close(0.2)
    with pytest.raises(StoreError, match="closed"):
        await future
    lock.close()


async def test_a_barrier_is_passed_when_all_before_it_is_committed(store: Store, writer: Writer) -> None:
    assert writer.barrier().done()
    opened = await opened_call(store)
    said = [message(opened.call_id, number) for number in range(300)]
    for one in said:
        writer.submit(one)
    # The last one could wait for company; who stands at the barrier does not want to.
    writer.submit(delivery(said[0], "delivered"))
    await ends(writer.barrier())
    assert await store.messages(opened.account_id, "CA01") == said
    assert writer.backlog == 0
