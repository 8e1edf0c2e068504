"""``gateway simulate`` starts, plays, shows and stops a call."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.text import Text
from typer.testing import CliRunner

from gateway.cli import simulate as module
from gateway.cli.main import app
from gateway.cli.simulate import Plan, Simulation, track_map
from gateway.errors import PeerError, UsageError
from gateway.participants import RedactionOutput, Track
from gateway.peers.emitter import Identity
from gateway.peers.recording import Recording
from tests.peers.peer import Peer, item, serving, transcript


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.02)


def plan(peer: Peer, **more: Any) -> Plan:
    pcm = np.zeros(1600, np.int16)
    call = Recording({Track.INBOUND: pcm, Track.OUTBOUND: pcm})
    return Plan(peer.url, "id", "secret", call, Identity.random(), **more)


async def run(peer: Peer, **more: Any) -> tuple[dict[str, Any], list[str]]:
    lines: list[Text] = []
    result = await Simulation(plan(peer, **more), lines.append).run()
    return result, [line.plain for line in lines]


async def test_transcripts_are_shown_as_they_come_each_once() -> None:
    items = [item("Hello.", after=4, message_id="1"), item("Hi.", "agent", after=20, message_id="2")]
    async with serving(Peer(transcripts=items)) as peer:
        result, lines = await run(peer)
    assert [re.sub(r"^ *\d+\.\d s +", "", line) for line in lines] == ["customer  Hello.", "agent     Hi."]
    assert [message["messageId"] for message in result["messages"]] == ["1", "2"]
    assert result["stop"]["autotranscribeResponse"]["agent"]["summary"]["transcripts"] == 1
    assert result["pacing"]["messages"] == 20


async def test_transcripts_of_an_earlier_call_are_left_out() -> None:
    items = [item("Old.", message_id="0"), item("Hello.", after=4, message_id="1")]
    async with serving(Peer(transcripts=items)) as peer:
        result, lines = await run(peer)
    assert "1 earlier transcripts" in lines[0]
    assert [message["text"] for message in result["messages"]] == ["Hello."]


async def test_detailed_token_is_asked_for() -> None:
    async with serving(Peer()) as peer:
        await run(peer, redaction=RedactionOutput.UNREDACTED, detailed_token=True)
    assert peer.requests[0][1]["autotranscribeParams"] == {"redactionOutput": "unredacted", "detailedToken": True}


async def test_requests_are_the_documented_ones() -> None:
    async with serving(Peer()) as peer:
        result, _ = await run(
            peer, redaction=RedactionOutput.UNREDACTED, track_map={"inbound": "agent", "outbound": "customer"},
            customer_id="c1", agent_id="a1",
        )  # fmt: skip
    (start, started), (stop, stopped) = peer.requests
    call = {"namespace": "twilio", "guid": result["callSid"]}
    assert (start, stop) == ("start", "stop")
    assert started == call | {
        "customerId": "c1", "agentId": "a1", "autotranscribeParams": {"redactionOutput": "unredacted"},
        "twilioParams": {"trackMap": {"inbound": "agent", "outbound": "customer"}},
    }  # fmt: skip
    assert stopped == call
    assert peer.sockets[0].events("start")[0]["start"]["callSid"] == result["callSid"]
    assert len(peer.sockets[0].events("stop")) == 1


async def test_two_sockets() -> None:
    async with serving(Peer()) as peer:
        await run(peer, sockets=2)
    assert [socket.events("start")[0]["start"]["tracks"] for socket in peer.sockets] == [["inbound"], ["outbound"]]


async def test_posts_are_shown_with_their_latency() -> None:
    peer = Peer(posts=[(8, transcript("Hello."))], transcripts=[item("Hello.", after=1)])
    async with serving(peer):
        simulation = Simulation(plan(peer, listen=0), shown := _Lines(peer))
        result = await simulation.run()
    assert [post["autotranscribeResponse"]["utterance"] for post in result["posts"]] == [[{"text": "Hello."}]]
    assert re.search(r"customer  Hello\.  \(-?\d+ ms after its end\)$", shown.lines[1])
    assert len(shown.lines) == 2
    assert len(result["messages"]) == 1


class _Lines:
    """Takes the lines, and tells the peer where the webhook is."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.lines: list[str] = []

    def __call__(self, line: Text) -> None:
        self.lines.append(line.plain)
        if found := re.search(r"listening on (\S+)", line.plain):
            self.peer.webhook = found[1]


async def test_refusals() -> None:
    async with serving(Peer(refuse_start=(400, "400-203", "no call"))) as peer:
        with pytest.raises(PeerError, match="400-203 no call"):
            await run(peer)
        assert peer.sockets[0].events("media") == []
    async with serving(Peer(start_ok=False)) as peer:
        with pytest.raises(PeerError, match="took no effect: 5002 No instances available"):
            await run(peer)
    async with serving(Peer(close_after=3)) as peer:
        with pytest.raises(PeerError, match="closed the media stream: 1008"):
            await run(peer)


def test_track_maps() -> None:
    assert track_map(None) is None
    assert track_map("inbound=agent, outbound=customer") == {"inbound": "agent", "outbound": "customer"}
    for bad in ("", "inbound", "inbound=boss", "left=agent", "inbound=agent,", "inbound=agent=customer"):
        with pytest.raises(UsageError, match="must be like"):
            track_map(bad)


@pytest.fixture
def call_file(tmp_path: Path) -> Path:
    path = tmp_path / "call.wav"
    soundfile.write(path, np.zeros((800, 2), np.int16), 8000)
    return path


def invoke(*args: str) -> Any:
    return CliRunner().invoke(app, ["simulate", *args])


def test_the_command_prints_transcripts_and_a_summary(peer_in_thread: Peer, call_file: Path) -> None:
    done = invoke(str(call_file), "--url", peer_in_thread.url, "--api-id", "id", "--api-secret", "secret")
    assert done.exit_code == 0
    assert "customer  Hello." in done.stdout
    assert "1 transcripts" in done.stdout


def test_the_command_prints_one_json_document(peer_in_thread: Peer, call_file: Path) -> None:
    key = ["--api-id", "id", "--api-secret", "secret"]
    sid = "CA" + "e" * 32
    done = invoke(str(call_file), "--url", peer_in_thread.url, *key, "--json", "--guid", sid)
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    assert result["callSid"] == sid
    assert [message["text"] for message in result["messages"]] == ["Hello."]


def test_the_commands_mistakes(call_file: Path) -> None:
    key = ["--api-id", "id", "--api-secret", "secret"]
    assert isinstance(invoke(str(call_file), *key, "--sockets", "three").exception, UsageError)
    detailed = invoke(str(call_file), *key, "--detailed-token").exception
    assert isinstance(detailed, UsageError)
    assert "--redaction-output unredacted" in str(detailed)
    assert isinstance(invoke("none.wav", *key).exception, UsageError)
    assert isinstance(invoke(str(call_file), *key, "--url", "http://127.0.0.1:1").exception, PeerError)
