from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization

from gateway.config import WebhookSettings
from gateway.delivery.signature import sign
from gateway.delivery.target import PostResult, Target
from gateway.errors import ConfigError

from .certificates import Authority
from .hook import serving
from .issuer import issuing


def settings(url: str, **values: Any) -> WebhookSettings:
    return WebhookSettings.model_validate({"url": url, **values})


async def post_to(url: str, **values: Any) -> PostResult:
    target = Target(settings(url, **values))
    try:
        return await target.post(b'{"n": 1}')
    finally:
        await target.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_a_secret_goes_into_its_header() -> None:
    async with serving() as hook:
        result = await post_to(hook.url, auth="secret", secret_name="X-Token", secret_value="s3cret value")
        assert result.ok
        assert hook.requests[0].headers["X-Token"] == "s3cret value"
        assert hook.requests[0].query_string == ""


async def test_a_secret_goes_into_the_query_beside_what_is_there() -> None:
    async with serving() as hook:
        values = {"auth": "secret", "secret_name": "key", "secret_value": "a&b=c", "secret_in": "query"}
        await post_to(hook.url + "?tenant=7", **values)
        assert dict(hook.requests[0].query) == {"tenant": "7", "key": "a&b=c"}
        assert "Authorization" not in hook.requests[0].headers


async def test_the_origin_shows_neither_path_nor_secrets() -> None:
    target = Target(settings("https://user:pw@example.com:8443/path?key=s3cret"))
    assert target.origin == "https://example.com:8443"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"auth": "secret", "secret_value": "two\r\nlines"}, "SECRET_VALUE: fits no header"),
        ({"auth": "secret", "secret_value": "x", "secret_name": "No Name"}, "SECRET_NAME: is no header name"),
        ({"ca": "/nowhere/ca.pem"}, "WEBHOOK__CA: /nowhere/ca.pem is no readable PEM"),
        ({"auth": "mtls", "client_cert": "/nowhere/c.pem", "client_key": "/nowhere/k.pem"}, "CLIENT_CERT"),
    ],
)
def test_settings_that_cannot_work_stop_the_start(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as raised:
        Target(settings("https://127.0.0.1/", **values))
    assert "two" not in str(raised.value)


def test_a_target_needs_a_url_with_a_host() -> None:
    with pytest.raises(ConfigError, match="WEBHOOK__URL: is not set"):
        Target(WebhookSettings.model_validate({}))
    with pytest.raises(ConfigError, match="WEBHOOK__URL"):
        Target(settings("http://"))


async def test_connections_are_used_again(authority: Authority) -> None:
    ports: set[int] = set()

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.Response(text="x" * 1000)

    async with serving(answer, tls=authority.server()) as hook:
        target = Target(settings(hook.url, ca=authority.ca))
        for _ in range(3):
            assert (await target.post(b"{}")).ok
        await target.close()
    assert len(ports) == 1


async def test_an_endless_answer_is_cut_and_counts_as_its_status(authority: Authority) -> None:
    given_up = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            given_up.set()
            raise

    async with serving(answer, tls=authority.server()) as hook:
        assert (await post_to(hook.url, ca=authority.ca)).ok
        async with asyncio.timeout(30):
            await given_up.wait()


async def test_an_oversized_answer_costs_its_connection_and_nothing_else() -> None:
    ports: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        return web.Response(body=bytes(64 * 1024 if len(ports) < 3 else 1024 * 1024))

    async with serving(answer) as hook:
        target = Target(settings(hook.url))
        for _ in range(4):
            assert (await target.post(b"{}")).ok
        await target.close()
    assert ports[0] == ports[1] == ports[2] != ports[3]


async def test_an_answer_that_stalls_after_its_status_counts_as_its_status() -> None:
    done = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await done.wait()
        return response

    async with serving(answer) as hook:
        assert (await post_to(hook.url, timeout=0.2)).ok
        done.set()


async def test_what_is_no_http_is_protocol() -> None:
    async def gibberish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example.com ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(gibberish, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    result = await post_to(f"http://127.0.0.1:{port}/")
    assert (result.status, result.reason) == (None, "protocol")
    server.close()
    await server.wait_closed()


async def test_an_unknown_authority_is_tls(authority: Authority, tmp_path: Path) -> None:
    async with serving(tls=authority.server()) as hook:
        assert (await post_to(hook.url)).reason == "tls"
        assert (await post_to(hook.url, ca=Authority(tmp_path, "other").ca)).reason == "tls"
        assert hook.bodies == []


async def test_a_custom_authority_is_believed(authority: Authority) -> None:
    async with serving(tls=authority.server()) as hook:
        assert (await post_to(hook.url, ca=authority.ca)).ok


async def test_an_expired_certificate_is_tls(authority: Authority) -> None:
    async with serving(tls=authority.server(expired=True)) as hook:
        assert (await post_to(hook.url, ca=authority.ca)).reason == "tls"
        assert hook.bodies == []


async def test_another_hosts_certificate_is_tls(authority: Authority) -> None:
    async with serving(tls=authority.server(host="example.com")) as hook:
        assert (await post_to(hook.url, ca=authority.ca)).reason == "tls"
        assert hook.bodies == []


async def test_a_client_certificate_is_shown(authority: Authority, tmp_path: Path) -> None:
    client = authority.certificate("client")
    stranger = Authority(tmp_path, "other").certificate("stranger")
    async with serving(tls=authority.demanding()) as hook:
        shown = {"auth": "mtls", "client_cert": client[0], "client_key": client[1], "ca": authority.ca}
        assert (await post_to(hook.url, **shown)).ok
        assert not (await post_to(hook.url, ca=authority.ca)).ok
        assert not (await post_to(hook.url, **shown | {"client_cert": stranger[0], "client_key": stranger[1]})).ok
        assert len(hook.bodies) == 1


async def test_a_client_certificate_goes_with_any_other_authentication(authority: Authority) -> None:
    client = authority.certificate("client")
    shown = {"client_cert": client[0], "client_key": client[1], "ca": authority.ca}
    async with serving(tls=authority.demanding()) as hook, issuing(authority.server("issuer")) as issuer:
        secret = {"auth": "secret", "secret_name": "X-Token", "secret_value": "s3cret"}
        assert (await post_to(hook.url, **secret, **shown)).ok
        oauth2 = {"oauth2_token_url": issuer.url, "oauth2_client_id": "x", "oauth2_client_secret": "y"}
        assert (await post_to(hook.url, auth="oauth2", **oauth2, **shown)).ok
        assert hook.requests[0].headers["X-Token"] == "s3cret"
        assert hook.requests[1].headers["Authorization"] == "Bearer token-1"


async def test_a_secret_over_tls_goes_into_header_or_query(authority: Authority) -> None:
    async with serving(tls=authority.server()) as hook:
        secret = {"auth": "secret", "secret_name": "key", "secret_value": "s3cret", "ca": authority.ca}
        assert (await post_to(hook.url, **secret)).ok
        assert (await post_to(hook.url, **secret, secret_in="query")).ok
        assert [request.headers.get("key", request.query.get("key")) for request in hook.requests] == ["s3cret"] * 2


async def test_an_encrypted_client_key_asks_nobody_for_its_password(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.certificate("client")
    plain = serialization.load_pem_private_key(key.read_bytes(), None)
    sealed = tmp_path / "sealed.key"
    encryption = serialization.BestAvailableEncryption(b"pass")
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    sealed.write_bytes(plain.private_bytes(*formats, encryption))
    with pytest.raises(ConfigError, match="unencrypted key"):
        Target(settings("https://127.0.0.1/", auth="mtls", client_cert=cert, client_key=sealed))


async def test_tls_1_1_is_refused(authority: Authority) -> None:
    tls = authority.server()
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        tls.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving(tls=tls) as hook:
        # Some servers send an alert, others just hang up.
        assert (await post_to(hook.url, ca=authority.ca)).reason in {"tls", "connect"}
        assert hook.bodies == []
        # The server is one that can be talked to: who is less careful is answered.
        careless = ssl.create_default_context(cafile=authority.ca)
        careless.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="deprecated"):
            careless.minimum_version = ssl.TLSVersion.TLSv1
        try:
            async with aiohttp.ClientSession() as session, session.post(hook.url, data=b"{}", ssl=careless) as response:
                assert response.status == 200
        except aiohttp.ClientConnectorError:
            pytest.skip("this OpenSSL serves no TLS 1.1")


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500, 503])
async def test_any_other_status_is_its_own_reason(authority: Authority, status: int) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with serving(answer, tls=authority.server()) as hook:
        result = await post_to(hook.url, ca=authority.ca)
        assert (result.status, result.reason, result.retry_after) == (status, f"status {status}", 0)
        assert [request.path for request in hook.requests] == ["/hook"]


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        (429, "30", 30),
        (503, "7", 7),
        (503, "99999999999999999999", 900),
        (503, "soon", 0),
        (503, "-5", 0),
        (500, "30", 0),
        (429, "Wed, 21 Oct 2015 07:28:00 GMT", 0),
        (429, "Wed, 21 Oct 2115 07:28:00 GMT", 900),
    ],
)
async def test_the_target_says_how_long_to_leave_it_alone(status: int, value: str, expected: float) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Retry-After": value})

    async with serving(answer) as hook:
        assert (await post_to(hook.url)).retry_after == expected


