"""The tick over real sockets."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from gateway._native import plane, plane_py, reader_py, track_py
from gateway._native import reader as reader_kernel
from gateway.errors import InternalError

from .line import CUTS, NOW, SID, STREAMS, Line, masked, media, pieces

needs_plane = pytest.mark.skipif(not plane.HAS_PLANE, reason="the tick exists compiled only")


@contextmanager
def connected(
    lines: int = 1, budget: int = 131072, **options: Any
) -> Iterator[tuple[Any, list[Line], list[socket.socket]]]:
    """A plane, the lines that it reads, and their peers' ends."""
    subject = plane.Plane(budget)
    ends = [socket.socketpair() for _ in range(lines)]
    all_lines = [Line(reader_kernel, **options) for _ in ends]
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
        assert [(kind, inbound) for kind, _, inbound, _ in line.log] == [(reader_kernel.TEXT, 0), (reader_kernel.FRAME, 160)]
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
        assert [event[:2] for event in line.log] == [(reader_kernel.TEXT, b"bye"), (reader_kernel.EOF, b"")]
        assert (line.inbound.messages, line.reader.dead) == (1, True)
        assert tick(subject) == []


@needs_plane
def test_a_reset_is_an_event_with_its_errno() -> None:
    with connected() as (subject, (line,), (peer,)):
        # An end that closes with bytes unread resets the other.
        line.reader.owner[1].sendall(b"never read")  # type: ignore[index]  # the owner is what connected() set
        peer.close()
        assert tick(subject) == [line]
        assert line.log == [(reader_kernel.EOF, str(errno.ECONNRESET).encode(), 0, 0)]


@needs_plane
def test_a_descriptor_that_is_not_there_ends_its_reader_only() -> None:
    with connected() as (subject, (line,), (peer,)):
        gone = reader_kernel.Reader()
        near, far = socket.socketpair()
        subject.register(near.fileno(), gone)
        near.close()
        far.close()
        peer.sendall(masked(media(0)))
        assert subject.tick(NOW) == [gone]
        assert gone.next_event() == (reader_kernel.EOF, str(errno.EBADF).encode())
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
        assert kind == reader_kernel.BROKEN
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
def test_a_call_that_nobody_hears_is_left_alone_for_a_while() -> None:
    with connected(4) as (subject, lines, peers):
        gated, half, _, unbound = lines
        gated.inbound.close_gate()
        gated.outbound.close_gate()
        half.outbound.close_gate()
        unbound.reader.unbind()

        def read(now_ms: int, patience_ms: int) -> list[bool]:
            before = [line.reader.bytes for line in lines]
            for peer in peers:
                peer.sendall(masked(media(0)))
            for reader in subject.tick(now_ms, 10, 1 << 20, patience_ms):
                reader.owner[0].handle()
            return [line.reader.bytes > had for line, had in zip(lines, before, strict=True)]

        assert all(read(NOW, 70))
        assert read(NOW + 69, 70) == [False, True, True, True]
        assert all(read(NOW + 70, 70))
        assert all(read(NOW + 71, 0))
        assert subject.read(gated.reader, NOW + 72) == 0
        assert read(NOW + 72, 70) == [False, True, True, True]
        # Out of its turn, as before a start; and then its gates are open.
        assert subject.read(gated.reader, NOW + 72) > 0
        gated.outbound.open_gate()
        assert all(read(NOW + 73, 70))
        assert gated.inbound.messages == 6


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
            assert reader.next_event() == (reader_kernel.TEXT, b"%d" % i)
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
        expected = [Line(reader_py) for _ in lines]
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
    whole = Line(reader_py)
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
        subject, reader = plane.Plane(), reader_kernel.Reader()
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
    reader: Any = reader_kernel.Reader()
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
