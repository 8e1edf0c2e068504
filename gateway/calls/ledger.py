"""All calls that are known: live ones, and completed ones for a while, counted by state.

Every operation costs the same whether a hundred calls are remembered or twenty thousand.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from itertools import islice

from gateway import metrics
from gateway.calls.call import Call
from gateway.calls.model import CallState
from gateway.clock import monotonic_ms

__all__ = ["REMEMBER_CALLS", "REMEMBER_S", "Ledger"]

REMEMBER_S = 3600.0
"""How long a completed call is remembered, so that a later stream continues its clock and streamIds."""

REMEMBER_CALLS = 20_000
"""Calls, live ones included, beyond which completed ones are forgotten before their time."""

_LOOKED_AT = 16
"""Calls looked at for forgetting whenever one is added: more than one, so that a backlog shrinks."""


class Ledger:
    """Calls by account and guid."""

    def __init__(self) -> None:
        self._calls: OrderedDict[tuple[str, str], Call] = OrderedDict()
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
        else:
            self._calls.move_to_end(key)
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
        surplus = len(self._calls) - REMEMBER_CALLS
        for key, call in list(islice(self._calls.items(), _LOOKED_AT)):
            done = call.completed_at_ms is not None and not call.streams and not call.pending
            if done and (surplus > 0 or (call.completed_at_ms or 0) < horizon):
                del self._calls[key]
                self._states[self._noted.pop(call)].discard(call)
                metrics.CALLS.labels(call.state).set(len(self._states[call.state]))
                surplus -= 1
