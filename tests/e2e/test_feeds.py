"""A gateway that starts builds the days that were missed, and hands them out."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from gateway.export.partitions import Day
from gateway.export.storage import Folder
from gateway.store.schema import accounts
from gateway.store.secrets import store_key
from gateway.store.store import Store
from tests.export.samples import a_call, a_message, keep
from tests.harness import Customer, gateway_running, settings_for

STATIC = "/fileexporter/v1/static/"


async def test_a_day_that_was_missed(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, export={"at": "00:00", "formats": ["jsonl"]})
    yesterday = datetime.now(UTC) - timedelta(days=1)
    store = await Store.open(settings.resolved_database_url, key=store_key(settings))
    key = await store.create_key("test")
    async with store._write() as connection:
        await connection.execute(update(accounts).values(created_at=yesterday))
    call = a_call("CA01", key.account_id, yesterday)
    await keep(store, call, a_message(call, 1, yesterday, "I was away."))
    await store.close()
    day = Day(key.account_id, "staging_conversation_state", "jsonl", yesterday.date())
    folder = Folder(tmp_path / "data" / "feeds")
    async with gateway_running(settings) as someone:
        while day.success not in folder.keys(day.prefix):
            await asyncio.sleep(0)
        customer = Customer(someone.gateway, key, someone._session)
        body = {"feed": "utterances", "version": "version=1", "format": "format=jsonl", "date": f"dt={day.date}"}
        _, files = await customer.request("POST", STATIC + "listfeedfiles", json=body)
        assert files["files"] == [f"hr={yesterday:%H}/utterances.jsonl"]
        _, link = await customer.request("POST", STATIC + "getfeedfile", json={**body, "fileName": files["files"][0]})
        async with someone._session.get(link["url"]) as response:
            row = json.loads(await response.text())
        assert row["utterance"] == "I was away."
        # Somebody else's account has no part in it.
        status, _ = await someone.request("POST", STATIC + "listfeedfiles", json=body)
        assert (status, someone.key.account_id == key.account_id) == (200, True)
        theirs = await someone.gateway.store.create_key("theirs", "theirs")
        other = Customer(someone.gateway, theirs, someone._session)
        status, _ = await other.request("POST", STATIC + "listfeedfiles", json=body)
        assert status == 404


async def test_where_feeds_are_turned_off_nothing_is_made(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path, export={"enabled": False})) as customer:
        assert await customer.request("POST", STATIC + "listfeeds") == (200, {"feeds": []})
    assert not (tmp_path / "data" / "feeds").exists()
