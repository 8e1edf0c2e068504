"""The reader of a socket, both twins."""

from __future__ import annotations

import base64
import errno
import gc
import weakref
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from gateway._native import reader_py
from gateway._native import reader as reader_kernel

from .line import CUTS, NOW, SID, STREAMS, Line, masked, media, pieces


@pytest.fixture(params=[reader_kernel, reader_py], ids=["chosen", "twin"])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def test_media_of_the_bound_stream_go_to_their_tracks(kernel: ModuleType) -> None:
    line = Line(kernel)
    texts = [media(100, b"\x80" * 160), media(100, b"\x01" * 80, "outbound"), media(120)]
    data = b"".join(masked(text) for text in texts)
    assert line.feed(data) == []
    assert (line.inbound.position, line.outbound.position) == (1120, 880)
    assert line.inbound.read(160).tolist() == [32124] * 160
    assert line.inbound.anchor_ms == NOW - 120
    assert (line.reader.messages, line.reader.media, line.reader.bytes) == (3, 3, len(data))
    assert (line.reader.buffered, line.reader.last_bytes_ms) == (0, NOW)


def test_events_come_in_order_with_the_media_between_them(kernel: ModuleType) -> None:
    line = Line(kernel, bind=False)
    ping = masked(b"x", Opcode.PING)
    line.feed(
        masked(b"connected")
        + masked(b"start")
        + masked(media(0))
        + ping
        + masked(media(20))
        + masked(b"stop")
        + masked(media(40))
    )
    assert line.log == [
        (reader_kernel.TEXT, b"connected", 0, 0),
        (reader_kernel.TEXT, b"start", 0, 0),
        (reader_kernel.FRAME, ping, 160, 0),
        (reader_kernel.TEXT, b"stop", 320, 0),
        (reader_kernel.TEXT, media(40), 320, 0),
    ]


@pytest.mark.parametrize(
    "text",
    [
        media(0, sid=b"MZother"),
        media(0, sid=SID[:-1]),
        media(0, sid=SID + b"0"),
        media(0, name="elsewhere"),
        media(0).replace(b'":"', b'": "'),
        media(0).replace(b"AAAA", b"AA=A", 1),
        b"\xff\xfe",
        b"",
    ],
)
def test_other_texts_are_events(kernel: ModuleType, text: bytes) -> None:
    line = Line(kernel)
    assert line.feed(masked(text)) == [(reader_kernel.TEXT, text)]
    assert (line.inbound.messages, line.reader.messages, line.reader.media) == (0, 1, 0)


def test_media_of_a_track_that_is_not_bound_are_events(kernel: ModuleType) -> None:
    line = Line(kernel)
    line.reader.bind(SID, None, line.outbound)
    assert line.feed(masked(media(0))) == [(reader_kernel.TEXT, media(0))]
    assert line.feed(masked(media(0, name="outbound"))) == []


def test_a_stream_sid_too_long_for_the_scanner_binds_nothing(kernel: ModuleType) -> None:
    line = Line(kernel)
    long_sid = b"M" * 65
    line.reader.bind(long_sid, line.inbound, line.outbound)
    assert line.feed(masked(media(0, sid=long_sid))) == [(reader_kernel.TEXT, media(0, sid=long_sid))]
    assert line.feed(masked(media(0))) == [(reader_kernel.TEXT, media(0))]


@pytest.mark.parametrize(
    ("opcode", "fin"),
    [
        (Opcode.PING, True),
        (Opcode.PONG, True),
        (Opcode.CLOSE, True),
        (Opcode.BINARY, True),
        (Opcode.CONT, True),
        (Opcode.TEXT, False),
        (Opcode.BINARY, False),
    ],
)
def test_other_frames_are_events_as_they_came(kernel: ModuleType, opcode: Opcode, fin: bool) -> None:
    line = Line(kernel)
    frame = masked(b"\x03\xe8", opcode, fin)
    assert line.feed(frame) == [(reader_kernel.FRAME, frame)]


def test_every_frame_is_an_event_while_a_message_is_in_fragments(kernel: ModuleType) -> None:
    line = Line(kernel)
    parts = [masked(b"a", fin=False), masked(b"", Opcode.PING), masked(b"b", Opcode.CONT)]
    line.feed(b"".join(parts) + masked(media(0)))
    assert [payload for _, payload, *_ in line.log] == parts
    assert line.inbound.messages == 1
    line.reader.fragmented = True
    line.reader.feed(masked(media(20)), NOW)
    event = line.reader.next_event()
    assert event is not None
    assert event[0] == reader_kernel.FRAME
    assert line.inbound.messages == 1


