"""Readers of a live call: what they get, in which order, and what a slow one misses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from gateway import metrics
from gateway.delivery.delivery import Delivered
from gateway.delivery.live import (
    MOST_STREAMS,
    WAITING_FINALS,
    LiveEnded,
    LiveEvent,
    LiveFinal,
    LivePartial,
    LiveView,
    Subscription,
)
from gateway.errors import RequestError
from gateway.participants import Role
from gateway.store.records import CallRecord, MessageRecord

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def partial(text: str, start_ms: int = 0, stream: str = "S1", revision: int = 1) -> LivePartial:
    return LivePartial(Role.CUSTOMER, "C", stream, start_ms, text, 0, revision)


def delivered(text: str, start_ms: int = 0, stream: str = "S1", account: str = "A", sequence: int = 0) -> Delivered:
    call = CallRecord("call", account, "CA1", "en-US", "C", "G", NOON)
    message = MessageRecord(
        f"m{sequence}-{start_ms}",
        "call",
        sequence,
        stream,
        "customer",
        "C",
        start_ms,
        start_ms + 1000,
        text,
        NOON,
        NOON,
    )
    return Delivered(call, message, late=False)


def dropped(kind: str) -> float:
    return metrics.REGISTRY.get_sample_value("gateway_live_dropped_total", {"kind": kind}) or 0.0


def streams() -> float | None:
    return metrics.REGISTRY.get_sample_value("gateway_live_streams")


async def rest(reader: Subscription) -> list[LiveEvent]:
    async with asyncio.timeout(5):
        return [event async for event in reader]


def texts(events: list[LiveEvent]) -> Iterator[str]:
    for event in events:
        match event:
            case LivePartial():
                yield f"…{event.text}"
            case LiveFinal():
                yield event.message.shown
            case LiveEnded():
                yield event.reason


async def test_a_reader_gets_partials_finals_and_the_end_in_order() -> None:
    view = LiveView()
    with view.subscribe("A", "CA1") as reader:
        got = []
        for number, tell in enumerate((partial("one"), partial("one two", revision=2))):
            view.partial("A", "CA1", tell)
            got.append(await anext(reader))
            assert got[number] == tell
        view.message(delivered("One two three."))
        view.partial("A", "CA1", partial("four", 2000))
        view.end("A", "CA1", "hangup")
        assert list(texts(await rest(reader))) == ["One two three.", "…four", "hangup"]
    assert not view.watched("A", "CA1")


async def test_another_account_and_another_call_read_nothing_of_it() -> None:
    view = LiveView()
    with view.subscribe("B", "CA1") as stranger, view.subscribe("A", "CA2") as other:
        view.partial("A", "CA1", partial("secret"))
        view.message(delivered("Secret."))
        view.end("A", "CA1", "hangup")
        for account, guid in (("B", "CA1"), ("A", "CA2")):
            view.end(account, guid, "their own end")
        assert list(texts(await rest(stranger) + await rest(other))) == ["their own end"] * 2


async def test_of_each_participant_a_slow_reader_gets_the_newest_partial() -> None:
    view, before = LiveView(), dropped("partial")
    with view.subscribe("A", "CA1") as reader:
        for revision in range(50):
            view.partial("A", "CA1", partial(f"c{revision}", revision=revision))
            view.partial("A", "CA1", partial(f"a{revision}", stream="S2", revision=revision))
        view.end("A", "CA1", "hangup")
        assert list(texts(await rest(reader))) == ["…c49", "…a49", "hangup"]
    assert dropped("partial") == before + 98


async def test_a_final_takes_the_place_of_its_partial_and_of_no_later_one() -> None:
    view = LiveView()
    with view.subscribe("A", "CA1") as reader:
        view.partial("A", "CA1", partial("one"))
        view.message(delivered("One."))
        view.partial("A", "CA1", partial("two", 2000))
        view.partial("A", "CA1", partial("agent", 10, stream="S2"))
        view.message(delivered("Late one.", 500, sequence=1))
        view.end("A", "CA1", "hangup")
        assert list(texts(await rest(reader))) == ["One.", "…two", "…agent", "Late one.", "hangup"]


async def test_finals_that_nobody_reads_are_bounded_and_counted() -> None:
    view, before = LiveView(), dropped("final")
    with view.subscribe("A", "CA1") as reader:
        for number in range(WAITING_FINALS + 10):
            view.message(delivered(f"{number}", number * 2000, sequence=number))
        view.end("A", "CA1", "hangup")
        shown = list(texts(await rest(reader)))
    assert shown == [*map(str, range(10, WAITING_FINALS + 10)), "hangup"]
    assert dropped("final") == before + 10


async def test_a_message_that_waits_is_read_once_as_it_is_now() -> None:
    view, before = LiveView(), dropped("final")
    with view.subscribe("A", "CA1") as reader:
        for number in range(WAITING_FINALS):
            view.message(delivered("8765" if number == 0 else "next", number * 2000, sequence=number))
        view.message(delivered("####", 0, sequence=0))
        view.end("A", "CA1", "hangup")
        shown = list(texts(await rest(reader)))
    assert shown == ["####", *["next"] * (WAITING_FINALS - 1), "hangup"]
    assert dropped("final") == before


async def test_a_reader_that_waits_is_woken() -> None:
    view = LiveView()
    with view.subscribe("A", "CA1") as reader:
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
        assert not waiting.done()
        view.partial("A", "CA1", partial("hello"))
        assert await asyncio.wait_for(waiting, 5) == partial("hello")
        ending = asyncio.ensure_future(rest(reader))
        await asyncio.sleep(0)
        reader.close()
        assert await ending == []


async def test_readers_are_counted_bounded_and_let_go() -> None:
    view = LiveView()
    readers = [view.subscribe("A", f"CA{number % 7}") for number in range(MOST_STREAMS)]
    assert streams() == MOST_STREAMS
    with pytest.raises(RequestError, match="live views are open") as refused:
        view.subscribe("A", "CA1")
    assert refused.value.status == 429
    readers[0].close()
    readers[0].close()
    readers[0] = view.subscribe("A", "CA1")
    view.close()
    for reader in readers:
        assert list(texts(await rest(reader))) == ["shutdown"]
    assert streams() == 0
    # Told after its end, it stays over.
    view.partial("A", "CA1", partial("late"))
    assert await rest(readers[0]) == []
