from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store.store import Store

from .samples import KEY


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'gateway.db'}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    # A short wait for locks: some tests hold one on purpose.
    store = await Store.open(url, key=KEY, busy_timeout_ms=50)
    yield store
    await store.close()
