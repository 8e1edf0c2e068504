"""The lean socket opens, sends, is lent, resets and closes."""

from __future__ import annotations

import asyncio
import base64
import os

import numpy as np
import pytest

from benchmarks.load.voice import Sound
from benchmarks.load.wire import MediaSocket, frame, sound
from gateway._native import mulaw
from gateway.errors import PeerError
from gateway.participants import Track
from gateway.peers.recording import Recording
from tests.peers.peer import Peer, serving


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


async def test_a_reset_is_one() -> None:
    lost: list[str] = []
    async with serving(Peer()) as peer:
        socket = await MediaSocket.open(peer.url.replace("http", "ws") + "/twilio-media/a.b.c", lost.append)
        socket.write(frame(b'{"event":"connected"}'))
        while not peer.sockets:
            await asyncio.sleep(0)
        socket.reset()
        socket.reset()
        socket.write(b"not sent")
        await asyncio.wait_for(peer.sockets[0].ended.wait(), 10)
        await socket.close()
    assert peer.sockets[0].close_code == 1006
    assert (lost, socket.lost, socket.descriptor) == ([], True, -1)


async def test_who_is_lent_the_descriptor_writes_past_the_transport() -> None:
    async with serving(Peer()) as peer:
        socket = await MediaSocket.open(peer.url.replace("http", "ws") + "/twilio-media/a.b.c", print)
        taken: list[bytes] = []
        socket.detour = taken.append
        text = frame(b'{"event":"connected"}')
        assert os.write(socket.descriptor, text) == len(text)
        socket.detour = None
        await socket.close()
    assert peer.sockets[0].messages == ['{"event":"connected"}']
    assert (taken, socket.frames) == ([], 1)


def test_a_sound_knows_its_quiet_frames() -> None:
    pcm = np.concatenate([np.zeros(160), np.full(160, 9000), np.zeros(80)]).astype(np.int16)
    said = sound(Recording({Track.INBOUND: pcm}))
    assert said.quiet == (b"\x01\x00\x01",)
    assert (said.frames, said.tracks) == (3, ("inbound",))


def test_sounds_are_louder_or_quieter_and_clipped() -> None:
    call = Recording({Track.INBOUND: np.full(160, 1000, np.int16), Track.OUTBOUND: np.full(160, -30_000, np.int16)})

    def levels(gain_db: float) -> list[int]:
        said: Sound = sound(call, gain_db)
        return [int(mulaw.decode(base64.b64decode(track))[0]) for track in said.coded]

    assert levels(6.0) == pytest.approx([1995, -32_124], rel=0.03)
    assert levels(-6.0) == pytest.approx([501, -15_036], rel=0.03)
