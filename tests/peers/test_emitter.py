"""The emitter says what Twilio says, when Twilio says it."""

from __future__ import annotations

import base64
import itertools
import re
from typing import Any

import numpy as np
import orjson
import pytest

from gateway._native import mulaw
from gateway.errors import PeerError, UsageError
from gateway.participants import Track
from gateway.peers.emitter import Ending, Form, Identity, Manner, Pacing, TwilioEmitter, opening, script
from gateway.peers.recording import Recording
from gateway.speech.engine import Pcm
from tests.peers.peer import Peer, serving

SIDS = Identity("CA" + "1" * 32, "AC" + "2" * 32, ("MZ" + "3" * 32, "MZ" + "4" * 32))
BOTH = (Track.INBOUND, Track.OUTBOUND)


def tone(samples: int, hz: float = 440) -> Pcm:
    pcm: Pcm = (8000 * np.sin(2 * np.pi * hz / 8000 * np.arange(samples))).astype(np.int16)
    return pcm


def both(samples: int) -> Recording:
    return Recording({Track.INBOUND: tone(samples), Track.OUTBOUND: tone(samples, 200)})


def said(recording: Recording, manner: Manner) -> list[tuple[int, Any]]:
    planned = script(recording, SIDS, BOTH, manner, SIDS.stream_sids[0])
    return [(due, orjson.loads(text)) for due, text in planned]


def test_random_sids_are_twilios() -> None:
    first, second = Identity.random(), Identity.random()
    assert re.fullmatch("CA[0-9a-f]{32}", first.call_sid)
    assert re.fullmatch("AC[0-9a-f]{32}", first.account_sid)
    assert all(re.fullmatch("MZ[0-9a-f]{32}", sid) for sid in first.stream_sids)
    assert len({first.call_sid, second.call_sid, *first.stream_sids, *second.stream_sids}) == 6


def test_opening_is_byte_for_byte_the_wires() -> None:
    connected, start = opening(SIDS, BOTH, Manner(), SIDS.stream_sids[0])
    assert connected == '{"event":"connected","protocol":"Call","version":"1.0.0"}'
    assert start == (
        '{"event":"start","sequenceNumber":"1","start":{"accountSid":"' + SIDS.account_sid + '",'
        '"streamSid":"' + SIDS.stream_sids[0] + '","callSid":"' + SIDS.call_sid + '","tracks":["inbound","outbound"],'
        '"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}},'
        '"streamSid":"' + SIDS.stream_sids[0] + '"}'
    )


def test_media_is_byte_for_byte_the_wires() -> None:
    silence = Recording({Track.INBOUND: np.zeros(160, np.int16)})
    (planned,) = script(silence, SIDS, BOTH, Manner(first_timestamp_ms=155), SIDS.stream_sids[0])
    payload = "/" * 213 + "w=="
    assert planned.text == (
        '{"event":"media","sequenceNumber":"2","media":{"track":"inbound","chunk":"1","timestamp":"155",'
        f'"payload":"{payload}"}},"streamSid":"{SIDS.stream_sids[0]}"}}'
    )


def test_numbers_run_as_on_the_wire() -> None:
    events = [event for _, event in said(both(1600), Manner())]
    assert [event["sequenceNumber"] for event in events] == [str(2 + index) for index in range(20)]
    media = [event["media"] for event in events]
    for track in BOTH:
        chunks = [part["chunk"] for part in media if part["track"] == track]
        assert chunks == [str(1 + index) for index in range(10)]


@pytest.mark.parametrize("seed", range(5))
def test_timestamps_start_late_and_keep_to_the_grid_within_2_ms(seed: int) -> None:
    stamps = [int(event["media"]["timestamp"]) for _, event in said(both(8000), Manner(seed=seed))]
    first = stamps[0]
    assert 100 <= first <= 170
    off = [stamp - first - 20 * (index // 2) for index, stamp in enumerate(stamps)]
    assert max(map(abs, off)) <= 2
    assert len(set(off)) > 1


def test_same_seed_same_words() -> None:
    assert said(both(800), Manner(seed=7)) == said(both(800), Manner(seed=7))
    assert said(both(800), Manner(seed=7)) != said(both(800), Manner(seed=8))


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 799])
def test_all_audio_is_sent_and_the_last_frame_filled_with_silence(samples: int) -> None:
    pcm = tone(samples)
    events = [event for _, event in said(Recording({Track.INBOUND: pcm}), Manner())]
    payload = b"".join(base64.b64decode(event["media"]["payload"]) for event in events)
    assert payload[:samples] == mulaw.encode(pcm)
    assert payload[samples:] == b"\xff" * (-samples % 160)


def test_frames_are_due_every_20_ms() -> None:
    assert [due for due, _ in said(both(800), Manner())] == [0, 0, 20, 20, 40, 40, 60, 60, 80, 80]


def test_lost_frames_leave_a_gap_in_time_but_not_in_numbers() -> None:
    events = [event for _, event in said(both(16_000), Manner(drop=0.3, jitter_ms=0))]
    assert 100 < len(events) < 180
    assert [event["sequenceNumber"] for event in events] == [str(2 + index) for index in range(len(events))]
    stamps = [int(event["media"]["timestamp"]) for event in events]
    assert max(b - a for a, b in itertools.pairwise(stamps)) > 20


