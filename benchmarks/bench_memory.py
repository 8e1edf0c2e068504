"""How many bytes does a call take, gated, started and at its worst?

Each state has a gateway of its own, in a child process. A few calls go through it first, so that pools are there; then
N calls of both tracks stream in real time. What a call takes is what the process has grown by (RSS, from
``/proc/PID/smaps_rollup``), by N: the median of the looks while they stream. What the operating system holds for a
socket is no process's memory and not in these figures.

* idle: the gateway with no call;
* gated: connected and streaming, never started;
* started: model ``none``, and with the default models on lines that are quiet;
* speech open: both people speak without a pause until their utterances are cut for their length, all calls at the same
  time; first while all utterances are open, then the most until shortly after the cut, when nearly all of them wait for
  the recognizer and the next ones are open. The few calls before them are cut as well: what the recognizer takes for
  an utterance of that length, 80 to 100 MiB once for all calls, is there then;
* held back: gated calls that have sent a message of 64 KiB but for its last byte.

    python -m benchmarks.bench_memory [--calls 500] [--speaking 60] [--states idle gated …] [--json] [--keep]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from benchmarks.audio.files import SAMPLE
from benchmarks.load.crowd import Caller, Crowd, Ending
from benchmarks.load.generator import raise_descriptor_limit
from benchmarks.load.pacer import Pacer
from benchmarks.load.voice import FRAME_BYTES, Sound
from benchmarks.machine import machine
from benchmarks.memory import Held, descriptors, held
from benchmarks.process import free_port, gateway
from gateway._native import mulaw
from gateway.config import Settings
from gateway.errors import GatewayError
from gateway.peers import recording as recordings
from gateway.peers.client import GatewayClient
from gateway.server.handshake import MAX_MESSAGE

__all__ = ["STATES", "State", "main", "measure", "quiet", "table", "unbroken"]

RESULT = Path(__file__).parent / "results" / "memory.json"
WARM_CALLS = 10
WARM_SPEAKING = 4
SETTLE_S = 2.0
STEADY_S = 1.0
"""How long calls stream before they are looked at."""
LOOK_S = 0.25
STREAM_S = 6.0
EMPTY_S = 90.0
"""How long the gateway may take until hung-up calls are gone."""
SPEECH_DBFS = -40.0
QUIET_DBFS = -78.0
"""Of a line on which nobody speaks: below what the model is asked about."""
MAX_UTTERANCE_S = Settings.model_fields["endpoint"].get_default(call_default_factory=True).max_utterance_ms / 1000
CUT_S = MAX_UTTERANCE_S + 2.0
"""When they are cut, and the next ones are open."""
WARM_SPEAKING_S = CUT_S
REFUSING_S = 7.0
"""A little longer than starts are refused after a recognizer that was late, as it is with everybody's cut at once."""
OPEN_S = MAX_UTTERANCE_S - 3.0, MAX_UTTERANCE_S - 0.5
"""When all utterances are open and nearly as long as they may be."""
UTTERANCES = "gateway_utterances_total"


@dataclass(frozen=True, slots=True)
class State:
    """What calls do, and how much they may take.

    Args:
        name: of the row.
        model: of the gateway: ``none``, or empty for the default.
        started: whether calls are started.
        speaks: whether both people speak without end.
        marks: KiB a call, from ``design``; one for each figure of the state.
    """

    name: str
    model: str
    started: bool = False
    speaks: bool = False
    holds_back: bool = False
    marks: tuple[float, ...] = ()


STATES = (
    State("idle", "none"),
    State("idle, default models", ""),
    State("gated", "none", marks=(24,)),
    State("gated, default models", "", marks=(24,)),
    State("started", "none", started=True, marks=(96,)),
    State("started, default models", "", started=True, marks=(96,)),
    State("speech open", "", started=True, speaks=True, marks=(512, 512)),
    State("held back", "none", holds_back=True, marks=(512,)),
)


def quiet(seconds: int = 10, seed: int = 1) -> Sound:
    """A line on which nobody speaks: faint noise on both tracks."""
    dice = np.random.default_rng(seed)
    amplitude = 32768 * 10 ** (QUIET_DBFS / 20)
    noise = [np.rint(dice.normal(0, amplitude, seconds * 8000)).astype(np.int16) for _ in range(2)]
    return Sound.of(("inbound", "outbound"), [mulaw.encode(pcm) for pcm in noise])


