"""Files, folders, patterns; and files that are written whole."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway.errors import UsageError
from gateway.recordings.sources import choose, unlike, write


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    for name in ("b.wav", "a.WAV", "notes.txt", "may/c.mp3", "may/deep/d.ulaw", "e.v2.flac"):
        path = tmp_path / "calls" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "calls"


def relative(given: list[str]) -> list[str]:
    return [str(one.relative) for one in choose(given)]


def test_a_file_has_its_name_whatever_it_ends_with(calls: Path) -> None:
    (one,) = choose([str(calls / "notes.txt")])
    assert (one.path, str(one.relative)) == (calls / "notes.txt", "notes")
    # It is told of when it is opened.
    assert relative(["none.wav"]) == ["none"]


def test_a_folder_means_the_sound_files_below_it(calls: Path) -> None:
    assert relative([str(calls)]) == ["a", "b", "e.v2", "may/c", "may/deep/d"]


def test_a_pattern_is_relative_to_what_is_fixed_in_it(calls: Path) -> None:
    assert relative([f"{calls}/*.wav"]) == ["b"]
    assert relative([f"{calls}/**/*.mp3"]) == ["may/c"]
    assert relative([f"{calls}/m*/*"]) == ["may/c"]
    odd = calls / "what[1].wav"
    odd.touch()
    assert relative([str(odd)]) == ["what[1]"]


def test_each_recording_is_there_once(calls: Path) -> None:
    assert relative([str(calls / "may"), str(calls)]) == ["c", "deep/d", "a", "b", "e.v2"]


def test_what_names_no_recording(calls: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"empty: holds no recordings \(\.aif, "):
        choose([str(tmp_path / "empty")])
    with pytest.raises(UsageError, match=r"\*\.ogg: no file matches"):
        choose([f"{calls}/*.ogg"])


def test_two_recordings_never_share_a_place(calls: Path) -> None:
    unlike(choose([str(calls)]))
    (calls / "b.mp3").touch()
    with pytest.raises(UsageError, match="both would be written to b;"):
        unlike(choose([str(calls)]))


def test_a_file_is_its_owners_alone_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "out" / "may" / "c.json"
    write(path, b"one")
    write(path, b"two")
    assert path.read_bytes() == b"two"
    assert [each.name for each in path.parent.iterdir()] == ["c.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        write(tmp_path / "file" / "c.json", b"one")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        write(tmp_path / "folder", b"one")
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]
