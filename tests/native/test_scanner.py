"""The strict scanner, both twins, held against an ordinary JSON parser."""

from __future__ import annotations

import base64
import binascii
import math
from types import ModuleType

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway._native import scanner, scanner_py

# A real message of an idle line; only the SID is made up.
REAL = (
    b'{"event":"media","sequenceNumber":"2","media":{"track":"inbound","chunk":"1","timestamp":"155","payload":"'
    b"f39///////9/f39/f3//f3///v///////////39/f3///3//f39/f////3//f3///////39/f39//39/f39/f39//3//f////////39/fn9/"
    b"f/9/f39/f3//f39/f/9//////3///////////39/f/////9/////////////f39/f39//39//3///3//////f39/f39///9/f39//39/fw=="
    b'"},"streamSid":"MZ0123456789abcdef0123456789abcdef"}'
)


@pytest.fixture(params=[scanner, scanner_py], ids=["chosen", "twin"])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def message(
    sequence: str = "3",
    track: str = "outbound",
    chunk: str = "2",
    timestamp: str = "175",
    payload: str = "/////w==",
    sid: str = "MZ00",
) -> bytes:
    return (
        f'{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"{track}","chunk":"{chunk}",'
        f'"timestamp":"{timestamp}","payload":"{payload}"}},"streamSid":"{sid}"}}'
    ).encode()


def read_by_orjson(text: bytes) -> tuple[object, ...]:
    """The same fields by the ordinary way; raises if the message is anything else."""
    value = orjson.loads(text)
    assert value["event"] == "media"
    assert set(value) == {"event", "sequenceNumber", "media", "streamSid"}
    media = value["media"]
    assert set(media) == {"track", "chunk", "timestamp", "payload"}
    return (
        {"inbound": 0, "outbound": 1}[media["track"]],
        int(media["timestamp"]),
        int(value["sequenceNumber"]),
        int(media["chunk"]),
        base64.b64decode(media["payload"], validate=True),
        value["streamSid"].encode(),
    )


def test_reads_a_real_message(kernel: ModuleType) -> None:
    media = kernel.scan(REAL)
    assert isinstance(media, scanner_py.Media)
    assert media[:4] == (0, 155, 2, 1)
    assert len(media.payload) == 160
    assert set(media.payload) == {0x7E, 0x7F, 0xFE, 0xFF}
    assert media.stream_sid == b"MZ0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("payload", ["", "AA==", "AAA=", "AAAA", "QR==", "+/+/"])
def test_reads_payloads_of_any_size(kernel: ModuleType, payload: str) -> None:
    assert kernel.scan(message(payload=payload)).payload == base64.b64decode(payload, validate=True)


@pytest.mark.parametrize("number", ["0", "1", "999999999999999"])
def test_reads_numbers_of_up_to_15_digits(kernel: ModuleType, number: str) -> None:
    media = kernel.scan(message(sequence=number, chunk=number, timestamp=number))
    assert media[1:4] == (int(number),) * 3


@pytest.mark.parametrize("number", ["", "00", "01", "-1", "+1", "1e3", "1.0", " 1", "1000000000000000", "٣", "1_0"])
@pytest.mark.parametrize("field", ["sequence", "chunk", "timestamp"])
def test_leaves_odd_numbers(kernel: ModuleType, field: str, number: str) -> None:
    assert kernel.scan(message(**{field: number})) is None


@pytest.mark.parametrize(
    "payload",
    [
        "A",
        "AA",
        "AAA",
        "A===",
        "====",
        "=",
        "AA=A",
        "AA-=",
        "A-==",
        "-A==",
        "AAA-",
        "AAAA=",
        "AAAA====",
        "AA-_",
        "AA\\/A",
        "A A=",
        "AAé",
    ],
)
def test_leaves_what_is_not_strict_base64(kernel: ModuleType, payload: str) -> None:
    assert kernel.scan(message(payload=payload)) is None


