"""Every row of the table, against a running gateway: fields, defaults, types, spellings, statuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from gateway.api import openapi
from gateway.api.routes import ENDPOINTS
from tests.conformance.contract import CODES, STATUSES, TABLE, Body, Field, Row, bodies, with_field
from tests.harness import ROOT, Customer, Twilio

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT = openapi.document(ENDPOINTS)
PROTECTED = [row for row in TABLE if not row.open]
WITH_BODY = [row for row in TABLE if row.fields]
START, STOP = (row for row in TABLE if row.operation in ("startStreaming", "stopStreaming"))
KINDS = {str: "string", bool: "boolean", int: "integer", type(None): "null"}


def each(rows: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.operation)


# --- the table and the document


async def test_every_endpoint_is_in_the_table(customer: Customer) -> None:
    status, served = await customer.request("GET", "/openapi.json")
    assert status == 200
    described = {
        (method.upper(), path, operation["operationId"])
        for path, item in served["paths"].items()
        for method, operation in item.items()
    }
    assert {(row.method, row.path, row.operation) for row in TABLE} == described


@pytest.mark.parametrize(
    "file", sorted({*CODES.values(), *STATUSES.values(), *(file for row in TABLE for file in row.held)})
)
async def test_where_more_is_held_there_are_tests(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert "def test_" in text
    for code, at in (*CODES.items(), *((str(status), at) for status, at in STATUSES.items())):
        assert at != file or code in text


@each(TABLE)
async def test_what_is_declared(row: Row) -> None:
    operation = DOCUMENT["paths"][row.path][row.method.lower()]
    statuses = {int(status) for status in operation["responses"]}
    assert statuses >= {row.status, *row.errors}
    assert bool(operation["security"]) is not row.open
    taken = {
        one["name"]: (one["required"], one["schema"].get("default"), one["schema"]["type"])
        for one in operation.get("parameters", ())
        if one["in"] == "query"
    }
    if row.operation != "getFeedFileContent":
        assert taken == {one.name: (one.required, one.default, one.kind) for one in row.query}


@each(WITH_BODY)
async def test_the_fields_of_a_request(row: Row) -> None:
    operation = DOCUMENT["paths"][row.path][row.method.lower()]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert sorted(declared(schema), key=str) == sorted(
        ((one.name, one.kind, one.required, one.default, one.values) for one in row.fields), key=str
    )


def declared(schema: Body, at: str = "") -> Iterator[tuple[str, str, bool, Any, tuple[str, ...]]]:
    """The fields of a schema as the table has them."""
    schema = resolved(schema)
    for name, inner in schema["properties"].items():
        one = resolved(inner)
        if "anyOf" in one and "type" not in one:
            one = {**one, **resolved(next(part for part in one["anyOf"] if part.get("type") != "null"))}
        values = tuple(one.get("enum", [one["const"]] if "const" in one else []))
        yield f"{at}{name}", one["type"], name in schema.get("required", ()), one.get("default"), values
        if one["type"] == "object":
            yield from declared(one, f"{at}{name}.")


def resolved(schema: Body) -> Body:
    reference = schema.get("$ref")
    return DOCUMENT["components"]["schemas"][reference.rsplit("/", 1)[1]] if reference else schema


# --- good requests


def shape(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Each field of an answer with its JSON type."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from shape(inner, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for inner in value:
            yield from shape(inner, f"{at}[]")
    else:
        yield at, KINDS[type(value)]


def assert_answers(row: Row, answer: Any) -> None:
    assert row.answer is not None
    found = dict(shape(answer))
    needed = {name: kind for name, kind in row.answer.items() if not name.endswith("?")}
    assert found == needed


async def prepared(customer: Customer, row: Row) -> tuple[str, Body | None]:
    """The row's example, with a phrase of its own where it names one or adds one."""
    target, body = row.target, row.body
    if row.operation == "getCustomVocabularies":
        await customer.gateway.store.add_phrase(customer.key.account_id, "listed", ("listed",), limit=200)
    if row.operation == "createCustomVocabulary":
        body = {"phrase": f"word {id(object())}", "soundsLike": ["word"]}
    if "{customVocabularyId}" in target:
        added = await customer.gateway.store.add_phrase(customer.key.account_id, row.operation, ("x",), limit=200)
        phrase_id = getattr(added, "phrase_id", None)
        if phrase_id is None:
            listed = await customer.gateway.store.configuration(customer.key.account_id)
            phrase_id = next(one.phrase_id for one in listed.phrases if one.phrase == row.operation)
        target = target.replace("{customVocabularyId}", phrase_id)
    return target, body


OF_TABLE = [row for row in TABLE if row.answer is not None and row not in (START, STOP)]


@each(OF_TABLE)
@pytest.mark.parametrize("slash", [False, True], ids=["", "slash"])
async def test_a_good_request(customer: Customer, row: Row, slash: bool) -> None:
    target, body = await prepared(customer, row)
    if slash:
        path, mark, query = target.partition("?")
        target = f"{path}/{mark}{query}"
    status, answer = await customer.request(row.method, target, json=body)
    assert status == row.status, answer
    assert_answers(row, answer)


@pytest.mark.parametrize("slash", ["", "/"], ids=["", "slash"])
async def test_start_and_stop(customer: Customer, slash: str) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        assert START.body is not None
        assert STOP.body is not None
        body = {**START.body, "guid": twilio.call_sid}
        status, answer = await customer.request("POST", START.path + slash, json=body)
        assert status == 200
        assert_answers(START, answer)
        assert_well(answer)
        status, answer = await customer.request("POST", STOP.path + slash, json={**STOP.body, "guid": twilio.call_sid})
        assert status == 200
        assert_answers(STOP, answer)
        assert_well(answer)


