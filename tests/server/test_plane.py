from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from websockets.frames import Frame, Opcode

from gateway import metrics
from gateway._native import plane as kernel
from gateway.server.plane import MediaPlane

pytestmark = pytest.mark.skipif(not kernel.HAS_PLANE, reason="the tick exists compiled only")

TICK_MS = 5


class Socket:
    """A media socket that keeps what it is told."""

    def __init__(self) -> None:
        self.reader = kernel.Reader()
        self.reader.owner = self
        self.texts: list[bytes] = []
        self.checks = 0
        self.heard = asyncio.Event()
        self.trouble: Exception | None = None

    def drain(self) -> None:
        while (event := self.reader.next_event()) is not None:
            self.texts.append(event[1])
        self.heard.set()
        if self.trouble is not None:
            raise self.trouble

    def check(self, now: float) -> None:
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
