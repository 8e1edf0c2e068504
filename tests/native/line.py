"""A socket's bytes, and a reader of them with its tracks."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from gateway._native import reader_py, track, track_py
from gateway._native import reader as reader_kernel

SID = b"MZ0123456789abcdef0123456789abcdef"
NOW = 5_000


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
        tracks = track if readers is reader_kernel else track_py
        self.reader: reader_py.Reader = readers.Reader(**options)
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
            if event == (reader_kernel.TEXT, b"start"):
                self.bind()
            elif event == (reader_kernel.TEXT, b"stop"):
                self.reader.unbind()
            elif kind == reader_kernel.FRAME and payload[0] & 0x0F in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self.reader.fragmented = not payload[0] & 0x80

    def feed(self, data: bytes, now_ms: int = NOW) -> list[tuple[int, bytes]]:
        """The events that these bytes give."""
        seen = len(self.log)
        self.reader.feed(data, now_ms)
        self.handle()
        return [(kind, payload) for kind, payload, *_ in self.log[seen:]]

    def result(self) -> tuple[object, ...]:
        """All that may not depend on how the bytes were cut; of a broken end only that it came."""
        log = [(kind, b"" if kind == reader_kernel.BROKEN else payload, *at) for kind, payload, *at in self.log]
        sums = [(each.checksum_hex(), each.position, each.messages) for each in (self.inbound, self.outbound)]
        return log, sums, self.reader.messages, self.reader.media, self.reader.dead


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
