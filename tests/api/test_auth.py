"""Authentication: both headers, every protected path, a short memory for yes and none for no."""

from __future__ import annotations

import re

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.api.auth import Authenticator
from gateway.api.routes import ENDPOINTS
from gateway.errors import RequestError, StoreError
from gateway.store.records import NewKey, Principal
from gateway.store.store import Store
from tests.api.conftest import Client, error_of

OPEN_PATHS = {"/healthz", "/readyz", "/metrics", "/openapi.json"}
PROTECTED = [endpoint for endpoint in ENDPOINTS if endpoint.protected]
OPEN = [endpoint for endpoint in ENDPOINTS if not endpoint.protected]


def test_what_is_open() -> None:
    # Links to files have a signature instead of a key.
    assert {endpoint.path for endpoint in OPEN} == {
        *OPEN_PATHS,
        "/fileexporter/v1/files/{account}/{feed}/{version}/{format}/{date}/{hour}/{name}",
    }


async def test_every_protected_path_wants_a_key(stranger: Client) -> None:
    for endpoint in PROTECTED:
        for slash in ("", "/"):
            # A body that would be refused shows that nothing is read before the key.
            path = re.sub(r"\{\w+\}", "CA1", endpoint.path)
            response = await stranger.request(endpoint.method, path + slash, data=b"{")
            await error_of(response, 401, "401-01")
            assert response.headers["WWW-Authenticate"].startswith("ApiKey")


async def test_open_paths_want_none(stranger: Client) -> None:
    for path in OPEN_PATHS:
        assert (await stranger.get(path)).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"asapp-api-id": None},
        {"asapp-api-secret": None},
        {"asapp-api-id": "", "asapp-api-secret": ""},
        {"asapp-api-id": "unknown"},
        {"asapp-api-secret": "wrong"},
        {"asapp-api-secret": "x" * 300},
        {"asapp-api-id": "é"},
        {"asapp-api-id": "' or 1=1 --"},
    ],
)
async def test_wrong_keys(stranger: Client, key: NewKey, changes: dict[str, str | None]) -> None:
    headers = {"asapp-api-id": key.api_id, "asapp-api-secret": key.api_secret} | changes
    sent = {name: value for name, value in headers.items() if value is not None}
    message = await error_of(await stranger.get("/v1/health", headers=sent), 401, "401-01")
    assert key.api_secret not in message
    sent = {"asapp-api-id": key.api_id, "asapp-api-secret": key.api_secret}
    assert (await stranger.get("/v1/health", headers=sent)).status == 200


class CountingStore:
    """Answers as told, counting."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Principal | None = Principal("acc", "key")
        self.away = False

    async def authenticate(self, api_id: str, api_secret: str) -> Principal | None:
        self.asked += 1
        if self.away:
            raise StoreError("away")
        return self.answer if api_secret == "right" else None


class Clock:
    now = 100.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("gateway.api.auth.asyncio.get_running_loop", lambda: clock)
    return clock


async def ask(authenticator: Authenticator, given: str = "right", api_id: str = "key") -> Principal | None:
    request = make_mocked_request("GET", "/", {"asapp-api-id": api_id, "asapp-api-secret": given})
    try:
        return await authenticator.authenticate(request)
    except RequestError:
        return None


async def test_a_yes_is_kept_for_two_seconds(clock: Clock) -> None:
    store = CountingStore()
    authenticator = Authenticator(store)  # type: ignore[arg-type]  # only the method that is asked
    for _ in range(5):
        assert await ask(authenticator) == Principal("acc", "key")
    assert store.asked == 1
    store.answer = None
    clock.now += 1.9
    assert await ask(authenticator) is not None
    clock.now += 0.1
    assert await ask(authenticator) is None, "a revoked key works no longer"


async def test_a_no_is_not_kept(clock: Clock) -> None:
    store = CountingStore()
    authenticator = Authenticator(store)  # type: ignore[arg-type]  # only the method that is asked
    store.answer = None
    assert await ask(authenticator) is None
    store.answer = Principal("acc", "key")
    assert await ask(authenticator) is not None


async def test_a_yes_is_for_that_key_only(clock: Clock) -> None:
    store = CountingStore()
    authenticator = Authenticator(store)  # type: ignore[arg-type]  # only the method that is asked
    assert await ask(authenticator) is not None
    assert await ask(authenticator, "wrong") is None
    assert await ask(authenticator, "yright", "ke") is None, "the id's end is not the secret's beginning"


async def test_known_keys_outlive_a_short_outage(clock: Clock) -> None:
    store = CountingStore()
    authenticator = Authenticator(store)  # type: ignore[arg-type]  # only the method that is asked
    await ask(authenticator)
    store.away = True
    assert await ask(authenticator) is not None
    with pytest.raises(StoreError):
        await ask(authenticator, api_id="another")


async def test_the_memory_is_bounded(clock: Clock) -> None:
    store = CountingStore()
    authenticator = Authenticator(store)  # type: ignore[arg-type]  # only the method that is asked
    for number in range(1100):
        await ask(authenticator, api_id=f"key-{number}")
    assert len(authenticator._known) == 1024


async def test_a_revoked_key(store: Store, key: NewKey, client: Client) -> None:
    await store.revoke_key(key.api_id)
    await error_of(await client.get("/v1/health"), 401, "401-01")