def unbroken(recording: Path) -> Sound:
    """Speech without a pause: the loud frames of each speaker, one after the other.

    Raises:
        GatewayError: the recording cannot be read, or nobody speaks in it.
    """
    call = recordings.load(recording)
    loud = []
    for pcm in call.tracks.values():
        frames = pcm[: len(pcm) // FRAME_BYTES * FRAME_BYTES].reshape(-1, FRAME_BYTES).astype(np.float64)
        level = np.sqrt(np.mean(frames**2, axis=1)) / 32768
        loud.append(frames[level > 10 ** (SPEECH_DBFS / 20)].astype(np.int16).ravel())
    # Both tracks have one length: the longer speaker's end is left out.
    size = min(map(len, loud))
    if not size:
        raise GatewayError(f"{recording.name}: somebody does not speak at all")
    return Sound.of(tuple(map(str, call.tracks)), [mulaw.encode(pcm[:size]) for pcm in loud])


@dataclass(slots=True)
class _Child:
    """A gateway, how to load it, and what it holds."""

    pid: int
    crowd: Crowd
    client: GatewayClient
    sound: Sound

    async def until_empty(self) -> None:
        """Wait until all calls are over, and a little."""
        deadline = time.monotonic() + EMPTY_S
        while True:
            values = await self.client.metrics()
            waiting = values["gateway_sockets"] + values["gateway_open_tracks"]
            waiting += sum(value for name, value in values.items() if name.startswith("gateway_asr_queue"))
            if not waiting or time.monotonic() > deadline:
                break
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(SETTLE_S)

    async def utterances(self) -> Counter[str]:
        """Those that have ended, by reason."""
        values = (await self.client.metrics()).items()
        return Counter({name.split('"')[1]: int(value) for name, value in values if name.startswith(UTTERANCES)})

    async def talk(self, state: State, count: int) -> list[Caller]:
        """Calls that stream."""
        callers = await self.crowd.open(count, count / 250)
        if state.started:
            await self.crowd.start(callers)
        if state.holds_back:
            hold = b"\x81\xff" + (MAX_MESSAGE).to_bytes(8, "big") + bytes(4 + MAX_MESSAGE - 1)
            for caller in callers:
                caller.socket.write(hold, 0)
        else:
            self.crowd.play(callers, self.sound, 600.0)
        return callers

    async def looks(self, seconds: float) -> list[tuple[float, Held]]:
        """What it holds from now on, with the time of each look."""
        begin, found = time.monotonic(), []
        while (at := time.monotonic() - begin) < seconds:
            found.append((at, held(self.pid)))
            await asyncio.sleep(LOOK_S)
        return found


@asynccontextmanager
async def _child(state: State, seed: int) -> AsyncIterator[_Child]:
    settings = {"GATEWAY_DRAIN_SECONDS": "0"} | ({"GATEWAY_ASR__MODEL": state.model} if state.model else {})
    sound = unbroken(SAMPLE) if state.speaks else quiet(seed=seed)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        async with gateway(Path(folder), free_port(), settings=settings) as (process, url):
            key = json.loads((Path(folder) / "first-key.json").read_text())
            async with GatewayClient(url, key["apiId"], key["apiSecret"]) as client, Pacer(coalesced=True) as pacer:
                yield _Child(process.pid, Crowd(client, pacer, seed=seed), client, sound)


async def measure(state: State, calls: int, seed: int = 1, seconds: float = STREAM_S) -> dict[str, Any]:
    """One row.

    Args:
        state: what the calls do.
        calls: how many at once.
        seed: of what they say.
        seconds: how long they are looked at; of those that speak, until their utterances are cut.
    """
    if state.name.startswith("idle"):
        async with _child(state, seed) as child:
            await asyncio.sleep(SETTLE_S)
            return {"state": state.name, "model": state.model or "default", "idle": asdict(held(child.pid))}
    seen = await _streamed(state, calls, seed, seconds)
    figures = {what: each.among(calls) for what, each in seen.figures.items()}
    return {
        "state": state.name,
        "model": state.model or "default",
        "calls": calls,
        "figures": [
            {"what": what, **asdict(each), "markKib": mark, "met": each.rss <= mark}
            for (what, each), mark in zip(figures.items(), state.marks, strict=True)
        ],
        "descriptorsPerCall": round(seen.files / calls, 2),
        "leftKibPerCall": seen.left.among(calls).rss,
        "utterances": seen.utterances,
        "errors": seen.errors,
    }


@dataclass(frozen=True, slots=True)
class _Seen:
    """A run: what all calls took, by figure; descriptors; what was left behind them."""

    figures: dict[str, Held]
    files: int
    left: Held
    utterances: dict[str, int]
    errors: dict[str, int]


async def _streamed(state: State, calls: int, seed: int, seconds: float) -> _Seen:
    async with _child(state, seed) as child:
        warm = await child.talk(state, min(WARM_SPEAKING if state.speaks else WARM_CALLS, calls))
        await asyncio.sleep(WARM_SPEAKING_S if state.speaks else STEADY_S)
        await child.crowd.hang_up(warm, Ending.STOP)
        await child.until_empty()
        if state.speaks:
            await asyncio.sleep(REFUSING_S)
        earlier = await child.utterances()
        before, files = held(child.pid), descriptors(child.pid)
        callers = await child.talk(state, calls)
        if not state.speaks:
            await asyncio.sleep(STEADY_S)
        looks = await child.looks(CUT_S if state.speaks else seconds)
        files = descriptors(child.pid) - files
        ended = await child.utterances() - earlier
        await child.crowd.hang_up(callers, Ending.STOP)
        await child.until_empty()
        figures = _figures(state, [(at, look.since(before)) for at, look in looks])
        return _Seen(figures, files, held(child.pid).since(before), dict(ended), dict(child.crowd.errors))


def _figures(state: State, looks: list[tuple[float, Held]]) -> dict[str, Held]:
    """What counts of the looks at a state."""

    def middle(some: list[Held]) -> Held:
        return Held(*(statistics.median(getattr(each, name) for each in some) for name in Held.__slots__))

    if not state.speaks:
        return {state.name: middle([each for _, each in looks])}
    inside = [each for at, each in looks if OPEN_S[0] <= at <= OPEN_S[1]]
    return {
        "speech open": middle(inside or [each for _, each in looks]),
        "cut, and waiting": max((each for _, each in looks), key=lambda each: each.rss),
    }


def table(document: dict[str, Any]) -> str:
    """The result for a terminal."""
    lines = [f"{document['machine']}; load average {document['loadAverage']:.1f}"]
    lines += [f"{'':28} {'model':8} {'calls':>5} {'RSS':>9} {'private':>9}  {'mark':>5} KiB a call"]
    for row in document["rows"]:
        if "idle" in row:
            values = " ".join(f"{row['idle'][name] / 1024:9.1f}" for name in ("rss", "private"))
            lines.append(f"{row['state']:28} {row['model']:8} {'':5} {values}         MiB in all")
            continue
        for figure in row["figures"]:
            values = " ".join(f"{figure[name]:9.1f}" for name in ("rss", "private"))
            verdict = "met" if figure["met"] else "MISSED"
            head = f"{figure['what']:28} {row['model']:8} {row['calls']:5}"
            lines.append(f"{head} {values}  {figure['markKib']:5.0f} {verdict}")
        more = f"{row['descriptorsPerCall']} descriptors a call; {row['leftKibPerCall']} KiB a call left behind"
        said = "".join(f"; {count} utterances ended by {reason}" for reason, count in row["utterances"].items())
        lines.append(f"{'':4}{more}{said}{'; ' + str(row['errors']) if row['errors'] else ''}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, keep the result if asked to; exit code 1 if a mark is missed or a call failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench_memory", description=(__doc__ or "").splitlines()[0]
    )
    names = [state.name for state in STATES]
    parser.add_argument("--calls", type=int, default=500, help="at once")
    parser.add_argument("--speaking", type=int, default=60, help="calls whose people speak without end")
    parser.add_argument("--states", nargs="+", choices=names, default=names, metavar="STATE", help="; ".join(names))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="write the result into benchmarks/results/")
    options = parser.parse_args(arguments)
    if options.calls < 1 or options.speaking < 1:
        parser.error("--calls and --speaking must be at least 1")
    raise_descriptor_limit(3 * options.calls + 256)
    rows = []
    for state in STATES:
        if state.name in options.states:
            if sys.stderr.isatty():
                print(f"… {state.name}", file=sys.stderr, flush=True)
            rows.append(uvloop.run(measure(state, options.speaking if state.speaks else options.calls, options.seed)))
    document = {"machine": machine(), "loadAverage": os.getloadavg()[0], "seed": options.seed, "rows": rows}
    text = json.dumps(document, indent=1)
    if options.keep:
        RESULT.write_text(text + "\n", encoding="utf-8")
    print(text if options.json else table(document))
    bad = [row for row in rows if row.get("errors") or not all(each["met"] for each in row.get("figures", ()))]
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
