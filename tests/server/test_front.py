"""The front door: upgrades on fresh and on reused connections, heads, refusals. Guards the pin on aiohttp."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import warnings
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.uri import parse_uri

from gateway.server.front import HEAD_BYTES, RESERVED_DESCRIPTORS
from tests.harness import Customer, Twilio, gateway_running, new_sid, settings_for
from tests.server.conftest import Dial


async def upgrade_raw(
    url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, early: bytes = b""
) -> ClientProtocol:
    """Upgrade an open connection; ``early`` are messages sent before the answer is seen."""
    protocol = ClientProtocol(parse_uri(url))
    protocol.send_request(protocol.connect())
    writer.write(b"".join(protocol.data_to_send()) + early)
    head = await reader.readuntil(b"\r\n\r\n")
    protocol.receive_data(head)
    assert head.startswith(b"HTTP/1.1 101 ")
    return protocol


async def test_upgrade_on_a_fresh_connection(customer: Customer) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        call = await customer.call(twilio.call_sid)
        assert call.sockets == 1
    assert len(customer.gateway.plane) == 0


async def test_upgrade_on_a_connection_that_carried_requests(customer: Customer, dial: Dial) -> None:
    url = await customer.stream_url()
    reader, writer = await dial()
    for _ in range(3):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
    protocol = await upgrade_raw(url, reader, writer)
    protocol.send_ping(b"there?")
    writer.write(b"".join(protocol.data_to_send()))
    assert await reader.readexactly(8) == b"\x8a\x06there?"


async def test_messages_sent_right_behind_the_request_are_not_lost(customer: Customer, dial: Dial) -> None:
    url, call_sid = await customer.stream_url(), new_sid("CA")
    start = {"event": "start", "start": {"streamSid": "MZ1", "callSid": call_sid, "tracks": ["inbound"]}}
    maker = ClientProtocol(parse_uri(url))
    maker.state = maker.state.OPEN
    maker.send_text(json.dumps(start).encode())
    maker.send_ping(b"x")
    reader, writer = await dial()
    await upgrade_raw(url, reader, writer, early=b"".join(maker.data_to_send()))
    assert await reader.readexactly(3) == b"\x8a\x01x"
    assert (await customer.call(call_sid)) is not None


async def test_many_sockets_at_once(customer: Customer) -> None:
    url = await customer.stream_url()

    async def one() -> None:
        async with Twilio.connected(url) as twilio:
            await twilio.media(100)
            await twilio.settle()

    await asyncio.gather(*(one() for _ in range(60)))
    assert len(customer.gateway.plane) == 0


@pytest.mark.parametrize("place", ["path", "query"])
async def test_a_bad_token_is_refused_before_the_101(customer: Customer, place: str) -> None:
    url = await customer.stream_url()
    base, _, token = url.rpartition("/")
    bad = token[:-4] + "AAAA"
    target = f"{base}/{bad}" if place == "path" else f"{base}?token={bad}"
    with pytest.raises(InvalidStatus) as caught:
        await connect(target)
    assert caught.value.response.status_code == 401
    assert json.loads(caught.value.response.body or b"")["error"]["code"] == "401-01"


async def test_the_token_may_stand_in_the_query(customer: Customer) -> None:
    base, _, token = (await customer.stream_url()).rpartition("/")
    async with Twilio.connected(f"{base}?token={token}") as twilio:
        await twilio.settle()
        assert await customer.call(twilio.call_sid) is not None


async def test_the_token_of_a_revoked_key_is_refused(customer: Customer) -> None:
    url = await customer.stream_url()
    assert await customer.gateway.store.revoke_key(customer.key.api_id)
    with pytest.raises(InvalidStatus) as caught:
        await connect(url)
    assert caught.value.response.status_code == 401


async def test_an_expired_token_is_refused(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path, stream_token_ttl=1)) as customer:
        tokens = customer.gateway.tokens
        old = tokens.issue(customer.key.account_id, customer.key.api_id)
        tokens._clock = lambda: 4_000_000_000.0
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{customer.gateway.public_url}/twilio-media/{old}")
        assert caught.value.response.status_code == 401


async def test_tokens_survive_a_restart(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    async with gateway_running(settings) as customer:
        token = (await customer.stream_url()).rpartition("/")[2]
    async with (
        gateway_running(settings) as customer,
        Twilio.connected(f"{customer.gateway.public_url}/twilio-media/{token}") as twilio,
    ):
        await twilio.settle()


async def test_not_a_websocket_handshake(customer: Customer) -> None:
    path = "/" + (await customer.stream_url()).split("/", 3)[3]
    status, body = await customer.request("GET", path)
    assert status in (400, 426)
    assert "handshake" in body["error"]["message"]
    assert len(customer.gateway.plane) == 0


async def test_too_many_sockets_get_503(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path, limits={"sockets": 1, "tick_ms": 10})) as customer:
        url = await customer.stream_url()
        async with Twilio.connected(url) as twilio:
            await twilio.settle()
            with pytest.raises(InvalidStatus) as caught:
                await connect(url)
            assert caught.value.response.status_code == 503
            await twilio.settle()


async def test_sockets_without_a_token_cannot_fill_the_house(tmp_path: Path) -> None:
    async with (
        gateway_running(settings_for(tmp_path, limits={"sockets": 16, "tick_ms": 10})) as customer,
        AsyncExitStack() as stack,
    ):
        url, _, token = (await customer.stream_url()).rpartition("/")
        # Those that have shown their token count no more.
        for _ in range(3):
            twilio = await stack.enter_async_context(Twilio.connected(url, custom={"token": token}))
            await twilio.settle()
        for _ in range(2):
            stranger = await stack.enter_async_context(connect(url))
        with pytest.raises(InvalidStatus) as caught:
            await connect(url)
        assert caught.value.response.status_code == 503
        twilio = await stack.enter_async_context(Twilio.connected(f"{url}/{token}"))
        await twilio.settle()
        # Nor do those that have gone.
        await stranger.close()
        while len(customer.gateway.plane) > 5:
            await asyncio.sleep(0)
        await (await stack.enter_async_context(connect(url))).ping()


def highest_descriptor() -> int:
    return max(int(entry.name) for entry in Path("/dev/fd").iterdir())


async def test_upgrades_get_503_before_descriptors_run_out(
    customer: Customer, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await customer.stream_url()
    soft = highest_descriptor() + RESERVED_DESCRIPTORS + 10
    monkeypatch.setattr("gateway.server.front.resource.getrlimit", lambda _: (soft, soft))
    async with Twilio.connected(url) as twilio:
        await twilio.settle()
    await customer.gateway.plane.emptied()
    # Connections that carry no media take descriptors as well.
    number = 0
    while number + RESERVED_DESCRIPTORS < soft:
        _, writer = await dial()
        number = writer.get_extra_info("socket").fileno()
    with pytest.raises(InvalidStatus) as caught:
        await connect(url)
    assert caught.value.response.status_code == 503


async def test_a_head_over_16_kib_is_refused(dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(b"GET / HTTP/1.1\r\n")
    for number in range(HEAD_BYTES // 4096 + 1):
        writer.write(b"X-%d: %s\r\n" % (number, b"a" * 4096))
    answer = await reader.read()
    assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


def probe(size: int, headers: str = "", path: str = "/healthz") -> bytes:
    """A request whose head has ``size`` bytes."""
    head = f"GET {path} HTTP/1.1\r\nHost: gateway\r\n{headers}"
    while (room := size - len(head) - len("\r\n")) > 0:
        # What is left must hold a field itself.
        take = room if room <= 4000 else min(4000, room - 100)
        head += f"X-Pad: {'a' * (take - len('X-Pad: ') - 2)}\r\n"
    assert len(head) + 2 == size
    return f"{head}\r\n".encode()


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Status and body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return head.split(b" ", 2)[1], await reader.readexactly(length)


async def test_a_head_may_have_16_kib_and_no_more_even_at_once(dial: Dial) -> None:
    for size, status in ((HEAD_BYTES, b"200"), (HEAD_BYTES + 1, b"431"), (100_000, b"431")):
        reader, writer = await dial()
        writer.write(probe(size))
        assert (await answer(reader))[0] == status
        if status == b"431":
            assert await reader.read() == b""


async def test_an_upgrade_with_a_large_head_is_refused(customer: Customer, dial: Dial) -> None:
    path = "/" + (await customer.stream_url()).split("/", 3)[3]
    protocol = ClientProtocol(parse_uri(await customer.stream_url()))
    headers = "".join(f"{k}: {v}\r\n" for k, v in protocol.connect().headers.raw_items() if k.lower() != "host")
    reader, writer = await dial()
    writer.write(probe(20_000, headers, path))
    status, body = await answer(reader)
    assert (status, json.loads(body)["error"]["code"]) == (b"431", "431-01")
    assert len(customer.gateway.plane) == 0
    reader, writer = await dial()
    writer.write(probe(10_000, headers, path))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")


async def test_pipelined_heads_are_measured_one_by_one(dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(probe(10_000) * 5 + probe(20_000) + probe(100))
    for _ in range(5):
        assert (await answer(reader))[0] == b"200"
    assert (await answer(reader))[0] == b"431"
    assert await reader.read() == b""


async def test_a_body_is_no_head(dial: Dial) -> None:
    reader, writer = await dial()
    size = 500_000
    for _ in range(3):
        head = f"POST /mg-autotranscribe/v1/start-streaming HTTP/1.1\r\nHost: g\r\nContent-Length: {size}\r\n\r\n"
        writer.write(head.encode())
        # In pieces, before the handler begins, while it runs, and behind its answer.
        for _ in range(size // 10_000):
            writer.write(b" " * 10_000)
            await asyncio.sleep(0)
        assert (await answer(reader))[0] == b"401"
    writer.write(probe(HEAD_BYTES))
    assert (await answer(reader))[0] == b"200"


async def test_malformed_http_is_answered_in_the_envelope(dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(b"GET / HTTP/1.1\r\nHost: gateway\r\nno colon here\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 400 ")
    assert b"aiohttp" not in head
    error = json.loads(body)["error"]
    assert error["code"] == "400-01"
    assert "colon" not in error["message"]


async def test_a_head_that_never_ends_is_cut_off(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.front.HEAD_S", 0.05)
    reader, writer = await dial()
    writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")
    assert await reader.read() == b""
    idle, _ = await dial()
    assert await idle.read() == b""


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1."""
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_path, key_path


