"""Hypothesis profiles: ``GATEWAY_TEST_PROFILE=quick`` for slow builds, such as those with sanitizers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import HealthCheck, settings

# No deadline: the machine may be busy, and no test here is about time.
settings.register_profile("default", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("GATEWAY_TEST_PROFILE", "default"))


@pytest.hookimpl
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the gateway runs on."""
    return {"uvloop": uvloop.new_event_loop}
