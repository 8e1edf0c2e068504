from __future__ import annotations

import pytest

from gateway._native import track
from gateway.calls import ledger as module
from gateway.calls.call import Call, Stream
from gateway.calls.ledger import Ledger
from gateway.calls.model import CallState
from gateway.clock import monotonic_ms
from gateway.metrics import CALLS
from gateway.participants import Track


def completed(ledger: Ledger, guid: str, ago_ms: int = 0) -> Call:
    call = ledger.take("account", guid)
    call.state = CallState.COMPLETED
    call.completed_at_ms = monotonic_ms() - ago_ms
    ledger.note(call)
    return call


async def test_calls_are_the_accounts_own() -> None:
    ledger = Ledger()
    call = ledger.take("one", "CA1")
    assert ledger.take("one", "CA1") is call
    assert ledger.get("two", "CA1") is None
    assert ledger.take("two", "CA1") is not call
    assert len(ledger) == 2


async def test_states_are_counted_and_idle_is_when_nothing_is_transcribed() -> None:
    ledger = Ledger()
    calls = [ledger.take("account", f"CA{number}") for number in range(3)]
    assert ledger.idle.is_set()
    for call in calls[:2]:
        call.state = CallState.TRANSCRIBING
        ledger.note(call)
    assert (ledger.transcribing, ledger.idle.is_set()) == (2, False)
    assert CALLS.labels(CallState.TRANSCRIBING)._value.get() == 2
    assert CALLS.labels(CallState.GATED)._value.get() == 1
    for call in calls[:2]:
        call.state = CallState.PAUSED
        ledger.note(call)
    assert (ledger.transcribing, ledger.idle.is_set()) == (0, True)
    assert CALLS.labels(CallState.PAUSED)._value.get() == 2


async def test_live_calls_are_those_with_a_stream_oldest_first() -> None:
    ledger = Ledger()
    for number in (3, 1, 2):
        call = ledger.take("account", f"CA{number}")
        if number != 1:
            call.attach(Stream("MZ", {Track.INBOUND: track.Track()}))
            call.state = CallState.TRANSCRIBING if number == 2 else CallState.GATED
            ledger.note(call)
    assert [call.guid for call in ledger.live()] == ["CA3", "CA2"]


async def test_old_completed_calls_are_forgotten() -> None:
    ledger = Ledger()
    completed(ledger, "old", int(module.REMEMBER_S * 1000) + 1)
    completed(ledger, "young")
    ledger.take("account", "new")
    assert ledger.get("account", "old") is None
    assert ledger.get("account", "young") is not None


async def test_long_calls_in_front_keep_nothing_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBER_CALLS", 40)
    ledger = Ledger()
    for number in range(30):
        ledger.take("account", f"live{number}")
    for number in range(200):
        completed(ledger, f"CA{number}")
    assert len(ledger) == 40


async def test_a_call_that_comes_back_is_not_forgotten() -> None:
    ledger = Ledger()
    call = completed(ledger, "CA1", int(module.REMEMBER_S * 1000) + 1)
    call.state, call.completed_at_ms = CallState.GATED, None
    ledger.note(call)
    ledger.take("account", "new")
    assert ledger.get("account", "CA1") is call


async def test_too_many_are_forgotten_but_no_live_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBER_CALLS", 10)
    ledger = Ledger()
    live = ledger.take("account", "live")
    for number in range(50):
        completed(ledger, f"CA{number}")
    assert len(ledger) == 10
    assert ledger.get("account", "live") is live
    assert CALLS.labels(CallState.COMPLETED)._value.get() == 9