async def test_in_process_tls_feeds_the_same_path(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    async with gateway_running(settings_for(tmp_path, tls={"cert": cert, "key": key})) as customer:
        gateway = customer.gateway
        assert gateway.public_url.startswith("wss://")
        token = gateway.tokens.issue(customer.key.account_id, customer.key.api_id)
        context = ssl.create_default_context(cafile=str(cert))
        async with Twilio.connected(f"{gateway.public_url}/twilio-media/{token}", ssl=context) as twilio:
            for number in range(50):
                await twilio.media(100 + 20 * number)
            await twilio.settle()
            call = await customer.call(twilio.call_sid)
            assert call.sockets == 1
        old = ssl.create_default_context(cafile=str(cert))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection("127.0.0.1", gateway.port, ssl=old)


async def test_a_tls_handshake_that_never_ends_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.front.TLS_HANDSHAKE_S", 0.05)
    cert, key = make_certificate(tmp_path)
    async with gateway_running(settings_for(tmp_path, tls={"cert": cert, "key": key})) as customer:
        reader, writer = await asyncio.open_connection("127.0.0.1", customer.gateway.port)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()


async def test_a_port_that_is_taken_is_one_line(customer: Customer, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("gateway")),
        "serve",
        env={
            "GATEWAY_PORT": str(customer.gateway.port),
            "GATEWAY_DATA_DIR": str(tmp_path / "other"),
            "GATEWAY_ASR__MODEL": "none",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"GATEWAY_PORT" in errors
    assert b"Traceback" not in errors
