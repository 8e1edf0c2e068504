"""The lean client reads what a server of RFC 6455 says, byte by byte if it must, and takes nothing else for it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from benchmarks.load.upgrade import MAX_ANSWER, Dialogue, control
from gateway.errors import PeerError, UsageError


def answered(dialogue: Dialogue) -> tuple[ServerProtocol, bytes]:
    """A server that has taken the request, and its answer."""
    server = ServerProtocol()
    server.receive_data(dialogue.request)
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type]  # the first event is the request
    return server, b"".join(server.data_to_send())


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8), payload=st.binary(max_size=125))
def test_a_server_is_understood_however_its_bytes_come(sizes: list[int], payload: bytes) -> None:
    dialogue = Dialogue("ws://127.0.0.1:8080/twilio-media/a.b.c?x=1")
    server, said = answered(dialogue)
    assert server.state is OPEN
    server.send_ping(payload)
    server.send_text(b"x" * 300)
    server.send_close(1008, "enough")
    said += b"".join(server.data_to_send())
    answers, at, turn = [], 0, 0
    while at < len(said):
        size = sizes[turn % len(sizes)]
        answers += dialogue.feed(said[at : at + size])
        at, turn = at + size, turn + 1
    assert (dialogue.opened, dialogue.closing, dialogue.close_code) == (True, True, 1008)
    server.receive_data(b"".join(answers))
    pong, close = server.events_received()
    assert isinstance(pong, Frame)
    assert (pong.opcode, pong.data) == (Opcode.PONG, payload)
    assert isinstance(close, Frame)
    assert (close.opcode, close.data) == (Opcode.CLOSE, struct.pack("!H", 1008))


def test_a_close_of_our_own_is_not_answered_again() -> None:
    dialogue = Dialogue("wss://gateway.example/a")
    assert (dialogue.host, dialogue.port, dialogue.secure) == ("gateway.example", 443, True)
    server, said = answered(dialogue)
    dialogue.feed(said)
    server.receive_data(dialogue.close(1000))
    assert dialogue.feed(b"".join(server.data_to_send())) == []
    assert dialogue.close_code == 1000


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n", "^upgrade 503$"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "^upgrade handshake$",
        ),
        (b"SSH-2.0-x\r\n\r\n", "^upgrade handshake$"),
        (b"x" * (MAX_ANSWER + 1), "^upgrade handshake$"),
    ],
    ids=["refused", "another key", "no HTTP", "no end"],
)
def test_what_is_no_upgrade_is_refused(answer: bytes, why: str) -> None:
    with pytest.raises(PeerError, match=why):
        Dialogue("ws://h/").feed(answer)


@pytest.mark.parametrize(
    "frame", [control(0x9, b"masked"), b"\x82\x7f" + (1 << 40).to_bytes(8, "big")], ids=["masked", "huge"]
)
def test_what_no_server_sends_is_refused(frame: bytes) -> None:
    dialogue = Dialogue("ws://h/")
    dialogue.feed(answered(dialogue)[1])
    with pytest.raises(PeerError, match="no frame of a server"):
        dialogue.feed(frame)


def test_urls_of_other_kinds() -> None:
    with pytest.raises(UsageError, match="ws://"):
        Dialogue("http://127.0.0.1/")
