"""The tick: native calls read the media sockets in rounds, then each socket's events are handled.

A tick reads a slice of the sockets, of so many sockets and bytes at the most, and handles the events that there are for
a millisecond; what is left has its turn in the next tick, after requests and whatever else waits. When ticks come
is told by :mod:`gateway.server.rhythm`. Without media sockets there is none: an idle gateway sleeps.

Sockets under in-process TLS are the last slices of a round (:mod:`gateway.server.tls`). Without kernels
(``GATEWAY_NO_EXTENSIONS=1``) there is no tick; bytes come through the transports and feed the same reader.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import islice
from typing import Protocol, cast

import structlog

from gateway import metrics
from gateway._native import plane as plane_kernel
from gateway._native.reader_py import Reader
from gateway.clock import monotonic_ms
from gateway.server.rhythm import Rhythm
from gateway.server.tls import SealedSocket, SealedSockets

__all__ = ["MediaPlane", "PlaneSocket"]

log = structlog.get_logger(__name__)

CHECK_S = 1.0
"""How often the life of each socket is judged."""

CHECKED = 64
"""Sockets that are judged in one turn of the loop: a fifth of a millisecond."""

SLICE_SOCKETS = 512
SLICE_BYTES = 1 << 20
"""What one tick reads: about 3 ms of either. 3,000 calls bring 4.5 MB in 40 ms."""

GATED_MS = 70
"""How long after its last bytes a socket is left alone whose call is gated: every second round at 40 ms.

Nobody hears what it says, a start reads it first, and half of the reads cost half as much (docs/capacity.md).
"""

DRAIN_S = 0.001
"""How long a tick handles events; each socket has its own bound too (``connection.MAX_EVENTS``).

A request takes several turns of the loop. While thousands hang up each turn has such a tick, and what follows from it.
"""

EARLY_S = 0.001
"""uvloop's timers count milliseconds: one that comes this much early has come."""

CATCH_UP_READS = 32
"""Most reads of one socket before a start or stop: 1 MiB, half a minute of media that were held up."""

LOOKED_AT = 32
"""Newcomers that are read for a start that finds no stream: as many as connect in a round when 400 a second do."""


class PlaneSocket(Protocol):
    """A media socket, as far as the plane needs it."""

    def drain(self) -> None:
        """Handle the reader's events."""

    def check(self, now: float) -> None:
        """Judge the socket's life."""


