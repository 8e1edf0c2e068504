"""One measurement of ``bench_ingest``: media sockets on a server, paced, and what they cost it while all of them speak.

Every call says the same recording, from one of fifty places, with the same timestamps, so that a server's bytes and
sums are known beforehand.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.ingest.report import Row
from benchmarks.ingest.servers import GatewayServer, Server, busy_seconds
from benchmarks.load.generator import raise_descriptor_limit
from benchmarks.load.pacer import Line, Pacer, percentile
from benchmarks.load.voice import FRAME_BYTES, Script, Sound, Voice
from benchmarks.load.wire import MediaSocket, frame
from benchmarks.process import cpu_seconds
from gateway._native import mulaw
from gateway._native.track_py import Track as Twin
from gateway.errors import GatewayError
from gateway.participants import Track
from gateway.peers.emitter import FRAME_MS, Identity, Manner, opening

__all__ = ["Expected", "measure"]

_T = TypeVar("_T")

WARM_SECONDS = 1.0
"""From the first message of the last socket to the begin of what counts."""
SPARE_SECONDS = 0.5
"""Media go on behind what counts."""
END_SECONDS = 4.0
"""How long something more is waited for; a gateway counts once a second."""
PLACES = 50
CHECKED = 10
"""Calls of a gateway whose checksums are looked at."""
OPENING_FRAMES = 2
CONNECT_SECONDS = 30.0
CONNECTING = 64
STARTING = 8
STAMP = 120
TRACKS = 2
SPARE_DESCRIPTORS = 512


@dataclass(frozen=True)
class Expected:
    """What a load of so many calls comes to at a server that takes all of it."""

    sound: Sound
    calls: int
    frames: int

    def script(self, number: int, stream_sid: str) -> Script:
        """Of a call, by its number."""
        first = number % PLACES * self.sound.frames // PLACES
        return Script(self.sound, stream_sid.encode(), first, self.frames, stamp=STAMP, seed=1)

    @property
    def messages(self) -> int:
        """Media messages of all calls."""
        return self.calls * self.frames * len(self.sound.tracks)

    @cached_property
    def line_bytes(self) -> int:
        """Bytes of a call's media, the same for all."""
        voice = Voice(self.script(0, "MZ" + "0" * 32))
        return sum(len(data) for _ in range(self.frames) for data in voice.next())

    @property
    def samples(self) -> int:
        """Of all tracks."""
        return self.messages * FRAME_BYTES

    @cached_property
    def checksum(self) -> int:
        """CRC-32 of the PCM of each track, all added up: what the scripts of ``runners/`` answer."""
        sums = [self._crc(number) for number in range(min(PLACES, self.calls))]
        return sum(sums[number % PLACES] for number in range(self.calls))

    def _crc(self, number: int) -> int:
        script = self.script(number, "MZ")
        size, begin = self.frames * FRAME_BYTES, script.first * FRAME_BYTES
        total = 0
        for ulaw in self.sound.ulaw:
            # A frame behind the last one is the first one again.
            recording = np.frombuffer(ulaw, np.uint8)[: self.sound.frames * FRAME_BYTES]
            said = np.take(recording, np.arange(begin, begin + size), mode="wrap")
            total += zlib.crc32(mulaw.decode(said.tobytes()).astype("<i2").tobytes())
        return total

    def gateway_sums(self, number: int) -> dict[str, tuple[int, str]]:
        """Samples and checksum of each track of a call, as a gateway's own twin finds them."""
        twins = {name: Twin(checksum=True, keep_pcm=False) for name in self.sound.tracks}
        for twin in twins.values():
            twin.open_gate()
        voice = Voice(self.script(number, "MZ"))
        for _ in range(self.frames):
            for data in voice.next():
                media = orjson.loads(_text(data))["media"]
                index = voice.script.first + voice.sent - 1
                begin = index % self.sound.frames * FRAME_BYTES
                ulaw = self.sound.ulaw[self.sound.tracks.index(media["track"])]
                twins[media["track"]].place(int(media["timestamp"]), ulaw[begin : begin + FRAME_BYTES], 0)
        return {
            name: (twin.received_samples + twin.filled_samples, twin.checksum_hex()) for name, twin in twins.items()
        }


