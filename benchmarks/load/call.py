"""One call of a load: from its stream URL through the socket, the start, all media and the stop to the close."""

from __future__ import annotations

import asyncio
import random
from typing import Protocol

from benchmarks.load.pacer import Line, Pacer
from benchmarks.load.plan import Plan
from benchmarks.load.tally import Tally, Watched
from benchmarks.load.timed import Timed
from benchmarks.load.voice import Script, Sound, frame
from benchmarks.load.window import Window
from benchmarks.load.wire import MediaSocket
from gateway.errors import GatewayError
from gateway.participants import Track
from gateway.peers.emitter import FRAME_MS, Ending, Identity, closing, opening

__all__ = ["Call", "Load"]

OVERTIME_SECONDS = 30.0
"""A call that is not played by so long after its time has failed."""
CONNECT_SECONDS = 30.0


class Load(Protocol):
    """What all calls of a load share."""

    plan: Plan
    sound: Sound
    pacer: Pacer
    tally: Tally
    window: Window
    sent: int
    """Frames of the calls that are over."""

    @property
    def interrupted(self) -> bool:
        """Whether nothing more is to be said."""

    def at(self, gain_db: int) -> Sound:
        """What is said, so much louder."""


class Call:
    """One call from its stream URL to its close."""

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._dice = random.Random(f"{load.plan.seed}:{number}")
        self._first_frame = self._dice.randrange(load.sound.frames)
        self._gain_db = self._dice.randint(-load.plan.gain_db, load.plan.gain_db)
        self.identity = Identity.random()
        self._line: Line | None = None
        self._lost: str | None = None

    async def run(self, gateway: Timed) -> None:
        """Play the call.

        Raises:
            GatewayError: with the kind of failure as its message.
        """
        load, plan, stream_sid = self._load, self._load.plan, self.identity.stream_sids[0]
        socket = await MediaSocket.open(await gateway.stream_url(), self._on_lost, plan.context, CONNECT_SECONDS)
        try:
            tracks = tuple(map(Track, load.sound.tracks))
            said = opening(self.identity, tracks, plan.manner, stream_sid)
            socket.write(b"".join(frame(message.encode()) for message in said), len(said))
            streams = {} if plan.gated else await self._start(gateway)
            sequence = await self._play(socket, streams)
            if not plan.gated:
                await gateway.stop(self.identity.call_sid)
            if plan.manner.ending is Ending.STOP:
                socket.write(frame(closing(self.identity, sequence + 1, stream_sid).encode()))
            if plan.manner.ending is Ending.RESET:
                socket.reset()
        finally:
            if self._line is not None:
                load.pacer.leave(self._line)
            await socket.close()
            load.sent += socket.frames

    def hang_up(self) -> None:
        """Say no more: what follows a call's last word follows now."""
        if self._line is not None and not self._line.over.done():
            self._line.over.set_result(None)

    async def _start(self, gateway: Timed) -> dict[str, str]:
        answer = await gateway.start(self.identity.call_sid)
        parts = answer.get("autotranscribeResponse") or {}
        if answer.get("isOk") is not True:
            codes = sorted({str(part["status"]["code"]) for part in parts.values()})
            raise GatewayError(f"start {' '.join(codes)}")
        return {role: part["streamId"] for role, part in parts.items()}

    async def _play(self, socket: MediaSocket, streams: dict[str, str]) -> int:
        """All media; the last ``sequenceNumber``."""
        load, plan = self._load, self._load.plan
        if self._lost is not None:
            raise GatewayError(self._lost)
        line = self._line = load.pacer.play(socket, self._script())
        if load.interrupted:
            self.hang_up()
        load.tally.watch(self.identity.call_sid, Watched(streams, self._first_frame, line.begin))
        load.window.speaks(line.begin)
        await asyncio.wait_for(line.over, plan.duration + plan.manner.stall_ms / 1000 + OVERTIME_SECONDS)
        outcome = load.pacer.leave(line)
        return outcome.sequence if outcome is not None else 1

    def _script(self) -> Script:
        plan, manner = self._load.plan, self._load.plan.manner
        first = manner.first_timestamp_ms
        return Script(
            self._load.at(self._gain_db),
            self.identity.stream_sids[0].encode(),
            self._first_frame,
            frames=int(plan.duration * 1000 / FRAME_MS),
            stamp=self._dice.randint(100, 170) if first is None else first,
            seed=self._dice.getrandbits(64),
            jitter_ms=manner.jitter_ms,
            drop=manner.drop,
            send_silence=manner.send_silence,
            odd=plan.odd,
            stall_at_ms=manner.stall_at_ms,
            stall_ms=manner.stall_ms,
        )

    def _on_lost(self, why: str) -> None:
        self._lost = why
        if self._line is not None and not self._line.over.done():
            self._line.over.set_exception(GatewayError(why))