async def test_an_unknown_host_is_dns() -> None:
    # RFC 6761 §6.4: there is no such name, ever.
    result = await post_to("https://nowhere.invalid/hook", timeout=30)
    assert (result.status, result.reason) == (None, "dns")


async def test_a_slow_answer_is_waited_for_and_a_hanging_one_is_not(authority: Authority) -> None:
    opened = asyncio.Event()

    async def answer(_request: web.Request) -> web.StreamResponse:
        await opened.wait()
        return web.Response()

    async with serving(answer, tls=authority.server()) as hook:
        assert (await post_to(hook.url, ca=authority.ca, timeout=0.2)).reason == "timeout"
        slow = asyncio.create_task(post_to(hook.url, ca=authority.ca, timeout=30))
        await hook.came(2)
        opened.set()
        assert (await slow).ok


async def test_a_post_is_signed_and_carries_its_messages_id() -> None:
    async with serving() as hook:
        secret = "0123456789abcdef"
        target = Target(settings(hook.url, signing_secret=secret))
        assert (await target.post(b'{"n": 1}', "01MESSAGE")).ok
        await target.close()
        headers = hook.requests[0].headers
        at = int(headers["X-Gateway-Signature"].partition(",")[0].removeprefix("t="))
        assert headers["X-Gateway-Signature"] == sign(secret, b'{"n": 1}', at)
        assert abs(at - time.time()) < 60
        assert headers["X-Gateway-Message-Id"] == "01MESSAGE"
        assert (await post_to(hook.url)).ok
        assert "X-Gateway-Signature" not in hook.requests[1].headers
