from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import SealedError, StoreError
from gateway.ids import new_ulid
from gateway.store import rows
from gateway.store.records import CallRecord, Principal
from gateway.store.store import Store

from .samples import KEY, NOON, call, complete, delivery, message, opened_call


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def put(store: Store, *records: rows.Record) -> None:
    await store.transactions.run(lambda connection: rows.write(connection, records, store.cipher))


async def test_a_key_opens_its_account_and_nothing_else_does(store: Store) -> None:
    assert not await store.has_keys()
    key = await store.create_key("first")
    assert await store.has_keys()
    assert await store.authenticate(key.api_id, key.api_secret) == Principal(key.account_id, key.api_id)
    assert await store.authenticate(key.api_id, key.api_secret + "x") is None
    assert await store.authenticate(key.api_id, "") is None
    assert await store.authenticate("nobody", key.api_secret) is None
    assert await store.authenticate(key.api_id, key.api_secret * 100) is None
    assert await store.authenticate(key.api_id, "\udcff") is None


async def test_a_revoked_key_opens_nothing_and_is_still_listed(store: Store) -> None:
    key = await store.create_key("first")
    other = await store.create_key("second")
    assert await store.key_active(key.api_id)
    assert await store.revoke_key(key.api_id)
    assert not await store.revoke_key(key.api_id)
    assert not await store.revoke_key("nobody")
    assert await store.authenticate(key.api_id, key.api_secret) is None
    assert not await store.key_active(key.api_id)
    assert await store.key_active(other.api_id)
    listed = await store.list_keys()
    assert [(record.name, record.revoked_at is not None) for record in listed] == [("first", True), ("second", False)]


async def test_keys_share_the_default_account_unless_another_is_named(store: Store) -> None:
    first, second = await store.create_key("a"), await store.create_key("b")
    third, fourth = await store.create_key("c", "acme"), await store.create_key("d", "acme")
    assert first.account_id == second.account_id
    assert third.account_id == fourth.account_id != first.account_id


async def test_the_secret_is_not_in_the_database(store: Store, tmp_path: Path) -> None:
    key = await store.create_key("first")
    await store.close()
    content = everything(tmp_path)
    assert key.api_id.encode() in content
    assert key.api_secret.encode() not in content


async def test_messages_come_by_start_then_sequence(store: Store) -> None:
    opened = await opened_call(store)
    late = message(opened.call_id, 3, "third", start_ms=500)
    twin = message(opened.call_id, 4, "fourth", start_ms=500)
    first = message(opened.call_id, 5, "first", start_ms=0)
    await put(store, twin, late, first)
    assert await store.messages(opened.account_id, "CA01") == [first, late, twin]
    assert await store.messages(opened.account_id, "CA01", limit=2) == [first, late]


async def test_an_unknown_call_differs_from_a_call_without_messages(store: Store) -> None:
    opened = await opened_call(store)
    assert await store.messages(opened.account_id, "CA01") == []
    assert await store.messages(opened.account_id, "CA02") is None


async def test_another_accounts_call_does_not_exist(store: Store) -> None:
    ours, theirs = await opened_call(store, account="ours"), await opened_call(store, account="theirs")
    said = message(theirs.call_id, 0)
    await put(store, said, delivery(said, "failed", "timeout"))
    assert await store.messages(ours.account_id, "CA01") == []
    assert await store.messages(new_ulid(), "CA01") is None
    assert await store.delivery_failures(ours.account_id) == []
    assert [record.call_id for record in await store.calls(ours.account_id)] == [ours.call_id]
    assert await store.call(new_ulid(), "CA01") is None


async def test_sessions_of_a_conversation_come_one_after_the_other(store: Store) -> None:
    before = await opened_call(store)
    later = call(before.account_id, started_at=NOON + timedelta(minutes=1))
    after = dataclasses.replace(later, agent_id="agent-10")
    await store.open_call(after)
    said = [message(before.call_id, 0, start_ms=5000), message(after.call_id, 0, start_ms=0)]
    await put(store, *reversed(said))
    assert await store.messages(before.account_id, "CA01") == said
    shown = dataclasses.replace(after, call_id=before.call_id, started_at=before.started_at, agent_id="agent-10")
    assert await store.call(before.account_id, "CA01") == shown
    assert await store.calls(before.account_id) == [shown]


async def test_calls_come_newest_first_each_once(store: Store) -> None:
    first = await opened_call(store, "CA01")
    twin = call(first.account_id, "CA01")
    second = call(first.account_id, "CA02", started_at=NOON + timedelta(seconds=1))
    third = call(first.account_id, "CA03", started_at=NOON - timedelta(seconds=1))
    for record in (twin, second, third):
        await store.open_call(record)
    found = [(record.guid, record.call_id) for record in await store.calls(first.account_id)]
    assert found == [("CA02", second.call_id), ("CA01", min(first.call_id, twin.call_id)), ("CA03", third.call_id)]
    assert [record.guid for record in await store.calls(first.account_id, limit=1)] == ["CA02"]


async def test_unredacted_text_is_shown_and_stands_encrypted(store: Store, tmp_path: Path) -> None:
    opened = await opened_call(store)
    await put(store, message(opened.call_id, 0, "my PIN is ####", unredacted="my PIN is 8765"))
    found = await store.messages(opened.account_id, "CA01")
    assert found is not None
    assert (found[0].text, found[0].unredacted, found[0].shown) == (
        "my PIN is ####",
        "my PIN is 8765",
        "my PIN is 8765",
    )
    await store.close()
    assert b"8765" not in everything(tmp_path)


