"""The File Exporter's endpoints, over a real store and real files."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from gateway.api.context import ApiContext
from gateway.api.routes import install
from gateway.config import ExportSettings
from gateway.export.build import Builder, Plan, alone
from gateway.export.catalogue import Catalogue
from gateway.export.links import Links
from gateway.export.partitions import Day
from gateway.export.storage import Folder, Storage, open_storage
from gateway.store.feeds import FeedQueries
from gateway.store.records import NewKey
from gateway.store.store import Store
from tests.api.conftest import SECRET, WHEN, Client, error_of
from tests.export.conftest import s3, s3_server
from tests.export.samples import DAY, a_call, a_message, keep, three_days

__all__ = ["s3", "s3_server"]

STATIC = "/fileexporter/v1/static/"
ASKED = {"feed": "utterances", "version": "1", "format": "jsonl", "date": "2026-03-02"}
ENDPOINTS = {
    "listfeedversions": ("feed",),
    "listfeedformats": ("feed", "version"),
    "listfeeddates": ("feed", "version", "format"),
    "listfeedintervals": ("feed", "version", "format", "date"),
    "listfeedfiles": ("feed", "version", "format", "date"),
    "getfeedfile": ("feed", "version", "format", "date", "fileName"),
}


class Clock:
    now = WHEN.timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "feeds"


@pytest.fixture
def base() -> list[str]:
    """Where links are to lead; the test's server fills it in."""
    return ["https://calls.example.com"]


@pytest.fixture
async def context(context: ApiContext, folder: Path, clock: Clock, base: list[str]) -> ApiContext:
    catalogue = Catalogue(Folder(folder), ("jsonl", "csv"), Links(SECRET, 900, clock=clock), lambda: base[0])
    return replace(context, feeds=catalogue)


@pytest.fixture
async def client(
    context: ApiContext, key: NewKey, store: Store, folder: Path, base: list[str]
) -> AsyncIterator[Client]:
    """A client of an account that has calls on three days, of which the second is built."""
    await three_days(store)
    await build(store, Folder(folder), folder, key.account_id)
    async with serving(context, key) as client:
        base[0] = str(client.make_url("")).rstrip("/")
        yield client


def serving(context: ApiContext, key: NewKey) -> Client:
    app = web.Application()
    install(app, context)
    return TestClient(TestServer(app), headers={"asapp-api-id": key.api_id, "asapp-api-secret": key.api_secret})


async def build(store: Store, storage: Storage, folder: Path, account_id: str, day: date = DAY, **plan: Any) -> None:
    plan = {"feeds": ("utterances",), "formats": ("jsonl",), **plan}
    async with alone(folder):
        await Builder(FeedQueries(store), storage, folder).build(account_id, day, Plan(**plan))


async def ask(client: Client, name: str, **body: str) -> Any:
    response = await client.post(STATIC + name, json=body)
    assert response.status == 200, await response.text()
    assert response.headers["Cache-Control"] == "no-store"
    return await response.json()