@pytest.mark.parametrize(
    "bad", [b"\x81\x05hello", b"\xc1\x80" + bytes(4), b"\x81\xff" + (100_000_000).to_bytes(8, "big")]
)
def test_a_bad_header_ends_the_reader(kernel: ModuleType, bad: bytes) -> None:
    line = Line(kernel)
    assert line.feed(masked(media(0)) + bad + masked(media(20))) == [(reader_kernel.BROKEN, line.log[0][1])]
    raw = line.log[0][1]
    assert raw.startswith(bad)
    assert len(raw) > len(bad)
    assert line.reader.dead
    assert line.feed(bytes(100_000)) == []
    assert (line.inbound.messages, line.reader.buffered) == (1, 0)


def test_a_message_may_be_as_long_as_the_limit(kernel: ModuleType) -> None:
    line = Line(kernel, max_message=300)
    assert line.feed(masked(bytes(300))) == [(reader_kernel.TEXT, bytes(300))]
    assert line.feed(masked(bytes(301)))[0][0] == reader_kernel.BROKEN


@pytest.mark.parametrize(("number", "payload"), [(0, b""), (errno.ECONNRESET, b"104")])
def test_the_end_comes_after_what_was_sent(kernel: ModuleType, number: int, payload: bytes) -> None:
    line = Line(kernel)
    line.reader.feed(masked(b"last") + masked(media(0))[:-1], NOW)
    line.reader.set_eof(number)
    line.reader.set_eof(errno.EPIPE)
    line.handle()
    assert [event[:2] for event in line.log] == [(reader_kernel.TEXT, b"last"), (reader_kernel.EOF, payload)]
    assert line.reader.dead
    assert line.reader.next_event() is None


def test_a_closed_reader_takes_and_gives_nothing(kernel: ModuleType) -> None:
    line = Line(kernel)
    line.reader.feed(masked(b"text"), NOW)
    line.reader.close()
    line.reader.set_eof(0)
    assert line.feed(masked(b"more")) == []
    assert (line.reader.buffered, line.reader.dead) == (0, True)


def test_carries_its_owner(kernel: ModuleType) -> None:
    reader = kernel.Reader()
    assert reader.owner is None
    reader.owner = reader_owner = object()
    assert reader.owner is reader_owner


@pytest.mark.parametrize("limit", [0, -1, reader_kernel.MAX_MESSAGE + 1])
def test_refuses_an_odd_limit(kernel: ModuleType, limit: int) -> None:
    with pytest.raises(ValueError, match="max_message"):
        kernel.Reader(max_message=limit)


@given(STREAMS, CUTS)
def test_any_pieces_give_the_same_on_both_twins(stream: bytes, cuts: list[int]) -> None:
    whole, compiled, twin = Line(reader_py), Line(reader_kernel), Line(reader_py)
    whole.feed(stream)
    for piece in pieces(stream, cuts):
        assert compiled.feed(piece) == twin.feed(piece)
        assert compiled.reader.buffered == twin.reader.buffered
    assert compiled.result() == twin.result() == whole.result()


@given(
    st.one_of(
        st.binary(max_size=40).map(base64.b64encode),
        st.text("AQgw+/9=-_[`{@ \\\x00\x7f", max_size=12).map(str.encode),
        st.binary(max_size=12).filter(lambda text: b'"' not in text),
    )
)
def test_a_closed_gate_judges_a_payload_as_an_open_one_does(payload: bytes) -> None:
    """Though it decodes none: it counts the same samples, or leaves the same message to Python."""
    message = media(100, b"").replace(b'"payload":""', b'"payload":"%s"' % payload)
    outcomes = []
    for gated in (False, True):
        line = Line(reader_kernel)
        if gated:
            line.inbound.close_gate()
        events = line.feed(masked(message))
        outcomes.append((events, line.inbound.position, line.inbound.messages))
        counted = line.inbound.gated_samples if gated else line.inbound.received_samples
        assert counted == (0 if events else line.inbound.position - 800)
    assert outcomes[0] == outcomes[1]


def test_a_reader_and_its_owner_do_not_keep_each_other_alive() -> None:
    line = Line(reader_kernel)
    line.reader.owner = line
    line.reader.feed(masked(b"waiting"), NOW)
    seen = weakref.ref(line)
    del line
    gc.collect()
    assert seen() is None
