"""Media under TLS in the process: the same as plain media, whatever the records; guards the pin on uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import random
import ssl
import sys
import termios
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from gateway import metrics
from gateway._native import plane as kernel
from gateway.calls.call import Call, Stream
from gateway.calls.registry import Registry
from gateway.server import connection as connections
from gateway.server import life, tls
from gateway.server.connection import MediaConnection
from gateway.server.handshake import Doorkeeper
from gateway.store.records import Principal
from tests.harness import Customer, Twilio, gateway_running, new_sid, settings_for
from tests.server.test_connection import frame
from tests.server.test_front import make_certificate, upgrade_raw
from tests.server.test_tidy import circles

RECORD = 16 * 1024
"""Most plaintext of a TLS record."""


@dataclass
class Secure:
    """A gateway under TLS, a customer of it, and what a client needs to trust it."""

    customer: Customer
    context: ssl.SSLContext

    @property
    def url(self) -> str:
        gateway, key = self.customer.gateway, self.customer.key
        return f"{gateway.public_url}/twilio-media/{gateway.tokens.issue(key.account_id, key.api_id)}"

    @property
    def token(self) -> str:
        return self.url.rpartition("/")[2]

    async def start(self, guid: str) -> None:
        await self._control("start", guid, customerId="C1", agentId="A1")

    async def stop(self, guid: str) -> None:
        await self._control("stop", guid)

    async def _control(self, verb: str, guid: str, **fields: str) -> None:
        customer = self.customer
        url = f"https://127.0.0.1:{customer.gateway.port}/mg-autotranscribe/v1/{verb}-streaming"
        body = {"namespace": "twilio", "guid": guid, **fields}
        async with customer._session.post(url, json=body, headers=customer._headers, ssl=self.context) as response:
            assert response.status == 200, await response.text()


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[Secure]:
    cert, key = make_certificate(tmp_path)
    async with gateway_running(settings_for(tmp_path, tls={"cert": cert, "key": key})) as customer:
        yield Secure(customer, ssl.create_default_context(cafile=str(cert)))


@asynccontextmanager
async def line(
    secure: Secure, url: str | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection after the 101: each write is a record."""
    port = secure.customer.gateway.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=secure.context)
    protocol = ClientProtocol(parse_uri(url or secure.url))
    protocol.send_request(protocol.connect())
    writer.write(b"".join(protocol.data_to_send()))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Return when the gateway has read everything sent so far."""
    writer.write(frame(9, b"there?"))
    assert await reader.readexactly(8) == b"\x8a\x06there?"


def hello(call: str, sid: str, token: str | None = None) -> bytes:
    start: dict[str, Any] = {"streamSid": sid, "callSid": call, "tracks": ["inbound", "outbound"]}
    if token is not None:
        start["customParameters"] = {"token": token}
    return frame(1, json.dumps({"event": "start", "start": start, "streamSid": sid}).encode())


def media(sid: str, count: int, seed: int) -> bytes:
    """Frames of both tracks, of bytes at random."""
    chance = random.Random(seed)
    maker = Twilio(None, "", sid)  # type: ignore[arg-type]  # only its messages are wanted
    return b"".join(
        frame(1, json.dumps(maker.media_message(20 * at, chance.randbytes(160), track), separators=(",", ":")).encode())
        for at in range(count)
        for track in ("inbound", "outbound")
    )


def pieces(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """``data`` cut into pieces of these sizes, over and over."""
    cut, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        cut.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return cut


async def heard(customer: Customer, call: str) -> list[tuple[object, ...]]:
    """What the tracks of a call got: place, amount and checksum of the audio."""
    snapshot = await customer.call(call)
    return [(one.track, one.checksum, one.samples, one.received_ms, one.filled_ms) for one in snapshot.tracks]


def only(secure: Secure) -> MediaConnection:
    """The one media socket."""
    (socket,) = secure.customer.gateway.plane.sockets
    assert isinstance(socket, MediaConnection)
    return socket


def counted() -> float:
    return metrics.REGISTRY.get_sample_value("gateway_wire_messages_total") or 0.0


async def emptied(secure: Secure) -> None:
    async with asyncio.timeout(10):
        await secure.customer.gateway.plane.emptied()


@asynccontextmanager
async def turning() -> AsyncIterator[Callable[[], int]]:
    """Which turn of the loop it is."""
    turn = 0

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    try:
        yield lambda: turn
    finally:
        counting.cancel()


async def plain(tmp_path: Path, call: str, sid: str, data: bytes) -> list[tuple[object, ...]]:
    """What a gateway without TLS makes of the same media, sent whole."""
    async with gateway_running(settings_for(tmp_path / "plain")) as customer:
        reader, writer = await asyncio.open_connection("127.0.0.1", customer.gateway.port)
        await upgrade_raw(await customer.stream_url(), reader, writer, early=hello(call, sid))
        await answered(reader, writer)
        assert (await customer.start(call))[0] == 200
        writer.write(data)
        await answered(reader, writer)
        try:
            return await heard(customer, call)
        finally:
            writer.transport.abort()


async def test_any_records_make_the_same_tracks_as_plain_bytes(secure: Secure, tmp_path: Path) -> None:
    sid = new_sid("MZ")
    data = media(sid, 60, seed=7)
    chance = random.Random(11)
    expected = await plain(tmp_path, new_sid("CA"), sid, data)
    assert {one[1] for one in expected} - {None}
    for sizes in ([1 << 20], [371], [1, 4000], [16_384, 3], [chance.randint(1, 900) for _ in range(50)]):
        call = new_sid("CA")
        async with line(secure) as (reader, writer):
            writer.write(hello(call, sid))
            await answered(reader, writer)
            await secure.start(call)
            for piece in pieces(data, sizes):
                writer.write(piece)
                await asyncio.sleep(0)
            await answered(reader, writer)
            assert await heard(secure.customer, call) == expected
        await emptied(secure)


@pytest.mark.skipif(not kernel.HAS_PLANE, reason="only the tick reads ahead of the transport")
async def test_start_and_stop_cut_at_what_was_sent_before_them(secure: Secure) -> None:
    call, sid = new_sid("CA"), new_sid("MZ")
    async with line(secure) as (reader, writer):
        writer.write(hello(call, sid))
        await answered(reader, writer)
        # The tick must not be what reads them.
        plane = secure.customer.gateway.plane
        assert plane._timer is not None
        plane._timer.cancel()
        data = media(sid, 25, seed=1)
        await write_now(secure, writer, data[: len(data) // 2])
        await secure.start(call)
        before = await heard(secure.customer, call)
        await write_now(secure, writer, data[len(data) // 2 :])
        assert await heard(secure.customer, call) == before
        await secure.stop(call)
        assert await heard(secure.customer, call) != before
        assert counted_by(secure) == 50


def counted_by(secure: Secure) -> int:
    """Media messages that the one socket gave its tracks."""
    return only(secure)._reader.media


async def write_now(secure: Secure, writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write one record, and return when all of it lies in the gateway's socket."""
    transport = only(secure)._transport
    assert transport is not None
    descriptor = transport.get_extra_info("socket").fileno()
    assert len(data) <= RECORD
    writer.write(data)
    async with asyncio.timeout(10):
        while int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder) <= len(data):
            await asyncio.sleep(0)


