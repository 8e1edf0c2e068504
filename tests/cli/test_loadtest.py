"""``gateway loadtest`` refuses to load what is not this machine, and its exit code tells how it went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from benchmarks import loadgen
from gateway.cli.main import app
from gateway.errors import PeerError, UsageError
from tests.peers.peer import Peer

KEY = ("--api-id", "id", "--api-secret", "secret")


@pytest.fixture
def call_file(tmp_path: Path) -> Path:
    path = tmp_path / "call.wav"
    soundfile.write(path, np.zeros((8000, 2), np.int16), 8000)
    return path


def invoke(*args: str) -> Any:
    return CliRunner().invoke(app, ["loadtest", *args])


def test_other_machines_are_refused(call_file: Path) -> None:
    done = invoke(str(call_file), *KEY, "--url", "http://192.0.2.1")
    assert isinstance(done.exception, UsageError)
    assert "--allow-remote" in str(done.exception)


def test_mistakes(call_file: Path, tmp_path: Path) -> None:
    assert isinstance(invoke(str(call_file), *KEY, "--calls", "0").exception, UsageError)
    assert isinstance(invoke(str(call_file), *KEY, "--labels", str(tmp_path / "none")).exception, UsageError)
    assert isinstance(invoke(str(call_file), *KEY, "--url", "http://127.0.0.1:1").exception, PeerError)


def test_the_command_reports_and_its_exit_code_tells(
    peer_in_thread: Peer, call_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loadgen, "SETTLE_SECONDS", 0.2)
    peer_in_thread.lose = 1
    run = (str(call_file), *KEY, "--url", peer_in_thread.url, "--calls", "1", "--ramp", "0", "--duration", "1")
    quiet = (*run, "--webhook-port", "0", "--no-transcripts")
    done = invoke(*quiet, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["messages"]["lost"] == 1
    assert "1 of 104 messages not counted" in done.stderr
    peer_in_thread.lose = 0
    shown = invoke(*quiet)
    assert "104 sent, 0 lost" in shown.stdout
