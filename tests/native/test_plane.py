"""The reader of a socket, both twins, and the tick over real sockets."""

from __future__ import annotations

import base64
import errno
import gc
import os
import socket
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from gateway._native import plane, plane_py, track, track_py
from gateway.errors import InternalError

SID = b"MZ0123456789abcdef0123456789abcdef"
NOW = 5_000
needs_plane = pytest.mark.skipif(not plane.HAS_PLANE, reason="the tick exists compiled only")


@pytest.fixture(params=[plane, plane_py], ids=["chosen", "twin"])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def masked(payload: bytes, opcode: Opcode = Opcode.TEXT, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


def media(timestamp: int, ulaw: bytes = bytes(160), name: str = "inbound", sid: bytes = SID) -> bytes:
    """The message's JSON text, as Twilio spells it."""
    payload = base64.b64encode(ulaw).decode()
    return (
        f'{{"event":"media","sequenceNumber":"2","media":{{"track":"{name}","chunk":"1","timestamp":"{timestamp}",'
        f'"payload":"{payload}"}},"streamSid":"{sid.decode()}"}}'
    ).encode()


class Line:
    """A reader with two open tracks, and what the gateway would do with its events."""

    def __init__(self, readers: ModuleType, bind: bool = True, **options: Any) -> None:
        tracks = track if readers is plane else track_py
        self.reader: plane_py.Reader = readers.Reader(**options)
        self.inbound: track_py.Track = tracks.Track(checksum=True)
        self.outbound: track_py.Track = tracks.Track(checksum=True)
        self.inbound.open_gate()
        self.outbound.open_gate()
        # Each event, and how far the tracks were when it came.
        self.log: list[tuple[int, bytes, int, int]] = []
        if bind:
            self.bind()

    def bind(self) -> None:
        self.reader.bind(SID, self.inbound, self.outbound)

    def handle(self) -> None:
        """Take all events; ``start`` binds, ``stop`` unbinds, fragments are followed."""
        while event := self.reader.next_event():
            kind, payload = event
            self.log.append((kind, payload, self.inbound.position, self.outbound.position))
            if event == (plane.TEXT, b"start"):
                self.bind()
            elif event == (plane.TEXT, b"stop"):
                self.reader.unbind()
            elif kind == plane.FRAME and payload[0] & 0x0F in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self.reader.fragmented = not payload[0] & 0x80

    def feed(self, data: bytes, now_ms: int = NOW) -> list[tuple[int, bytes]]:
        """The events that these bytes give."""
        seen = len(self.log)
        self.reader.feed(data, now_ms)
        self.handle()
        return [(kind, payload) for kind, payload, *_ in self.log[seen:]]

    def result(self) -> tuple[object, ...]:
        """All that may not depend on how the bytes were cut; of a broken end only that it came."""
        log = [(kind, b"" if kind == plane.BROKEN else payload, *at) for kind, payload, *at in self.log]
        sums = [(each.checksum_hex(), each.position, each.messages) for each in (self.inbound, self.outbound)]
        return log, sums, self.reader.messages, self.reader.media, self.reader.dead


# The reader


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
        (plane.TEXT, b"connected", 0, 0),
        (plane.TEXT, b"start", 0, 0),
        (plane.FRAME, ping, 160, 0),
        (plane.TEXT, b"stop", 320, 0),
        (plane.TEXT, media(40), 320, 0),
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
    assert line.feed(masked(text)) == [(plane.TEXT, text)]
    assert (line.inbound.messages, line.reader.messages, line.reader.media) == (0, 1, 0)


def test_media_of_a_track_that_is_not_bound_are_events(kernel: ModuleType) -> None:
    line = Line(kernel)
    line.reader.bind(SID, None, line.outbound)
    assert line.feed(masked(media(0))) == [(plane.TEXT, media(0))]
    assert line.feed(masked(media(0, name="outbound"))) == []


def test_a_stream_sid_too_long_for_the_scanner_binds_nothing(kernel: ModuleType) -> None:
    line = Line(kernel)
    long_sid = b"M" * 65
    line.reader.bind(long_sid, line.inbound, line.outbound)
    assert line.feed(masked(media(0, sid=long_sid))) == [(plane.TEXT, media(0, sid=long_sid))]
    assert line.feed(masked(media(0))) == [(plane.TEXT, media(0))]


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
    assert line.feed(frame) == [(plane.FRAME, frame)]


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
    assert event[0] == plane.FRAME
    assert line.inbound.messages == 1


@pytest.mark.parametrize(
    "bad", [b"\x81\x05hello", b"\xc1\x80" + bytes(4), b"\x81\xff" + (100_000_000).to_bytes(8, "big")]
)
def test_a_bad_header_ends_the_reader(kernel: ModuleType, bad: bytes) -> None:
    line = Line(kernel)
    assert line.feed(masked(media(0)) + bad + masked(media(20))) == [(plane.BROKEN, line.log[0][1])]
    raw = line.log[0][1]
    assert raw.startswith(bad)
    assert len(raw) > len(bad)
    assert line.reader.dead
    assert line.feed(bytes(100_000)) == []
    assert (line.inbound.messages, line.reader.buffered) == (1, 0)


def test_a_message_may_be_as_long_as_the_limit(kernel: ModuleType) -> None:
    line = Line(kernel, max_message=300)
    assert line.feed(masked(bytes(300))) == [(plane.TEXT, bytes(300))]
    assert line.feed(masked(bytes(301)))[0][0] == plane.BROKEN


@pytest.mark.parametrize(("number", "payload"), [(0, b""), (errno.ECONNRESET, b"104")])
def test_the_end_comes_after_what_was_sent(kernel: ModuleType, number: int, payload: bytes) -> None:
    line = Line(kernel)
    line.reader.feed(masked(b"last") + masked(media(0))[:-1], NOW)
    line.reader.set_eof(number)
    line.reader.set_eof(errno.EPIPE)
    line.handle()
    assert [event[:2] for event in line.log] == [(plane.TEXT, b"last"), (plane.EOF, payload)]
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


@pytest.mark.parametrize("limit", [0, -1, plane.MAX_MESSAGE + 1])
def test_refuses_an_odd_limit(kernel: ModuleType, limit: int) -> None:
    with pytest.raises(ValueError, match="max_message"):
        kernel.Reader(max_message=limit)


# Any bytes, in any pieces

TEXTS = st.one_of(
    st.builds(
        media,
        st.integers(0, 3000),
        st.integers(0, 300).map(lambda size: (bytes(range(256)) * 2)[:size]),
        st.sampled_from(["inbound", "outbound", "other"]),
        st.sampled_from([SID, SID, SID, b"MZother"]),
    ),
    st.sampled_from([b"start", b"stop", b"", b"\xff", b"x" * 200]),
)
FRAMES = st.one_of(
    TEXTS.map(masked),
    TEXTS.map(masked),
    st.builds(masked, TEXTS, st.sampled_from([Opcode.TEXT, Opcode.CONT, Opcode.BINARY]), st.booleans()),
    st.sampled_from([masked(b"p", Opcode.PING), masked(b"\x03\xe8", Opcode.CLOSE)]),
)
STREAMS = st.builds(
    lambda frames, tail: b"".join(frames) + tail,
    st.lists(FRAMES, max_size=25),
    st.one_of(st.just(b""), st.binary(max_size=20)),
)
CUTS = st.lists(st.integers(1, 900), min_size=1, max_size=40)


def pieces(stream: bytes, cuts: list[int]) -> Iterator[bytes]:
    at = i = 0
    while at < len(stream):
        yield stream[at : at + cuts[i % len(cuts)]]
        at += cuts[i % len(cuts)]
        i += 1


@given(STREAMS, CUTS)
def test_any_pieces_give_the_same_on_both_twins(stream: bytes, cuts: list[int]) -> None:
    whole, compiled, twin = Line(plane_py), Line(plane), Line(plane_py)
    whole.feed(stream)
    for piece in pieces(stream, cuts):
        assert compiled.feed(piece) == twin.feed(piece)
        assert compiled.reader.buffered == twin.reader.buffered
    assert compiled.result() == twin.result() == whole.result()


# The tick


@contextmanager
def connected(
    lines: int = 1, budget: int = 131072, **options: Any
) -> Iterator[tuple[Any, list[Line], list[socket.socket]]]:
    """A plane, the lines that it reads, and their peers' ends."""
    subject = plane.Plane(budget)
    ends = [socket.socketpair() for _ in range(lines)]
    all_lines = [Line(plane, **options) for _ in ends]
    try:
        for (near, _), line in zip(ends, all_lines, strict=True):
            line.reader.owner = line, near
            subject.register(near.fileno(), line.reader)
        yield subject, all_lines, [far for _, far in ends]
    finally:
        for line in all_lines:
            subject.unregister(line.reader)
            line.reader.owner = None
        for near, far in ends:
            near.close()
            far.close()


def tick(subject: Any, now_ms: int = NOW) -> list[Line]:
    """The lines that had events, which are handled."""
    lines = []
    for reader in subject.tick(now_ms):
        line = reader.owner[0]
        line.handle()
        lines.append(line)
    return lines


@needs_plane
def test_a_tick_reads_media_without_an_event() -> None:
    with connected() as (subject, (line,), (peer,)):
        assert tick(subject) == []
        peer.sendall(masked(media(100)) + masked(media(120)) + masked(media(100, name="outbound")))
        assert tick(subject, 7_000) == []
        assert (line.inbound.position, line.outbound.position) == (1120, 960)
        assert (line.inbound.last_media_ms, line.reader.last_bytes_ms) == (7_000, 7_000)
        assert subject.last_tick_us >= 0


@needs_plane
def test_a_tick_keeps_the_order_of_events_and_media() -> None:
    with connected(bind=False) as (subject, (line,), (peer,)):
        peer.sendall(masked(b"start") + masked(media(0)) + masked(b"", Opcode.PING) + masked(media(20)))
        assert tick(subject) == [line]
        assert [(kind, inbound) for kind, _, inbound, _ in line.log] == [(plane.TEXT, 0), (plane.FRAME, 160)]
        assert line.inbound.position == 320
        assert tick(subject) == []


@needs_plane
def test_a_frame_may_come_over_many_ticks() -> None:
    with connected() as (subject, (line,), (peer,)):
        frame = masked(media(100))
        for i in range(len(frame)):
            assert line.inbound.messages == 0
            peer.sendall(frame[i : i + 1])
            assert tick(subject) == []
        assert (line.inbound.messages, line.reader.buffered) == (1, 0)


@needs_plane
def test_an_orderly_end_is_an_event_after_the_rest() -> None:
    with connected() as (subject, (line,), (peer,)):
        peer.sendall(masked(media(0)) + masked(b"bye"))
        peer.close()
        tick(subject)
        tick(subject)
        assert [event[:2] for event in line.log] == [(plane.TEXT, b"bye"), (plane.EOF, b"")]
        assert (line.inbound.messages, line.reader.dead) == (1, True)
        assert tick(subject) == []


@needs_plane
def test_a_reset_is_an_event_with_its_errno() -> None:
    with connected() as (subject, (line,), (peer,)):
        # An end that closes with bytes unread resets the other.
        line.reader.owner[1].sendall(b"never read")  # type: ignore[index]  # the owner is what connected() set
        peer.close()
        assert tick(subject) == [line]
        assert line.log == [(plane.EOF, str(errno.ECONNRESET).encode(), 0, 0)]


@needs_plane
def test_a_descriptor_that_is_not_there_ends_its_reader_only() -> None:
    with connected() as (subject, (line,), (peer,)):
        gone = plane.Reader()
        near, far = socket.socketpair()
        subject.register(near.fileno(), gone)
        near.close()
        far.close()
        peer.sendall(masked(media(0)))
        assert subject.tick(NOW) == [gone]
        assert gone.next_event() == (plane.EOF, str(errno.EBADF).encode())
        assert line.inbound.messages == 1


@needs_plane
def test_a_reader_whose_events_wait_is_not_read() -> None:
    with connected() as (subject, (line,), (peer,)):
        peer.sendall(masked(b"one"))
        assert subject.tick(NOW) == [line.reader]
        taken = line.reader.bytes
        peer.sendall(masked(b"two") + masked(media(0)))
        assert subject.tick(NOW) == [line.reader]
        assert line.reader.bytes == taken
        line.handle()
        assert tick(subject) == [line]
        assert [payload for _, payload, *_ in line.log] == [b"one", b"two"]
        assert line.inbound.messages == 1


@needs_plane
def test_a_tick_takes_no_more_than_its_budget_of_a_socket() -> None:
    with connected(2, budget=100) as (subject, lines, peers):
        peers[0].sendall(masked(media(0)) * 3)
        peers[1].sendall(masked(b"short"))
        assert tick(subject) == [lines[1]]
        assert lines[0].reader.bytes == 100


@needs_plane
def test_a_huge_message_breaks_its_own_reader_at_once() -> None:
    with connected(2) as (subject, lines, peers):
        header = b"\x81\xff" + (100_000_000).to_bytes(8, "big")
        peers[0].sendall(header + bytes(50_000))
        peers[1].sendall(masked(media(0)))
        assert tick(subject) == [lines[0]]
        (kind, raw, *_), *_ = lines[0].log
        assert kind == plane.BROKEN
        assert raw.startswith(header)
        taken = lines[0].reader.bytes
        peers[0].sendall(bytes(50_000))
        assert tick(subject) == []
        assert (lines[0].reader.bytes, lines[0].reader.buffered) == (taken, 0)
        assert lines[1].inbound.messages == 1


@needs_plane
def test_a_round_may_take_several_ticks() -> None:
    with connected(5) as (subject, lines, peers):
        for peer in peers:
            peer.sendall(masked(media(0)))
        under_way = []
        for _ in range(3):
            assert subject.tick(NOW, 2) == []
            under_way.append((sum(line.inbound.messages for line in lines), subject.under_way))
        assert under_way == [(2, True), (4, True), (5, False)]


@needs_plane
def test_a_tick_ends_where_it_has_read_enough_and_the_next_goes_on_there() -> None:
    """However fast a socket is flooded, a tick takes a bounded number of bytes, and every other socket has its turn."""
    with connected(6, budget=3_000) as (subject, lines, peers):
        for peer in peers[:2]:
            peer.sendall(masked(media(0)) * 100)
        for peer in peers[2:]:
            peer.sendall(masked(media(0)))
        taken, turns = 0, []
        for _ in range(3):
            subject.tick(NOW, 6, 3_000)
            before, taken = taken, sum(line.reader.bytes for line in lines)
            turns.append([line.reader.bytes > 0 for line in lines].count(True))
            assert taken - before < 3_000 + 3_000
        assert turns == [1, 2, 6]
        assert not subject.under_way
        assert [line.inbound.messages for line in lines[2:]] == [1] * 4


@needs_plane
@given(st.lists(st.tuples(st.integers(1, 6), st.lists(st.integers(0, 9), max_size=3)), max_size=8))
def test_each_is_read_once_a_round_whoever_comes_and_goes(steps: list[tuple[int, list[int]]]) -> None:
    with connected(10) as (subject, lines, peers):
        registered = set(range(10))
        turns = [0] * 10
        for sockets, changes in steps:
            for peer in peers:
                peer.sendall(masked(media(0)))
            if not subject.under_way:
                fresh = set(registered)
                turns = [0] * 10
            before = [line.reader.bytes for line in lines]
            subject.tick(NOW, sockets)
            for i, line in enumerate(lines):
                turns[i] += line.reader.bytes > before[i]
            assert max(turns) <= 1
            if not subject.under_way:
                assert all(turns[i] for i in fresh & registered)
            for i in changes:
                if i in registered:
                    subject.unregister(lines[i].reader)
                    registered.discard(i)
                else:
                    subject.register(lines[i].reader.owner[1].fileno(), lines[i].reader)  # type: ignore[index]  # above
                    registered.add(i)
                # Whoever comes back has its turn at the end, again.
                turns[i] = 0
                fresh.discard(i)


@needs_plane
def test_one_socket_is_read_out_of_its_turn() -> None:
    with connected(2, budget=1_000) as (subject, lines, peers):
        for peer in peers:
            peer.sendall(masked(media(0)) * 2 + masked(b"event") + masked(media(20)) * 5)
        assert subject.most == 1_000
        assert subject.read(lines[1].reader, NOW) == 1_000
        # Its events come first.
        assert subject.read(lines[1].reader, NOW) == 0
        lines[1].handle()
        assert subject.read(lines[1].reader, NOW) > 0
        assert [line.reader.bytes > 0 for line in lines] == [False, True]
        assert not subject.under_way
        subject.unregister(lines[0].reader)
        assert subject.read(lines[0].reader, NOW) == 0


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
        line = Line(plane)
        if gated:
            line.inbound.close_gate()
        events = line.feed(masked(message))
        outcomes.append((events, line.inbound.position, line.inbound.messages))
        counted = line.inbound.gated_samples if gated else line.inbound.received_samples
        assert counted == (0 if events else line.inbound.position - 800)
    assert outcomes[0] == outcomes[1]


@needs_plane
def test_readers_may_be_unregistered_while_their_events_are_handled() -> None:
    with connected(10) as (subject, lines, peers):
        for i, peer in enumerate(peers):
            peer.sendall(masked(b"%d" % i))
        ready = subject.tick(NOW)
        assert [reader.owner[0] for reader in ready] == lines
        for i, reader in enumerate(ready):
            subject.unregister(reader)
            subject.unregister(reader)
            subject.unregister(ready[(i * 7) % 10])
            assert reader.next_event() == (plane.TEXT, b"%d" % i)
        assert (subject.sockets, subject.tick(NOW)) == (0, [])
        subject.register(lines[3].reader.owner[1].fileno(), lines[3].reader)  # type: ignore[index]  # see above
        peers[3].sendall(masked(b"again"))
        assert tick(subject) == [lines[3]]


@needs_plane
@pytest.mark.parametrize("gone", [[1], [4], [0, 4], [0, 4, 3], [2, 2, 0]])
def test_the_others_are_read_when_some_are_unregistered(gone: list[int]) -> None:
    with connected(5) as (subject, lines, peers):
        for i in gone:
            subject.unregister(lines[i].reader)
        for peer in peers:
            peer.sendall(masked(media(0)))
        tick(subject)
        assert [line.inbound.messages for line in lines] == [int(i not in gone) for i in range(5)]
        assert subject.sockets == 5 - len(set(gone))


@needs_plane
def test_a_hundred_sockets_keep_their_audio_apart() -> None:
    with connected(100) as (subject, lines, peers):
        expected = [Line(plane_py) for _ in lines]
        for step in range(5):
            for i, (peer, other) in enumerate(zip(peers, expected, strict=True)):
                data = masked(media(100 + 20 * step, os.urandom(160))) + masked(
                    media(7 * i, os.urandom(80), "outbound")
                )
                peer.sendall(data)
                other.feed(data)
            assert tick(subject) == []
        assert [line.result() for line in lines] == [other.result() for other in expected]


@needs_plane
@given(STREAMS, CUTS)
def test_any_pieces_over_a_socket_give_what_the_twin_gives(stream: bytes, cuts: list[int]) -> None:
    whole = Line(plane_py)
    whole.reader.feed(stream, NOW)
    whole.reader.set_eof(0)
    whole.handle()
    with connected(budget=max(cuts)) as (subject, (line,), (peer,)):
        for piece in pieces(stream, cuts):
            peer.sendall(piece)
            tick(subject)
        peer.shutdown(socket.SHUT_WR)
        while not line.reader.dead:
            tick(subject)
        assert line.result() == whole.result()


@needs_plane
def test_a_plane_keeps_its_readers_and_gives_them_back() -> None:
    near, far = socket.socketpair()
    with near, far:
        subject, reader = plane.Plane(), plane.Reader()
        free = sys.getrefcount(reader)
        subject.register(near.fileno(), reader)
        assert sys.getrefcount(reader) == free + 1
        with pytest.raises(ValueError, match="registered already"):
            subject.register(near.fileno(), reader)
        with pytest.raises(ValueError, match="registered already"):
            plane.Plane().register(near.fileno(), reader)
        plane.Plane().unregister(reader)
        assert subject.sockets == 1
        del subject
        assert sys.getrefcount(reader) == free
        plane.Plane().register(near.fileno(), reader)


@needs_plane
def test_a_reader_and_its_owner_do_not_keep_each_other_alive() -> None:
    line = Line(plane)
    line.reader.owner = line
    line.reader.feed(masked(b"waiting"), NOW)
    seen = weakref.ref(line)
    del line
    gc.collect()
    assert seen() is None


@needs_plane
def test_memory_follows_what_is_buffered() -> None:
    with connected() as (subject, (line,), (peer,)):
        idle = sys.getsizeof(line.reader)
        assert idle < 1024
        peer.sendall(masked(b"text") + masked(media(0)) * 100 + masked(media(20))[:100])
        subject.tick(NOW)
        assert sys.getsizeof(line.reader) > idle + 30_000
        line.handle()
        assert line.reader.buffered == 100
        assert sys.getsizeof(line.reader) <= idle + 4096 + 100
        line.reader.close()
        assert sys.getsizeof(line.reader) == idle


@needs_plane
def test_another_thread_may_not_touch_what_a_tick_writes() -> None:
    with connected(50) as (subject, (line, *_), _), ThreadPoolExecutor(1) as threads:
        refused = threading.Event()

        def keep_ticking() -> None:
            while not refused.is_set():
                subject.tick(NOW)

        def keep_asking() -> None:
            while not ticking.done():
                line.inbound.available()

        ticking = threads.submit(keep_ticking)
        try:
            with pytest.raises(InternalError, match="belong to the thread that ticks"):
                keep_asking()
        finally:
            refused.set()
        ticking.result()
        assert line.inbound.available() == 0


@needs_plane
def test_refuses_what_could_crash_it() -> None:
    subject: Any = plane.Plane()
    reader: Any = plane.Reader()
    with pytest.raises(TypeError):
        subject.register(0, None)
    with pytest.raises(TypeError):
        subject.register(None, reader)
    with pytest.raises(TypeError):
        subject.unregister(None)
    with pytest.raises(TypeError):
        reader.bind(None, None, None)
    with pytest.raises(TypeError):
        reader.bind(SID, track_py.Track(), None)
    with pytest.raises(TypeError):
        reader.feed(None, NOW)
    with pytest.raises(TypeError):
        reader.feed(bytearray(4), NOW)
    with pytest.raises(ValueError, match="not negative"):
        subject.register(-1, reader)
    for budget in (0, -1, 1 << 25):
        with pytest.raises(ValueError, match="budget"):
            plane.Plane(budget)
    assert subject.tick(NOW) == []


def test_the_twin_has_no_plane() -> None:
    assert plane_py.Plane is None
    assert not plane_py.HAS_PLANE