@pytest.mark.skipif(not kernel.HAS_PLANE, reason="the tick reads in turns")
async def test_a_socket_that_floods_is_read_no_more_than_the_others(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[tuple[object, int]] = []
    receive = tls.SealedSocket.receive

    def counting(self: tls.SealedSocket) -> bool:
        before = self.reader.bytes
        try:
            return receive(self)
        finally:
            reads.append((self.reader, self.reader.bytes - before))

    monkeypatch.setattr(tls.SealedSocket, "receive", counting)
    flood = frame(1, b'{"event":"other"}') * 40_000
    async with line(secure) as (_, writer), line(secure) as (calm_reader, calm_writer):
        sid = new_sid("MZ")
        calm_writer.write(hello(new_sid("CA"), sid))
        await answered(calm_reader, calm_writer)
        reads.clear()
        writer.write(hello(new_sid("CA"), new_sid("MZ")) + flood)
        calm_writer.write(media(sid, 5, seed=3))
        await answered(calm_reader, calm_writer)
        # A call on the side is heard long before the flood is through, and a turn takes no more than its share.
        assert sum(got for _, got in reads) < len(flood)
        assert max(got for _, got in reads) <= tls.BUDGET + RECORD


@pytest.mark.skipif(not kernel.HAS_PLANE, reason="the tick reads in turns")
async def test_a_round_of_many_sockets_gives_everybody_else_turns(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "SLICE_S", 0.0)
    reads: list[tuple[int, tls.SealedSocket]] = []
    receive = tls.SealedSocket.receive
    async with turning() as turn, line(secure) as one, line(secure) as two, line(secure) as three:

        def recording(self: tls.SealedSocket) -> bool:
            reads.append((turn(), self))
            return receive(self)

        monkeypatch.setattr(tls.SealedSocket, "receive", recording)
        while len(reads) < 12:
            await asyncio.gather(*(answered(*ends) for ends in (one, two, three)))
        rounds = [reads[at : at + 3] for at in range(0, 12, 3)]
        assert all(len({socket for _, socket in read}) == 3 for read in rounds)
        assert len({at for at, _ in reads[:12]}) == 12


@pytest.mark.parametrize(
    "last", [b"\x17\x03\x03\x40\x00half a rec", b"\x17\x03\x03\x00\x04what" * 3, b"\xff" * 40, b""]
)
async def test_what_came_before_a_broken_end_is_kept(secure: Secure, last: bytes) -> None:
    call, sid = new_sid("CA"), new_sid("MZ")
    before = counted()
    async with line(secure) as (reader, writer), line(secure) as (other_reader, other_writer):
        writer.write(hello(call, sid))
        await answered(reader, writer)
        await secure.start(call)
        writer.write(media(sid, 30, seed=2))
        await answered(reader, writer)
        # Past TLS.
        os.write(writer.get_extra_info("socket").fileno(), last)
        writer.transport.abort()
        plane = secure.customer.gateway.plane
        async with asyncio.timeout(10):
            while len(plane) > 1:
                await asyncio.sleep(0)
        await answered(other_reader, other_writer)
    await emptied(secure)
    assert counted() - before >= 61


async def test_events_left_over_at_the_end_are_handled_in_turns(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a turn's worth, and the peer's close_notify right behind."""
    turns: list[int] = []
    drain = MediaConnection.drain
    many = 20 * connections.MAX_EVENTS
    before = counted()
    async with turning() as turn, line(secure) as (_, writer):

        def recording(self: MediaConnection) -> None:
            if self._transport is None:
                turns.append(turn())
            drain(self)

        monkeypatch.setattr(MediaConnection, "drain", recording)
        writer.write(hello(new_sid("CA"), new_sid("MZ")) + frame(1, b'{"event":"other"}') * many)
        writer.close()
        await writer.wait_closed()
        await emptied(secure)
    assert counted() - before == many + 1
    assert len(turns) > 1
    assert len(set(turns)) == len(turns)


@asynccontextmanager
async def hung_up(secure: Secure, said: bytes) -> AsyncIterator[tuple[MediaConnection, asyncio.Event]]:
    """A socket all of whose words have come, and the end of TLS with them, while the store looks at their token.

    The store answers when the event is set.
    """
    asked, answer = asyncio.Event(), asyncio.Event()
    async with line(secure, secure.url.rpartition("/")[0]) as (reader, writer):
        await answered(reader, writer)
        socket = only(secure)
        authenticate = socket._services.authenticate

        async def late(token: str) -> Principal:
            asked.set()
            await answer.wait()
            return await authenticate(token)

        socket._services = replace(socket._services, authenticate=late)
        writer.write(said)
        writer.close()
        await writer.wait_closed()
        await asyncio.wait_for(asked.wait(), 10)
        async with asyncio.timeout(10):
            while socket._transport is not None:
                await asyncio.sleep(0)
    yield socket, answer


@pytest.mark.parametrize("good", [True, False])
async def test_a_call_that_ends_while_its_token_is_checked_is_kept(
    secure: Secure, monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    streams: list[Stream] = []
    attach = Registry.attach

    def recording(*args: Any) -> tuple[Call, Stream]:
        call, stream = attach(*args)
        streams.append(stream)
        return call, stream

    monkeypatch.setattr(Registry, "attach", recording)
    token = secure.token if good else "none"
    sid = new_sid("MZ")
    said = hello(new_sid("CA"), sid, token) + media(sid, 20, seed=4)
    async with hung_up(secure, said) as (socket, answer):
        assert only(secure) is socket
        answer.set()
        await emptied(secure)
    newest = [track.newest_ms for stream in streams for track in stream.tracks.values()]
    assert newest == ([400, 400] if good else [])


async def test_a_stream_that_has_ended_takes_no_track_of_one_that_goes_on(secure: Secure) -> None:
    """Twilio has connected anew before the store knew the token of the stream before."""
    call, newer = new_sid("CA"), new_sid("MZ")
    said = hello(call, new_sid("MZ"), secure.token)
    async with hung_up(secure, said) as (socket, answer), line(secure) as (reader, writer):
        writer.write(hello(call, newer))
        await answered(reader, writer)
        await secure.start(call)
        answer.set()
        async with asyncio.timeout(10):
            while socket in secure.customer.gateway.plane:
                await asyncio.sleep(0)
        writer.write(media(newer, 5, seed=6))
        await answered(reader, writer)
        assert [received for *_, received, _ in await heard(secure.customer, call)] == [100, 100]


async def test_a_store_that_does_not_answer_keeps_no_socket_that_has_ended(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "UNAUTHENTICATED_S", 0.0)
    said = hello(new_sid("CA"), new_sid("MZ"), secure.token)
    async with hung_up(secure, said):
        await emptied(secure)


async def test_a_shutdown_waits_for_no_store(secure: Secure) -> None:
    said = hello(new_sid("CA"), new_sid("MZ"), secure.token)
    async with hung_up(secure, said) as (socket, _):
        socket.fail(1001, "the gateway shuts down")
        await emptied(secure)


async def test_our_own_mistake_keeps_no_socket_that_has_ended(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    said = hello(new_sid("CA"), new_sid("MZ"), secure.token)
    async with hung_up(secure, said) as (_, answer):

        def broken(*args: Any) -> None:
            raise RuntimeError("not now")

        monkeypatch.setattr(Registry, "attach", broken)
        with capture_logs() as told:
            answer.set()
            await emptied(secure)
    assert [one["event"] for one in told if one["log_level"] == "error"] == ["media socket failed"]


async def test_the_loop_reads_requests_and_leaves_media_to_the_tick(secure: Secure) -> None:
    """What :mod:`gateway.server.tls` relies on in uvloop."""
    async with line(secure) as (reader, writer):
        await answered(reader, writer)
        under = only(secure)._under
        assert under is not None
        assert isinstance(under.get_protocol(), tls.SSLProtocol)
        assert under.is_reading() is not kernel.HAS_PLANE
    await emptied(secure)


async def test_many_handshakes_at_once(secure: Secure) -> None:
    async def one() -> None:
        async with line(secure) as (reader, writer):
            await answered(reader, writer)

    await asyncio.gather(*(one() for _ in range(40)))
    await emptied(secure)


async def raw(secure: Secure, hello: bytes) -> bytes:
    """What a peer gets that says this instead of a TLS hello."""
    reader, writer = await asyncio.open_connection("127.0.0.1", secure.customer.gateway.port)
    try:
        writer.write(hello)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


def failed() -> float:
    return metrics.REGISTRY.get_sample_value("gateway_tls_failed_total") or 0.0


async def test_what_is_not_tls_is_told_once_and_counted(secure: Secure) -> None:
    before = failed()
    token = secure.token
    with capture_logs() as told:
        for _ in range(20):
            await raw(secure, f"GET /twilio-media/{token} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
        await raw(secure, os.urandom(3) + bytes(400))
    assert failed() - before == 21
    (line_,) = [one for one in told if one["event"] == "TLS handshakes failed"]
    assert line_["last"] == "HTTP_REQUEST"
    assert token not in str(told)
    async with line(secure) as (reader, writer):
        await answered(reader, writer)


async def test_a_peer_that_only_looks_whether_the_port_is_open_is_no_news(secure: Secure) -> None:
    before = failed()
    with capture_logs() as told:
        reader, writer = await asyncio.open_connection("127.0.0.1", secure.customer.gateway.port)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.transport.abort()
    assert failed() == before
    assert not told


async def test_no_hello_in_time_is_the_end(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a hello that comes byte by byte is none until it is whole."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    loop = asyncio.get_running_loop()
    told = tls.Failures()
    made: list[object] = []

    def never() -> tls.HttpProtocol:
        protocol = Recorder()
        monkeypatch.setattr(protocol, "connection_made", made.append)
        return protocol

    server = await loop.create_server(lambda: tls.Door(context, 0.05, told, never), "127.0.0.1", 0)
    with capture_logs() as logs:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for byte in b"\x16\x03\x01\x02\x00\x01":
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.transport.abort()
    server.close()
    assert not made
    assert [one["last"] for one in logs] == ["timed out"]


class Recorder(asyncio.Protocol):
    """What would read HTTP."""

    under: asyncio.Transport | None = None


async def test_a_hello_byte_by_byte_is_a_hello(secure: Secure) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = secure.context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    reader, writer = await asyncio.open_connection("127.0.0.1", secure.customer.gateway.port)
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            for byte in outgoing.read():
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            incoming.write(await reader.read(65536))
    client.write(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
    for byte in outgoing.read():
        writer.write(bytes([byte]))
    while True:
        incoming.write(await reader.read(65536))
        with contextlib.suppress(ssl.SSLWantReadError):
            answer = client.read(65536)
            break
    assert answer.startswith(b"HTTP/1.1 200 ")
    writer.transport.abort()


def handlers_of(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What reads HTTP, of each connection from now on."""
    handlers: list[Any] = []
    made = tls.Door.connection_made

    def recording(self: tls.Door, transport: asyncio.BaseTransport) -> None:
        handler = self._handler()
        handlers.append(handler)
        self._handler = lambda: handler
        made(self, transport)

    monkeypatch.setattr(tls.Door, "connection_made", recording)
    return handlers


async def test_tls_that_ends_while_the_token_is_looked_at_leaves_no_socket(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the one turn of the loop in which uvloop's TLS is gone and the request's handler does not know."""
    handlers = handlers_of(monkeypatch)
    admit = Doorkeeper.admit
    looked = asyncio.Event()

    async def late(*args: Any) -> Any:
        principal = await admit(*args)
        (handler,) = handlers
        transport = handler.transport
        handler.under.abort()
        while transport.get_extra_info("socket") is not None:
            await asyncio.sleep(0)
        assert handler.transport is transport
        looked.set()
        return principal

    monkeypatch.setattr(Doorkeeper, "admit", late)
    with capture_logs() as told:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            async with line(secure):
                pass
        async with asyncio.timeout(10):
            await looked.wait()
            while handlers[0].transport is not None:
                await asyncio.sleep(0)
    assert len(secure.customer.gateway.plane) == 0
    assert not [one for one in told if one["log_level"] == "error"]


async def test_much_sent_ahead_of_the_answer_leaves_the_socket_to_the_tick(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp has stopped reading, then uvloop's TLS has: the loop must not read again when that has been decrypted."""
    handlers = handlers_of(monkeypatch)
    admit = Doorkeeper.admit
    full = asyncio.Event()

    async def late(*args: Any) -> Any:
        await full.wait()
        return await admit(*args)

    monkeypatch.setattr(Doorkeeper, "admit", late)
    before = counted()
    reader, writer = await asyncio.open_connection("127.0.0.1", secure.customer.gateway.port, ssl=secure.context)
    protocol = ClientProtocol(parse_uri(secure.url))
    protocol.send_request(protocol.connect())
    writer.write(b"".join(protocol.data_to_send()) + hello(new_sid("CA"), new_sid("MZ")))
    many = 1_500
    writer.write(frame(1, b'{"event":"other","more":"%s"}' % (b"x" * 1000)) * many)
    async with asyncio.timeout(10):
        while not handlers or handlers[0].under is None or handlers[0].under.is_reading():
            await asyncio.sleep(0)
    full.set()
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    await answered(reader, writer)
    under = only(secure)._under
    assert under is not None
    assert under.is_reading() is not kernel.HAS_PLANE
    writer.transport.abort()
    await emptied(secure)
    assert counted() - before == many + 2


@pytest.mark.skipif(not kernel.HAS_PLANE, reason="the tick reads")
async def test_a_socket_whose_tls_breaks_inside_is_ended_once(secure: Secure) -> None:
    class Broken:
        def get_buffer(self, sizehint: int) -> memoryview:
            raise MemoryError

    async with line(secure) as (reader, writer), line(secure) as (other_reader, other_writer):
        await answered(reader, writer)
        await answered(other_reader, other_writer)
        sealed = next(iter(secure.customer.gateway.plane._sealed._sockets.values()))
        sealed._layer = Broken()  # type: ignore[assignment]  # breaks
        with capture_logs() as told, contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        assert len([one for one in told if one["event"] == "media socket failed"]) == 1
        await answered(other_reader, other_writer)
    await emptied(secure)


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_socket_that_ends_leaves_nothing_to_the_collector(secure: Secure, ending: str) -> None:
    async def one() -> None:
        async with line(secure) as (reader, writer):
            writer.write(hello(new_sid("CA"), new_sid("MZ")))
            await answered(reader, writer)
            if ending == "close":
                writer.close()
                await writer.wait_closed()
        await emptied(secure)

    await one()
    with circles() as found:
        for _ in range(5):
            await one()
    assert not found["SealedSocket"], found
    assert not found["MediaConnection"], found