def _text(data: bytes) -> bytes:
    """Of a masked frame of 126 bytes or more."""
    body = np.frombuffer(data[8:], np.uint8)
    return (body ^ np.resize(np.frombuffer(data[4:8], np.uint8), len(body))).tobytes()


@dataclass(frozen=True, slots=True)
class _Look:
    """How things stood at a moment: seconds that the server ran, that its main threads ran or waited for the core, and
    that this process ran; messages sent, and how late."""

    at: float
    cpu: float
    busy: list[float]
    own: float
    sent: int
    late: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Count:
    """When, and how many media messages a server had taken (one of bytes is asked for those) in how many rounds."""

    asked: float
    at: float
    taken: float
    rounds: int


class _Run:
    """All sockets of one measurement."""

    def __init__(self, server: Server, expected: Expected, seconds: float, start: bool) -> None:
        self.server = server
        self.expected = expected
        self.seconds = seconds
        self.start = start
        self.identities = [Identity.random() for _ in range(expected.calls)]
        self.opened: list[MediaSocket] = []
        """To be closed, whatever happens."""
        self.sockets: list[MediaSocket] = []
        """By number of the call."""
        self.lost = 0
        self.opening_bytes = 0

    def _on_lost(self, why: str) -> None:
        self.lost += 1

    async def open(self) -> None:
        """Connect, shake hands and begin the streams; start the calls.

        Raises:
            GatewayError: one of them failed.
        """
        url = await self.server.media_url()

        async def one(identity: Identity) -> MediaSocket:
            socket = await MediaSocket.open(url, self._on_lost, self.server.context, CONNECT_SECONDS)
            self.opened.append(socket)
            tracks = tuple(map(Track, self.expected.sound.tracks))
            for message in opening(identity, tracks, Manner(), identity.stream_sids[0]):
                data = frame(message.encode())
                socket.write(data)
                self.opening_bytes += len(data)
            return socket

        self.sockets = await _some([partial(one, identity) for identity in self.identities], CONNECTING)
        if self.start:
            assert isinstance(self.server, GatewayServer)
            begin = self.server.client.start
            starts = [partial(begin, one.call_sid, "customer", "agent") for one in self.identities]
            answers: list[dict[str, Any]] = await _some(starts, STARTING)
            if refused := sum(answer.get("isOk") is not True for answer in answers):
                raise GatewayError(f"{refused} of {len(answers)} starts were refused")

    async def speak(self, write: int) -> Row:
        """Play, measure, and see what became of it."""
        async with Pacer(self.server.context is None, write > 1, max(write // TRACKS, 1)) as pacer:
            scripts = [self.expected.script(n, one.stream_sids[0]) for n, one in enumerate(self.identities)]
            lines = [pacer.play(socket, script) for socket, script in zip(self.sockets, scripts, strict=True)]
            await _until(max(line.begin for line in lines) + WARM_SECONDS)
            before = self._look(pacer)
            # One that is behind answers late.
            asked = asyncio.create_task(self._count())
            await _until(before.at + self.seconds)
            after = self._look(pacer)
            ended = min(line.begin for line in lines) + self.expected.frames * FRAME_MS / 1000
            first, last = await asked, await self._count()
            row = _row(self.expected, before, after, (last.taken - first.taken) / (last.at - first.at))
            if last.rounds > first.rounds:
                row.round_ms = round(1000 * (last.at - first.at) / (last.rounds - first.rounds), 1)
            row.answer_ms = round(1000 * max(first.at - first.asked, last.at - last.asked), 1)
            row.short = after.at > ended
            row.write = write
            if not (row.saturated or row.starved):
                await self._finish(lines, pacer, row)
        return row

    def _look(self, pacer: Pacer) -> _Look:
        pids = self.server.pids
        cpu, busy = cpu_seconds(pids), busy_seconds(pids)
        return _Look(time.monotonic(), cpu, busy, time.process_time(), pacer.messages, pacer.lateness)

    async def _count(self) -> _Count:
        asked = time.monotonic()
        taken = await self.server.taken()
        at, messages = time.monotonic(), float(taken["messages"])
        if taken["bytes"]:
            messages = (taken["bytes"] - self.opening_bytes) * self.expected.messages / self._media_bytes
        return _Count(asked, at, messages, taken.get("rounds", 0))

    @property
    def _media_bytes(self) -> int:
        return self.expected.calls * self.expected.line_bytes

    async def _finish(self, lines: Sequence[Line], pacer: Pacer, row: Row) -> None:
        """Let all lines end, and compare with what the server has."""
        expected = self.expected
        await asyncio.wait([line.over for line in lines], timeout=END_SECONDS)
        outcomes = [pacer.leave(line) for line in lines]
        sent = sum(outcome.messages for outcome in outcomes if outcome is not None)
        # Answers to pings are counted as sent.
        row.unsent = max(expected.messages - sent, 0)
        whole = {"messages": sent, "bytes": self._media_bytes + self.opening_bytes}
        if isinstance(self.server, GatewayServer):
            whole["messages"] += OPENING_FRAMES * expected.calls
        taken = await self.server.taken()
        kind = "bytes" if taken["bytes"] else "messages"
        moved = time.monotonic()
        # A busy machine may take its time; who takes nothing more has lost something.
        while taken[kind] < whole[kind] and time.monotonic() < moved + END_SECONDS:
            await asyncio.sleep(0.1)
            before, taken = taken, await self.server.taken()
            if taken[kind] > before[kind]:
                moved = time.monotonic()
        if row.unsent:
            # What would have been said is known of whole calls only.
            return
        taken = await self.server.taken("sum")
        row.lost = whole[kind] - taken[kind]
        if "checksum" in taken:
            row.wrong = (taken["samples"], taken["checksum"]) != (expected.samples, expected.checksum)
            row.proof = "checksum"
        elif self.start:
            row.wrong = not await self._sums_agree()
            row.proof = "checksum"
        else:
            row.proof = kind

    async def _sums_agree(self) -> bool:
        """Whether some of a gateway's calls have the PCM that they should have."""
        assert isinstance(self.server, GatewayServer)
        for number in range(0, self.expected.calls, -(-self.expected.calls // CHECKED)):
            call = await self.server.client.call(self.identities[number].call_sid)
            found = {one["track"]: (one["samples"], one["checksum"]) for one in call["live"]["tracks"]}
            if found != self.expected.gateway_sums(number):
                return False
        return True


def _row(expected: Expected, before: _Look, after: _Look, taken_rate: float) -> Row:
    seconds, cpu = after.at - before.at, after.cpu - before.cpu
    row = Row(
        calls=expected.calls,
        seconds=round(seconds, 2),
        cores=round(cpu / seconds, 4),
        busy=round(max(last - first for first, last in zip(before.busy, after.busy, strict=True)) / seconds, 3),
        sent_rate=round((after.sent - before.sent) / seconds),
        taken_rate=round(taken_rate),
        late_p50=percentile(after.late - before.late, 0.5),
        late_p99=percentile(after.late - before.late, 0.99),
        load_cores=round((after.own - before.own) / seconds, 3),
    )
    # In a steady state what is sent is taken; who cannot keep up is charged with what it took.
    rate = row.taken_rate if row.saturated or row.starved else row.sent_rate
    row.us = round(cpu / seconds / rate * 1e6, 3) if rate else float("inf")
    return row


async def _some(jobs: Sequence[Callable[[], Awaitable[_T]]], at_once: int) -> list[_T]:
    """Do all, so many at a time; their results in order."""
    gate = asyncio.Semaphore(at_once)

    async def one(job: Callable[[], Awaitable[_T]]) -> _T:
        async with gate:
            return await job()

    tasks = [asyncio.create_task(one(job)) for job in jobs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _until(moment: float) -> None:
    await asyncio.sleep(max(moment - time.monotonic(), 0))


async def measure(server: Server, expected: Expected, seconds: float, *, start: bool = False, write: int = 1) -> Row:
    """Load a server that nobody has used yet, and measure.

    Args:
        server: just started.
        expected: the load.
        seconds: that count.
        start: start the calls through the gateway's API first.
        write: messages in one write: 1, or the tracks' of one frame, of two and so on.

    Raises:
        GatewayError: a socket or a start failed.
    """
    raise_descriptor_limit(3 * expected.calls + SPARE_DESCRIPTORS)
    run = _Run(server, expected, seconds, start)
    try:
        await run.open()
        return await run.speak(write)
    finally:
        for socket in run.opened:
            socket.reset()
        # Their transports close in the loop's next turn.
        await asyncio.sleep(0)
