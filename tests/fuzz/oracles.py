"""What must hold for any bytes: the compiled kernels, their twins and ordinary parsers come to the same.

Each check takes a fuzzer's bytes and raises AssertionError where two readings differ. Whatever the bytes say about how
they are to be read (limits, cuts, the state of the reader) stands before the wire bytes, so that a corpus file tells
everything.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

from gateway._native import frames, frames_py, plane, reader, reader_py, scanner, scanner_py, track, track_py
from gateway.calls import messages
from gateway.errors import WireError
from gateway.participants import Track
from tests.fuzz.reading import same_json, written
from tests.native.line import NOW, SID, Line
from tests.native.test_frames import read_by_websockets
from tests.native.test_track import drain, state, step

__all__ = ["CHECKS", "HEADER", "cut", "outcome"]

HEADER: Final = 4
"""Bytes at the head of an input for :func:`check_reader` that are not of the wire: cuts, options, limit, budget."""


def outcome(parse: Callable[[bytes], object], message: bytes) -> object:
    """What the ordinary path makes of a message: an event, or what it is skipped or closed for."""
    try:
        return parse(message)
    except messages.SkippedError as error:
        return "skipped", error.reason
    except WireError as error:
        return "closed", error.close_code


def check_scanner(message: bytes) -> None:
    """Scanner and twin agree, and what they accept is what the ordinary path and an independent reading accept."""
    media = scanner.scan(message)
    assert media == scanner_py.scan(message)
    ordinary = outcome(messages.parse, message)
    assert ordinary == outcome(written, message), message
    same_json(message)
    if media is not None:
        place, timestamp, _, _, payload, sid = media
        assert ordinary == messages.Media(tuple(Track)[place], timestamp, payload, sid.decode("ascii"))


def check_frames(data: bytes) -> None:
    """Both parsers agree with ``websockets``, and no verdict is taken back when more bytes come."""
    if len(data) < 2:
        return
    offset, limit, data = data[0] & 7, data[1], data[2:]
    limit = limit if limit < 0xF0 else 70_000
    offset = min(offset, len(data))
    verdict = frames.parse(data, offset, limit)
    assert verdict == frames_py.parse(data, offset, limit)
    end = verdict.end if isinstance(verdict, frames_py.Frame) else len(data)
    early: object = frames.NEED
    for size in {*range(offset, min(offset + 16, end)), max(end - 1, offset)}:
        early = frames.parse(data[:size], offset, limit)
        assert early == frames_py.parse(data[:size], offset, limit)
        # The verdict on a header does not wait for its payload, and is final.
        assert early == frames.NEED or early == verdict == frames.BROKEN
    theirs = read_by_websockets(data[offset:], limit)
    if isinstance(verdict, frames_py.Frame):
        assert not isinstance(theirs, int)
        assert (theirs.fin, theirs.opcode, bytes(theirs.data)) == (verdict.fin, verdict.opcode, verdict.payload)
    elif verdict == frames.NEED:
        assert theirs == frames.NEED


def cut(data: bytes, seed: int) -> Iterator[bytes]:
    """The same bytes in pieces, whose sizes the seed gives: all at once, one by one, or anything between."""
    at = 0
    size = seed or len(data)
    while at < len(data):
        yield data[at : at + size]
        at += size
        if seed:
            size = (size * 37 + seed) % (1 << (seed & 7) + 1) + 1


def _line(readers: ModuleType, options: int, limit: int) -> Line:
    line = Line(readers, bind=not options & 1, max_message=limit)
    if options & 2:
        line.reader.fragmented = True
    if options & 4:
        line.inbound.close_gate()
    if options & 8:
        line.reader.bind(SID, None, line.outbound)
    if options & 16:
        line.reader.bind(b"M" * 64, line.inbound, line.outbound)
    return line


def _result(line: Line) -> tuple[object, ...]:
    """All that a line came to, its PCM included."""
    return *line.result(), drain(line.inbound), drain(line.outbound), state(line.inbound), state(line.outbound)


def check_reader(data: bytes) -> None:
    """Reader and twin, fed in pieces and at once, and the tick over a real socket, come to the same."""
    if len(data) < HEADER:
        return
    cuts, options, short, budget = data[:HEADER]
    limit, stream = (short + 1 if options & 32 else 65536), data[HEADER:]
    whole, compiled, twin = (_line(kernel, options, limit) for kernel in (reader_py, reader, reader_py))
    whole.feed(stream)
    for piece in cut(stream, cuts):
        assert compiled.feed(piece) == twin.feed(piece)
        assert compiled.reader.buffered == twin.reader.buffered
    for line in (whole, compiled, twin):
        line.reader.set_eof(0)
        line.handle()
    expected = _result(whole)
    assert _result(compiled) == _result(twin) == expected
    if plane.HAS_PLANE and len(stream) <= 65536:
        _check_tick(stream, cuts, _line(reader, options, limit), 16 * budget + 1, expected)


def _check_tick(stream: bytes, cuts: int, line: Line, budget: int, expected: tuple[object, ...]) -> None:
    subject: Any = plane.Plane(budget)
    near, far = socket.socketpair()
    with near, far:
        subject.register(near.fileno(), line.reader)
        for piece in cut(stream, cuts):
            if line.reader.dead:
                # Nobody would take the bytes.
                break
            far.sendall(piece)
            before = -1
            while before != line.reader.bytes and not line.reader.dead:
                before = line.reader.bytes
                for _ in subject.tick(NOW):
                    line.handle()
        far.shutdown(socket.SHUT_WR)
        while not line.reader.dead:
            for _ in subject.tick(NOW):
                line.handle()
        subject.unregister(line.reader)
    assert _result(line) == expected


_ACTIONS = ("place", "place", "place", "place", "place untimed", "open", "close", "read", "read all", "jump")


def check_track(data: bytes) -> None:
    """Track and twin agree after any sequence of what is done to a track."""
    if len(data) < 2:
        return
    capacity, options = (1, 100, 3000, 64_000)[data[0] & 3], data[1]
    compiled = track.Track(capacity, bool(options & 1), bool(options & 2))
    twin = track_py.Track(capacity, bool(options & 1), bool(options & 2))
    now = NOW
    # Six bytes an action: which, a scaled signed value, a size, a time. Sixty of them keep a run short.
    for at in range(2, min(len(data) - 5, 362), 6):
        value = int.from_bytes(data[at + 1 : at + 3], "little", signed=True) << (data[at + 3] & 31)
        size = data[at + 4] << (data[at + 3] >> 5)
        now += data[at + 5]
        action = _ACTIONS[data[at] % len(_ACTIONS)]
        value = abs(value) % 70_000 if "read" in action else value
        assert step(compiled, action, value, size, now) == step(twin, action, value, size, now)
        assert state(compiled) == state(twin)
    assert drain(compiled) == drain(twin)


CHECKS: Final[dict[str, Callable[[bytes], None]]] = {
    "frames": check_frames,
    "scanner": check_scanner,
    "reader": check_reader,
    "track": check_track,
}
"""Target -> its check."""
