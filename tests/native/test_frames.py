"""Frames of a client, both twins, held against ``websockets``."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame as Peer
from websockets.frames import Opcode
from websockets.streams import StreamReader
from websockets.utils import apply_mask

from gateway._native import frames, frames_py

LIMIT = 70_000


@pytest.fixture(params=[frames, frames_py], ids=["chosen", "twin"])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def masked(payload: bytes, opcode: Opcode = Opcode.TEXT, fin: bool = True) -> bytes:
    return Peer(opcode, payload, fin).serialize(mask=True)


def read_by_websockets(data: bytes, limit: int) -> Peer | int:
    """A frame, NEED or BROKEN, by the independent reader."""
    reader = StreamReader()
    reader.feed_data(data)
    parser = Peer.parse(reader.read_exact, mask=True, max_size=limit)
    try:
        next(parser)
    except StopIteration as stop:
        frame: Peer = stop.value
        return frame
    except (ProtocolError, PayloadTooBig):
        return frames.BROKEN
    return frames.NEED


@pytest.mark.parametrize("size", [0, 1, 3, 4, 7, 8, 9, 125, 126, 127, 65535, 65536, LIMIT])
def test_reads_payloads_at_the_edges_of_the_lengths(kernel: ModuleType, size: int) -> None:
    payload = bytes(i * 7 & 0xFF for i in range(size))
    data = b"before" + masked(payload, Opcode.BINARY) + b"behind"
    frame = kernel.parse(data, 6, LIMIT)
    assert frame == (True, frames.BINARY, payload, 6, len(data) - 6)


@pytest.mark.parametrize("size", [0, 5, 126, 65536])
def test_needs_all_of_a_frame(kernel: ModuleType, size: int) -> None:
    data = masked(bytes(size))
    ends = {*range(min(len(data), 20)), len(data) - 1}
    assert {kernel.parse(data[:end], 0, LIMIT) for end in ends} == {frames.NEED}


@pytest.mark.parametrize(
    "header",
    [
        b"\x81\x00",  # no mask
        b"\xc1\x80",
        b"\xa1\x80",
        b"\x91\x80",  # reserved bits
        b"\x83\x80",
        b"\x8f\x80",  # reserved opcodes
        b"\x09\x80",  # a ping that is not final
        b"\x89\xfe",  # a long ping
        b"\x81\xfe\x00\x7d",
        b"\x81\xff" + (65535).to_bytes(8, "big"),  # lengths not in their shortest form
        b"\x81\xff" + (LIMIT + 1).to_bytes(8, "big"),
        b"\x81\xff" + (100_000_000).to_bytes(8, "big"),
        b"\x81\xff" + b"\xff" * 8,
    ],
)
def test_a_bad_header_is_broken_at_once(kernel: ModuleType, header: bytes) -> None:
    assert kernel.parse(header, 0, LIMIT) == frames.BROKEN
    assert kernel.parse(header[:1], 0, LIMIT) == frames.NEED


def test_the_limit_counts_payload_bytes(kernel: ModuleType) -> None:
    assert kernel.parse(masked(bytes(10)), 0, 9) == frames.BROKEN
    assert kernel.parse(masked(bytes(10)), 0, 10).payload == bytes(10)
    assert kernel.parse(masked(b""), 0, 0).payload == b""


@pytest.mark.parametrize("offset", [-1, 4])
def test_refuses_an_offset_outside_the_buffer(kernel: ModuleType, offset: int) -> None:
    with pytest.raises(ValueError, match=r"must lie in 0\.\.3"):
        kernel.parse(b"abc", offset, LIMIT)


def test_refuses_a_negative_limit(kernel: ModuleType) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        kernel.parse(b"abc", 0, -1)


@pytest.mark.parametrize("buffer", [None, "text", bytearray(b"abc")])
def test_refuses_anything_but_bytes(kernel: ModuleType, buffer: object) -> None:
    with pytest.raises(TypeError):
        kernel.parse(buffer, 0, LIMIT)
    with pytest.raises(TypeError):
        kernel.unmasked(buffer, bytes(4))


@pytest.mark.parametrize("key", [b"", b"abc", b"abcde"])
def test_a_masking_key_has_four_bytes(kernel: ModuleType, key: bytes) -> None:
    with pytest.raises(ValueError, match="4 bytes"):
        kernel.unmasked(b"data", key)


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_unmasks_as_websockets_does(data: bytes, key: bytes) -> None:
    assert frames.unmasked(data, key) == frames_py.unmasked(data, key) == apply_mask(data, key)


@given(
    st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING, Opcode.CLOSE, Opcode.PONG]),
    st.binary(max_size=300),
    st.booleans(),
)
def test_reads_what_websockets_writes(opcode: Opcode, payload: bytes, fin: bool) -> None:
    if opcode >= Opcode.CLOSE:
        fin, payload = True, payload[:125]
    data = masked(payload, opcode, fin)
    assert frames.parse(data, 0, LIMIT) == frames_py.parse(data, 0, LIMIT) == (fin, opcode, payload, 0, len(data))


HEADS = st.builds(
    lambda first, second, rest: bytes((first, second)) + rest,
    st.one_of(st.sampled_from([0x81, 0x82, 0x01, 0x00, 0x88, 0x89]), st.integers(0, 255)),
    st.one_of(st.integers(0x80, 0x9E), st.integers(0, 255)),
    st.binary(max_size=40),
)


@given(st.one_of(HEADS, st.binary(max_size=3)), st.integers(0, 30))
def test_any_bytes_are_read_as_websockets_reads_them(data: bytes, limit: int) -> None:
    mine = frames.parse(data, 0, limit)
    assert mine == frames_py.parse(data, 0, limit)
    theirs = read_by_websockets(data, limit)
    if isinstance(theirs, Peer):
        # websockets takes lengths that are not in their shortest form, RFC 6455 §5.2 does not.
        if isinstance(mine, frames.Frame):
            assert (theirs.fin, theirs.opcode, bytes(theirs.data)) == (mine.fin, mine.opcode, mine.payload)
        else:
            assert mine == frames.BROKEN
            assert data[1] & 0x7F > 125
    elif theirs == frames.BROKEN:
        assert mine == frames.BROKEN
    else:
        # It judges reserved bits and control frames only when it has the payload.
        assert mine in (frames.NEED, frames.BROKEN)
