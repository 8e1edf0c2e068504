from __future__ import annotations

import asyncio
import sys
from collections import Counter, defaultdict
from pathlib import Path

from aiohttp import web

from gateway.config import WebhookSettings
from gateway.delivery.outbox import Outbox
from gateway.store.store import Store
from gateway.store.writer import Writer

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


async def test_what_was_stored_is_posted_after_kill_9_in_order(tmp_path: Path) -> None:
    down = False

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503 if down else 200)

    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    store = await Store.open(url, key=bytes(32))
    account_id = (await store.create_key("test")).account_id
    async with serving(answer) as hook:
        command = (sys.executable, "-m", "tests.delivery.speaker", url, account_id, hook.url, "outbox")
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        try:
            await hook.came(60)
            # From here on posts pile up, so that there is something to lose.
            down = True
            await hook.came(120)
        finally:
            process.kill()
            await process.wait()
        down = False
        writer = Writer(store)
        outbox = Outbox(WebhookSettings.model_validate({"url": hook.url}), store, writer)
        await store.interrupt_live_calls(keep_posts=True)
        left, _ = await store.pending_size()
        assert left > 4
        outbox.start()
        while (await store.pending_size())[0]:
            await asyncio.sleep(0.001)
        await outbox.close()
        await writer.close()
        posted = hook.texts
    stored = {
        message.text
        for number in range(4)
        for message in await store.messages(account_id, f"CA{number}", limit=1_000_000) or []
    }
    await store.close()
    # Written down before it is posted: none is lost, none is made up.
    assert set(posted) == stored
    turns: dict[str, list[int]] = defaultdict(list)
    for text in posted:
        guid, _, turn = text.split()
        if int(turn) not in turns[guid]:
            turns[guid].append(int(turn))
    assert all(order == sorted(order) for order in turns.values())
