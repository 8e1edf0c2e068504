"""``gateway loadtest`` refuses to load what is not this machine, and its exit code tells how it went."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import uvloop
from structlog.testing import capture_logs
from typer.testing import CliRunner

from benchmarks.load import generator
from benchmarks.process import GATEWAY
from gateway.cli.main import app
from gateway.errors import PeerError, UsageError
from tests.harness import Customer, gateway_running, settings_for
from tests.peers.peer import Peer, serving

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
    assert "must be an http://" in str(invoke(str(call_file), *KEY, "--url", "gateway").exception)


def test_the_command_reports_and_its_exit_code_tells(
    peer_in_thread: Peer, call_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "SETTLE_SECONDS", 0.2)
    peer_in_thread.lose = 1
    run = (str(call_file), *KEY, "--url", peer_in_thread.url, "--calls", "1", "--ramp", "0", "--duration", "1")
    quiet = (*run, "--webhook-port", "0", "--no-transcripts")
    done = invoke(*quiet, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["messages"]["lost"] == 1
    assert "1 of 104 messages not counted" in done.stderr
    peer_in_thread.lose = 0
    shown = invoke(*quiet, "--probe", "20")
    # The prober's own call says connected, start and close.
    assert "107 sent, 0 lost" in shown.stdout
    assert "streamUrl p50" in shown.stdout


@pytest.fixture
def gateway_in_thread(tmp_path: Path) -> Iterator[Customer]:
    """A real gateway beside the command, which brings its own loop."""
    up, down, there = threading.Event(), threading.Event(), []

    async def serve() -> None:
        async with gateway_running(settings_for(tmp_path)) as customer:
            there.append(customer)
            up.set()
            await asyncio.get_running_loop().run_in_executor(None, down.wait)

    thread = threading.Thread(target=uvloop.run, args=(serve(),))
    thread.start()
    assert up.wait(30)
    # What the gateway logs would come between what the command prints, which runs in this process.
    with capture_logs():
        yield there[0]
    down.set()
    thread.join(30)


def test_a_gateway_loses_nothing_of_twenty_calls(gateway_in_thread: Customer, call_file: Path) -> None:
    key = ("--api-id", gateway_in_thread.key.api_id, "--api-secret", gateway_in_thread.key.api_secret)
    url = gateway_in_thread.gateway.public_url_of("http")
    run = (str(call_file), *key, "--url", url, "--calls", "20", "--ramp", "0.5", "--duration", "2")
    done = invoke(*run, "--webhook-port", "0", "--no-transcripts", "--stall-at", "0.5", "--stall", "0.3", "--json")
    report = json.loads(done.stdout)
    assert report["messages"] == {"sent": 20 * 204, "counted": 20 * 204, "lost": 0}
    assert report["calls"] == {"asked": 20, "done": 20, "errors": {}}
    assert report["server"]["ticks"] > 0
    # A busy machine may void the run; nothing else may be wrong with it, and the exit code tells either.
    assert [reason for reason in report["bad"] if not reason.startswith("void")] == []
    assert done.exit_code == (1 if report["void"] else 0)


def test_the_wire_misbehaves_as_asked_for(
    peer_in_thread: Peer, call_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "SETTLE_SECONDS", 0.2)
    run = (str(call_file), *KEY, "--url", peer_in_thread.url, "--calls", "1", "--ramp", "0", "--duration", "1")
    wrong = ("--first-timestamp", "5000", "--jitter", "0", "--gaps", "0.5", "--odd", "--ending", "close", "--gated")
    invoke(*run, "--webhook-port", "0", *wrong, "--coalesced")
    (socket,) = peer_in_thread.sockets
    media = [event["media"] for event in socket.events("media")]
    assert 20 < len(media) < 80
    assert all(int(one["timestamp"]) % 20 == 0 and int(one["timestamp"]) >= 5000 for one in media)
    assert len({len(one["payload"]) for one in media}) > 5
    assert socket.events("stop") == []
    assert socket.close_code == 1000
    assert peer_in_thread.requests == []
    invoke(*run, "--webhook-port", "0", "--no-silence", "--ending", "reset", "--no-transcripts")
    socket = peer_in_thread.sockets[1]
    assert socket.events("media") == []
    assert socket.close_code == 1006


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
async def test_a_signal_ends_it_with_a_report(call_file: Path, name: str) -> None:
    peer = Peer()
    async with serving(peer):
        options = ("--url", peer.url, "--calls", "2", "--ramp", "0", "--duration", "3600", "--webhook-port", "0")
        command = (str(GATEWAY), "loadtest", str(call_file), *KEY, *options, "--no-transcripts", "--json")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(40):
            while peer.media < 20:
                await asyncio.sleep(0)
            process.send_signal(getattr(signal, name))
            printed, told = await process.communicate()
    report = json.loads(printed)
    assert report["calls"] == {"asked": 2, "done": 2, "errors": {}}
    assert report["messages"]["lost"] == 0
    assert b"interrupted: 2 of 2 calls had begun" in told
    assert process.returncode == 1
