"""Many calls of one gateway, opened, played and ended together: benchmarks of memory and of storms are made of them.

A crowd shares one stream URL, which admits any number of sockets while it is valid (300 s by default).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ssl import SSLContext

from benchmarks.load.pacer import Line, Pacer
from benchmarks.load.voice import Script, Sound, frame
from benchmarks.load.wire import MediaSocket
from gateway.errors import GatewayError
from gateway.participants import Track
from gateway.peers.client import GatewayClient
from gateway.peers.emitter import FRAME_MS, Identity, Manner, closing, opening

__all__ = ["Caller", "Crowd", "Ending"]

CONNECT_SECONDS = 30.0
AT_ONCE = 16
"""API requests in flight."""


class Ending(StrEnum):
    """How a crowd hangs up: Twilio's ``stop`` and a close frame, the end of the TCP connection, or a reset."""

    STOP = "stop"
    FIN = "fin"
    RST = "rst"


@dataclass(slots=True)
class Caller:
    """One call with both tracks on one socket."""

    identity: Identity
    socket: MediaSocket
    line: Line | None = None
    sequence: int = 1


class Crowd:
    """Calls of one gateway.

    Args:
        client: of the gateway.
        pacer: what plays their media.
        context: TLS settings for ``wss://``.
        seed: of where in a recording each begins.
    """

    def __init__(self, client: GatewayClient, pacer: Pacer, context: SSLContext | None = None, seed: int = 1) -> None:
        self._client = client
        self._pacer = pacer
        self._context = context
        self._dice = random.Random(seed)
        self.sent = 0
        """WebSocket frames of the calls that have hung up."""
        self.errors: Counter[str] = Counter()
        self.upgrades_ms: list[float] = []
        """Of each socket, from when it was due to the 101."""
        self.late_ms: list[float] = []
        """How long after it was due each began to connect: this process's own fault."""

    async def open(self, count: int, seconds: float = 0.0) -> list[Caller]:
        """Open sockets evenly over a time, whatever becomes of the earlier ones; those that were admitted.

        Each has sent its ``start`` message. What failed is in :attr:`errors`.
        """
        url = await self._client.stream_url()
        begin = time.monotonic()
        tasks = []
        for number in range(count):
            due = begin + seconds * number / count
            if (rest := due - time.monotonic()) > 0:
                await asyncio.sleep(rest)
            tasks.append(asyncio.create_task(self._open(url, due)))
        return [caller for caller in await asyncio.gather(*tasks) if caller is not None]

    async def _open(self, url: str, due: float) -> Caller | None:
        identity, admitted = Identity.random(), False

        def on_lost(why: str) -> None:
            # One that was refused is gone too, which is told already.
            if admitted:
                self.errors[f"lost: {why}"] += 1

        self.late_ms.append((time.monotonic() - due) * 1000)
        try:
            socket = await MediaSocket.open(url, on_lost, self._context, CONNECT_SECONDS)
        except GatewayError as error:
            self.errors[str(error)] += 1
            return None
        admitted = True
        self.upgrades_ms.append((time.monotonic() - due) * 1000)
        for message in opening(identity, tuple(Track), Manner(), identity.stream_sids[0]):
            socket.write(frame(message.encode()))
        return Caller(identity, socket)

    async def start(self, callers: Sequence[Caller]) -> list[float]:
        """Start their transcription, a few at a time; ms of each answer."""
        turn, taken = asyncio.Semaphore(AT_ONCE), []

        async def one(caller: Caller) -> None:
            async with turn:
                begun = time.monotonic()
                try:
                    answer = await self._client.start(caller.identity.call_sid, "customer", "agent")
                except GatewayError as error:
                    self.errors[f"start: {error}"] += 1
                    return
                taken.append((time.monotonic() - begun) * 1000)
                if answer.get("isOk") is not True:
                    self.errors["start refused"] += 1

        await asyncio.gather(*map(one, callers))
        return taken

    def play(self, callers: Sequence[Caller], sound: Sound, seconds: float) -> None:
        """Play a recording to each, from a place of its own, until the time is over or it hangs up."""
        for caller in callers:
            script = Script(
                sound,
                caller.identity.stream_sids[0].encode(),
                self._dice.randrange(sound.frames),
                int(seconds * 1000 / FRAME_MS),
                seed=self._dice.getrandbits(64),
            )
            try:
                caller.line = self._pacer.play(caller.socket, script)
            except GatewayError as error:
                self.errors[str(error)] += 1

    async def hang_up(self, callers: Sequence[Caller], ending: Ending) -> None:
        """End all calls at once, and wait until their sockets are gone."""
        for caller in callers:
            if caller.line is not None and (outcome := self._pacer.leave(caller.line)) is not None:
                caller.sequence = outcome.sequence
        for caller in callers:
            if ending is Ending.STOP:
                stop = closing(caller.identity, caller.sequence + 1, caller.identity.stream_sids[0])
                caller.socket.write(frame(stop.encode()))
            elif ending is Ending.FIN:
                caller.socket.hang_up()
            else:
                caller.socket.reset()
        await asyncio.gather(*(caller.socket.close() for caller in callers))
        self.sent += sum(caller.socket.frames for caller in callers)