class TestLists:
    @pytest.mark.parametrize("body", [None, b"", b"{}", b"not json"])
    async def test_feeds_need_no_body(self, client: Client, body: bytes | None) -> None:
        response = await client.post(STATIC + "listfeeds", data=body)
        feeds = ["utterances", "staging_utterance_state", "staging_conversation_state"]
        assert await response.json() == {"feeds": feeds}

    async def test_the_way_down(self, client: Client) -> None:
        asked = dict(ASKED)
        assert await ask(client, "listfeedversions", feed="utterances") == {"feed": "utterances", "versions": ["1"]}
        del asked["date"], asked["format"]
        assert await ask(client, "listfeedformats", **asked) == {**asked, "formats": ["jsonl", "csv"]}
        asked["format"] = "jsonl"
        assert await ask(client, "listfeeddates", **asked) == {**asked, "dates": ["2026-03-02"]}
        hours = ["hr=09", "hr=10", "hr=11", "hr=23"]
        assert await ask(client, "listfeedintervals", **ASKED) == {**ASKED, "intervals": hours}
        files = [f"{hour}/utterances.jsonl" for hour in hours]
        assert await ask(client, "listfeedfiles", **ASKED) == {**ASKED, "files": files}
        one = {**ASKED, "interval": "hr=10"}
        assert await ask(client, "listfeedfiles", **one) == {**one, "files": ["utterances.jsonl"]}

    async def test_both_spellings_give_the_same_and_come_back_as_they_were(self, client: Client) -> None:
        long = {"feed": "utterances", "version": "version=1", "format": "format=jsonl", "date": "dt=2026-03-02"}
        plain = await ask(client, "listfeedfiles", **ASKED, interval="09")
        spelt = await ask(client, "listfeedfiles", **long, interval="hr=09")
        assert plain["files"] == spelt["files"] == ["utterances.jsonl"]
        assert {name: spelt[name] for name in (*long, "interval")} == {**long, "interval": "hr=09"}

    async def test_an_hour_in_which_nothing_was_said_is_empty(self, client: Client) -> None:
        assert (await ask(client, "listfeedfiles", **ASKED, interval="hr=03"))["files"] == []

    async def test_a_day_on_which_nothing_was_said_is_empty(
        self, client: Client, store: Store, folder: Path, key: NewKey
    ) -> None:
        await build(store, Folder(folder), folder, key.account_id, date(2026, 3, 9))
        quiet = {**ASKED, "date": "2026-03-09"}
        assert (await ask(client, "listfeedintervals", **quiet))["intervals"] == []
        assert (await ask(client, "listfeedfiles", **quiet))["files"] == []

    async def test_a_day_that_is_not_complete_is_not_there(self, client: Client, folder: Path, key: NewKey) -> None:
        Folder(folder).remove([Day(key.account_id, "utterances", "jsonl", DAY).success])
        for name in ("listfeedintervals", "listfeedfiles"):
            assert "not built" in await error_of(await client.post(STATIC + name, json=ASKED), 404, "404-01")
        asked = {name: ASKED[name] for name in ("feed", "version", "format")}
        assert (await ask(client, "listfeeddates", **asked))["dates"] == []

    async def test_dates_are_sorted(self, client: Client, store: Store, folder: Path, key: NewKey) -> None:
        for day in (11, 3, 1):
            await build(store, Folder(folder), folder, key.account_id, date(2026, 3, day))
        asked = {name: ASKED[name] for name in ("feed", "version", "format")}
        assert (await ask(client, "listfeeddates", **asked))["dates"] == [f"2026-03-{day:02}" for day in (1, 2, 3, 11)]


