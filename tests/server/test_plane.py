from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from websockets.frames import Frame, Opcode

from gateway import metrics
from gateway._native import plane as kernel
from gateway._native import reader as reader_kernel
from gateway.server.plane import MediaPlane

pytestmark = pytest.mark.skipif(not kernel.HAS_PLANE, reason="the tick exists compiled only")

TICK_MS = 5


class Socket:
    """A media socket that keeps what it is told."""

    def __init__(self) -> None:
        self.reader = reader_kernel.Reader()
        self.reader.owner = self
        self.texts: list[bytes] = []
        self.checks = 0
        self.heard = asyncio.Event()
        self.trouble: Exception | None = None
        # Called first of all.
        self.on_drain: Callable[[], None] = lambda: None
        self.on_check: Callable[[], None] = lambda: None

    def drain(self) -> None:
        self.on_drain()
        while (event := self.reader.next_event()) is not None:
            self.texts.append(event[1])
        self.heard.set()
        if self.trouble is not None:
            raise self.trouble

    def check(self, now: float) -> None:
        self.on_check()
        self.checks += 1
        if self.trouble is not None:
            raise self.trouble


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def plane() -> Iterator[MediaPlane]:
    plane = MediaPlane(TICK_MS)
    yield plane
    plane.close()


def text(message: bytes) -> bytes:
    return Frame(Opcode.TEXT, message).serialize(mask=True)