async def test_another_store_key_is_a_clear_error(store: Store, url: str) -> None:
    opened = await opened_call(store)
    await put(store, message(opened.call_id, 0, "####", unredacted="8765"))
    other = await Store.open(url, key=bytes(32))
    try:
        with pytest.raises(SealedError, match="GATEWAY_STORE_KEY"):
            await other.messages(opened.account_id, "CA01")
        with pytest.raises(SealedError, match="GATEWAY_STORE_KEY"):
            await other.check_key()
        # The text that was encrypted last decides: what is written from now on can be read.
        await put(other, message(opened.call_id, 1, "####", unredacted="4321"))
        await other.check_key()
    finally:
        await other.close()


async def test_redacted_texts_need_no_store_key(store: Store, url: str) -> None:
    await store.check_key()
    opened = await opened_call(store)
    both = dataclasses.replace(message(opened.call_id, 0, "####", unredacted="8765"), show_unredacted=False)
    await put(store, both)
    await store.check_key()
    other = await Store.open(url, key=bytes(32))
    try:
        assert await other.messages(opened.account_id, "CA01") == [dataclasses.replace(both, unredacted=None)]
    finally:
        await other.close()


async def test_a_call_is_completed(store: Store) -> None:
    opened = await opened_call(store)
    done = await complete(store, opened)
    assert (done.completed_at, done.completed_reason) == (NOON, "hangup")
    assert await store.call(opened.account_id, "CA01") == done


async def test_opening_a_call_again_updates_it_and_keeps_its_beginning(store: Store) -> None:
    opened = await opened_call(store)
    await complete(store, opened, "stop")
    again = dataclasses.replace(opened, agent_id="agent-10", started_at=NOON + timedelta(hours=1))
    await store.open_call(again)
    assert await store.call(opened.account_id, "CA01") == dataclasses.replace(opened, agent_id="agent-10")


async def test_boot_completes_live_calls_and_drops_pending_posts(store: Store) -> None:
    live, done = await opened_call(store), await opened_call(store, "CA02")
    await complete(store, done)
    posted, waiting = message(live.call_id, 0), message(live.call_id, 1)
    await put(store, posted, waiting, delivery(posted, "delivered"), delivery(waiting))
    assert await store.interrupt_live_calls() == 1
    interrupted = await store.call(live.account_id, "CA01")
    assert interrupted is not None
    assert interrupted.completed_reason == "gateway_restart"
    assert interrupted.completed_at is not None
    failures = await store.delivery_failures(live.account_id, "CA01")
    assert [(record.sequence, record.outcome, record.reason) for record in failures] == [
        (1, "dropped", "gateway_restart")
    ]
    assert await store.interrupt_live_calls() == 0


async def test_a_later_delivery_record_replaces_the_earlier(store: Store) -> None:
    opened = await opened_call(store)
    said = message(opened.call_id, 0)
    pending = delivery(said)
    failed = dataclasses.replace(pending, outcome="failed", reason="status 503")
    await put(store, said, pending, failed)
    assert await store.delivery_failures(opened.account_id) == [failed]
    assert await store.delivery_failures(opened.account_id, "CA99") == []


async def test_purge_removes_whole_conversations_only(store: Store) -> None:
    old, live = await opened_call(store, "old"), await opened_call(store, "live")
    mixed = await opened_call(store, "mixed")
    resumed = call(mixed.account_id, "mixed", started_at=NOON + timedelta(days=8))
    await store.open_call(resumed)
    said = message(old.call_id, 0, unredacted="8765")
    await put(store, said, delivery(said), message(mixed.call_id, 0))
    for ended in (old, mixed):
        await complete(store, ended)
    assert await store.purge(NOON) == 0
    assert await store.purge(NOON + timedelta(seconds=1)) == 1
    assert await store.messages(old.account_id, "old") is None
    assert await store.messages(live.account_id, "live") == []
    assert len(await store.messages(mixed.account_id, "mixed") or []) == 1
    await complete(store, resumed, at=NOON + timedelta(days=8))
    assert await store.purge(NOON + timedelta(days=9)) == 2


async def test_purge_leaves_no_orphans(store: Store, tmp_path: Path) -> None:
    records: list[CallRecord] = [await opened_call(store, f"CA{number}") for number in range(5)]
    for record in records:
        said = message(record.call_id, 0, unredacted="8765")
        await put(store, said, delivery(said))
        await complete(store, record)
    assert await store.purge(NOON + timedelta(days=1)) == 5
    with sqlite3.connect(tmp_path / "gateway.db") as plain:
        counts = [
            plain.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - names from this line
            for table in ("calls", "messages", "message_secrets", "deliveries")
        ]
    plain.close()
    assert counts == [0, 0, 0, 0]


async def test_ping_fails_when_the_tables_are_gone(store: Store, tmp_path: Path) -> None:
    await store.ping()
    with sqlite3.connect(tmp_path / "gateway.db") as plain:
        plain.execute("DROP TABLE alembic_version")
    plain.close()
    with pytest.raises(StoreError, match="cannot be read"):
        await store.ping()


async def test_a_locked_database_is_a_store_error(store: Store, tmp_path: Path) -> None:
    opened = await opened_call(store)
    plain = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    try:
        plain.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await complete(store, opened)
        assert await store.messages(opened.account_id, "CA01") == []
    finally:
        plain.close()


async def test_keys_are_made_while_another_process_writes(url: str) -> None:
    one, other = await Store.open(url, key=KEY), await Store.open(url, key=KEY)
    try:
        made = await asyncio.gather(*(s.create_key("k", "acme") for s in (one, other) * 4))
    finally:
        await one.close()
        await other.close()
    assert len({key.account_id for key in made}) == 1
