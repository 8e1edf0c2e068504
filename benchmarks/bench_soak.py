"""Does the gateway stay as it was? Two hours of calls, faster than real time; memory and cost, part by part.

    python -m benchmarks.bench_soak [--hours 2] [--calls 4] [--speed 10] [--json] [--keep]

Starts a gateway of its own and plays ``--calls`` long calls to it at ``--speed`` times real time: Twilio's timestamps
drive the clock, so the audio takes the whole way, socket to webhook. A sender that is too far ahead of the gateway's
voice activity waits. The run is divided into ten parts by the audio played; each shows the CPU that the gateway took
for a frame of 20 ms, and its memory at the end.

*Flat* means: from the second part on (the first fills caches and pools) no part takes more than 15 % more CPU a frame
than the median of them, and memory grows by less than 3 % from the third part to the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.audio.files import RECORDING, SAMPLE
from benchmarks.load.voice import Script, Sound, Voice, frame
from benchmarks.load.wire import MediaSocket, sound
from benchmarks.machine import machine
from benchmarks.process import cpu_seconds, free_port, gateway, resident_mib
from gateway.errors import PeerError
from gateway.participants import Track
from gateway.peers import recording as recordings
from gateway.peers.client import GatewayClient
from gateway.peers.emitter import FRAME_MS, Identity, Manner, closing, opening
from gateway.peers.receiver import Receiver

__all__ = ["Part", "flat", "main"]

PARTS = 10
LEAD_MS = 3000
"""Audio of a track that may wait for the gateway's voice activity: well under the 8 s that its queue holds."""

LOOK_S = 0.02
PATIENCE_S = 30.0

LOSSES = (
    "gateway_audio_dropped_samples_total",
    "gateway_asr_failed_total",
    "gateway_tracks_failed_total",
    "gateway_store_dropped_total",
)

COST_BOUND = 1.15
MEMORY_BOUND = 1.03
TRACKS = 2


@dataclass(frozen=True, slots=True)
class Part:
    """A tenth of the run: CPU for a frame of 20 ms of one track, memory at its end, transcripts in it."""

    cpu_us_a_frame: float
    resident_mib: float
    transcripts: int


def flat(parts: list[Part]) -> list[str]:
    """What is not flat, in words; nothing if all is."""
    wrong = []
    costs = [part.cpu_us_a_frame for part in parts[1:]]
    if max(costs) > COST_BOUND * statistics.median(costs):
        wrong.append(f"a frame cost {max(costs):.0f} us in one part, {statistics.median(costs):.0f} in the median one")
    first, last = parts[2].resident_mib, parts[-1].resident_mib
    if last > MEMORY_BOUND * first:
        wrong.append(f"memory grew from {first:.0f} MiB in the third part to {last:.0f} at the end")
    return wrong


