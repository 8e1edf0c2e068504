"""The compiled sender and its twin put the same bytes on the wire at the same times, and count the same."""

from __future__ import annotations

import importlib
import socket
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load import sender_py
from benchmarks.load.sender_py import DONE, LOST, PLAYING, STALLED
from benchmarks.load.voice import FRAME_BYTES, Script, Sound, Voice
from gateway import _native
from gateway._native import frames, scanner
from gateway.errors import UsageError

NOISE = np.random.default_rng(7)
SOUND = Sound.of(
    ("inbound", "outbound"), [NOISE.bytes(FRAME_BYTES * 7), NOISE.bytes(FRAME_BYTES * 5)], (b"\0\1\0", b"\1")
)
MONO = Sound.of(("inbound",), [NOISE.bytes(FRAME_BYTES * 2)])
SID = b"MZ" + b"4" * 32
FRAME_US = 20_000


def compiled() -> ModuleType:
    """The compiled sender; the build makes it unless the environment asks for twins."""
    return importlib.import_module("benchmarks.load.sender")


MODULES = [sender_py] if _native.NO_EXTENSIONS else [sender_py, compiled()]


@pytest.fixture(params=MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def module(request: pytest.FixtureRequest) -> ModuleType:
    found: ModuleType = request.param
    return found


class Pair:
    """A connected pair of sockets, and what has come so far."""

    def __init__(self, room: int = 1 << 20) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        self.near.setblocking(False)
        self.far.setblocking(False)
        self.came = b""

    def take(self, size: int = 1 << 22) -> bytes:
        """What has come since the last time, so many bytes at the most."""
        found = b""
        while len(found) < size:
            try:
                data = self.far.recv(size - len(found))
            except BlockingIOError:
                break
            if not data:
                break
            found += data
        self.came += found
        return found

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def whole(data: bytes) -> list[bytes]:
    """The messages in it by the gateway's own parser, which must find it complete."""
    at, found = 0, []
    while at < len(data):
        frame = frames.parse(data, at, 65536)
        assert isinstance(frame, frames.Frame)
        found.append(frame.payload)
        at = frame.end
    return found


def spoken(script: Script) -> bytes:
    voice = Voice(script)
    return b"".join(data for _ in range(script.frames) for data in voice.next())


scripts = st.builds(
    Script,
    st.sampled_from([SOUND, MONO]),
    st.sampled_from([SID, b"M", b"x" * 64]),
    st.integers(0, 1),
    st.integers(0, 40),
    stamp=st.sampled_from([0, 100, 170, 9_999_999]),
    seed=st.integers(0, 2**64 - 1),
    jitter_ms=st.sampled_from([0, 2, 30, 1000]),
    drop=st.sampled_from([0.0, 0.3, 1.0]),
    send_silence=st.booleans(),
    odd=st.booleans(),
    stall_at_ms=st.sampled_from([0, 100]),
    stall_ms=st.sampled_from([0, 20, 200]),
)


@given(script=scripts, coalesced=st.booleans(), together=st.sampled_from([1, 1, 2, 7]))
def test_every_sender_sends_what_the_voice_says(script: Script, coalesced: bool, together: int) -> None:
    outcomes = []
    for module in MODULES:
        pair = Pair()
        sender = module.Sender(coalesced=coalesced, together=together)
        number, begin = sender.add(pair.near.fileno(), script, 1_000_000)
        for turn in range(script.frames + 20):
            sender.step(begin + turn * FRAME_US)
            pair.take()
        assert pair.came == spoken(script)
        assert sender.ended() == [(number, DONE, 0)]
        outcomes.append((begin, sender.lateness.tolist(), sender.messages, tuple(sender.remove(number))))
        pair.close()
    assert all(outcome == outcomes[0] for outcome in outcomes)


@given(
    script=scripts,
    coalesced=st.booleans(),
    together=st.sampled_from([1, 1, 2, 7]),
    sizes=st.lists(st.integers(0, 9000), min_size=1, max_size=30),
)
def test_a_slow_peer_gets_whole_messages_whatever_it_takes(
    script: Script, coalesced: bool, together: int, sizes: list[int]
) -> None:
    outcomes = []
    for module in MODULES:
        pair = Pair(room=4096)
        sender = module.Sender(coalesced=coalesced, together=together)
        number, begin = sender.add(pair.near.fileno(), script, 0)
        turn = 0
        while not sender.ended():
            sender.step(begin + turn * FRAME_US)
            pair.take(sizes[turn % len(sizes)] if turn < len(sizes) else 1 << 22)
            turn += 1
        pair.take()
        outcome = sender.remove(number)
        assert pair.came == spoken(script)
        assert (outcome.status, outcome.tail) == (DONE, b"")
        assert outcome.messages == len(whole(pair.came)) == sender.messages == sender.lateness.sum()
        outcomes.append((begin, turn, outcome, sender.lateness.tolist()))
        pair.close()
    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_the_gateways_scanner_reads_every_message(module: ModuleType, pair: Pair) -> None:
    sender = module.Sender()
    _, begin = sender.add(pair.near.fileno(), Script(SOUND, SID, 0, 50, seed=5), 0)
    for turn in range(50):
        sender.step(begin + turn * FRAME_US)
    media = [scanner.scan(text) for text in whole(pair.take())]
    assert len(media) == 100
    assert all(one is not None and one.stream_sid == SID for one in media)
    wanted = [SOUND.ulaw[track][at % 7 * 160 :][:160] for at in range(50) for track in range(2)]
    assert [one.payload for one in media if one is not None] == wanted


def test_lines_are_spread_over_the_20_ms(module: ModuleType, pair: Pair) -> None:
    sender = module.Sender()
    script = Script(MONO, SID, 0, 1)
    begins = [sender.add(pair.near.fileno(), script, 5_000_000)[1] for _ in range(160)]
    counts = np.unique(np.array(begins) % FRAME_US, return_counts=True)
    assert counts[0].tolist() == list(range(0, FRAME_US, 250))
    assert set(counts[1]) == {2}
    assert min(begins) > 5_000_000
    assert max(begins) <= 5_000_000 + FRAME_US


def test_nothing_is_sent_before_it_is_due(module: ModuleType, pair: Pair) -> None:
    sender = module.Sender()
    _, begin = sender.add(pair.near.fileno(), Script(SOUND, SID, 0, 3), 0)
    assert sender.step(begin - 1) == begin
    assert pair.take() == b""
    assert sender.step(begin) == begin + 250
    assert len(whole(pair.take())) == 2
    sender.step(begin + FRAME_US - 1)
    assert pair.take() == b""
    sender.step(begin + FRAME_US)
    assert len(whole(pair.take())) == 2


def test_lateness_is_counted_in_tenths_of_a_millisecond(module: ModuleType, pair: Pair) -> None:
    sender = module.Sender()
    _, begin = sender.add(pair.near.fileno(), Script(MONO, SID, 0, 4), 0)
    for turn, late in enumerate((0, 150, 12_345, 5_000_000)):
        sender.step(begin + turn * FRAME_US + late)
    bins = np.flatnonzero(sender.lateness).tolist()
    assert bins == [0, 1, 123, sender_py.LATE_BINS - 1]
    assert sender.messages == 4


def test_what_is_written_together_leaves_with_the_last_of_it(module: ModuleType, pair: Pair) -> None:
    sender = module.Sender(together=3)
    _, begin = sender.add(pair.near.fileno(), Script(SOUND, SID, 0, 8), 0)
    sizes = []
    for turn in range(8):
        sender.step(begin + turn * FRAME_US)
        sizes.append(len(whole(pair.take())))
    assert sizes == [0, 0, 6, 0, 0, 6, 0, 4]
    assert np.flatnonzero(sender.lateness).tolist() == [0]


def test_a_stall_is_not_lateness_and_ends_in_a_burst(module: ModuleType, pair: Pair) -> None:
    sender = module.Sender()
    _, begin = sender.add(pair.near.fileno(), Script(MONO, SID, 0, 20, stall_at_ms=100, stall_ms=200), 0)
    sizes = []
    for turn in range(20):
        sender.step(begin + turn * FRAME_US)
        sizes.append(len(whole(pair.take())))
    assert sizes == [1] * 5 + [0] * 10 + [11] + [1] * 4
    assert np.flatnonzero(sender.lateness).tolist() == [0]


def test_after_a_long_wait_every_line_catches_up(module: ModuleType, pair: Pair) -> None:
    sender = module.Sender(coalesced=True)
    _, begin = sender.add(pair.near.fileno(), Script(MONO, SID, 0, 100), 0)
    sender.step(begin)
    sender.step(begin + 99 * FRAME_US)
    assert len(whole(pair.take())) == 100
    # What is written together is as late as the first of it, and no write is much longer than CHUNK.
    late = sender.lateness
    assert (late[0], late.sum()) == (1, 100)
    assert 80 < late[-1] < 99


def full(pair: Pair) -> None:
    """Leave no room for a byte."""
    for size in (4096, 64, 1):
        try:
            while True:
                pair.near.send(b"\0" * size)
        except BlockingIOError:
            pass


def test_a_socket_that_takes_nothing_has_stalled(module: ModuleType) -> None:
    pair = Pair(room=4096)
    full(pair)
    sender = module.Sender(patience_us=1_000_000)
    number, begin = sender.add(pair.near.fileno(), Script(SOUND, SID, 0, 500), 0)
    sender.step(begin)
    sender.step(begin + 1_000_000)
    assert sender.ended() == []
    sender.step(begin + 1_040_000)
    assert sender.ended() == [(number, STALLED, 0)]
    outcome = sender.remove(number)
    # What is kept for a socket is what was due when it closed up: the rest was never made.
    assert (outcome.status, outcome.messages, outcome.tail_messages) == (STALLED, 0, 2)
    assert outcome.sequence == 3
    assert len(whole(outcome.tail)) == 2
    assert sender.messages == sender.lateness.sum() == 0
    pair.close()


def test_a_lost_socket_is_told_with_its_errno(module: ModuleType, pair: Pair) -> None:
    sender = module.Sender()
    number, begin = sender.add(pair.near.fileno(), Script(SOUND, SID, 0, 5), 0)
    other = Pair()
    second, _ = sender.add(other.near.fileno(), Script(SOUND, SID, 0, 1), 0)
    pair.far.close()
    sender.step(begin + FRAME_US)
    assert sorted(sender.ended()) == [(number, LOST, 32), (second, DONE, 0)]
    sender.step(begin + 2 * FRAME_US)
    assert sender.ended() == []
    assert sender.remove(number).messages == 0
    other.close()


def test_control_frames_go_between_messages(module: ModuleType) -> None:
    pair = Pair(room=4096)
    sender = module.Sender()
    full(pair)
    pong = b"\x8a\x80\0\0\0\0"
    number, begin = sender.add(pair.near.fileno(), Script(MONO, SID, 0, 3), 0)
    sender.step(begin)
    sender.control(number, pong)
    stuffing = len(pair.take())
    for turn in range(1, 4):
        sender.step(begin + turn * FRAME_US)
        pair.take()
    told = pair.came[stuffing:]
    assert [text[:6] for text in whole(told)] == [b'{"even', b"", b'{"even', b'{"even']
    outcome = sender.remove(number)
    assert (outcome.messages, outcome.status) == (4, DONE)
    pair.close()


def test_control_frames_are_bounded(module: ModuleType) -> None:
    pair = Pair(room=4096)
    sender = module.Sender()
    number, _ = sender.add(pair.near.fileno(), Script(MONO, SID, 0, 3), 0)
    for _ in range(10_000):
        sender.control(number, b"\x8a\x80\0\0\0\0" * 20)
    outcome = sender.remove(number)
    assert len(outcome.tail) == 120 * outcome.tail_messages <= sender_py.TAIL
    pair.close()


def test_removed_lines_are_left_alone(module: ModuleType, pair: Pair) -> None:
    sender = module.Sender()
    script = Script(MONO, SID, 0, 10)
    added = [sender.add(pair.near.fileno(), script, 0) for _ in range(200)]
    assert len(sender) == 200
    begin = max(begin for _, begin in added)
    for number, _ in added[1:]:
        assert sender.remove(number).status == PLAYING
    with pytest.raises(KeyError):
        sender.remove(added[1][0])
    with pytest.raises(KeyError):
        sender.control(added[1][0], b"")
    assert len(sender) == 1
    sender.step(begin)
    assert len(whole(pair.take())) == 1


def test_an_end_that_nobody_asked_about_goes_with_its_line(module: ModuleType, pair: Pair) -> None:
    sender = module.Sender()
    number, begin = sender.add(pair.near.fileno(), Script(MONO, SID, 0, 1), 0)
    sender.step(begin)
    sender.remove(number)
    assert sender.ended() == []


def test_mistakes(module: ModuleType) -> None:
    with pytest.raises(ValueError, match="patience_us must be positive"):
        module.Sender(patience_us=0)
    with pytest.raises(ValueError, match="together must be 1 to 50"):
        module.Sender(together=0)
    with pytest.raises(UsageError, match="not negative"):
        module.Sender().add(-1, Script(MONO, SID, 0, 1), 0)


def test_functions_are_written_to_as_sockets_are(module: ModuleType) -> None:
    came: list[bytes] = []

    def take(data: bytes) -> int:
        came.append(data[:100])
        return len(came[-1])

    sender = module.Sender()
    script = Script(MONO, SID, 0, 2)
    _, begin = sender.add(take, script, 0)
    for turn in range(20):
        sender.step(begin + turn * FRAME_US)
    assert b"".join(came) == spoken(script)


@pytest.mark.parametrize(("error", "number"), [(ConnectionResetError(104, "reset"), 104), (BlockingIOError(), None)])
def test_a_function_fails_as_a_socket_does(module: ModuleType, error: OSError, number: int | None) -> None:
    def take(data: bytes) -> int:
        raise error

    sender = module.Sender()
    line, begin = sender.add(take, Script(SOUND, SID, 0, 5), 0)
    sender.step(begin)
    assert sender.ended() == ([(line, LOST, number)] if number else [])
    assert sender.remove(line).tail_messages == (0 if number else 2)


def test_many_lines_on_few_sockets_are_all_sent(module: ModuleType) -> None:
    pairs = [Pair() for _ in range(3)]
    scripts = [Script(SOUND, SID, 0, 3, seed=number) for number in range(700)]
    sender = module.Sender()
    for number, script in enumerate(scripts):
        sender.add(pairs[number % 3].near.fileno(), script, 0)
    late = 300_000
    sender.step(late)
    assert sender.messages == sum(len(whole(pair.take())) for pair in pairs) == 700 * 6
    assert len(sender.ended()) == 700
    for pair in pairs:
        pair.close()


@pytest.mark.skipif(_native.NO_EXTENSIONS, reason="GATEWAY_NO_EXTENSIONS=1 asks for the twins")
def test_lines_come_and_go_while_a_thread_sends() -> None:
    sender: Any = compiled().Sender()
    thread = threading.Thread(target=sender.run)
    thread.start()
    pairs = [Pair() for _ in range(20)]
    scripts = [Script(SOUND, SID, 0, 10, seed=number) for number in range(20)]
    try:
        # A begin in the past: everything is due at once, so that the test waits for nothing but the thread.
        lines = [sender.add(pair.near.fileno(), script, 0)[0] for pair, script in zip(pairs, scripts, strict=True)]
        ended: list[tuple[int, int, int]] = []
        while len(ended) < 20:
            ended += sender.ended()
        assert sorted(ended) == [(number, DONE, 0) for number in lines]
        assert [sender.remove(number).messages for number in lines] == [20] * 20
    finally:
        sender.stop()
        thread.join()
    for pair, script in zip(pairs, scripts, strict=True):
        pair.take()
        assert pair.came == spoken(script)
        pair.close()