@pytest.mark.parametrize("track", ["", "Inbound", "inbound_track", "both", "inboun"])
def test_leaves_other_tracks(kernel: ModuleType, track: str) -> None:
    assert kernel.scan(message(track=track)) is None


@pytest.mark.parametrize("sid", ["", "M" * 65, "MZ-1", 'MZ\\"', "MZé", "MZ\x00"])
def test_leaves_odd_stream_sids(kernel: ModuleType, sid: str) -> None:
    assert kernel.scan(message(sid=sid)) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        REAL + b" ",
        b" " + REAL,
        REAL[:-1],
        REAL + b"}",
        REAL.replace(b'":"', b'": "'),
        REAL.replace(b'"chunk":"1",', b""),
        REAL.replace(b'"chunk":"1"', b'"chunk":1'),
        REAL.replace(b'"track":"inbound","chunk":"1"', b'"chunk":"1","track":"inbound"'),
        REAL.replace(b'"streamSid"', b'"more":1,"streamSid"'),
        b'{"event":"stop","sequenceNumber":"5","streamSid":"MZ1"}',
    ],
)
def test_leaves_other_spellings(kernel: ModuleType, text: bytes) -> None:
    assert kernel.scan(text) is None


def test_leaves_every_truncation(kernel: ModuleType) -> None:
    assert all(kernel.scan(REAL[:size]) is None for size in range(len(REAL)))


@pytest.mark.parametrize("text", [None, "text", bytearray(REAL), memoryview(REAL)])
def test_refuses_anything_but_bytes(kernel: ModuleType, text: object) -> None:
    with pytest.raises(TypeError):
        kernel.scan(text)
    with pytest.raises(TypeError):
        kernel.decoded(text)


@given(st.one_of(st.binary(max_size=40), st.text("AQgw+/9=", max_size=12).map(str.encode)))
@example(b"")
@example(b"====")
@example(b"////=")
@example(b"AAAA====")
def test_base64_is_read_as_strictly_as_the_standard_library_does(text: bytes) -> None:
    whole = scanner.decoded(text)
    assert whole == scanner_py.decoded(text)
    try:
        expected = base64.b64decode(text, validate=True)
    except binascii.Error:
        expected = None
    # Some versions of the standard library pass over padding that is too much.
    if len(text) != 4 * math.ceil(len(text.rstrip(b"=")) / 4):
        expected = None
    assert whole == expected


@given(st.binary(max_size=400))
def test_all_base64_is_decoded(data: bytes) -> None:
    text = base64.b64encode(data)
    assert scanner.decoded(text) == scanner_py.decoded(text) == data


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good message with a few bytes changed, taken out or put in."""
    text = bytearray(
        message(
            sequence=str(draw(st.integers(0, 10**16))),
            track=draw(st.sampled_from(["inbound", "outbound"])),
            timestamp=str(draw(st.integers(0, 10**6))),
            payload=base64.b64encode(draw(st.binary(max_size=12))).decode(),
            sid=draw(st.text("MZ09af", min_size=1, max_size=8)),
        )
    )
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        new = draw(st.sampled_from([b"", b'"', b"\\", b"=", b"0", b"A", b" ", b",", b"}", b"\x00", b"\xc3\xa9"]))
        text[at : at + draw(st.integers(0, 2))] = new
    return bytes(text)


@given(st.one_of(damaged(), st.binary(max_size=300)))
@example(REAL)
def test_what_is_read_is_what_orjson_reads(text: bytes) -> None:
    media = scanner.scan(text)
    assert media == scanner_py.scan(text)
    if media is not None:
        assert tuple(media) == read_by_orjson(text)


@given(st.binary(max_size=400), st.integers(0, 10**15 - 1), st.sampled_from(["inbound", "outbound"]))
def test_all_that_twilio_spells_is_read(ulaw: bytes, number: int, track: str) -> None:
    text = message(str(number), track, str(number), str(number), base64.b64encode(ulaw).decode())
    expected = (["inbound", "outbound"].index(track), number, number, number, ulaw, b"MZ00")
    assert scanner.scan(text) == scanner_py.scan(text) == expected