async def test_the_tick_reads_what_is_sent(plane: MediaPlane, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    listener = Socket()
    plane.add(listener)
    plane.register(ours.fileno(), listener.reader)
    theirs.sendall(text(b"one") + text(b"two"))
    await asyncio.wait_for(listener.heard.wait(), 10)
    assert listener.texts == [b"one", b"two"]
    plane.unregister(listener.reader)
    plane.remove(listener)
    assert len(plane) == 0


async def test_a_sweep_reads_gated_calls_as_well(plane: MediaPlane, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    listener = Socket()
    listener.reader.bind(b"MZ", None, None)
    plane.register(ours.fileno(), listener.reader)
    theirs.sendall(text(b"one"))
    plane.sweep()
    # Bytes came just now: a round would leave it alone.
    theirs.sendall(text(b"two"))
    plane.sweep()
    assert listener.texts == [b"one", b"two"]
    plane.unregister(listener.reader)


async def test_whoever_wants_to_is_told_of_every_tick(pair: tuple[socket.socket, socket.socket]) -> None:
    """Also of those that fail him: the next one comes all the same."""
    ours, _ = pair
    listener, told = Socket(), asyncio.Semaphore(0)

    def on_tick() -> None:
        told.release()
        raise RuntimeError("not now")

    plane = MediaPlane(TICK_MS, on_tick)
    plane.register(ours.fileno(), listener.reader)
    async with asyncio.timeout(10):
        await told.acquire()
        await told.acquire()
    plane.unregister(listener.reader)
    plane.close()


async def test_a_sweep_reads_at_once(plane: MediaPlane, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    listener = Socket()
    plane.add(listener)
    plane.register(ours.fileno(), listener.reader)
    theirs.sendall(text(b"now"))
    plane.sweep()
    assert listener.texts == [b"now"]
    plane.unregister(listener.reader)


def ticks() -> float:
    return metrics.REGISTRY.get_sample_value("gateway_tick_seconds_count") or 0.0


async def test_a_sweep_is_not_measured_as_a_tick(plane: MediaPlane, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    listener = Socket()
    plane.add(listener)
    before = ticks()
    plane.register(ours.fileno(), listener.reader)
    # The loop does not turn meanwhile, so that no tick can come.
    for _ in range(5):
        plane.sweep()
    assert ticks() == before
    theirs.sendall(text(b"tick"))
    await asyncio.wait_for(listener.heard.wait(), 10)
    async with asyncio.timeout(10):
        while ticks() == before:
            await asyncio.sleep(0)
    plane.unregister(listener.reader)


async def test_a_socket_that_fails_keeps_no_other_from_being_swept(plane: MediaPlane) -> None:
    pairs = [socket.socketpair() for _ in range(3)]
    listeners = [Socket() for _ in pairs]
    listeners[0].trouble = listeners[1].trouble = RuntimeError("no")
    for listener, (ours, theirs) in zip(listeners, pairs, strict=True):
        ours.setblocking(False)
        plane.add(listener)
        plane.register(ours.fileno(), listener.reader)
        theirs.sendall(text(b"now"))
    plane.sweep()
    assert [listener.texts for listener in listeners] == [[b"now"]] * 3
    for listener, both in zip(listeners, pairs, strict=True):
        plane.unregister(listener.reader)
        for end in both:
            end.close()


async def test_without_sockets_it_sleeps_and_wakes_with_the_next(
    plane: MediaPlane, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    for word in (b"first", b"second"):
        listener = Socket()
        plane.add(listener)
        plane.register(ours.fileno(), listener.reader)
        theirs.sendall(text(word))
        await asyncio.wait_for(listener.heard.wait(), 10)
        assert listener.texts == [word]
        plane.unregister(listener.reader)
        plane.remove(listener)
        async with asyncio.timeout(10):
            while plane._timer is not None:
                await asyncio.sleep(0)


async def test_a_socket_that_fails_stops_neither_the_tick_nor_the_checks(
    plane: MediaPlane, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.server.plane.CHECK_S", 0.01)
    ours, theirs = pair
    bad, good = Socket(), Socket()
    bad.trouble = RuntimeError("no")
    for listener in (bad, good):
        plane.add(listener)
    plane.register(ours.fileno(), bad.reader)
    theirs.sendall(text(b"one"))
    await asyncio.wait_for(bad.heard.wait(), 10)
    bad.heard.clear()
    theirs.sendall(text(b"two"))
    await asyncio.wait_for(bad.heard.wait(), 10)
    assert bad.texts == [b"one", b"two"]
    async with asyncio.timeout(10):
        while good.checks < 2:
            await asyncio.sleep(0.001)
    plane.unregister(bad.reader)


@contextmanager
def crowd(plane: MediaPlane, count: int) -> Iterator[tuple[list[Socket], list[socket.socket]]]:
    """So many sockets that the plane reads, and their peers' ends."""
    pairs = [socket.socketpair() for _ in range(count)]
    listeners = [Socket() for _ in pairs]
    for listener, (ours, _) in zip(listeners, pairs, strict=True):
        ours.setblocking(False)
        plane.add(listener)
        plane.register(ours.fileno(), listener.reader)
    yield listeners, [theirs for _, theirs in pairs]
    for listener, both in zip(listeners, pairs, strict=True):
        plane.unregister(listener.reader)
        plane.remove(listener)
        for end in both:
            end.close()


def turns(loop: asyncio.AbstractEventLoop) -> Callable[[], int]:
    """Tells which turn of the loop it is."""
    count = 0

    def turn() -> None:
        nonlocal count
        count += 1
        loop.call_soon(turn)

    turn()
    return lambda: count


async def test_a_round_of_many_sockets_gives_everybody_else_turns(
    plane: MediaPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.server.plane.SLICE_SOCKETS", 2)
    with crowd(plane, 5) as (listeners, peers):
        now = turns(asyncio.get_running_loop())
        heard: list[int] = []
        for listener in listeners:
            listener.on_drain = lambda: heard.append(now())
        for peer in peers:
            peer.sendall(text(b"one"))
        async with asyncio.timeout(10):
            for listener in listeners:
                await listener.heard.wait()
    assert [heard.count(turn) for turn in sorted(set(heard))] == [2, 2, 1]


async def test_a_tick_ends_when_it_has_read_enough(plane: MediaPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.plane.SLICE_BYTES", 1)
    with crowd(plane, 3) as (listeners, peers):
        now = turns(asyncio.get_running_loop())
        heard: list[int] = []
        for listener in listeners:
            listener.on_drain = lambda: heard.append(now())
        for peer in peers:
            peer.sendall(text(b"one"))
        async with asyncio.timeout(10):
            for listener in listeners:
                await listener.heard.wait()
    assert len(set(heard)) == 3


async def test_events_of_many_are_handled_in_turns(plane: MediaPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands who hang up at once do not hold up everybody else; each is told once."""
    monkeypatch.setattr("gateway.server.plane.DRAIN_S", 0.0)
    with crowd(plane, 4) as (listeners, peers):
        now = turns(asyncio.get_running_loop())
        heard: list[tuple[int, int]] = []
        for number, listener in enumerate(listeners):
            listener.on_drain = lambda number=number: heard.append((number, now()))  # type: ignore[misc]  # early bound
        for peer in peers:
            peer.sendall(text(b"bye"))
        async with asyncio.timeout(10):
            for listener in listeners:
                await listener.heard.wait()
    assert [number for number, _ in heard] == [0, 1, 2, 3]
    assert len({turn for _, turn in heard}) == 4


async def test_who_is_gone_before_his_turn_is_not_told(plane: MediaPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.plane.DRAIN_S", 0.0)
    with crowd(plane, 2) as (listeners, peers):
        listeners[0].on_drain = lambda: plane.unregister(listeners[1].reader)
        for peer in peers:
            peer.sendall(text(b"bye"))
        before = ticks()
        async with asyncio.timeout(10):
            while ticks() < before + 3:
                await asyncio.sleep(0.001)
        assert listeners[1].texts == []


async def test_lives_are_judged_in_turns_and_each_as_often(plane: MediaPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.plane.CHECK_S", 0.02)
    monkeypatch.setattr("gateway.server.plane.CHECKED", 2)
    with crowd(plane, 5) as (listeners, _):
        now = turns(asyncio.get_running_loop())
        judged: list[int] = []
        for listener in listeners:
            listener.on_check = lambda: judged.append(now())
        async with asyncio.timeout(10):
            while min(listener.checks for listener in listeners) < 3:
                await asyncio.sleep(0.001)
        assert max(listener.checks for listener in listeners) <= 4
        assert max(judged.count(turn) for turn in judged) == 2


async def test_one_socket_is_read_until_it_is_empty(plane: MediaPlane) -> None:
    """Before a start or stop: however much lies there, and no other socket's."""
    message = text(b"x" * 1000)
    count = 3 * 32768 // len(message)
    with crowd(plane, 2) as (listeners, peers):
        for peer in peers:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            peer.sendall(message * count)
        plane.catch_up(listeners[0].reader)
        assert [len(listener.texts) for listener in listeners] == [count, 0]
        plane.unregister(listeners[1].reader)
        plane.catch_up(listeners[1].reader)
        assert listeners[1].texts == []


async def test_catching_up_with_a_flood_ends(plane: MediaPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.plane.CATCH_UP_READS", 2)
    with crowd(plane, 1) as ((listener,), (peer,)):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        peer.sendall(text(b"x" * 1000) * 150)
        plane.catch_up(listener.reader)
        assert listener.reader.bytes == 2 * 32768


async def test_a_look_reads_the_newest_that_have_brought_no_stream(
    plane: MediaPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.server.plane.LOOKED_AT", 2)
    with crowd(plane, 5) as (listeners, peers):
        for peer in peers:
            peer.sendall(text(b"start"))
        plane.known(listeners[4].reader)
        plane.unregister(listeners[2].reader)
        plane.look()
        assert [len(listener.texts) for listener in listeners] == [0, 1, 0, 1, 0]


def rounds() -> float:
    return metrics.REGISTRY.get_sample_value("gateway_round_seconds_count") or 0.0


async def test_the_time_between_rounds_is_measured(plane: MediaPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.plane.SLICE_SOCKETS", 1)
    with crowd(plane, 3):
        before = ticks(), rounds()
        async with asyncio.timeout(10):
            while rounds() < before[1] + 4:
                await asyncio.sleep(0.001)
        # The first round has none before it.
        assert ticks() - before[0] >= 3 * (rounds() - before[1])