def test_silence_that_is_not_sent() -> None:
    pcm = np.concatenate([tone(160), np.zeros(320, np.int16), tone(160)])
    events = [event for _, event in said(Recording({Track.INBOUND: pcm}), Manner(send_silence=False, jitter_ms=0))]
    stamps = [int(event["media"]["timestamp"]) for event in events]
    assert [stamp - stamps[0] for stamp in stamps] == [0, 60]


def test_stall_then_burst() -> None:
    due = [due for due, _ in said(Recording({Track.INBOUND: tone(1600)}), Manner(stall_at_ms=40, stall_ms=100))]
    assert due == [0, 20, 140, 140, 140, 140, 140, 140, 160, 180]


def test_minimal_form_is_pipecats() -> None:
    manner = Manner(form=Form.MINIMAL)
    _, start = opening(SIDS, BOTH, manner, SIDS.stream_sids[0])
    sids = {"streamSid": SIDS.stream_sids[0], "callSid": SIDS.call_sid}
    assert orjson.loads(start) == {"event": "start", "start": sids, **sids}
    events = said(both(640), manner)
    assert [due for due, _ in events] == [0, 40]
    assert all(set(event) == {"event", "streamSid", "media"} for _, event in events)
    assert all(list(event["media"]) == ["payload"] and len(event["media"]["payload"]) == 428 for _, event in events)


def test_pacing_of_nothing_is_zero() -> None:
    assert Pacing.of([]) == Pacing(0, 0.0, 0.0, 0.0)
    assert Pacing.of([1.0] * 99 + [5.0]) == Pacing(100, 1.0, 1.04, 5.0)


async def played(peer: Peer, recording: Recording, sockets: int = 1, manner: Manner | None = None) -> TwilioEmitter:
    url = peer.url.replace("http", "ws") + "/twilio-media/a.b.c"
    emitter = TwilioEmitter(url, recording, SIDS, sockets=sockets, manner=manner)
    try:
        await emitter.connect()
        await emitter.play()
    finally:
        await emitter.close()
    return emitter


async def ended(peer: Peer) -> None:
    for socket in peer.sockets:
        await socket.ended.wait()


async def test_a_call_on_one_socket() -> None:
    recording = both(1600)
    async with serving(Peer()) as peer:
        emitter = await played(peer, recording)
        await ended(peer)
    (socket,) = peer.sockets
    kinds = [orjson.loads(message)["event"] for message in socket.messages]
    assert kinds == ["connected", "start", *["media"] * 20, "stop"]
    for track in BOTH:
        assert socket.payload(track) == mulaw.encode(recording.tracks[track])
    assert socket.messages[-1] == (
        '{"event":"stop","sequenceNumber":"22","streamSid":"' + SIDS.stream_sids[0] + '",'
        '"stop":{"accountSid":"' + SIDS.account_sid + '","callSid":"' + SIDS.call_sid + '"}}'
    )
    assert socket.close_code == 1000
    assert emitter.pacing.messages == 20


async def test_a_call_on_two_sockets() -> None:
    recording = both(800)
    async with serving(Peer()) as peer:
        await played(peer, recording, sockets=2)
        await ended(peer)
    for socket, track, sid in zip(peer.sockets, BOTH, SIDS.stream_sids, strict=True):
        (start,) = socket.events("start")
        assert start["start"]["tracks"] == [track]
        assert start["streamSid"] == sid
        assert {event["media"]["track"] for event in socket.events("media")} == {track}
        assert [event["sequenceNumber"] for event in socket.events("stop")] == ["7"]


async def test_a_mono_recording_is_the_inbound_track() -> None:
    async with serving(Peer()) as peer:
        await played(peer, Recording({Track.INBOUND: tone(320)}), sockets=2)
        await ended(peer)
    (socket,) = peer.sockets
    assert socket.events("start")[0]["start"]["tracks"] == ["inbound"]


@pytest.mark.parametrize(
    ("ending", "stops", "code"), [(Ending.STOP, 1, 1000), (Ending.CLOSE, 0, 1000), (Ending.RESET, 0, 1006)]
)
async def test_endings(ending: Ending, stops: int, code: int) -> None:
    async with serving(Peer()) as peer:
        await played(peer, both(320), manner=Manner(ending=ending))
        await ended(peer)
    (socket,) = peer.sockets
    assert len(socket.events("stop")) == stops
    assert socket.close_code == code


async def test_refused_stream_names_the_status_and_not_the_token() -> None:
    async with serving(Peer(refuse_upgrade=401)) as peer:
        with pytest.raises(PeerError, match="refused the media stream with HTTP 401") as failed:
            await played(peer, both(160))
    assert "a.b.c" not in str(failed.value)


async def test_closed_by_the_gateway() -> None:
    async with serving(Peer(close_after=4)) as peer:
        with pytest.raises(PeerError, match="closed the media stream: 1008 enough"):
            await played(peer, both(16_000))


async def test_nobody_there() -> None:
    emitter = TwilioEmitter("ws://127.0.0.1:1/secret", both(160), SIDS)
    with pytest.raises(PeerError, match=r"no media stream to ws://127\.0\.0\.1:1/…"):
        await emitter.connect()


async def test_not_a_websocket_url() -> None:
    with pytest.raises(UsageError, match="is no ws:// or wss:// URL"):
        await TwilioEmitter("http://127.0.0.1/secret", both(160), SIDS).connect()
