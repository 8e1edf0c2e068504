"""A process of its own asks a gateway all the time, and tells how long each answer took."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from benchmarks.load.asking import Asking
from tests.harness import gateway_running, settings_for


async def asked(asking: Asking, count: int) -> None:
    async with asyncio.timeout(30):
        while len(asking.between(0.0, float("inf"))) + asking.failed < count:
            await asyncio.sleep(0.005)


async def test_what_was_asked_is_told_by_its_time(tmp_path: Path) -> None:
    begun = time.monotonic()
    async with gateway_running(settings_for(tmp_path)) as customer:
        key = customer.key
        async with Asking(customer.gateway.url, key.api_id, key.api_secret, 0.001) as asking:
            await asked(asking, 5)
            until = time.monotonic()
            await asked(asking, len(asking.between(0.0, float("inf"))) + 5)
            early, late = asking.between(begun, until), asking.between(until, float("inf"))
            assert (len(early) >= 5, len(late) >= 1, asking.failed) == (True, True, 0)
            assert min(early + late) > 0
            assert asking.between(0.0, begun) == []


async def test_what_failed_is_counted_and_has_taken_no_time(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        async with Asking(customer.gateway.url, customer.key.api_id, "wrong", 0.001) as asking:
            await asked(asking, 3)
        assert asking.failed >= 3
        assert asking.between(0.0, float("inf")) == []


async def test_a_process_that_cannot_ask_is_not_waited_for(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        async with Asking("http://127.0.0.1:1", "id", "secret", 0.001, str(tmp_path / "none.pem")) as asking:
            assert asking.between(0.0, float("inf")) == []
    assert "FileNotFoundError" in capfd.readouterr().err