class MediaPlane:
    """All media sockets of the process.

    Args:
        tick_ms: how often they are read, if there are neither few nor very many.
        on_tick: called after each tick, when there may be new media.
    """

    def __init__(self, tick_ms: int, on_tick: Callable[[], None] | None = None) -> None:
        self._on_tick = on_tick
        self._kernel = plane_kernel.Plane() if plane_kernel.HAS_PLANE else None
        self._sealed = SealedSockets()
        # Readers of sockets that have brought no stream yet, the newest last.
        self._newcomers: dict[Reader, None] = {}
        self._sockets: set[PlaneSocket] = set()
        # Sockets whose life is still to be judged this time.
        self._unchecked: list[PlaneSocket] = []
        # Readers whose events are to be handled, each once, in the order in which they were read.
        self._ready: dict[Reader, None] = {}
        self.rhythm = Rhythm(tick_ms / 1000)
        self._timer: asyncio.Handle | None = None
        self._checker: asyncio.TimerHandle | None = None
        # By the monotonic clock, which is the loop's too: when the next slice is due, and when this round began.
        self._due = 0.0
        self._round_began: float | None = None
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def direct(self) -> bool:
        """Whether sockets are read by the tick."""
        return self._kernel is not None

    def __len__(self) -> int:
        return len(self._sockets)

    def __contains__(self, socket: PlaneSocket) -> bool:
        return socket in self._sockets

    @property
    def sockets(self) -> list[PlaneSocket]:
        """The media sockets that are open."""
        return list(self._sockets)

    def add(self, socket: PlaneSocket) -> None:
        """A media socket has opened."""
        self._sockets.add(socket)
        self._empty.clear()
        metrics.SOCKETS.set(len(self._sockets))
        if self._checker is None:
            self._checker = asyncio.get_running_loop().call_later(CHECK_S, self._check)

    def remove(self, socket: PlaneSocket) -> None:
        """A media socket is gone."""
        self._sockets.discard(socket)
        if not self._sockets:
            self._unchecked.clear()
            self._empty.set()
        metrics.SOCKETS.set(len(self._sockets))

    async def emptied(self) -> None:
        """Return when no media socket is open."""
        await self._empty.wait()

    # Reading

    def register(self, fd: int, reader: Reader) -> None:
        """Read ``fd`` in every round from now on.

        DANGER: the descriptor must be unregistered before it is closed, lest another socket gets its number.
        """
        if self._kernel is None:
            return
        self._kernel.register(fd, reader)
        self._newcomers[reader] = None
        self._wake()

    def register_sealed(self, socket: SealedSocket) -> None:
        """Read a socket under TLS in every round from now on."""
        self._sealed.add(socket)
        self._newcomers[socket.reader] = None
        self._wake()

    def unregister(self, reader: Reader) -> None:
        """Leave a socket alone from now on; safe to call twice."""
        if self._kernel is not None:
            self._kernel.unregister(reader)
        self._sealed.discard(reader)
        self._newcomers.pop(reader, None)
        self._ready.pop(reader, None)

    def known(self, reader: Reader) -> None:
        """The socket has brought its stream."""
        self._newcomers.pop(reader, None)

    def look(self) -> None:
        """Read the newest sockets that have brought no stream yet, out of their turn."""
        for reader in list(islice(reversed(self._newcomers), LOOKED_AT)):
            self.catch_up(reader)

    def sweep(self) -> None:
        """Read every plain socket now, and handle all events: for the gateway's end."""
        if self._kernel is None:
            return
        while self._kernel.under_way:
            self._read()
        self._read()
        while self._ready:
            self._drain()

    def catch_up(self, reader: Reader) -> None:
        """Read one socket until it is empty, so that what was sent before a start or stop is on its side of the cut."""
        self._sealed.receive(reader)
        if self._kernel is None:
            return
        self._drain_one(reader)
        for _ in range(CATCH_UP_READS):
            taken = self._kernel.read(reader, monotonic_ms())
            self._drain_one(reader)
            if taken < self._kernel.most:
                return

    def _wake(self) -> None:
        if self._timer is None:
            now = time.monotonic()
            self.rhythm.begin(now)
            self._due = now
            self._round_began = None
            self._timer = asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        self._timer = None
        began, used = time.monotonic(), time.thread_time()
        read, over = began >= self._due - EARLY_S, True
        try:
            if read:
                over = self._read_on(began)
            self._drain()
            if self._on_tick is not None:
                self._on_tick()
        except Exception:
            log.exception("tick failed")
        now = time.monotonic()
        metrics.TICK_SECONDS.observe(now - began)
        sockets = len(self._sealed) + (self._kernel.sockets if self._kernel is not None else 0)
        if read:
            self._due = self.rhythm.done(now, now - began, time.thread_time() - used, sockets, over=over)
        if self._closed or not (sockets or self._ready):
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_soon(self._tick) if self._ready else loop.call_at(self._due, self._tick)

    def _read_on(self, now: float) -> bool:
        """Read a slice of this round, or the first one of the next; whether the round is over with it."""
        if self._kernel is None:
            return True
        if not self._sealed.under_way:
            if not self._kernel.under_way:
                self._begin(now)
            if self._kernel.sockets:
                self._read(SLICE_SOCKETS, SLICE_BYTES, GATED_MS)
                if self._kernel.under_way:
                    return False
            self._sealed.begin()
            if self._kernel.sockets:
                # Theirs is the next slice.
                return not self._sealed.under_way
        self._sealed.read()
        return not self._sealed.under_way

    def _begin(self, now: float) -> None:
        if self._round_began is not None:
            metrics.ROUND_SECONDS.observe(now - self._round_began)
        self._round_began = now

    def _read(self, *limits: int) -> None:
        assert self._kernel is not None  # noqa: S101 - who calls has looked
        self._ready.update(dict.fromkeys(self._kernel.tick(monotonic_ms(), *limits)))

    def _drain(self) -> None:
        """Handle events for a while."""
        until = time.monotonic() + DRAIN_S
        while self._ready:
            reader = next(iter(self._ready))
            del self._ready[reader]
            self._drain_one(reader)
            if time.monotonic() >= until:
                return

    def _drain_one(self, reader: Reader) -> None:
        owner = cast(PlaneSocket | None, reader.owner)
        if owner is None:
            return
        try:
            owner.drain()
        except Exception:
            log.exception("media socket failed")

    # Life

    def _check(self) -> None:
        """Judge the sockets' lives, some in each turn, so that thousands hold nobody up."""
        if not self._unchecked:
            self._unchecked = list(self._sockets)
        turns = max(1, -(-len(self._sockets) // CHECKED))
        now = time.monotonic()
        for socket in self._unchecked[-CHECKED:]:
            # It may have closed since the turn before.
            if socket not in self._sockets:
                continue
            try:
                socket.check(now)
            except Exception:
                log.exception("socket check failed")
        del self._unchecked[-CHECKED:]
        wait = CHECK_S / turns
        self._checker = asyncio.get_running_loop().call_later(wait, self._check) if self._sockets else None

    def close(self) -> None:
        """Stop ticking; the sockets are closed by their owners."""
        self._closed = True
        for timer in (self._timer, self._checker):
            if timer is not None:
                timer.cancel()
        self._timer = self._checker = None
