"""The tick: one native call reads every plain media socket, then each socket's events are handled.

Without kernels (``GATEWAY_NO_EXTENSIONS=1``) and for sockets under in-process TLS there is no tick; bytes come through
the transports and feed the same reader.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol, cast

import structlog

from gateway import metrics
from gateway._native import plane as plane_kernel
from gateway._native.plane_py import Reader
from gateway.clock import monotonic_ms

__all__ = ["MediaPlane", "PlaneSocket"]

log = structlog.get_logger(__name__)

CHECK_S = 1.0

FEW_SOCKETS = 64
"""So few are read twice as often: 5 ms less for every transcript, and less than a hundredth of a core."""


class PlaneSocket(Protocol):
    """A media socket, as far as the plane needs it."""

    def drain(self) -> None:
        """Handle the reader's events."""

    def check(self, now: float) -> None:
        """Judge the socket's life."""


class MediaPlane:
    """All media sockets of the process.

    Args:
        tick_ms: how often they are read.
        on_tick: called after each time, when there may be new media.
    """

    def __init__(self, tick_ms: int, on_tick: Callable[[], None] | None = None) -> None:
        self._tick_s = tick_ms / 1000
        self._on_tick = on_tick
        self._kernel = plane_kernel.Plane() if plane_kernel.HAS_PLANE else None
        self._sockets: set[PlaneSocket] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._checker: asyncio.TimerHandle | None = None
        self._next = 0.0
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def direct(self) -> bool:
        """Whether plain sockets are read by the tick."""
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
            self._empty.set()
        metrics.SOCKETS.set(len(self._sockets))

    async def emptied(self) -> None:
        """Return when no media socket is open."""
        await self._empty.wait()

    def register(self, fd: int, reader: Reader) -> None:
        """Read ``fd`` at every tick from now on.

        DANGER: the descriptor must be unregistered before it is closed, lest another socket gets its number.
        """
        if self._kernel is None:
            return
        self._kernel.register(fd, reader)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._next = loop.time()
            self._timer = loop.call_at(self._next, self._tick)

    def unregister(self, reader: Reader) -> None:
        """Leave a socket alone from now on; safe to call twice."""
        if self._kernel is not None:
            self._kernel.unregister(reader)

    def sweep(self) -> None:
        """Read all sockets now, so that what was sent before a start or stop is on its side of the cut.

        Sockets under in-process TLS are not swept: what their transports have not delivered yet comes after the cut.
        """
        if self._kernel is None:
            return
        for reader in self._kernel.tick(monotonic_ms()):
            owner = cast(PlaneSocket | None, reader.owner)
            if owner is None:
                continue
            try:
                owner.drain()
            except Exception:
                log.exception("media socket failed")

    def _tick(self) -> None:
        self._timer = None
        started = time.perf_counter()
        try:
            self.sweep()
            if self._on_tick is not None:
                self._on_tick()
        except Exception:
            log.exception("tick failed")
        metrics.TICK_SECONDS.observe(time.perf_counter() - started)
        if self._kernel is not None and self._kernel.sockets:
            loop = asyncio.get_running_loop()
            # On a fixed grid; after a stall the grid starts anew rather than being caught up with.
            period = self._tick_s / 2 if self._kernel.sockets <= FEW_SOCKETS else self._tick_s
            self._next = max(self._next + period, loop.time())
            self._timer = loop.call_at(self._next, self._tick)

    def _check(self) -> None:
        now = time.monotonic()
        for socket in list(self._sockets):
            try:
                socket.check(now)
            except Exception:
                log.exception("socket check failed")
        self._checker = asyncio.get_running_loop().call_later(CHECK_S, self._check) if self._sockets else None

    def close(self) -> None:
        """Stop ticking; the sockets are closed by their owners."""
        for timer in (self._timer, self._checker):
            if timer is not None:
                timer.cancel()
        self._timer = self._checker = None
