from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.config import WebhookSettings
from gateway.delivery.target import PostResult, Target
from gateway.errors import ConfigError

from .hook import serving


def settings(url: str, **values: Any) -> WebhookSettings:
    return WebhookSettings.model_validate({"url": url, **values})


async def post_to(url: str, **values: Any) -> PostResult:
    target = Target(settings(url, **values))
    try:
        return await target.post(b'{"n": 1}')
    finally:
        await target.close()


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key_file.write_bytes(private)
    return cert_file, key_file


@pytest.fixture
def server_files(tmp_path: Path) -> tuple[Path, Path]:
    return certificate(tmp_path, "server")


def server_tls(files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


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
        (
            {"auth": "oauth2", "oauth2_token_url": "x", "oauth2_client_id": "x", "oauth2_client_secret": "x"},
            "oauth2 is not available in this version",
        ),
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


async def test_connections_are_used_again() -> None:
    ports: set[int] = set()

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.Response(text="x" * 1000)

    async with serving(answer) as hook:
        target = Target(settings(hook.url))
        for _ in range(3):
            assert (await target.post(b"{}")).ok
        await target.close()
    assert len(ports) == 1


async def test_an_endless_answer_is_cut_and_counts_as_its_status() -> None:
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

    async with serving(answer) as hook:
        assert (await post_to(hook.url)).ok
        async with asyncio.timeout(30):
            await given_up.wait()


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


async def test_an_unknown_authority_is_tls(server_files: tuple[Path, Path]) -> None:
    async with serving(tls=server_tls(server_files)) as hook:
        assert (await post_to(hook.url)).reason == "tls"
        assert hook.bodies == []


async def test_a_custom_authority_is_believed(server_files: tuple[Path, Path]) -> None:
    async with serving(tls=server_tls(server_files)) as hook:
        assert (await post_to(hook.url, ca=server_files[0])).ok


async def test_a_client_certificate_is_shown(server_files: tuple[Path, Path], tmp_path: Path) -> None:
    client = certificate(tmp_path, "client")
    tls = server_tls(server_files)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(client[0])
    async with serving(tls=tls) as hook:
        values = {"auth": "mtls", "client_cert": client[0], "client_key": client[1], "ca": server_files[0]}
        assert (await post_to(hook.url, **values)).ok
        assert not (await post_to(hook.url, ca=server_files[0])).ok


async def test_tls_1_1_is_refused(server_files: tuple[Path, Path]) -> None:
    tls = server_tls(server_files)
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        tls.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving(tls=tls) as hook:
        # Some servers send an alert, others just hang up.
        assert (await post_to(hook.url, ca=server_files[0])).reason in {"tls", "connect"}
        assert hook.bodies == []
