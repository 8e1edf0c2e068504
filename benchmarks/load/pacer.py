"""Runs a sender: in a thread, without the GIL, or on the event loop, where it writes to transports (TLS).

Without extensions the compiled sender's twin does the latter.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import math
import os
import threading
import time
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.load import sender_py
from benchmarks.load.sender_py import DONE, LOST, STALLED, Outcome
from benchmarks.load.voice import Script
from benchmarks.load.wire import MediaSocket
from gateway._native import NO_EXTENSIONS
from gateway.errors import GatewayError

__all__ = ["Line", "Pacer", "percentile"]

POLL_S = 0.02
"""How soon the end of a line is seen."""
GRAIN_S = 0.001
"""How often the loop sends at the most."""
MAX_UNSENT = 256 * 1024
"""Bytes that a transport may hold before it takes no more."""


def percentile(bins: NDArray[np.int64], share: float) -> float:
    """Of lateness, in ms: the upper edge of the bin that holds it; 0 of nothing."""
    total = int(bins.sum())
    if not total:
        return 0.0
    return float(np.searchsorted(np.cumsum(bins), math.ceil(total * share)) + 1) / 10


def _module() -> ModuleType:
    """The compiled sender where it is built."""
    if not NO_EXTENSIONS:
        try:
            return importlib.import_module("benchmarks.load.sender")
        except ModuleNotFoundError as error:
            if error.name != "benchmarks.load.sender":
                raise
    return sender_py


@dataclass(slots=True)
class Line:
    """A call that is being played; ``over`` is done when all is sent, or fails with a GatewayError that tells why not.

    ``begin`` is when the first frame is due, on the monotonic clock.
    """

    number: int
    socket: MediaSocket
    begin: float
    over: asyncio.Future[None]
    descriptor: int


class Pacer:
    """Plays calls in real time; an async context manager.

    Args:
        native: send from a thread, which writes to plain sockets only.
        coalesced: send what is due of a call in one write.
        together: frames of each track in a write.
    """

    def __init__(self, native: bool = True, coalesced: bool = False, together: int = 1) -> None:
        module = _module()
        self.native: bool = native and module.HAS_THREAD
        self.compiled: bool = module.HAS_THREAD
        self.real_time = False
        """Whether the sender's thread runs before all that is not in real time, which needs a privilege."""
        self._sender: Any = module.Sender(coalesced=coalesced, together=together)
        self._lines: dict[int, Line] = {}
        self._thread: threading.Thread | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        if self.native:
            self._thread = threading.Thread(target=self._run, name="sender")
            self._thread.start()
        else:
            self._tasks.append(asyncio.create_task(self._step()))
        self._tasks.append(asyncio.create_task(self._poll()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._thread is not None:
            self._sender.stop()
            self._thread.join()
        for line in list(self._lines.values()):
            self.leave(line)

    @property
    def messages(self) -> int:
        """Media messages written whole so far."""
        sent: int = self._sender.messages
        return sent

    @property
    def lateness(self) -> NDArray[np.int64]:
        """Messages by how late they left, for :func:`percentile`."""
        bins: NDArray[np.int64] = self._sender.lateness
        return bins

    def play(self, socket: MediaSocket, script: Script) -> Line:
        """Play a script on an open socket; nobody else may write to it until :meth:`leave`.

        Raises:
            GatewayError: the socket is gone.
        """
        now = time.monotonic_ns() // 1000
        descriptor = -1
        if self.native:
            descriptor = socket.descriptor
            if descriptor < 0:
                raise GatewayError("reset")
            # The transport closes its own when the connection is lost, and the number would soon be another socket's.
            descriptor = os.dup(descriptor)
            number, begin_us = self._sender.add(descriptor, script, now)
        else:
            number, begin_us = self._sender.add(_through(socket), script, now)
        over = asyncio.get_running_loop().create_future()
        line = self._lines[number] = Line(number, socket, begin_us / 1e6, over, descriptor)
        socket.detour = lambda data: self._sender.control(number, data)
        return line

    def leave(self, line: Line) -> Outcome | None:
        """Give the socket back with all messages whole; None if it was given back before."""
        if self._lines.pop(line.number, None) is None:
            return None
        outcome: Outcome = self._sender.remove(line.number)
        if line.descriptor >= 0:
            os.close(line.descriptor)
        line.socket.detour = None
        line.socket.frames += outcome.messages
        if outcome.tail and outcome.status != LOST:
            line.socket.write(outcome.tail, outcome.tail_messages)
        if not line.over.cancel() and not line.over.cancelled():
            # Whatever failed first is told, and this no more.
            line.over.exception()
        return outcome

    def _run(self) -> None:
        # Whoever keeps time must not wait for who does not: on a busy core this takes the 99th percentile of lateness
        # from hundreds of ms to a few. A system without it, or that does not let us, does its best.
        with contextlib.suppress(OSError, AttributeError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
            self.real_time = True
        self._sender.run()

    async def _step(self) -> None:
        while True:
            due = self._sender.step(time.monotonic_ns() // 1000)
            # Some lines at a time: to wake for each place of the wheel costs more than to send.
            await asyncio.sleep(max(due / 1e6 - time.monotonic(), GRAIN_S))

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            for number, status, _ in self._sender.ended():
                line = self._lines.get(number)
                if line is None or line.over.done():
                    continue
                if status == DONE:
                    line.over.set_result(None)
                else:
                    line.over.set_exception(GatewayError("stalled" if status == STALLED else "reset"))


def _through(socket: MediaSocket) -> Any:
    """Writes to a socket's transport, as long as that has room."""

    def take(data: bytes) -> int:
        if socket.lost:
            raise ConnectionResetError
        if socket.unsent > MAX_UNSENT:
            return 0
        socket.write(data, 0)
        return len(data)

    return take
