"""The API as a caller sees it: keys, errors out of the envelope, TLS settings."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.errors import PeerError, UsageError
from gateway.peers.client import ApiError, GatewayClient, credentials, is_loopback, tls_context
from tests.peers.peer import Peer, item, serving


async def test_a_refusal_tells_code_and_message() -> None:
    async with serving(Peer(refuse_start=(409, "409-201", "already started"))) as peer:
        async with GatewayClient(peer.url, "id", "secret") as gateway:
            with pytest.raises(ApiError, match=r"^start-streaming was refused: 409-201 already started$") as failed:
                await gateway.start("CA1", "c", "a")
        assert (failed.value.status, failed.value.code) == (409, "409-201")


async def test_a_wrong_key_is_refused_and_not_shown() -> None:
    async with serving(Peer()) as peer, GatewayClient(peer.url, "id", "hunter2") as gateway:
        with pytest.raises(ApiError, match="401-01 Unauthorized") as failed:
            await gateway.stream_url()
    assert "hunter2" not in str(failed.value)


async def test_an_unknown_conversation_has_no_messages_yet() -> None:
    async with serving(Peer()) as peer, GatewayClient(peer.url, "id", "secret") as gateway:
        assert await gateway.messages("CA1") == []
        peer.transcripts.append(item("hello"))
        assert [message["text"] for message in await gateway.messages("CA1")] == ["hello"]


async def test_metrics_are_read_by_name() -> None:
    async with serving(Peer()) as peer, GatewayClient(peer.url, "id", "secret") as gateway:
        assert await gateway.metrics() == {"gateway_wire_messages_total": 0.0}


async def test_another_server_is_told_from_a_gateway() -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<html>")

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    async with TestServer(app) as server, GatewayClient(str(server.make_url("")), "id", "secret") as gateway:
        with pytest.raises(PeerError, match=r"HTTP 200 without a JSON body; is .* a gateway"):
            await gateway.stream_url()
        with pytest.raises(PeerError, match=r"HTTP 200 without metrics; is .* a gateway"):
            await gateway.metrics()


async def test_a_list_that_is_none() -> None:
    async def empty(request: web.Request) -> web.Response:
        return web.json_response({"nextCursor": None})

    app = web.Application()
    app.router.add_get("/{path:.*}", empty)
    async with TestServer(app) as server, GatewayClient(str(server.make_url("")), "id", "secret") as gateway:
        with pytest.raises(PeerError, match=r"the answer has no customVocabularies; is .* a gateway"):
            await gateway.vocabularies()


async def test_all_pages_of_a_list_are_read() -> None:
    asked: list[dict[str, str]] = []

    async def pages(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        number = len(asked)
        following = "a+/=&" if number < 3 else None
        return web.json_response({"redactionEntities": [{"id": number}], "nextCursor": following})

    app = web.Application()
    app.router.add_get("/configuration/v1/redaction-entities", pages)
    async with TestServer(app) as server, GatewayClient(str(server.make_url("")), "id", "secret") as gateway:
        assert await gateway.redaction_entities() == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert asked == [{"limit": "100"}, *[{"limit": "100", "cursor": "a+/=&"}] * 2]


async def test_nobody_there() -> None:
    async with GatewayClient("http://127.0.0.1:1", "id", "secret") as gateway:
        with pytest.raises(PeerError, match=r"no gateway at http://127\.0\.0\.1:1: connection refused$"):
            await gateway.stream_url()
    async with GatewayClient("http://nowhere.invalid", "id", "secret") as gateway:
        with pytest.raises(PeerError, match="there is no such host"):
            await gateway.stream_url()


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ws://127.0.0.1", "http://", "", "http://a:99999", "http://a:b", "http://[::1"]
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(UsageError, match="must be an http:// or https:// URL"):
        GatewayClient(url, "id", "secret")


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8080", True), ("http://localhost", True), ("http://[::1]:1", True),
        ("https://127.9.9.9", True),
        ("http://10.0.0.1", False), ("http://example.com", False), ("http://127.example.com", False), ("", False),
    ],
)  # fmt: skip
def test_loopback(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_the_given_key_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path))
    (tmp_path / "first-key.json").write_text(json.dumps({"apiId": "first", "apiSecret": "s"}))
    assert credentials("http://localhost", "mine", "x") == ("mine", "x")
    assert credentials("http://localhost", None, None) == ("first", "s")
    with pytest.raises(UsageError, match="go together"):
        credentials("http://localhost", "mine", None)
    with pytest.raises(UsageError, match="give --api-id"):
        credentials("http://example.com", None, None)


def test_a_broken_key_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path))
    with pytest.raises(UsageError, match="give --api-id and"):
        credentials("http://localhost", None, None)
    (tmp_path / "first-key.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot be read as a key"):
        credentials("http://localhost", None, None)


def test_tls_settings(tmp_path: Path) -> None:
    assert tls_context(insecure=False, ca=None) is None
    context = tls_context(insecure=True, ca=None)
    assert context is not None
    assert context.verify_mode is ssl.CERT_NONE
    with pytest.raises(UsageError, match="exclude each other"):
        tls_context(insecure=True, ca=tmp_path)
    bad = tmp_path / "ca.pem"
    bad.write_text("no")
    with pytest.raises(UsageError, match="no PEM file"):
        tls_context(insecure=False, ca=bad)
