from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

from gateway.store.store import Store

from .hook import serving

ROOT = Path(__file__).parents[2]


async def test_what_was_posted_survives_kill_9(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    store = await Store.open(url, key=bytes(32))
    account_id = (await store.create_key("test")).account_id
    await store.close()
    async with serving() as hook:
        command = (sys.executable, "-m", "tests.delivery.speaker", url, account_id, hook.url)
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        try:
            await hook.came(100)
        finally:
            process.kill()
            await process.wait()
        # What the dead process had still sent is read as well.
        posted = Counter(hook.texts)
    store = await Store.open(url, key=bytes(32))
    try:
        assert await store.interrupt_live_calls() == 4
        stored: Counter[str] = Counter()
        for number in range(4):
            messages = await store.messages(account_id, f"CA{number}", limit=1_000_000)
            stored.update(message.text for message in messages or [])
        assert posted <= stored
        assert max(stored.values()) == 1
        dropped = await store.delivery_failures(account_id, limit=1_000_000)
        assert {(record.outcome, record.reason) for record in dropped} <= {("dropped", "gateway_restart")}
        calls = await store.calls(account_id)
        assert {call.completed_reason for call in calls} == {"gateway_restart"}
    finally:
        await store.close()
