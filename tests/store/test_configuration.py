from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from gateway.errors import StoreError
from gateway.store.configuration import NotAdded
from gateway.store.records import ConfigurationRecord, PhraseRecord
from gateway.store.store import Store

from .samples import KEY


@pytest.fixture
async def account(store: Store) -> str:
    return (await store.create_key("test")).account_id


@pytest.fixture
async def other(store: Store) -> str:
    return (await store.create_key("test", "other")).account_id


async def added(store: Store, account: str, phrase: str, *sounds: str) -> PhraseRecord:
    record = await store.add_phrase(account, phrase, sounds, limit=200)
    assert isinstance(record, PhraseRecord)
    return record


async def test_nothing_is_configured_at_first(store: Store, account: str) -> None:
    assert await store.configuration(account) == ConfigurationRecord()
    assert await store.configuration_revisions() == {}


async def test_redaction_by_entity(store: Store, account: str, other: str) -> None:
    await store.set_redaction(account, "EMAIL", True)
    await store.set_redaction(account, "PIN", False)
    await store.set_redaction(account, "EMAIL", False)
    await store.set_redaction(other, "NAME", True)
    assert (await store.configuration(account)).redaction == {"EMAIL": False, "PIN": False}
    assert (await store.configuration(other)).redaction == {"NAME": True}


async def test_phrases_are_kept_in_the_order_they_came(store: Store, account: str, other: str) -> None:
    first = await added(store, account, "IEEE", "I triple E")
    second = await added(store, other, "IEEE")
    third = await added(store, account, "Ærø", "air oh", "ero")
    assert (await store.configuration(account)).phrases == tuple(sorted((first, third), key=lambda one: one.phrase_id))
    assert (await store.configuration(other)).phrases == (second,)
    assert third.sounds_like == ("air oh", "ero")


async def test_a_phrase_is_there_once_in_whatever_case(store: Store, account: str, other: str) -> None:
    await added(store, account, "Straße")
    assert await store.add_phrase(account, "STRASSE", (), limit=200) is NotAdded.DUPLICATE
    await added(store, other, "STRASSE")
    assert len((await store.configuration(account)).phrases) == 1


async def test_no_more_than_the_limit(store: Store, account: str, other: str) -> None:
    await store.add_phrase(account, "one", (), limit=2)
    await store.add_phrase(account, "two", (), limit=2)
    assert await store.add_phrase(account, "three", (), limit=2) is NotAdded.FULL
    assert await store.add_phrase(account, "two", (), limit=2) is NotAdded.DUPLICATE
    await added(store, other, "three")


async def test_a_removed_phrase_makes_room(store: Store, account: str) -> None:
    record = await added(store, account, "IEEE", "I triple E")
    assert await store.remove_phrase(account, record.phrase_id) == record
    assert await store.remove_phrase(account, record.phrase_id) is None
    assert (await store.configuration(account)).phrases == ()
    await added(store, account, "ieee")


async def test_nobody_removes_anothers_phrase(store: Store, account: str, other: str) -> None:
    record = await added(store, account, "IEEE")
    assert await store.remove_phrase(other, record.phrase_id) is None
    assert (await store.configuration(account)).phrases == (record,)


async def test_each_change_counts_the_revision_up(store: Store, account: str, other: str) -> None:
    await store.set_redaction(account, "EMAIL", True)
    record = await added(store, account, "IEEE")
    await store.set_redaction(other, "EMAIL", True)
    before = await store.configuration_revisions()
    await store.remove_phrase(account, record.phrase_id)
    after = await store.configuration_revisions()
    assert after[account] > before[account]
    assert after[other] == before[other]
    assert (await store.configuration(account)).revision == after[account]


async def test_two_processes_that_add_at_once_keep_to_the_limit(store: Store, account: str, url: str) -> None:
    beside = await Store.open(url, key=KEY)
    store_too = await Store.open(url, key=KEY)
    adding = (one.add_phrase(account, f"p{n}", (), limit=5) for n in range(6) for one in (beside, store_too))
    results = await asyncio.gather(*adding)
    assert sum(isinstance(result, PhraseRecord) for result in results) == 5
    assert len((await store.configuration(account)).phrases) == 5
    assert {result for result in results if isinstance(result, NotAdded)} == {NotAdded.DUPLICATE, NotAdded.FULL}
    await beside.close()
    await store_too.close()


async def test_it_outlives_the_process(store: Store, account: str, url: str) -> None:
    await store.set_redaction(account, "EMAIL", True)
    record = await added(store, account, "IEEE", "I triple E")
    again = await Store.open(url, key=KEY)
    assert await again.configuration(account) == ConfigurationRecord(2, {"EMAIL": True}, (record,))
    await again.close()


async def test_a_database_that_is_gone(store: Store, account: str, tmp_path: Path) -> None:
    await store.engine.dispose()
    replace_by_a_directory(tmp_path / "gateway.db")
    with pytest.raises(StoreError, match="cannot be read") as failed:
        await store.configuration(account)
    assert isinstance(failed.value.__cause__, OperationalError)
    with pytest.raises(StoreError, match="cannot be written"):
        await store.set_redaction(account, "EMAIL", True)


def replace_by_a_directory(file: Path) -> None:
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()
    file.mkdir()
