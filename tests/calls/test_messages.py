from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._native import scanner
from gateway.calls import messages
from gateway.errors import WireError
from gateway.participants import Track

# A real message's shape and audio (an idle line), its SIDs replaced.
REAL_MEDIA = (
    b'{"event":"media","sequenceNumber":"2","media":{"track":"inbound","chunk":"1","timestamp":"155","payload":"'
    b"f39///////9/f39/f3//f3///v///////////39/f3///3//f39/f////3//f3///////39/f39//39/f39/f39//3//f////////39/fn9/f/9/"
    b"f39/f3//f39/f/9//////3///////////39/f/////9/////////////f39/f39//39//3///3//////f39/f39///9/f39//39/fw=="
    b'"},"streamSid":"MZ00000000000000000000000000000000"}'
)
REAL_START = (
    b'{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC0","streamSid":"MZ0","callSid":"CA0",'
    b'"tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},'
    b'"customParameters":{"hello":"HelloValue"}},"streamSid":"MZ0"}'
)


def read(value: Any) -> messages.Event:
    return messages.parse(json.dumps(value).encode())


def reason_of(message: bytes) -> str:
    with pytest.raises(messages.SkippedError) as caught:
        messages.parse(message)
    return caught.value.reason


def test_real_media() -> None:
    media = messages.parse(REAL_MEDIA)
    assert isinstance(media, messages.Media)
    assert (media.track, media.timestamp_ms, len(media.payload)) == (Track.INBOUND, 155, 160)
    assert set(media.payload) <= {0x7E, 0x7F, 0xFE, 0xFF}


def test_real_start() -> None:
    start = messages.parse(REAL_START)
    assert start == messages.Start("MZ0", "CA0", "AC0", frozenset({Track.INBOUND}), {"hello": "HelloValue"})


@pytest.mark.parametrize("version", ["0.2.0", "1.0.0"])
def test_connected(version: str) -> None:
    assert read({"event": "connected", "protocol": "Call", "version": version}) == messages.Connected()


def test_stop_and_ignored() -> None:
    assert read({"event": "stop", "stop": {}}) == messages.Stop()
    assert read({"event": "dtmf", "dtmf": {"digit": "1"}}) == messages.Ignored()
    assert read({"event": "mark", "mark": {"name": "m"}}) == messages.Ignored()


def test_minimal_emitter_sends_no_track_and_no_timestamp() -> None:
    payload = base64.b64encode(b"\x7f" * 320).decode()
    media = read({"event": "media", "streamSid": "MZ1", "media": {"payload": payload}})
    assert media == messages.Media(Track.INBOUND, -1, b"\x7f" * 320, "MZ1")


def test_minimal_start_announces_both_tracks() -> None:
    start = read(
        {"event": "start", "streamSid": "MZ1", "callSid": "CA1", "start": {"streamSid": "MZ1", "callSid": "CA1"}}
    )
    assert start == messages.Start("MZ1", "CA1", None, frozenset(Track), {})


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b"[]", "bad_json"),
        (b'"media"', "bad_json"),
        (b"{}", "unknown_event"),
        (b'{"event":1}', "unknown_event"),
        (b'{"event":"close"}', "unknown_event"),
        (b'{"event":"media"}', "bad_media"),
        (b'{"event":"media","media":{}}', "bad_media"),
        (b'{"event":"media","media":{"payload":7}}', "bad_media"),
        (b'{"event":"media","media":{"payload":"!!"}}', "bad_base64"),
        (b'{"event":"media","media":{"payload":"/w"}}', "bad_base64"),
        (b'{"event":"media","media":{"payload":"AAAA="}}', "bad_base64"),
        (b'{"event":"media","media":{"payload":"AAAA===="}}', "bad_base64"),
        (b'{"event":"media","media":{"payload":"","track":"both"}}', "bad_media"),
        (b'{"event":"media","media":{"payload":"","timestamp":"-1"}}', "bad_media"),
        (b'{"event":"media","media":{"payload":"","timestamp":"9999999999999999"}}', "bad_media"),
        (b'{"event":"media","media":{"payload":"","timestamp":true}}', "bad_media"),
        (b'{"event":"start"}', "bad_start"),
        (b'{"event":"start","start":{"streamSid":"MZ","callSid":""}}', "bad_start"),
        (b'{"event":"start","start":{"streamSid":"MZ","callSid":"CA\\n"}}', "bad_start"),
    ],
)
def test_what_is_skipped(message: bytes, reason: str) -> None:
    assert reason_of(message) == reason


def test_not_utf8_closes_with_1007() -> None:
    with pytest.raises(WireError) as caught:
        messages.parse(b'{"event":"\xff"}')
    assert caught.value.close_code == 1007


@pytest.mark.parametrize("change", [{"encoding": "audio/l16"}, {"sampleRate": 16000}, {"channels": 2}])
def test_another_media_format_closes_with_1008(change: dict[str, Any]) -> None:
    media_format = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1, **change}
    with pytest.raises(WireError) as caught:
        read({"event": "start", "start": {"streamSid": "MZ", "callSid": "CA", "mediaFormat": media_format}})
    assert caught.value.close_code == 1008


@given(st.binary(max_size=300))
def test_any_bytes_give_an_event_or_a_documented_error(message: bytes) -> None:
    try:
        messages.parse(message)
    except messages.SkippedError as error:
        assert error.reason.isidentifier()
    except WireError as error:
        assert error.close_code in (1007, 1008)


@given(
    st.binary(max_size=400), st.sampled_from(["inbound", "outbound"]), st.integers(0, 10**15 - 1), st.integers(0, 10**9)
)
def test_scanner_reads_what_the_ordinary_path_reads(payload: bytes, track: str, timestamp: int, number: int) -> None:
    message = json.dumps(
        {
            "event": "media",
            "sequenceNumber": str(number),
            "media": {
                "track": track,
                "chunk": str(number),
                "timestamp": str(timestamp),
                "payload": base64.b64encode(payload).decode(),
            },
            "streamSid": "MZ0",
        },
        separators=(",", ":"),
    ).encode()
    fast, slow = scanner.scan(message), messages.parse(message)
    assert fast is not None
    assert isinstance(slow, messages.Media)
    assert (tuple(Track)[fast.track], fast.timestamp_ms, fast.payload) == (slow.track, slow.timestamp_ms, slow.payload)
    assert fast.stream_sid.decode() == slow.stream_sid


@given(st.integers(0, len(REAL_MEDIA) - 1), st.integers(0, 255))
def test_scanner_never_accepts_what_the_ordinary_path_reads_differently(place: int, byte: int) -> None:
    message = REAL_MEDIA[:place] + bytes([byte]) + REAL_MEDIA[place + 1 :]
    fast = scanner.scan(message)
    if fast is None:
        return
    slow = messages.parse(message)
    assert isinstance(slow, messages.Media)
    assert (tuple(Track)[fast.track], fast.timestamp_ms, fast.payload, fast.stream_sid.decode()) == (
        slow.track,
        slow.timestamp_ms,
        slow.payload,
        slow.stream_sid,
    )
