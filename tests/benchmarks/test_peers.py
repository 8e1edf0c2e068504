from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.peers import PEERS, RUNNERS, STAMP, Heard, Peer, ensure, transcribe
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


def test_texts_come_back_in_the_order_of_the_files(runner: Path) -> None:
    runner.write_text(
        "import json, sys\n"
        "for path in map(str.strip, sys.stdin):\n"
        "    print(json.dumps({'texts': [path, 'ü'], 'cpu': 0.5}), flush=True)\n"
    )
    files = [Path("b.wav"), Path("a.wav")]
    assert transcribe(peer(), Path(sys.executable), files) == [
        Heard(("b.wav", "ü"), 0.5),
        Heard(("a.wav", "ü"), 0.5),
    ]


@pytest.mark.parametrize("script", ["raise SystemExit('no model')", "print('{}')"])
def test_a_runner_that_fails_or_says_too_little_is_an_error(runner: Path, script: str) -> None:
    runner.write_text(script)
    with pytest.raises(PeerError, match=r"some transcribed [01] of 2 files and ended: no m"):
        transcribe(peer(), Path(sys.executable), [Path("a"), Path("b")])
