"""The lean socket says the same as the emitter, and a server understands it."""

from __future__ import annotations

import base64
import random

import numpy as np
import orjson
import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from benchmarks.wire import MediaSocket, Payloads, Voice, frame
from gateway._native import mulaw
from gateway.errors import PeerError
from gateway.participants import Track
from gateway.peers.emitter import Identity, Manner, script
from gateway.peers.recording import Recording
from tests.peers.peer import Peer, serving

SID = "MZ" + "3" * 32


def recording(frames: int) -> Recording:
    rng = np.random.default_rng(5)
    return Recording({track: rng.integers(-9000, 9000, 160 * frames).astype(np.int16) for track in Track})


def understood(data: bytes) -> list[bytes]:
    """What `websockets`' server reads in it."""
    client, server = ClientProtocol(parse_uri("ws://localhost/")), ServerProtocol()
    client.send_request(client.connect())
    server.receive_data(b"".join(client.data_to_send()))
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type]  # the event is a Request before the upgrade
    server.receive_data(data)
    frames = [event for event in server.events_received() if isinstance(event, Frame)]
    assert server.parser_exc is None
    assert all(event.opcode is Opcode.TEXT and event.fin for event in frames)
    return [bytes(event.data) for event in frames]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 374, 65_535])
def test_frames_are_what_a_server_reads(size: int) -> None:
    text = b"x" * size
    assert understood(frame(text) + frame(b"next")) == [text, b"next"]


def test_the_voice_says_what_the_emitter_says() -> None:
    call = recording(6)
    voice = Voice(Payloads(call), SID, 0, random.Random(1))
    said = [orjson.loads(text) for text in understood(b"".join(data for _ in range(6) for data in voice.next()))]
    planned = script(call, Identity("CA", "AC", (SID, SID)), tuple(Track), Manner(), SID)
    wanted = [orjson.loads(message.text) for message in planned]
    first = int(said[0]["media"]["timestamp"])
    assert 100 <= first <= 170
    for index, (mine, theirs) in enumerate(zip(said, wanted, strict=True)):
        assert abs(int(mine["media"].pop("timestamp")) - first - 20 * (index // 2)) <= 2
        del theirs["media"]["timestamp"]
        assert mine == theirs
    assert (voice.sequence, voice.sent) == (13, 6)


def test_the_voice_repeats_its_recording_from_where_it_begins() -> None:
    payloads = Payloads(recording(3))
    voice = Voice(payloads, SID, 2, random.Random(1))
    said = [orjson.loads(understood(voice.next()[0])[0])["media"] for _ in range(4)]
    assert [part["payload"].encode() for part in said] == [payloads.of[0][index] for index in (2, 0, 1, 2)]
    assert [part["chunk"] for part in said] == ["1", "2", "3", "4"]


async def test_a_socket_opens_sends_and_closes() -> None:
    lost: list[str] = []
    async with serving(Peer()) as peer:
        socket = await MediaSocket.open(peer.url.replace("http", "ws") + "/twilio-media/a.b.c", lost.append)
        socket.write(frame(b'{"event":"connected"}'))
        await socket.close()
        assert socket.lost
    assert peer.sockets[0].messages == ['{"event":"connected"}']
    assert peer.sockets[0].close_code == 1000
    assert lost == []


async def test_a_refused_upgrade_tells_its_status() -> None:
    async with serving(Peer(refuse_upgrade=503)) as peer:
        with pytest.raises(PeerError, match=r"^upgrade 503$"):
            await MediaSocket.open(peer.url.replace("http", "ws") + "/twilio-media/a.b.c", print)


async def test_nobody_there() -> None:
    with pytest.raises(PeerError, match=r"^connect ConnectionRefusedError$"):
        await MediaSocket.open("ws://127.0.0.1:1/", print)


def test_payloads_are_louder_or_quieter_and_clipped() -> None:
    call = Recording({Track.INBOUND: np.full(160, 1000, np.int16), Track.OUTBOUND: np.full(160, -30_000, np.int16)})

    def levels(gain_db: float) -> list[int]:
        return [int(mulaw.decode(base64.b64decode(track[0]))[0]) for track in Payloads(call, gain_db).of]

    assert levels(6.0) == pytest.approx([1995, -32_124], rel=0.03)
    assert levels(-6.0) == pytest.approx([501, -15_036], rel=0.03)
