"""All calls that are known: live ones, and completed ones for a while, counted by state.

Every operation costs the same whether a hundred calls are remembered or twenty thousand.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from gateway import metrics
from gateway.calls.call import Call
from gateway.calls.model import CallState
from gateway.clock import monotonic_ms

__all__ = ["REMEMBER_CALLS", "REMEMBER_S", "Ledger"]

REMEMBER_S = 3600.0
"""How long a completed call is remembered, so that a later stream continues its clock and streamIds."""

REMEMBER_CALLS = 20_000
"""Calls, live ones included, beyond which completed ones are forgotten before their time."""


class Ledger:
    """Calls by account and guid."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], Call] = {}
        # Those of them that are completed, in the order in which they were.
        self._completed: OrderedDict[Call, None] = OrderedDict()
        self._states: dict[CallState, set[Call]] = {state: set() for state in CallState}
        self._noted: dict[Call, CallState] = {}
        self._arrivals = 0
        # Set while no call is being transcribed.
        self.idle = asyncio.Event()
        self.idle.set()

    def __len__(self) -> int:
        return len(self._calls)

    def get(self, account_id: str, guid: str) -> Call | None:
        """The account's call of that guid; None if it is not known (any more)."""
        return self._calls.get((account_id, guid))

    def take(self, account_id: str, guid: str) -> Call:
        """The account's call of that guid, made if it is not known."""
        key = (account_id, guid)
        call = self._calls.get(key)
        if call is None:
            self._arrivals += 1
            call = self._calls[key] = Call(account_id, guid, self._arrivals)
            self.note(call)
            self._forget()
        return call

    def note(self, call: Call) -> None:
        """The call's state may have changed."""
        before = self._noted.get(call)
        if before is call.state:
            return
        if before is not None:
            self._states[before].discard(call)
            metrics.CALLS.labels(before).set(len(self._states[before]))
        self._noted[call] = call.state
        if call.state is CallState.COMPLETED:
            self._completed[call] = None
        else:
            self._completed.pop(call, None)
        self._states[call.state].add(call)
        metrics.CALLS.labels(call.state).set(len(self._states[call.state]))
        if self._states[CallState.TRANSCRIBING]:
            self.idle.clear()
        else:
            self.idle.set()

    @property
    def transcribing(self) -> int:
        """Calls being transcribed."""
        return len(self._states[CallState.TRANSCRIBING])

    def live(self) -> list[Call]:
        """Calls with a media stream, oldest first."""
        states = (CallState.GATED, CallState.TRANSCRIBING, CallState.PAUSED)
        connected = [call for state in states for call in self._states[state] if call.streams]
        return sorted(connected, key=lambda call: call.arrival)

    def _forget(self) -> None:
        """Drop completed calls that are old, oldest first, or too many."""
        horizon = monotonic_ms() - int(REMEMBER_S * 1000)
        while self._completed:
            oldest = next(iter(self._completed))
            old = (oldest.completed_at_ms or 0) < horizon
            if oldest.pending or not (old or len(self._calls) > REMEMBER_CALLS):
                return
            del self._completed[oldest], self._noted[oldest], self._calls[oldest.account_id, oldest.guid]
            self._states[CallState.COMPLETED].discard(oldest)
            metrics.CALLS.labels(CallState.COMPLETED).set(len(self._completed))
