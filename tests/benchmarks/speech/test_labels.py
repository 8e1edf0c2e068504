"""The written method finds where speech ends."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.speech import labels
from gateway.errors import UsageError
from gateway.participants import Track
from gateway.peers import recording
from gateway.speech.engine import Pcm

SAMPLES = Path(__file__).parents[3] / "samples"


def line(milliseconds: int, *bursts: tuple[int, int], level: float = 0.1, noise: float = 0.0006) -> Pcm:
    """A noisy line with tones from … to … ms."""
    rng = np.random.default_rng(3)
    pcm = rng.standard_normal(milliseconds * 8) * noise
    for begin, end in bursts:
        pcm[begin * 8 : end * 8] += level * np.sin(np.arange((end - begin) * 8))
    return (pcm * 32767).astype(np.int16)


def test_ends_of_bursts() -> None:
    assert labels.speech_ends(line(3000, (500, 1000), (1500, 2500))) == (1000, 2500)


def test_a_short_pause_is_no_end() -> None:
    assert labels.speech_ends(line(3000, (500, 1000), (1180, 2000))) == (2000,)


def test_a_click_is_no_speech() -> None:
    assert labels.speech_ends(line(2000, (500, 530), (1000, 1500))) == (1500,)


def test_speech_at_the_very_end_ends_with_the_recording() -> None:
    assert labels.speech_ends(line(1000, (500, 1000))) == (1000,)


@pytest.mark.parametrize("pcm", [np.zeros(0, np.int16), np.zeros(79, np.int16), np.zeros(16_000, np.int16), line(2000)])
def test_no_speech_no_ends(pcm: Pcm) -> None:
    assert labels.speech_ends(pcm) == ()


def test_a_noisier_line_raises_what_counts_as_speech() -> None:
    quiet_voice = line(3000, (500, 1000), level=0.02, noise=0.0001)
    assert labels.speech_ends(quiet_voice) == (1000,)
    assert labels.speech_ends(line(3000, (500, 1000), level=0.02, noise=0.02)) == ()


def test_every_turn_of_the_sample_call_is_found() -> None:
    found = labels.find(recording.load(SAMPLES / "support-call.wav"))
    laid_down = labels.load(SAMPLES / "support-call.json")
    for track, ends in laid_down.items():
        assert all(min(abs(end - candidate) for candidate in found[track]) <= 10 for end in ends)


def test_label_files(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"ends": {"inbound": [300, 100], "outbound": []}}')
    assert labels.load(file) == {Track.INBOUND: (100, 300), Track.OUTBOUND: ()}
    for bad in ("", "[]", "{}", '{"ends": {"left": [1]}}', '{"ends": [1]}', '{"turns": [{}]}'):
        file.write_text(bad)
        with pytest.raises(UsageError, match="must be JSON like"):
            labels.load(file)
    with pytest.raises(UsageError, match="No such file"):
        labels.load(tmp_path / "none.json")


def labelled(file: Path, folder: Path) -> labels.Labels:
    """A label file of a recording, as `make` writes it."""
    made = labels.Labels(
        file=file.name,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        ends={Track.INBOUND: (1000, 2500), Track.OUTBOUND: ()},
        borders={Track.INBOUND: (2500,), Track.OUTBOUND: ()},
        begins={Track.INBOUND: (500, 1500), Track.OUTBOUND: ()},
    )
    (folder / f"{file.stem}.json").write_text(made.json())
    return made


def test_a_label_file_is_read_as_it_was_written_and_serves_as_ends(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, line(3000, (500, 1000), (1500, 2500)), 8000)
    made = labelled(file, tmp_path)
    assert labels.read(tmp_path / "a.json") == made
    assert labels.load(tmp_path / "a.json") == made.ends


def test_labels_are_those_of_the_very_recording(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, line(3000, (500, 1000)), 8000)
    assert labels.committed(file, tmp_path) is None
    labelled(file, tmp_path)
    assert labels.committed(file, tmp_path) == tmp_path / "a.json"
    soundfile.write(file, line(3000, (500, 1100)), 8000)
    assert labels.committed(file, tmp_path) is None


def test_a_file_without_borders_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"ends": {"inbound": [1]}}')
    with pytest.raises(UsageError, match="has no borders"):
        labels.read(tmp_path / "a.json")


def test_committed_label_files_are_sound() -> None:
    files = [file for file in labels.FOLDER.glob("*.json") if file != labels.CORRECTIONS]
    assert files
    for file in files:
        found = labels.read(file)
        for track in Track:
            begins, ends, borders = (of[track] for of in (found.begins, found.ends, found.borders))
            assert all(begin < end for begin, end in zip(begins, ends, strict=True))
            assert all(begin - end >= 200 for begin, end in zip(begins[1:], ends, strict=False))
            assert set(borders) <= set(ends)
            # What a channel says ends at its end.
            assert borders[-1:] == ends[-1:]


def test_the_sample_has_labels() -> None:
    file = labels.committed(SAMPLES / "support-call.wav")
    assert file is not None
    assert labels.load(file) == labels.find(recording.load(SAMPLES / "support-call.wav"))


def test_a_picture_shows_levels_and_labels() -> None:
    picture = labels.picture(SAMPLES / "support-call.wav", Path("x.png"), 0.0, 30.0)
    assert len(picture["panels"]) == 2 * 2
    shown = [line["at"] for panel in picture["panels"][::2] for line in panel["lines"]]
    file = labels.committed(SAMPLES / "support-call.wav")
    assert file is not None
    assert shown == [ms / 1000 for ms in labels.load(file)[Track.INBOUND] if ms < 40_000]
