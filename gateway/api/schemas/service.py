"""The service's own state."""

from __future__ import annotations

from typing import Literal

from gateway.api.schemas.common import Answer

__all__ = ["HealthCheck", "Liveness", "Readiness"]


class HealthCheck(Answer):
    """The documented health answer."""

    health_check: Literal["SUCCESS", "FAILED"]


class Liveness(Answer):
    """The process turns its loop."""

    status: Literal["ok"] = "ok"


class Readiness(Answer):
    """Whether new work is taken, and what each part says of itself."""

    ready: bool
    checks: dict[str, str]