def assert_well(answer: Body) -> None:
    assert answer["isOk"] is True
    for participant in answer["autotranscribeResponse"].values():
        assert participant["status"] == {"code": 1000, "description": "OK"}


VALUES = [
    (one.name, value)
    for one in START.fields
    for value in ((one.values or (one.default,)) if one.kind != "boolean" else (True, False))
    if one.default is not None and "trackMap" not in one.name
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *VALUES,
        ("autotranscribeParams.language", "EN-us"),
        ("twilioParams.trackMap", {"inbound": "agent", "outbound": "customer"}),
        ("twilioParams.trackMap", {"inbound": "customer", "outbound": "agent"}),
        *((one.name, None) for one in START.fields if not one.required),
        ("siprecParams.mediaLineOrder", "AGENT_FIRST"),
        ("amazonConnectParams.startSelectorType", "NOW"),
        ("autotranscribeParams.smartFormatting", False),
        ("unknown", [{"x": None}]),
    ],
    ids=str,
)
async def test_what_a_start_takes(customer: Customer, name: str, value: Any) -> None:
    """Every value that is documented, null for every field that need not be given, and unknown fields."""
    assert START.body is not None
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        body = with_field({**START.body, "guid": twilio.call_sid}, name, value)
        if name.endswith("detailedToken") and value:
            body = with_field(body, "autotranscribeParams.redactionOutput", "unredacted")
        status, answer = await customer.request("POST", START.path, json=body)
        assert (status, answer["isOk"]) == (200, True)


NULLS = [(row, one) for row in WITH_BODY if row is not START for one in row.fields if not one.required]


@pytest.mark.parametrize(
    ("row", "one"), NULLS, ids=lambda value: getattr(value, "operation", getattr(value, "name", ""))
)
async def test_null_is_absent(customer: Customer, row: Row, one: Field) -> None:
    body = with_field(row.body or {}, one.name, None)
    absent = await customer.request(row.method, row.target, json=with_field(body, one.name, ...))
    status, answer = await customer.request(row.method, row.target, json=body)
    # Links tell their time.
    assert (status, {**answer, "url": ""}) == (absent[0], {**absent[1], "url": ""})
    assert status == row.status


@each([row for row in WITH_BODY if row.body is not None and row not in (START, STOP)])
async def test_unknown_fields_are_ignored(customer: Customer, row: Row) -> None:
    target, body = await prepared(customer, row)
    status, answer = await customer.request(row.method, target, json={**(body or {}), "unknown": {"x": [1]}})
    assert status == row.status
    assert "unknown" not in answer


FEEDS = [row for row in TABLE if row.section == "3" and row.fields]


@each(FEEDS)
async def test_feeds_take_both_spellings(customer: Customer, row: Row) -> None:
    spelt = {"version": "version=1", "format": "format=jsonl", "date": "dt=2026-03-02"}
    body = {name: spelt.get(name, value) for name, value in (row.body or {}).items()}
    (_, plain), (status, answer) = [await customer.request("POST", row.path, json=one) for one in (row.body, body)]
    assert status == 200
    # What was sent stands in the answer as it was sent; what was asked for is the same.
    assert {**plain, **body, "url": ""} == {**answer, "url": ""}


# --- wrong requests


WRONG = [(row, *one) for row in WITH_BODY for one in bodies(row)]


@pytest.mark.parametrize(("row", "what", "body", "code"), WRONG, ids=lambda v: v if isinstance(v, str) else None)
async def test_a_wrong_body(customer: Customer, row: Row, what: str, body: Body, code: str) -> None:
    status, answer = await customer.request(row.method, row.target, json=body)
    assert_error(status, answer, 400, code)
    place = re.escape("/" + what.removeprefix("no ").split()[0].replace(".", "/"))
    assert re.match(rf"ERROR - \[Path '{place}", answer["error"]["message"]), answer


@each([row for row in TABLE if row.query])
async def test_a_wrong_query(customer: Customer, row: Row) -> None:
    for one in row.query:
        for value in ("", "x" * 256):
            status, answer = await customer.request(row.method, f"{row.path}?{one.name}={value}")
            assert_error(status, answer, 400, one.code)


def assert_error(status: int, answer: Any, expected: int, code: str) -> None:
    assert status == expected, answer
    assert set(answer) == {"error"}
    assert set(answer["error"]) == {"requestId", "message", "code"}
    assert all(isinstance(value, str) and value for value in answer["error"].values())
    assert answer["error"]["code"] == code


@each(WITH_BODY)
@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [(b"", 400, "400-01"), (b"{", 400, "400-01"), (b"[]", 400, "400-01"), (b" " * (1 << 20) + b"{}", 413, "413-01")],
    ids=["empty", "half", "array", "large"],
)
async def test_a_body_that_is_none(customer: Customer, row: Row, sent: bytes, status: int, code: str) -> None:
    found, answer = await customer.request(row.method, row.target, data=BytesIO(sent))
    assert_error(found, answer, status, code)


@each(PROTECTED)
@pytest.mark.parametrize("missing", ["asapp-api-id", "asapp-api-secret"])
async def test_both_headers_are_needed(customer: Customer, row: Row, missing: str) -> None:
    headers = {"asapp-api-id": customer.key.api_id, "asapp-api-secret": customer.key.api_secret}
    async with aiohttp.ClientSession() as session:
        for wrong in ({missing: "wrong"}, {missing: ""}):
            url = customer.gateway.public_url_of("http") + row.target.replace("{customVocabularyId}", "X")
            async with session.request(row.method, url, headers={**headers, **wrong}) as response:
                assert_error(response.status, await response.json(), 401, "401-01")
