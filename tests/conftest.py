"""What all tests share: the loop, migrated databases, and Hypothesis profiles.

``GATEWAY_TEST_PROFILE=quick`` is for slow builds, such as those with sanitizers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, settings
from sqlalchemy import URL

from gateway.store import database

# No deadline: the machine may be busy, and no test here is about time.
settings.register_profile("default", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("GATEWAY_TEST_PROFILE", "default"))


@pytest.hookimpl
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the gateway runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database as the migrations make it."""
    file = tmp_path_factory.mktemp("migrated") / "gateway.db"
    asyncio.run(database.migrate(f"sqlite:///{file}"))
    return file.read_bytes()


@pytest.fixture(autouse=True)
def _new_databases_are_migrated(
    request: pytest.FixtureRequest, migrated: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand tests open a new database, and migrations would be a fifth of their time; ``store`` tests them."""
    if "store" in request.path.parts:
        return
    upgrade = database._upgrade_sqlite

    def begin_migrated(url: URL) -> None:
        file = Path(str(url.database))
        if file.parent.is_dir() and not file.exists():
            with tempfile.NamedTemporaryFile(dir=file.parent) as made:
                made.write(migrated)
                made.flush()
                # Of two first starts one makes it.
                with contextlib.suppress(FileExistsError):
                    os.link(made.name, file)
        upgrade(url)

    monkeypatch.setattr(database, "_upgrade_sqlite", begin_migrated)
