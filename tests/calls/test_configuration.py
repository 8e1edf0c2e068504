"""What accounts have configured, in memory, over the real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.calls import configuration as module
from gateway.calls.call import Call
from gateway.calls.configuration import AccountConfiguration, Configurations, policy_of
from gateway.calls.model import StartRequest, Status
from gateway.calls.transcription import Conversations
from gateway.delivery.delivery import Delivery
from gateway.errors import StoreError
from gateway.participants import RedactionOutput
from gateway.speech.engine import DecodeOptions
from gateway.speech.vocabulary import Phrase
from gateway.store.records import ConfigurationRecord
from gateway.store.store import Store
from gateway.store.writer import Writer
from gateway.text.policy import DEFAULT, ENTITIES, Entity
from gateway.text.redaction import Redactor


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}", key=bytes(32))
    yield store
    await store.close()


@pytest.fixture
async def account(store: Store) -> str:
    return (await store.create_key("test")).account_id


class Counting:
    """A store that tells how often it was asked for an account, and fails or waits when told."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked: list[str] = []
        self.failing = False
        self.held = asyncio.Event()
        self.held.set()
        self.holding = asyncio.Event()

    async def configuration_revisions(self) -> dict[str, int]:
        if self.failing:
            raise StoreError("the database is away")
        return await self.store.configuration_revisions()

    async def configuration(self, account_id: str) -> ConfigurationRecord:
        if self.failing:
            raise StoreError("the database is away")
        self.asked.append(account_id)
        record = await self.store.configuration(account_id)
        self.holding.set()
        await self.held.wait()
        return record


@pytest.fixture
def counting(store: Store) -> Counting:
    return Counting(store)


@pytest.fixture
def known(counting: Counting) -> Configurations:
    return Configurations(counting)


def test_what_was_set_and_else_the_default() -> None:
    assert policy_of({}) == DEFAULT
    assert policy_of({"EMAIL": True, "PIN": False}).active == (DEFAULT.active | {Entity.EMAIL}) - {Entity.PIN}
    assert policy_of({"A_LATER_ONE": True}) == DEFAULT
    locked = {entity for entity, info in ENTITIES.items() if info.locked}
    assert policy_of({entity.value: False for entity in Entity}).active == locked
    assert policy_of({entity.value: True for entity in Entity}).active == set(Entity)


async def test_an_account_that_set_nothing(known: Configurations, account: str) -> None:
    await known.load()
    assert known.of(account) == known.of("nobody") == AccountConfiguration(DEFAULT, ())


async def test_all_is_loaded_at_boot(store: Store, known: Configurations, account: str) -> None:
    await store.set_redaction(account, "EMAIL", True)
    await store.add_phrase(account, "IEEE", ["I triple E"], limit=200)
    assert known.of(account) == AccountConfiguration()
    await known.load()
    assert Entity.EMAIL in known.of(account).policy
    assert known.of(account).vocabulary == (Phrase("IEEE", ("I triple E",)),)


async def test_a_change_of_this_process_holds_at_once(store: Store, known: Configurations, account: str) -> None:
    await store.set_redaction(account, "EMAIL", True)
    await known.refresh(account)
    assert Entity.EMAIL in known.of(account).policy


async def test_only_what_has_changed_is_read_again(
    store: Store, counting: Counting, known: Configurations, account: str
) -> None:
    other = (await store.create_key("test", "other")).account_id
    await store.set_redaction(account, "EMAIL", True)
    await store.set_redaction(other, "EMAIL", True)
    await known.load()
    assert sorted(counting.asked) == sorted([account, other])
    await known.load()
    await store.set_redaction(other, "EMAIL", False)
    await known.load()
    assert counting.asked[2:] == [other]
    assert Entity.EMAIL in known.of(account).policy
    assert Entity.EMAIL not in known.of(other).policy


