"""The gateway about itself: health, readiness, metrics."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.api.context import CONTEXT, ApiContext
from gateway.api.envelope import answer
from gateway.api.schemas import HealthCheck, Liveness, Readiness
from gateway.errors import StoreError
from gateway.metrics import REGISTRY
from gateway.store.records import Principal

__all__ = ["health", "healthz", "metrics", "readyz"]


async def health(_request: web.Request, context: ApiContext, _principal: Principal) -> web.Response:
    """The documented health check.

    A failure is a 200 too: the documentation gives ``FAILED`` in the schema of the 200, and its clients look there.
    What answers by status, for load balancers, is ``/readyz``.
    """
    healthy = context.health().ready
    if healthy:
        try:
            await context.store.ping()
        except StoreError:
            healthy = False
    return answer(HealthCheck(health_check="SUCCESS" if healthy else "FAILED"))


async def healthz(_request: web.Request) -> web.Response:
    """200 for as long as the loop turns."""
    return answer(Liveness())


async def readyz(request: web.Request) -> web.Response:
    """200 if new work is taken, else 503; either way with what each part says."""
    report = request.app[CONTEXT].health()
    return answer(Readiness(ready=report.ready, checks=dict(report.checks)), status=200 if report.ready else 503)


async def metrics(_request: web.Request) -> web.Response:
    """Prometheus text exposition."""
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
