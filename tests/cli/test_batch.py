"""Many recordings through one engine: all of them, side by side, whatever becomes of one."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from gateway.cli.batch import Batch, Item, Tally
from gateway.errors import UsageError
from gateway.participants import Role, Track
from gateway.peers import recording
from gateway.recordings.offline import Transcriber, Transcription
from gateway.recordings.sources import Chosen
from gateway.speech.engine import Hypothesis, Job
from tests.recordings.test_offline import POISON, WORDS, Loudness, PitchEngine, say, settings

ROLES = {Track.INBOUND: Role.CUSTOMER, Track.OUTBOUND: Role.AGENT}


def item(folder: Path, name: str, *pitches: int) -> Item:
    """A recording of as many channels as pitches, each of which says one thing."""
    path = folder / name
    samples = np.stack([say((0, 640), (hz, 960), (0, 960)) for hz in pitches], axis=1)
    soundfile.write(path, samples, 8000)
    source = recording.probe(path)
    return Item(Chosen(path, Path(path.stem)), source, {track: ROLES[track] for track in source.tracks})


class Heard:
    """What a batch tells."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.errors: list[str] = []

    def finish(self, one: Item, done: Transcription) -> None:
        self.texts[one.chosen.path.name] = sorted(each.text for each in done.utterances)

    def fail(self, error: UsageError) -> None:
        self.errors.append(str(error))


def run(items: Sequence[Item], engine: PitchEngine, jobs: int, console: Console | None = None) -> tuple[Heard, Tally]:
    heard, voice = Heard(), Loudness()
    with Transcriber(voice, engine, settings(), jobs=jobs) as transcriber:
        batch = Batch(transcriber, jobs, heard.finish, heard.fail)
        tally = batch.run(items, console or Console(file=io.StringIO()))
    assert not voice.used
    return heard, tally


@pytest.mark.parametrize("jobs", [1, 3])
def test_all_are_transcribed(tmp_path: Path, jobs: int) -> None:
    items = [item(tmp_path, f"{number}.wav", 200, 400) for number in range(5)]
    items.append(item(tmp_path, "mono.flac", 600))
    heard, tally = run(items, PitchEngine(), jobs)
    both = sorted([WORDS[200], WORDS[400]])
    assert heard.texts == {f"{number}.wav": both for number in range(5)} | {"mono.flac": [WORDS[600]]}
    assert (tally.done, tally.failed, tally.incomplete) == (6, 0, 0)
    assert tally.audio_s == pytest.approx(6 * 2.56)


def test_one_that_is_damaged_stops_no_other(tmp_path: Path) -> None:
    good, bad, poor = (
        item(tmp_path, name, 200, hz) for name, hz in (("g.wav", 600), ("b.flac", 400), ("p.wav", POISON))
    )
    content = bad.chosen.path.read_bytes()
    bad.chosen.path.write_bytes(content[: len(content) // 2])
    heard, tally = run([bad, poor, good], PitchEngine(), 2)
    assert heard.texts == {"g.wav": sorted([WORDS[200], WORDS[600]]), "p.wav": [WORDS[200]]}
    (error,) = heard.errors
    assert error.startswith(f"{bad.chosen.path}: is ")
    assert (tally.done, tally.failed, tally.incomplete) == (2, 1, 1)


def test_a_transcript_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    def full(_item: Item, _done: Transcription) -> None:
        raise UsageError("no space")

    heard = Heard()
    with Transcriber(Loudness(), PitchEngine(), settings()) as transcriber:
        tally = Batch(transcriber, 1, full, heard.fail).run([item(tmp_path, "a.wav", 200)], Console(file=io.StringIO()))
    assert (tally.done, tally.failed, heard.errors) == (0, 1, ["no space"])


def test_jobs_work_side_by_side(tmp_path: Path) -> None:
    """Three channels of different recordings meet in the engine; with fewer threads they never would."""
    meeting = threading.Barrier(3, timeout=30)

    class Meeting(PitchEngine):
        def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
            meeting.wait()
            return super().step(jobs)

    heard, _ = run([item(tmp_path, f"{number}.wav", 200) for number in range(3)], Meeting(), 3)
    assert len(heard.texts) == 3
    assert not meeting.broken


def test_what_fails_for_another_reason_ends_all(tmp_path: Path) -> None:
    class Broken(Loudness):
        def judge(self, *_: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
            raise ValueError("a bug")

    voice = Broken()
    items = [item(tmp_path, f"{number}.wav", 200, 400) for number in range(4)]
    with pytest.raises(ValueError, match="a bug"), Transcriber(voice, PitchEngine(), settings(), jobs=2) as transcriber:
        Batch(transcriber, 2, Heard().finish, Heard().fail).run(items, Console(file=io.StringIO()))
    assert not voice.used


def test_a_terminal_sees_how_far_it_is(tmp_path: Path) -> None:
    items = [item(tmp_path, f"{number}.wav", 200, 400) for number in range(2)]
    seen = io.StringIO()
    run(items, PitchEngine(), 1, Console(file=seen, force_terminal=True, width=100))
    assert "of 2" in seen.getvalue()
    assert "of 5 s of audio" in seen.getvalue()
    for quiet in (Console(file=io.StringIO()), Console(file=io.StringIO(), force_terminal=True)):
        with Transcriber(Loudness(), PitchEngine(), settings()) as transcriber:
            batch = Batch(transcriber, 1, Heard().finish, Heard().fail)
            batch.run(items, quiet, quiet=quiet.is_terminal)
        assert isinstance(quiet.file, io.StringIO)
        assert "transcribing" not in quiet.file.getvalue()
