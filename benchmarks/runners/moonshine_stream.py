"""moonshine-voice's streaming transcriber under live audio: what it says of several streams, and when.

    PYTHON_OF_ITS_ENVIRONMENT moonshine_stream.py [--clock virtual|real] [--chunk-ms 100] [--interval 0.5]
        [--seconds S] [--threads N] FILE.wav[:CHANNEL][@START] …

Each argument is a stream: a WAV file of 16 bit (16 kHz is what the model wants; other rates it resamples), a channel
(default 0), and when it begins, in seconds of the run's clock. With ``--seconds`` a stream ends so long after its start
and a shorter file is played over and over. All streams share one transcriber and one thread of calls, as its API does.

The clock: ``real`` is the wall. ``virtual`` waits for nothing: a piece of audio is due when its last sample would have
been spoken, work begins when it is due or when the work before it is done, whichever is later, and takes the processor
time it took. So lateness adds up as it would live on ``--threads 1`` (the default), whatever else the machine does.

Lines of JSON go out, times in seconds. For each line of its transcript, when it is complete:
``{"stream": 0, "start": …, "end": …, "text": "…", "at": …, "cpu": …}``; ``start`` and ``end`` count from the stream's
first sample, ``at`` is the run's clock, ``cpu`` the processor time of this process since the last line of any stream.
Last: ``{"done": true, "streams": N, "audio": …, "cpu": …, "late": {"p50": …, "p95": …, "most": …}}``: audio of all
streams, processor time of the run, and how far work on a piece ended behind its being due.

Left out of the cost is what its Python binding adds: it copies the audio of every line so far into a list of floats at
each update, which grows with the call.
"""

from __future__ import annotations

import argparse
import ctypes
import heapq
import json
import os
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from moonshine_voice import ModelArch, get_assets_path
from moonshine_voice.moonshine_api import Transcript, TranscriptLine
from moonshine_voice.transcriber import LineCompleted, Transcriber
from numpy.typing import NDArray


def parse(pointer: Any) -> Transcript:
    """A transcript as its binding reads it, without the copies of audio, and with the text of finished lines alone."""
    lines = []
    for index in range(pointer.contents.line_count if pointer else 0):
        line = pointer.contents.lines[index]
        done = line.is_complete and line.is_updated
        lines.append(
            TranscriptLine(
                text=ctypes.string_at(line.text).decode("utf-8", errors="ignore") if done and line.text else "",
                start_time=line.start_time,
                duration=line.duration,
                line_id=line.id,
                is_complete=bool(line.is_complete),
                is_updated=bool(line.is_updated),
                is_new=bool(line.is_new),
                has_text_changed=bool(line.has_text_changed),
                have_speakers_changed=False,
            )
        )
    return Transcript(lines=lines)


@dataclass
class Source:
    """The pieces of one stream; ``begin`` is its place on the run's clock."""

    samples: NDArray[np.float32]
    rate: int
    begin: float
    seconds: float

    @classmethod
    def of(cls, argument: str, seconds: float | None) -> Source:
        """Read ``FILE.wav[:CHANNEL][@START]``."""
        name, _, start = argument.partition("@")
        path, colon, channel = name.rpartition(":")
        if not colon:
            path, channel = name, "0"
        with wave.open(path) as file:
            pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, file.getnchannels())
            rate = file.getframerate()
        samples = pcm[:, int(channel)].astype(np.float32) / np.float32(32768)
        return cls(samples, rate, float(start or 0), len(samples) / rate if seconds is None else seconds)

    def piece(self, at: int, size: int) -> list[float]:
        """Samples ``at`` to ``at + size``, the file over and over; shorter at the end of the stream, empty behind."""
        size = min(size, round(self.seconds * self.rate) - at)
        taken: list[float] = self.samples.take(np.arange(at, at + size), mode="wrap").tolist() if size > 0 else []
        return taken


class Clock:
    """The run's clock, wall or virtual (see above)."""

    def __init__(self, virtual: bool) -> None:
        self._virtual = virtual
        self.start()

    def start(self) -> None:
        """It is zero now."""
        self._now = 0.0
        self._since = time.process_time() if self._virtual else time.monotonic()

    def wait(self, due: float) -> None:
        """Until ``due``, if that is still to come."""
        if self._virtual:
            self._now = max(self.now(), due)
            self._since = time.process_time()
        elif due > self.now():
            time.sleep(due - self.now())

    def now(self) -> float:
        """Seconds since the run began."""
        return self._now + (time.process_time() if self._virtual else time.monotonic()) - self._since


def run(sources: list[Source], chunk_ms: int, interval: float, clock: Clock) -> dict[str, object]:
    """Play all streams; print the lines; the last line."""
    transcriber = Transcriber(f"{get_assets_path()}/tiny-en", ModelArch.TINY)
    transcriber._parse_transcript = parse
    streams = [transcriber.create_stream(update_interval=interval) for _ in sources]
    began = last = time.process_time()

    def listener(number: int) -> Callable[[object], None]:
        def heard(event: object) -> None:
            nonlocal last
            if not isinstance(event, LineCompleted):
                return
            line, cpu = event.line, time.process_time()
            end = line.start_time + line.duration
            said = {"stream": number, "start": round(line.start_time, 3), "end": round(end, 3), "text": line.text}
            print(json.dumps(said | {"at": round(clock.now(), 4), "cpu": round(cpu - last, 4)}), flush=True)
            last = cpu

        return heard

    for number, stream in enumerate(streams):
        stream.add_listener(listener(number))
        stream.start()
    late = []
    sizes = [source.rate * chunk_ms // 1000 for source in sources]
    queue = [
        (source.begin + size / source.rate, number, 0)
        for number, (source, size) in enumerate(zip(sources, sizes, strict=True))
    ]
    heapq.heapify(queue)
    clock.start()
    while queue:
        due, number, at = heapq.heappop(queue)
        source, size = sources[number], sizes[number]
        piece = source.piece(at, size)
        clock.wait(due)
        if piece:
            streams[number].add_audio(piece, source.rate)
            heapq.heappush(queue, (source.begin + (at + 2 * size) / source.rate, number, at + size))
        else:
            streams[number].stop()
        late.append(clock.now() - due)
    cpu, audio = time.process_time() - began, sum(source.seconds for source in sources)
    p50, p95, most = (round(float(value), 4) for value in np.percentile(late, (50, 95, 100)))
    return {
        "done": True,
        "streams": len(sources),
        "audio": round(audio, 2),
        "cpu": round(cpu, 3),
        "late": {"p50": p50, "p95": p95, "most": most},
    }


def main() -> None:
    """Stream what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="+", metavar="FILE.wav[:CHANNEL][@START]")
    parser.add_argument("--clock", choices=("virtual", "real"), default="virtual")
    parser.add_argument("--chunk-ms", type=int, default=100, help="audio of a piece")
    parser.add_argument(
        "--interval", type=float, default=0.5, help="its update interval in seconds; 0.5 is its default"
    )
    parser.add_argument("--seconds", type=float, help="length of every stream")
    parser.add_argument("--threads", type=int, default=1, help="cores that this process may use")
    options = parser.parse_args()
    # Before the model is loaded: its runtime counts the cores it may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.threads :])
    sources = [Source.of(argument, options.seconds) for argument in options.source]
    done = run(sources, options.chunk_ms, options.interval, Clock(options.clock == "virtual"))
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