async def test_changes_of_other_processes_are_looked_for(
    store: Store, counting: Counting, known: Configurations, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RELOAD_S", 0.001)
    running = asyncio.create_task(known.run())
    await store.set_redaction(account, "EMAIL", True)
    async with asyncio.timeout(10):
        while Entity.EMAIL not in known.of(account).policy:
            await asyncio.sleep(0)
    counting.failing = True
    await store.set_redaction(account, "EMAIL", False)
    with pytest.raises(StoreError):
        await known.load()
    # The last one holds, and it is looked for again.
    assert Entity.EMAIL in known.of(account).policy
    counting.failing = False
    async with asyncio.timeout(10):
        while Entity.EMAIL in known.of(account).policy:
            await asyncio.sleep(0)
    running.cancel()


async def test_a_reading_that_was_begun_before_a_change_does_not_undo_it(
    store: Store, counting: Counting, known: Configurations, account: str
) -> None:
    await store.set_redaction(account, "EMAIL", True)
    counting.held.clear()
    loading = asyncio.create_task(known.load())
    await counting.holding.wait()
    await store.set_redaction(account, "EMAIL", False)
    refreshing = asyncio.create_task(known.refresh(account))
    counting.held.set()
    await asyncio.gather(loading, refreshing)
    assert Entity.EMAIL not in known.of(account).policy


async def test_a_refresh_that_fails_is_made_up_for(
    store: Store, counting: Counting, known: Configurations, account: str
) -> None:
    counting.failing = True
    await store.set_redaction(account, "EMAIL", True)
    await known.refresh(account)
    assert Entity.EMAIL not in known.of(account).policy
    counting.failing = False
    await known.load()
    assert Entity.EMAIL in known.of(account).policy


async def test_a_database_that_does_not_answer(
    counting: Counting, store: Store, known: Configurations, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ANSWER_S", 0.01)
    await store.set_redaction(account, "EMAIL", True)
    counting.held.clear()
    with pytest.raises(StoreError, match="does not answer"):
        await known.load()
    await known.refresh(account)
    assert known.of(account) == AccountConfiguration()


class TestStarts:
    """A start takes what its account has configured by then."""

    @pytest.fixture
    async def conversations(self, store: Store, known: Configurations) -> AsyncIterator[Conversations]:
        writer = Writer(store)
        writer.start()
        yield Conversations(Delivery(writer), writer, Redactor, configured=known.of)
        await writer.close()

    async def test_policy_and_vocabulary(
        self, store: Store, known: Configurations, conversations: Conversations, account: str
    ) -> None:
        call = Call(account, "CA1", 1)
        call.begin(StartRequest("CA1", "C", "A", detailed_token=True, redaction=RedactionOutput.UNREDACTED))
        conversations.begin(call)
        redactor = conversations.of(call)._redactor
        assert isinstance(redactor, Redactor)
        assert redactor.policy == DEFAULT
        assert conversations.options(call) == DecodeOptions(word_times=True)
        await store.set_redaction(account, "EMAIL", True)
        await store.add_phrase(account, "IEEE", ["I triple E"], limit=200)
        await known.refresh(account)
        # A call that is being transcribed keeps what held at its start.
        assert redactor.policy == DEFAULT
        assert conversations.options(call).vocabulary == ()
        call.begin(StartRequest("CA1", "C", "A"))
        conversations.begin(call)
        # The same one, which knows what was said.
        assert conversations.of(call)._redactor is redactor
        assert Entity.EMAIL in redactor.policy
        assert conversations.options(call) == DecodeOptions(vocabulary=(Phrase("IEEE", ("I triple E",)),))

    async def test_always_redacted(self, store: Store) -> None:
        writer = Writer(store)
        never = Conversations(Delivery(writer), writer, Redactor, always_redacted=True)
        asked = {output: StartRequest("CA1", "C", "A", redaction=output) for output in RedactionOutput}
        assert {output: never.refusal(request) for output, request in asked.items()} == {
            RedactionOutput.REDACTED: None,
            RedactionOutput.UNREDACTED: Status.ALWAYS_REDACTED,
            RedactionOutput.BOTH: Status.ALWAYS_REDACTED,
        }
        free = Conversations(Delivery(writer), writer, Redactor)
        assert [free.refusal(request) for request in asked.values()] == [None] * 3