class _Soak:
    """The sender: all calls in step."""

    def __init__(self, sound: Sound, calls: int, frames: int, speed: float) -> None:
        self._sound = sound
        self._calls = calls
        self._frames = frames
        self._speed = speed
        self.transcripts = 0
        self.played = 0
        self._failed: str | None = None

    def lost(self, why: str) -> None:
        self._failed = self._failed or why

    async def run(self, client: GatewayClient, pid: int, progress: Progress) -> list[Part]:
        """Play everything.

        Raises:
            PeerError: a socket was lost, or a call refused.
        """
        lines = [await self._open(client, number) for number in range(self._calls)]
        before = await _judged(client)
        task = progress.add_task("audio", total=self._calls * self._frames * FRAME_MS / 3_600_000)
        parts: list[Part] = []
        used, heard = cpu_seconds([pid]), 0
        for part in range(PARTS):
            until = self._frames * (part + 1) // PARTS
            frames = (until - self.played) * self._calls * TRACKS
            while self.played < until:
                await self._play(lines, until)
                progress.update(task, completed=self._calls * self.played * FRAME_MS / 3_600_000)
                await self._wait(client, before)
            now = cpu_seconds([pid])
            parts.append(Part((now - used) / frames * 1e6, resident_mib(pid), self.transcripts - heard))
            used, heard = now, self.transcripts
        for identity, socket, voice in lines:
            await client.stop(identity.call_sid)
            socket.write(frame(closing(identity, voice.sequence + 1, identity.stream_sids[0]).encode()))
            await socket.close()
        return parts

    async def _open(self, client: GatewayClient, number: int) -> tuple[Identity, MediaSocket, Voice]:
        identity, dice = Identity.random(), random.Random(f"soak:{number}")
        sid = identity.stream_sids[0]
        socket = await MediaSocket.open(await client.stream_url(), self.lost)
        for message in opening(identity, tuple(map(Track, self._sound.tracks)), Manner(), sid):
            socket.write(frame(message.encode()))
        answer = await client.start(identity.call_sid, "customer", "agent")
        if answer.get("isOk") is not True:
            raise PeerError("a call was refused")
        first, stamp = dice.randrange(self._sound.frames), dice.randint(100, 170)
        return identity, socket, Voice(Script(self._sound, sid.encode(), first, self._frames, stamp, number))

    async def _play(self, lines: list[tuple[Identity, MediaSocket, Voice]], until: int) -> None:
        """About a second of audio, in steps of a few frames, each when it is due."""
        begin, first = time.monotonic(), self.played
        last = min(until, first + 1000 // FRAME_MS)
        while self.played < last:
            due = begin + (self.played - first) * FRAME_MS / 1000 / self._speed
            if (rest := due - time.monotonic()) > 0:
                await asyncio.sleep(rest)
            for _, socket, voice in lines:
                for data in voice.next():
                    socket.write(data)
            self.played += 1
        if self._failed is not None:
            raise PeerError(f"a media socket was lost: {self._failed}")

    async def _wait(self, client: GatewayClient, before: float) -> None:
        """Until the gateway's voice activity is not too far behind.

        Raises:
            PeerError: it does not come nearer.
        """
        sent_ms = self.played * FRAME_MS * self._calls * TRACKS
        for _ in range(round(PATIENCE_S / LOOK_S)):
            if sent_ms - (await _judged(client) - before) * 32 <= LEAD_MS * self._calls * TRACKS:
                return
            await asyncio.sleep(LOOK_S)
        raise PeerError("the gateway's voice activity no longer keeps up")


async def _judged(client: GatewayClient) -> float:
    """Frames of 32 ms that voice activity has had."""
    found = await client.metrics()
    return sum(value for name, value in found.items() if name.startswith("gateway_vad_frames_total"))


async def measure(recording: Path, hours: float, calls: int, speed: float) -> dict[str, Any]:
    """One run; see the module's description."""
    frames = round(hours * 3_600_000 / FRAME_MS / calls)
    soak = _Soak(sound(recordings.load(recording)), calls, frames, speed)

    def on_post(_arrived: float, _body: object) -> None:
        soak.transcripts += 1

    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        async with Receiver(port, on_post), gateway(Path(folder), port) as (process, url):
            key = json.loads((Path(folder) / "first-key.json").read_text())
            began = time.monotonic()
            with Progress(console=Console(stderr=True)) as progress:
                async with GatewayClient(url, key["apiId"], key["apiSecret"]) as client:
                    parts = await soak.run(client, process.pid, progress)
                    grown = await client.metrics()
    lost = {name: value for name, value in grown.items() if value and name in LOSSES}
    return {
        "machine": machine(),
        "recording": recording.name,
        "hours": hours,
        "calls": calls,
        "speed": round(frames * FRAME_MS / 1000 / (time.monotonic() - began), 1),
        "parts": [asdict(part) for part in parts],
        "lost": lost,
        "wrong": flat(parts) + [f"{name} is {value:.0f}" for name, value in lost.items()],
    }


def table(result: dict[str, Any]) -> str:
    """The result for a terminal."""
    rows = [
        f"{number:4}   {part['cpu_us_a_frame']:8.1f}   {part['resident_mib']:8.0f}   {part['transcripts']:8}"
        for number, part in enumerate(result["parts"], 1)
    ]
    verdict = "flat" if not result["wrong"] else "NOT FLAT: " + "; ".join(result["wrong"])
    return "\n".join(
        [
            result["machine"],
            f"{result['hours']} h of {result['recording']}, {result['calls']} calls, {result['speed']} times real time",
            "part   us a frame   MiB at end   transcripts",
            *rows,
            f"verdict      {verdict}",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Run, print, keep the result if asked to; exit code 1 if it is not flat."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench_soak", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--hours", type=float, default=2.0, help="of audio, both tracks each")
    parser.add_argument("--calls", type=int, default=4)
    parser.add_argument("--speed", type=float, default=10.0, help="times real time, at the most")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="write the result into benchmarks/results/")
    options = parser.parse_args(arguments)
    recording = RECORDING if RECORDING.exists() else SAMPLE
    result = asyncio.run(measure(recording, options.hours, options.calls, options.speed))
    if options.keep:
        folder = Path(__file__).parent / "results"
        (folder / "soak.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1) if options.json else table(result))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
