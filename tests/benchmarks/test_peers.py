from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.peers import KEPT, PEERS, RUNNERS, STAMP, Heard, Peer, ensure, transcribe
from gateway.errors import PeerError


def peer(*requirements: str, script: str = "runner.py") -> Peer:
    return Peer("some", requirements, script, "a recognizer")


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(peers, "RUNNERS", tmp_path)
    return tmp_path / "runner.py"


def test_every_peer_is_pinned_and_has_its_script() -> None:
    for one in PEERS.values():
        assert (RUNNERS / one.script).is_file()
        assert all("==" in requirement for requirement in one.requirements)


def test_an_environment_that_is_there_is_used(tmp_path: Path) -> None:
    python = tmp_path / "some" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "some" / STAMP).write_text("a==1\nb==2\n")
    assert ensure(peer("a==1", "b==2"), tmp_path) == python


@pytest.mark.slow
def test_an_environment_that_cannot_be_made_is_said_and_not_used(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match=r"some cannot be installed in .*package registry within reach"):
        ensure(peer(str(tmp_path / "nowhere-1-py3-none-any.whl")), tmp_path)
    assert not (tmp_path / "some" / STAMP).exists()


ECHO = """\
import json, sys
for path in map(str.strip, sys.stdin):
    print(json.dumps({"texts": [open(path).read(), "ü"], "cpu": 0.5}), flush=True)
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An environment's Python."""
    python = tmp_path / "some" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    return python


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    files = [tmp_path / "b.wav", tmp_path / "a.wav"]
    for file in files:
        file.write_text(file.name)
    return files


B, A = Heard(("b.wav", "ü"), 0.5), Heard(("a.wav", "ü"), 0.5)


def test_texts_come_back_in_the_order_of_the_files(runner: Path, python: Path, files: list[Path]) -> None:
    runner.write_text(ECHO)
    assert transcribe(peer(), python, files) == [B, A]


def test_what_was_heard_is_not_asked_again(runner: Path, python: Path, files: list[Path]) -> None:
    runner.write_text(ECHO + "open('asked', 'a').write('x')\n".replace("asked", str(runner.with_name("asked"))))
    assert transcribe(peer(), python, files[:1]) == [B]
    assert transcribe(peer(), python, files[:1]) == [B]
    assert transcribe(peer(), python, [files[1], files[0]]) == [A, B]
    assert runner.with_name("asked").read_text() == "xx"
    files[0].write_text("other audio")
    transcribe(peer(), python, files)
    transcribe(peer("a==1"), python, files)
    assert runner.with_name("asked").read_text() == "xxxx"


@pytest.mark.parametrize("script", ["raise SystemExit('no model')", 'print(input() and \'{"texts": [], "cpu": 0}\')'])
def test_a_runner_that_fails_or_says_too_little_is_an_error(
    runner: Path, python: Path, files: list[Path], script: str
) -> None:
    runner.write_text(script)
    with pytest.raises(PeerError, match=r"some transcribed [01] of 2 files and ended: no m"):
        transcribe(peer(), python, files)


def test_what_was_heard_before_an_interruption_is_kept(runner: Path, python: Path, files: list[Path]) -> None:
    runner.write_text(ECHO.replace("open(path)", "open(path if path.endswith('b.wav') else '/nowhere')"))
    with pytest.raises(PeerError, match="some transcribed 1 of 2 files"):
        transcribe(peer(), python, files)
    kept = python.parents[1] / KEPT
    with kept.open("a") as out:
        out.write('{"key": "torn')
    assert transcribe(peer(), python, files[:1]) == [B]
    assert len(kept.read_text().splitlines()) == 2
