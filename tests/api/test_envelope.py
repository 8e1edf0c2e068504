"""Every error leaves in the envelope, with a request id, and says nothing it should not."""

from __future__ import annotations

import asyncio
import gzip
import io
import re
from collections.abc import AsyncIterator

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.typing import EventDict

from gateway.api.access import access_middleware
from gateway.api.body import MAX_BODY_BYTES
from gateway.api.endpoints import Endpoint
from gateway.api.envelope import envelope_middleware
from gateway.api.routes import ENDPOINTS
from gateway.errors import InternalError, RequestError, SealedError, StoreError
from gateway.metrics import HTTP_REQUESTS, HTTP_SECONDS
from tests.api.conftest import Client, Desk, error_of

START = "/mg-autotranscribe/v1/start-streaming"


def count(route: str, status: int) -> float:
    return float(HTTP_REQUESTS.labels(route=route, status=str(status))._value.get())


# --- paths and methods


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/mg-autotranscribe/v1/",
        "/mg-autotranscribe/v2/start-streaming",
        "/conversation/v1/conversation/messages/x",
        "/gateway/v1/calls/a/b",
        "/healthz//",
        "/%00",
        "/" + "x" * 4000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_unknown_paths(client: Client, method: str, path: str) -> None:
    before = count("unmatched", 404)
    message = await error_of(await client.request(method, path), 404, "404-01")
    assert "/openapi.json" in message
    assert count("unmatched", 404) == before + 1


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=[endpoint.operation_id for endpoint in ENDPOINTS])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_wrong_methods(client: Client, endpoint: Endpoint, slash: str) -> None:
    path = re.sub(r"\{\w+\}", "CA1", endpoint.path)
    right = {other.method for other in ENDPOINTS if other.path == endpoint.path}
    expected = ", ".join(sorted(right | ({"HEAD"} if "GET" in right else set())))
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - right:
        response = await client.request(method, path + slash)
        message = await error_of(response, 405, "405-01")
        assert response.headers["Allow"] == expected
        assert expected in message


async def test_head_where_there_is_get(client: Client) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/health", "/gateway/v1/calls"):
        response = await client.head(path)
        assert response.status == 200, path
        assert await response.read() == b""
        assert int(response.headers["Content-Length"]) > 0


# --- bodies


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b"\xff\xfe{\x00}\x00",
        b'{"guid": "\xff"}',
        b'{"guid": "\\ud800"}',
        b"namespace=twilio&guid=CA1",
        b'{"a": NaN}',
        b"[]",
        b'"twilio"',
        b"1",
        b"null",
        b"[" * 100_000,
    ],
)
async def test_bodies_that_are_no_json_object(client: Client, body: bytes) -> None:
    await error_of(await client.post(START, data=body), 400, "400-01")


async def test_the_place_of_a_mistake_but_not_the_text(client: Client) -> None:
    message = await error_of(await client.post(START, data=b'{"guid": "hush",\n "x" 1}'), 400, "400-01")
    assert "line 2" in message
    assert "hush" not in message


async def test_a_body_of_a_mebibyte_is_read_and_more_is_not(client: Client) -> None:
    exact = b'{"x": "' + b"y" * (MAX_BODY_BYTES - 9) + b'"}'
    assert len(exact) == MAX_BODY_BYTES
    await error_of(await client.post(START, data=io.BytesIO(exact)), 400, "400-201")
    message = await error_of(await client.post(START, data=io.BytesIO(exact + b" ")), 413, "413-01")
    assert "1 MiB" in message