class TestRefusals:
    @pytest.mark.parametrize("name", ENDPOINTS)
    async def test_each_required_field(self, client: Client, name: str) -> None:
        whole = {**ASKED, "fileName": "hr=09/utterances.jsonl"}
        for missing in ENDPOINTS[name]:
            body = {field: value for field, value in whole.items() if field != missing}
            message = await error_of(await client.post(STATIC + name, json=body), 400, "400-03")
            assert message == f"ERROR - [Path '/{missing}'] is missing"
            wrong = await client.post(STATIC + name, json={**whole, missing: 1})
            assert await error_of(wrong, 400, "400-03") == f"ERROR - [Path '/{missing}'] must be a string"

    @pytest.mark.parametrize(
        ("field", "value", "says"),
        [
            ("feed", "autosummary_feedback", "listfeeds"),
            ("feed", "../utterances", "listfeeds"),
            ("version", "2", "no such version"),
            ("format", "xml", "listfeedformats"),
            ("format", "parquet", "not built"),
            ("date", "2026-03-01", "not built"),
            ("date", "0001-01-01", "not built"),
        ],
    )
    async def test_what_is_not_there(self, client: Client, field: str, value: str, says: str) -> None:
        response = await client.post(STATIC + "listfeedfiles", json={**ASKED, field: value})
        assert says in await error_of(response, 404, "404-01")

    @pytest.mark.parametrize(
        ("field", "value"),
        [("date", "yesterday"), ("date", "2026-02-30"), ("interval", "hr=24"), ("interval", "hr=01/mi=00")],
    )
    async def test_what_is_no_date_and_no_hour(self, client: Client, field: str, value: str) -> None:
        response = await client.post(STATIC + "listfeedfiles", json={**ASKED, field: value})
        right = {"date": "a day such as 2026-03-02", "interval": "an hour such as hr=23"}[field]
        assert await error_of(response, 400, "400-03") == f"ERROR - [Path '/{field}'] must be {right}"

    @pytest.mark.parametrize(
        "asked",
        [
            {"fileName": "utterances.jsonl"},
            {"fileName": "utterances.jsonl", "interval": "hr=03"},
            {"fileName": "hr=09/utterances.jsonl", "interval": "hr=10"},
            {"fileName": "hr=09/_SUCCESS"},
            {"fileName": "_SUCCESS"},
            {"fileName": "../../gateway.db"},
        ],
    )
    async def test_what_is_no_file(self, client: Client, asked: dict[str, str]) -> None:
        response = await client.post(STATIC + "getfeedfile", json={**ASKED, **asked})
        assert "no such file" in await error_of(response, 404, "404-01")

    @pytest.mark.parametrize("name", ["listfeeds", *ENDPOINTS])
    async def test_without_a_key(self, stranger: Client, name: str) -> None:
        await error_of(await stranger.post(STATIC + name, json=ASKED), 401, "401-01")

    async def test_another_accounts_days_are_not_there(self, client: Client, store: Store, context: ApiContext) -> None:
        theirs = await store.create_key("theirs", "theirs")
        async with serving(context, theirs) as other:
            for name in ("listfeedintervals", "listfeedfiles"):
                await error_of(await other.post(STATIC + name, json=ASKED), 404, "404-01")
            body = {**ASKED, "fileName": "hr=09/utterances.jsonl"}
            await error_of(await other.post(STATIC + "getfeedfile", json=body), 404, "404-01")
            asked = {name: ASKED[name] for name in ("feed", "version", "format")}
            assert (await ask(other, "listfeeddates", **asked))["dates"] == []

    async def test_where_feeds_are_turned_off(self, context: ApiContext, key: NewKey) -> None:
        async with serving(replace(context, feeds=None), key) as client:
            assert await ask(client, "listfeeds") == {"feeds": []}
            response = await client.post(STATIC + "listfeedfiles", json=ASKED)
            assert "turned off" in await error_of(response, 404, "404-01")


