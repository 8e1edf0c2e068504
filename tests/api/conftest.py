"""The API on a real aiohttp server, over a real store, with a small call desk behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.context import ApiContext, HealthReport
from gateway.api.routes import install
from gateway.calls.configuration import Configurations
from gateway.calls.model import (
    CallSnapshot,
    CallState,
    Outcome,
    Participant,
    StartRequest,
    Status,
    Summary,
    TrackSnapshot,
)
from gateway.config import load
from gateway.delivery.live import LiveView, Subscription
from gateway.errors import RequestError
from gateway.participants import Role, Track
from gateway.server.tokens import StreamTokens
from gateway.store.records import NewKey
from gateway.store.store import Store

Client = TestClient[web.Request, web.Application]

SECRET = b"0123456789abcdef0123456789abcdef"
WHEN = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


class Desk:
    """A call desk with the contract of CallControl, and nothing behind it."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], CallState] = {}
        self.requests: list[StartRequest] = []
        self.failure: Exception | None = None
        self.refusal: Status = Status.OK
        self.stop_status: Status = Status.OK
        self.live = LiveView()

    def watch(self, account_id: str, guid: str) -> Subscription:
        if (account_id, guid) not in self.states:
            raise RequestError(404, "404-01", "no such live call")
        return self.live.subscribe(account_id, guid)

    def connect(self, account_id: str, guid: str) -> None:
        self.states[account_id, guid] = CallState.GATED

    async def start(self, account_id: str, request: StartRequest) -> Outcome:
        self._need(account_id, request.guid, CallState.TRANSCRIBING)
        self.requests.append(request)
        if self.refusal is not Status.OK:
            both = {role: Participant(f"sid-{role}", self.refusal) for role in Role}
            return Outcome(False, both, "nothing was started")
        self.states[account_id, request.guid] = CallState.TRANSCRIBING
        return Outcome(True, {role: Participant(f"sid-{role}", Status.OK) for role in Role})

    async def stop(self, account_id: str, guid: str) -> Outcome:
        self._need(account_id, guid, CallState.PAUSED)
        if self.stop_status is not Status.OK:
            both = {role: Participant(f"sid-{role}", self.stop_status) for role in Role}
            return Outcome(False, both, "nothing was stopped")
        self.states[account_id, guid] = CallState.PAUSED
        summary = Summary(1334720, 83420, 84, 2)
        return Outcome(True, {role: Participant(f"sid-{role}", Status.OK, summary) for role in Role})

    def _need(self, account_id: str, guid: str, target: CallState) -> None:
        if self.failure is not None:
            raise self.failure
        state = self.states.get((account_id, guid))
        if state is None:
            raise RequestError(400, "400-203", "no call with this guid is connected")
        if state is target:
            raise RequestError(409, "409-201", f"the call is {state} already")

    def snapshots(self, account_id: str) -> list[CallSnapshot]:
        return [self._snapshot(guid, state) for (owner, guid), state in self.states.items() if owner == account_id]

    def snapshot(self, account_id: str, guid: str) -> CallSnapshot | None:
        state = self.states.get((account_id, guid))
        return None if state is None else self._snapshot(guid, state)

    def _snapshot(self, guid: str, state: CallState) -> CallSnapshot:
        track = TrackSnapshot(Track.INBOUND, Role.CUSTOMER, "MZ1", True, 1000, 20, 8160, None)
        return CallSnapshot(guid, state, WHEN, 1, 3, (track,))


class Health:
    """A switchable health report."""

    def __init__(self) -> None:
        self.report = HealthReport(True, {"store": "ok"})

    def __call__(self) -> HealthReport:
        return self.report


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def tokens() -> StreamTokens:
    return StreamTokens(SECRET, 300)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}", key=SECRET)
    yield store
    await store.close()


@pytest.fixture
async def key(store: Store) -> NewKey:
    return await store.create_key("test")


@pytest.fixture
def context(desk: Desk, store: Store, tokens: StreamTokens, health: Health) -> ApiContext:
    return ApiContext(desk, store, tokens, lambda: "wss://gw.example.com", health, load(), Configurations(store))


@pytest.fixture
async def client(context: ApiContext, key: NewKey) -> AsyncIterator[Client]:
    """A client that sends the key's headers."""
    app = web.Application()
    install(app, context)
    headers = {"asapp-api-id": key.api_id, "asapp-api-secret": key.api_secret}
    async with TestClient(TestServer(app), headers=headers) as client:
        yield client


@pytest.fixture
async def stranger(client: Client) -> AsyncIterator[Client]:
    """A client of the same server without a key."""
    assert isinstance(client.server, TestServer)
    async with TestClient(client.server) as stranger:
        yield stranger


async def error_of(response: Any, status: int, code: str) -> str:
    """Check that ``response`` is the envelope with these numbers; its message."""
    assert response.status == status, await response.text()
    assert response.content_type == "application/json"
    body = await response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"requestId", "message", "code"}
    assert body["error"]["code"] == code
    assert body["error"]["requestId"] == response.headers["X-Request-Id"]
    message: str = body["error"]["message"]
    return message