async def test_a_body_too_large_in_chunks(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 65_536

    await error_of(await client.post(START, data=chunks()), 413, "413-01")


async def test_a_zip_bomb(client: Client) -> None:
    bomb = gzip.compress(b" " * (64 * MAX_BODY_BYTES))
    assert len(bomb) < MAX_BODY_BYTES
    response = await client.post(START, data=bomb, headers={"Content-Encoding": "gzip"})
    await error_of(response, 413, "413-01")


async def test_a_body_wrongly_encoded(client: Client) -> None:
    response = await client.post(START, data=b"not gzip", headers={"Content-Encoding": "gzip"})
    await error_of(response, 400, "400-01")


async def test_a_body_that_never_comes(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.api.body._BODY_SECONDS", 0.0)
    forever = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"{"
        await forever.wait()

    await error_of(await client.post(START, data=chunks()), 408, "408-01")


async def test_a_client_that_asks_before_it_sends(client: Client) -> None:
    response = await client.post(START, data=b"{", expect100=True)
    await error_of(response, 400, "400-01")


async def test_expectations_nobody_knows(client: Client) -> None:
    response = await client.get("/healthz", headers={"Expect": "a miracle"})
    await error_of(response, 417, "417-01")


async def test_the_answer_does_not_name_versions(client: Client) -> None:
    assert (await client.get("/healthz")).headers["Server"] == "gateway"


# --- what handlers raise


async def _raiser(error: BaseException) -> AsyncIterator[Client]:
    async def handler(_request: web.Request) -> web.Response:
        raise error

    app = web.Application(middlewares=[access_middleware, envelope_middleware])
    app.router.add_get("/{tail:.*}", handler)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(
    ("error", "path", "status", "code"),
    [
        (RequestError(409, "409-202", "pending"), "/x", 409, "409-202"),
        (StoreError("locked"), "/x", 503, "503-01"),
        (StoreError("locked"), "/mg-autotranscribe/x", 503, "503-01"),
        (SealedError("another key"), "/x", 500, "500-01"),
        (InternalError("queue below zero"), "/x", 500, "500-01"),
        (InternalError("queue below zero"), "/mg-autotranscribe/x", 500, "500-201"),
        (ValueError("card 4111"), "/x", 500, "500-01"),
        (web.HTTPUnauthorized(), "/x", 401, "401-01"),
        (web.HTTPServiceUnavailable(), "/x", 503, "503-01"),
        (web.HTTPGone(), "/x", 410, "410-01"),
    ],
)
async def test_raised(error: Exception, path: str, status: int, code: str) -> None:
    async for client in _raiser(error):
        response = await client.get(path)
        message = await error_of(response, status, code)
        assert "4111" not in message
        assert ("WWW-Authenticate" in response.headers) == (status == 401)


async def test_redirects_pass() -> None:
    async for client in _raiser(web.HTTPFound("/y")):
        response = await client.get("/x", allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (302, "/y")


async def test_failures_are_logged_without_what_others_wrote(client: Client, desk: Desk) -> None:
    desk.failure = ValueError("my card is 4111")
    body = {"namespace": "twilio", "guid": "CA1", "customerId": "c", "agentId": "a"}
    with structlog.testing.capture_logs() as events:
        response = await client.post(START, json=body)
    failure = next(event for event in events if event["event"] == "request failed")
    assert failure["error"] == "ValueError"
    assert failure["request_id"] == response.headers["X-Request-Id"]
    assert "_need" in failure["traceback"]
    assert "4111" not in str(events)


# --- access log and metrics


async def _logged(client: Client, path: str) -> EventDict:
    with structlog.testing.capture_logs() as events:
        response = await client.get(path)
    (line,) = [event for event in events if event["event"] == "request"]
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert line["status"] == response.status
    return line


async def test_one_line_a_request_with_a_masked_path(client: Client) -> None:
    line = await _logged(client, "/gateway/v1/calls?limit=5&token=abc.def")
    assert line["path"] == "/gateway/v1/calls?limit=5&token=***"
    assert line["method"] == "GET"
    assert line["log_level"] == "info"
    line = await _logged(client, "/twilio-media/abc.def.ghi")
    assert line["path"] == "/twilio-media/***"


async def test_probes_are_quiet_unless_they_fail(client: Client) -> None:
    assert (await _logged(client, "/healthz"))["log_level"] == "debug"
    assert (await _logged(client, "/healthz/"))["log_level"] == "debug"
    assert (await _logged(client, "/healthz/x"))["log_level"] == "info"


async def test_routes_are_labelled_by_template(client: Client) -> None:
    route = "/gateway/v1/calls/{guid}"
    before, timed = count(route, 404), HTTP_SECONDS.labels(route=route)._sum.get()
    await client.get("/gateway/v1/calls/CA1")
    await client.get("/gateway/v1/calls/CA2/")
    assert count(route, 404) == before + 2
    assert HTTP_SECONDS.labels(route=route)._sum.get() > timed
