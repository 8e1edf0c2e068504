"""``gateway export``: feeds on demand."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.export import _run, days_of, export
from gateway.config import load
from gateway.errors import UsageError
from gateway.export.build import Plan, alone
from gateway.export.schedule import Calendar
from gateway.store.secrets import store_key
from gateway.store.store import Store
from tests.cli.command import Ended, gateway, gateway_here
from tests.export.samples import a_call, a_message, keep
from tests.harness import gateway_running, settings_for

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
CALENDAR = Calendar(time(2), 7, 32)


class TestDays:
    @pytest.mark.parametrize(
        ("asked", "days"),
        [
            ((None, None, None), [9]),
            (("2026-03-04", None, None), [4]),
            (("dt=2026-03-04", None, None), [4]),
            ((None, "2026-03-07", None), [7, 8, 9]),
            ((None, "2026-03-05", "2026-03-06"), [5, 6]),
        ],
    )
    def test_that_are_named(self, asked: tuple[str | None, str | None, str | None], days: list[int]) -> None:
        assert days_of(asked, CALENDAR, NOW, today=False) == [date(2026, 3, day) for day in days]

    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            (("2026-03-10", None, None), "2026-03-10: this day is not over .* newest .* 2026-03-09; with --output"),
            (("2026-03-03", None, None), "messages are kept 7 days; the first day that is whole is 2026-03-04"),
            ((None, "2026-03-06", "2026-03-05"), "--from 2026-03-06: is after --to 2026-03-05"),
            ((None, None, "2026-03-05"), "--to: give the first day, too, with --from"),
            (("2026-03-05", "2026-03-05", None), "--date goes without --from and --to"),
            (("yesterday", None, None), "--date 'yesterday': must be a day such as 2026-03-02"),
        ],
    )
    def test_that_cannot_be_had(self, asked: tuple[str | None, str | None, str | None], says: str) -> None:
        with pytest.raises(UsageError, match=says):
            days_of(asked, CALENDAR, NOW, today=False)

    def test_today_goes_elsewhere(self) -> None:
        asked = ("2026-03-10", None, None)
        assert days_of(asked, CALENDAR, NOW, today=True) == [date(2026, 3, 10)]
        assert days_of((None, "2026-03-10", None), CALENDAR, NOW, today=True) == [date(2026, 3, 10)]
        with pytest.raises(UsageError, match="2026-03-11: this day is not over"):
            days_of(("2026-03-11", None, None), CALENDAR, NOW, today=True)


def filled(path: Path, today: datetime) -> None:
    """A data directory with a call of the day before and one of today, and a second account."""

    async def fill() -> None:
        settings = load(data_dir=path / "data")
        store = await Store.open(settings.resolved_database_url, key=store_key(settings))
        first = (await store.create_key("first")).account_id
        await store.create_key("second", "billing")
        for day, guid in ((today - timedelta(days=1), "CA01"), (today, "CA02")):
            call = a_call(guid, first, day)
            await keep(store, call, *(a_message(call, n, day + timedelta(seconds=n), f"Line {n}.") for n in (1, 2)))
        await store.close()

    asyncio.run(fill())


def midnight() -> datetime:
    """When today began."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def run(path: Path, *arguments: str) -> Ended:
    return asyncio.run(gateway_here("export", *arguments, GATEWAY_DATA_DIR=str(path / "data")))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    filled(tmp_path, midnight())
    return tmp_path


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the command runs in this process."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o077)
    yield tmp_path
    os.umask(before)


def test_yesterday_for_all(place: Path) -> None:
    # One day later if midnight passes meanwhile: each of the two has a call.
    days = [str((midnight() - timedelta(days=1)).date())]
    done = asyncio.run(gateway("export", "--json", cwd=place))
    days.append(str((midnight() - timedelta(days=1)).date()))
    assert done.code == 0, done.err
    built = done.json["built"]
    (day,) = {one["date"] for one in built}
    assert day in days
    assert {one["account"] for one in built} == {"default", "billing"}
    assert len(built) == 2 * 3 * 2
    (mine,) = [
        one for one in built if (one["account"], one["feed"], one["format"]) == ("default", "utterances", "jsonl")
    ]
    assert (mine["rows"], mine["files"]) == (2, 1)
    folder = Path(done.json["place"]) / mine["path"]
    assert folder.is_relative_to(Path("data/feeds")) or folder.is_relative_to(place / "data" / "feeds")
    lines = (place / folder / "hr=00" / "utterances.jsonl").read_text().splitlines()
    assert [json.loads(line)["utterance"] for line in lines] == ["Line 1.", "Line 2."]
    assert (place / folder / "_SUCCESS").exists()


