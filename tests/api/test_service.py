"""Health, readiness, metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from gateway.api.context import HealthReport
from gateway.store.store import Store
from tests.api.conftest import Client, Health, error_of


async def test_health(client: Client, health: Health) -> None:
    assert await (await client.get("/v1/health")).json() == {"healthCheck": "SUCCESS"}
    health.report = HealthReport(False, {"recognizer": "loading"})
    response = await client.get("/v1/health/")
    assert response.status == 200
    assert await response.json() == {"healthCheck": "FAILED"}


async def test_health_asks_the_store(client: Client, store: Store) -> None:
    await client.get("/v1/health")  # the key is remembered from here
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE alembic_version")
    assert await (await client.get("/v1/health")).json() == {"healthCheck": "FAILED"}


async def test_a_store_that_is_away_is_503(client: Client, store: Store) -> None:
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE api_keys")
    await error_of(await client.get("/gateway/v1/calls"), 503, "503-01")


async def test_healthz(client: Client, health: Health) -> None:
    health.report = HealthReport(False, {})
    response = await client.get("/healthz")
    assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_readyz(client: Client, health: Health) -> None:
    response = await client.get("/readyz")
    assert (response.status, await response.json()) == (200, {"ready": True, "checks": {"store": "ok"}})
    health.report = HealthReport(False, {"store": "ok", "draining": "the process is ending"})
    response = await client.get("/readyz")
    assert response.status == 503
    assert await response.json() == {
        "ready": False,
        "checks": {"store": "ok", "draining": "the process is ending"},
    }


async def test_metrics(client: Client) -> None:
    await client.get("/healthz")
    response = await client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(await response.text())}
    samples = families["gateway_http_requests"].samples
    assert any(s.labels == {"route": "/healthz", "status": "200"} and s.value >= 1 for s in samples)
    assert "gateway_sockets" in families
