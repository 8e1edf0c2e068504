"""The voice says what the emitter says, and a server understands its frames."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
import orjson
import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from benchmarks.load.voice import FRAME_BYTES, Script, Sound, Voice, draw, frame
from benchmarks.load.wire import sound
from gateway.errors import UsageError
from gateway.participants import Track
from gateway.peers.emitter import Identity, Manner, script
from gateway.peers.recording import Recording

SID = "MZ" + "3" * 32
NOISE = np.random.default_rng(5)
SOUND = Sound.of(("inbound", "outbound"), [NOISE.bytes(FRAME_BYTES * 4), NOISE.bytes(FRAME_BYTES * 3 + 7)], (b"\0\1",))


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


def said(script: Script) -> list[list[dict[str, str]]]:
    """The media of each 20 ms."""
    voice = Voice(script)
    turns = [understood(b"".join(voice.next())) for _ in range(script.frames)]
    return [[orjson.loads(text)["media"] for text in turn] for turn in turns]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 374, 65_535])
@pytest.mark.parametrize("key", [bytes(4), b"\x00\xff\x12\x80"])
def test_frames_are_what_a_server_reads(size: int, key: bytes) -> None:
    text = b"x" * size
    assert understood(frame(text, key) + frame(b"next")) == [text, b"next"]


def test_the_voice_says_what_the_emitter_says() -> None:
    pcm = np.random.default_rng(5).integers(-9000, 9000, (2, 160 * 6)).astype(np.int16)
    call = Recording(dict(zip(Track, pcm, strict=True)))
    voice = Voice(Script(sound(call), SID.encode(), 0, 6, stamp=133, seed=1))
    mine = [orjson.loads(text) for text in understood(b"".join(data for _ in range(6) for data in voice.next()))]
    planned = script(call, Identity("CA", "AC", (SID, SID)), tuple(Track), Manner(), SID)
    wanted = [orjson.loads(message.text) for message in planned]
    for index, (one, other) in enumerate(zip(mine, wanted, strict=True)):
        off = int(one["media"].pop("timestamp")) - 133 - 20 * (index // 2)
        assert abs(off) <= (2 if index > 1 else 0)
        del other["media"]["timestamp"]
        assert one == other
    assert (voice.sequence, voice.sent) == (13, 6)


def test_masking_keys_differ_from_message_to_message() -> None:
    voice = Voice(Script(SOUND, b"MZ1", 0, 100, seed=3))
    keys = [data[4:8] for _ in range(100) for data in voice.next()]
    assert len(set(keys)) == len(keys)


def test_the_recording_is_repeated_from_where_the_call_begins() -> None:
    first = [turn[0] for turn in said(Script(SOUND, b"MZ1", 2, 6))]
    whole = [SOUND.ulaw[0][at : at + 160] for at in range(0, 640, 160)]
    assert [base64.b64decode(media["payload"]) for media in first] == [whole[index % 4] for index in range(2, 8)]
    assert [media["chunk"] for media in first] == ["1", "2", "3", "4", "5", "6"]


def test_gaps_leave_the_time_going_on_and_numbers_without_holes() -> None:
    turns = said(Script(SOUND, b"MZ1", 0, 400, seed=9, jitter_ms=0, drop=0.25))
    inbound = [(index, media) for index, turn in enumerate(turns) for media in turn if media["track"] == "inbound"]
    assert 240 < len(inbound) < 360
    assert [int(media["timestamp"]) for _, media in inbound] == [100 + 20 * index for index, _ in inbound]
    assert [int(media["chunk"]) for _, media in inbound] == list(range(1, len(inbound) + 1))


def test_silence_is_left_out_on_request() -> None:
    quiet = Script(SOUND, b"MZ1", 0, 8, send_silence=False)
    assert [len(turn) for turn in said(quiet)] == [2, 1, 2, 2, 2, 1, 2, 2]
    assert [len(turn) for turn in said(replace(quiet, send_silence=True))] == [2] * 8


def test_odd_payloads_begin_where_the_frame_does() -> None:
    turns = said(Script(SOUND, b"MZ1", 0, 1200, odd=True, seed=4))
    sizes = set()
    for index, turn in enumerate(turns):
        for media, ulaw in zip(turn, SOUND.ulaw, strict=True):
            payload = base64.b64decode(media["payload"], validate=True)
            begin = index % 4 * 160
            assert ulaw[begin : begin + len(payload)] == payload
            sizes.add(len(payload))
    assert sizes == set(range(321))


def test_timestamps_jitter_within_what_was_asked_for_and_are_never_negative() -> None:
    turns = said(Script(SOUND, b"MZ1", 0, 300, stamp=7000, jitter_ms=9, seed=2))
    assert {media["timestamp"] for media in turns[0]} == {"7000"}
    off = {int(media["timestamp"]) - 7000 - 20 * index for index, turn in enumerate(turns[1:], 1) for media in turn}
    assert off == set(range(-9, 10))
    wild = said(Script(SOUND, b"MZ1", 0, 50, stamp=0, jitter_ms=500, seed=2))
    assert "0" in {media["timestamp"] for turn in wild[1:] for media in turn}


def test_a_stall_ends_in_a_burst() -> None:
    voice = Voice(Script(SOUND, b"MZ1", 0, 10, stall_at_ms=40, stall_ms=60))
    due = []
    for _ in range(7):
        due.append(voice.due_us // 1000)
        voice.next()
    assert due == [0, 20, 100, 100, 100, 100, 120]


def test_the_generator_is_splitmix64() -> None:
    # The reference implementation's numbers for the seed 1234567, prng.di.unimi.it/splitmix64.c.
    state, numbers = 1234567, []
    for _ in range(3):
        state, number = draw(state)
        numbers.append(number)
    assert numbers == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize(
    "wrong",
    [
        {"stream_sid": b""},
        {"stream_sid": b"x" * 65},
        {"stream_sid": b'"'},
        {"first": 4},
        {"frames": -1},
        {"stamp": -1},
        {"jitter_ms": -1},
        {"drop": 1.1},
        {"stall_ms": 10**10},
    ],
)
def test_scripts_are_bounded(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Script(**{"sound": SOUND, "stream_sid": b"MZ1", "first": 0, "frames": 1, **wrong})  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("tracks", [(), (b"",), (b"a", b"b", b"c")])
def test_sounds_have_one_track_or_two_with_audio(tracks: tuple[bytes, ...]) -> None:
    with pytest.raises(UsageError, match="one track or two"):
        Sound.of([str(number) for number in range(len(tracks))], tracks)
