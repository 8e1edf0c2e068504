"""One gateway for a module's requests, with the examples' call in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conformance.world import world
from tests.harness import Customer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def customer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Customer]:
    """A customer of a gateway; every test of the module asks the same one."""
    async with world(tmp_path_factory.mktemp("gateway")) as customer:
        yield customer