class TestFile:
    @pytest.fixture
    async def url(self, client: Client) -> str:
        answer = await ask(client, "getfeedfile", **ASKED, fileName="hr=09/utterances.jsonl")
        assert {name: answer[name] for name in ASKED} == ASKED
        return str(answer["url"])

    async def test_is_fetched_without_a_key(self, url: str, key: NewKey) -> None:
        async with ClientSession() as session, session.get(url) as response:
            assert response.status == 200
            assert response.content_type == "application/x-ndjson"
            assert response.headers["Content-Disposition"] == 'attachment; filename="utterances.jsonl"'
            assert response.headers["Cache-Control"] == "private, no-store"
            (row,) = map(json.loads, (await response.text()).splitlines())
        assert row["utterance"] == "Line 1."
        assert row["company_marker"] == key.account_id

    async def test_the_name_with_its_interval_is_the_same_file(self, client: Client, url: str) -> None:
        for asked in (
            {"fileName": "utterances.jsonl", "interval": "hr=09"},
            {"fileName": "hr=09/utterances.jsonl", "interval": "09"},
        ):
            answer = await ask(client, "getfeedfile", **ASKED, **asked)
            assert answer["url"] == url
            assert {name: answer[name] for name in asked} == asked

    async def test_the_whole_set_that_was_echoed(self, client: Client, url: str) -> None:
        answer = await ask(client, "getfeedfile", **ASKED, fileName="hr=09/utterances.jsonl")
        assert set(answer) == {*ASKED, "fileName", "url"}

    async def test_the_link_expires(self, client: Client, url: str, clock: Clock) -> None:
        clock.now += 900
        async with ClientSession() as session, session.get(url) as response:
            assert "expired" in await error_of(response, 403, "403-01")

    async def test_an_altered_link(self, client: Client, url: str, key: NewKey) -> None:
        path = urlsplit(url)
        for altered in (
            url.replace("hr=09", "hr=10"),
            url.replace(key.account_id, "01OTHERACCOUNT"),
            url.replace("expires=1", "expires=2"),
            url[:-1],
            url + "&expires=9999999999",
            url.replace(f"?{path.query}", ""),
            url.replace("utterances.jsonl", "..%2F..%2Fgateway.db"),
        ):
            assert altered != url
            async with ClientSession() as session, session.get(altered) as response:
                await error_of(response, 403, "403-01")

    async def test_a_signed_link_leads_nowhere_but_to_files(
        self, client: Client, context: ApiContext, tmp_path: Path
    ) -> None:
        """Even who could sign gets no other file of the machine."""
        assert context.feeds is not None
        (tmp_path / "secret").write_text("secret")
        for key in ("a/b/c/d/e/f/..%2F..%2Fsecret", "x/utterances/version=1/format=jsonl/dt=2026-03-02/hr=09/_SUCCESS"):
            url = context.feeds.links.link(str(client.make_url("")), key.replace("%2F", "/"))
            url = url.replace("../../secret", "..%2F..%2Fsecret")
            async with ClientSession() as session, session.get(url) as response:
                assert response.status in (403, 404)
                assert "secret" not in await response.text()

    async def test_a_file_that_was_removed(self, client: Client, url: str, folder: Path, key: NewKey) -> None:
        Folder(folder).remove([Day(key.account_id, "utterances", "jsonl", DAY).key(9, "utterances.jsonl")])
        async with ClientSession() as session, session.get(url) as response:
            assert "removed" in await error_of(response, 404, "404-01")

    async def test_a_range(self, client: Client, url: str) -> None:
        async with ClientSession() as session:
            async with session.get(url) as response:
                whole = await response.read()
            async with session.get(url, headers={"Range": "bytes=5-9"}) as response:
                assert response.status == 206
                assert await response.read() == whole[5:10]
            async with session.head(url) as response:
                assert (response.status, response.content_length) == (200, len(whole))

    async def test_a_compressed_file_comes_as_it_is(
        self, client: Client, store: Store, folder: Path, key: NewKey
    ) -> None:
        await build(store, Folder(folder), folder, key.account_id, gzip=True)
        answer = await ask(client, "getfeedfile", **ASKED, fileName="hr=09/utterances.jsonl.gz")
        async with ClientSession(auto_decompress=False) as session, session.get(answer["url"]) as response:
            assert response.content_type == "application/gzip"
            assert "Content-Encoding" not in response.headers
            assert json.loads(gzip.decompress(await response.read()))["utterance"] == "Line 1."

    async def test_the_log_has_no_signature(self, client: Client, url: str) -> None:
        signature = url.rpartition("signature=")[2]
        with capture_logs() as logs:
            async with ClientSession() as session, session.get(url) as response:
                await response.read()
        assert any("/fileexporter/v1/files/" in str(line.get("path")) for line in logs)
        assert signature not in repr(logs)


async def test_a_buckets_links_are_its_own(
    context: ApiContext,
    key: NewKey,
    store: Store,
    folder: Path,
    s3: ExportSettings,
) -> None:
    storage = open_storage(s3, folder)
    call = a_call(account_id=key.account_id)
    await keep(store, call, a_message(call, 1))
    await build(store, storage, folder, key.account_id)
    assert context.feeds is not None
    catalogue = Catalogue(storage, ("jsonl", "csv"), context.feeds.links, lambda: "https://calls.example.com")
    async with serving(replace(context, feeds=catalogue), key) as client:
        asked = {name: ASKED[name] for name in ("feed", "version", "format")}
        assert (await ask(client, "listfeeddates", **asked))["dates"] == ["2026-03-02"]
        answer = await ask(client, "getfeedfile", **ASKED, fileName="hr=09/utterances.jsonl")
        assert str(answer["url"]).startswith(str(s3.s3_endpoint))
        async with ClientSession() as session, session.get(answer["url"]) as response:
            assert json.loads(await response.text())["utterance"] == "Hello."
