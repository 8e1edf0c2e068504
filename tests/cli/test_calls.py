"""``gateway calls`` against the real API."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.calls.model import Status
from gateway.store.records import CallRecord, DeliveryRecord
from gateway.store.writer import Writer
from tests.api.conftest import WHEN
from tests.cli.command import gateway
from tests.cli.conftest import Place


@pytest.fixture
def record(place: Place) -> CallRecord:
    return CallRecord("01CALL", place.key.account_id, "CA0", "en-US", "c-1", "[red]a-1[/]", WHEN, WHEN, "hangup")


async def test_list(place: Place, record: CallRecord) -> None:
    place.desk.connect(place.key.account_id, "CA1")
    await place.store.open_call(record)
    ended = await place.calls("list")
    assert ended.code == 0, ended.err
    head, live, stored = ended.out.splitlines()
    assert head.split()[:3] == ["guid", "state", "since"]
    assert live.split() == ["CA1", "gated", "2026-03-01T12:00:00.123Z", "1", "3"]
    assert stored.split() == ["CA0", "completed", "2026-03-01T12:00:00.123Z", "c-1", "[red]a-1[/]"]


async def test_list_as_json(place: Place, record: CallRecord) -> None:
    place.desk.connect(place.key.account_id, "CA1")
    await place.store.open_call(record)
    ended = await place.calls("list", "--json", "--limit", "1")
    assert ended.code == 0
    assert [call["guid"] for call in ended.json] == ["CA1"]


async def test_an_empty_list(place: Place) -> None:
    ended = await place.calls("list")
    assert (ended.code, ended.out, ended.err) == (0, "", "no calls\n")
    assert (await place.calls("list", "--json")).json == []


async def test_show(place: Place, record: CallRecord) -> None:
    writer = Writer(place.store)
    writer.start()
    await place.store.open_call(record)
    await writer.submit(DeliveryRecord("01D", "01CALL", "01M", 4, "failed", "status 503", WHEN))
    await writer.close()
    place.desk.connect(place.key.account_id, "CA0")
    ended = await place.calls("show", "CA0")
    assert ended.code == 0, ended.err
    for shown in ("gated", "en-US", "[red]a-1[/]", "inbound", "customer", "MZ1", "status 503"):
        assert shown in ended.out
    body = (await place.calls("show", "CA0", "--json")).json
    assert body["deliveryFailures"][0]["reason"] == "status 503"


async def test_show_of_an_unknown_call(place: Place) -> None:
    ended = await place.calls("show", "CA/9?x=1")
    assert ended.code == 1
    assert ended.err == "error: the call was refused: 404-01 Not found: this account has no such call\n"


async def test_stop(place: Place) -> None:
    place.desk.connect(place.key.account_id, "CA1")
    ended = await place.calls("stop", "CA1")
    assert ended.code == 0, ended.err
    assert "83420" in ended.out
    again = await place.calls("stop", "CA1", "--json")
    assert again.code == 1
    assert "409-201" in again.err


async def test_a_stop_without_effect(place: Place) -> None:
    place.desk.connect(place.key.account_id, "CA1")
    place.desk.stop_status = Status.SHUTTING_DOWN
    ended = await place.calls("stop", "CA1")
    assert ended.code == 1
    assert ended.err == "not stopped: nothing was stopped\n"
    ended = await place.calls("stop", "CA1", "--json")
    assert (ended.code, ended.json["isOk"]) == (1, False)


async def test_a_wrong_key(place: Place) -> None:
    ended = await place.calls("list", GATEWAY_API_SECRET="hunter2")
    assert ended.code == 1
    assert "401-01" in ended.err
    assert "hunter2" not in ended.err
    assert ended.err.count("\n") == 1


async def test_no_gateway(tmp_path: Path) -> None:
    arguments = ("list", "--url", "http://127.0.0.1:1", "--api-id", "i", "--api-secret", "s")
    ended = await gateway("calls", *arguments, cwd=tmp_path)
    assert ended.code == 1
    assert ended.err.startswith("error: no gateway at http://127.0.0.1:1: ")


async def test_no_key(tmp_path: Path) -> None:
    ended = await gateway("calls", "list", cwd=tmp_path)
    assert ended.code == 2
    assert ended.err == "error: give --api-id and --api-secret (or GATEWAY_API_ID and GATEWAY_API_SECRET)\n"