def test_what_is_asked_for_and_nothing_else(place: Path) -> None:
    choice = ("--feed", "utterances", "--format", "csv", "--gzip", "--account", "default", "--date")
    done = run(place, *choice, str((midnight() - timedelta(days=1)).date()))
    assert done.code == 0, done.err
    assert "utterances" in done.out
    assert "staging" not in done.out
    (file,) = [path for path in (place / "data" / "feeds").rglob("*") if path.suffix == ".gz"]
    rows = list(csv.DictReader(gzip.decompress(file.read_bytes()).decode().splitlines()))
    assert [row["utterance"] for row in rows] == ["Line 1.", "Line 2."]


def test_today_to_a_folder_of_its_own(tmp_path: Path) -> None:
    filled(tmp_path, NOW)
    output = tmp_path / "out"
    asked = (str(NOW.date()), None, None)
    settings = load(data_dir=tmp_path / "data")
    built, _, where = asyncio.run(_run(settings, NOW, asked, Plan(formats=("parquet",)), None, output))
    assert (sum(one.rows for one in built), where) == (2 + 2 + 1, str(output))
    assert list(output.rglob("*.parquet"))
    assert not list(output.rglob("_SUCCESS"))
    assert not (tmp_path / "data" / "feeds").exists()


def test_what_is_wrong_is_said(place: Path) -> None:
    done = run(place, "--feed", "autosummary_feedback")
    assert (done.code, done.out) == (2, "")
    assert "must be one of utterances, staging_utterance_state" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"formats": ["xml"]}, "must be one of jsonl, csv, parquet"),
        ({"account": "nobody"}, "there is no such account"),
        ({"day": "2020-01-01"}, "messages are kept 7 days"),
    ],
)
def test_what_else_can_be_wrong(inside: Path, arguments: dict[str, Any], says: str) -> None:
    filled(inside, midnight())
    with pytest.raises(UsageError, match=says) as refused:
        export(**arguments)
    assert refused.value.exit_code == 2


def test_without_a_database(inside: Path) -> None:
    with pytest.raises(UsageError, match="there is no database"):
        export()
    assert not (inside / "data").exists()


async def test_beside_a_running_gateway(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    yesterday = midnight() - timedelta(days=1)
    day = str(yesterday.date())
    async with gateway_running(settings) as customer:
        account_id, path = customer.key.account_id, "/fileexporter/v1/static/"
        call = a_call("CA01", account_id, yesterday)
        await keep(customer.gateway.store, call, a_message(call, 1, yesterday))
        asked = {"feed": "utterances", "version": "1", "format": "jsonl"}
        assert (await customer.request("POST", path + "listfeeddates", json=asked))[1]["dates"] == []
        done = await gateway("export", "--date", day, "--json", cwd=tmp_path)
        assert done.code == 0, done.err
        status, body = await customer.request("POST", path + "listfeeddates", json=asked)
        assert (status, body["dates"]) == (200, [day])
        asked |= {"date": day, "fileName": "hr=00/utterances.jsonl"}
        _, body = await customer.request("POST", path + "getfeedfile", json=asked)
        url = str(body["url"])
        assert url.startswith(customer.gateway.url)
        _, text = await customer.request("GET", url.removeprefix(customer.gateway.url))
        assert text["utterance"] == "Hello."
        async with alone(tmp_path / "data" / "feeds"):
            with pytest.raises(UsageError, match="right now") as busy:
                await _run(settings, datetime.now(UTC), (day, None, None), Plan(), None, None)
        assert busy.value.exit_code == 1
