"""A load run counts what it sent, what came, and what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.load import generator
from benchmarks.load.call import Call
from benchmarks.load.generator import Load
from benchmarks.load.plan import Plan
from benchmarks.load.timed import ENDPOINTS
from gateway._native import NO_EXTENSIONS
from gateway.errors import PeerError, UsageError
from gateway.participants import Track
from gateway.peers.emitter import Ending, Form, Manner
from gateway.peers.recording import Recording
from tests.harness import gateway_running, settings_for
from tests.peers.peer import Peer, serving, transcript
from tests.server.test_front import make_certificate

ENDS = {Track.INBOUND: (200,), Track.OUTBOUND: (500,)}


@pytest.fixture(autouse=True)
def _settle_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "SETTLE_SECONDS", 0.3)


def plan(peer: Peer, **more: Any) -> Plan:
    pcm = np.zeros(8000, np.int16)
    call = Recording({Track.INBOUND: pcm, Track.OUTBOUND: pcm})
    values = {"calls": 3, "ramp": 0.1, "duration": 1.0} | more
    return Plan(peer.url, "id", "secret", call, ENDS, **values)


async def run(peer: Peer, **more: Any) -> dict[str, Any]:
    def ready(url: str) -> None:
        peer.webhook = url

    async with serving(peer):
        return await Load(plan(peer, **more), on_ready=ready).run()


async def test_a_run_without_faults() -> None:
    # 30 media messages in: 15 frames of each track.
    report = await run(Peer(posts=[(30, transcript("Hello.", start=0, end=200))]))
    assert report["messages"] == {"sent": 3 * (100 + 4), "counted": 3 * (100 + 4), "lost": 0}
    assert report["calls"] == {"asked": 3, "done": 3, "errors": {}}
    assert report["transcripts"] == 3
    assert report["utterancesPerCall"]["p50"] == 1
    assert report["problems"] == {}
    assert report["dropped"] == {}
    # A busy machine may void the run; nothing else may be wrong with it.
    assert [reason for reason in report["bad"] if not reason.startswith("void")] == []
    assert report["ok"] is (report["bad"] == [])


async def test_calls_differ_in_place_and_are_the_same_in_every_run_of_a_seed() -> None:
    def places() -> list[int]:
        load = Load(plan(Peer(url="http://127.0.0.1:1")))
        return [Call(load, number)._first_frame for number in range(20)]

    assert places() == places()
    assert len(set(places())) > 5


async def test_calls_differ_in_level_within_what_was_asked_for() -> None:
    def gains(gain_db: int) -> set[int]:
        load = Load(plan(Peer(url="http://127.0.0.1:1"), gain_db=gain_db))
        calls = [Call(load, number) for number in range(40)]
        assert all(load.at(call._gain_db).frames == load.sound.frames for call in calls)
        return {call._gain_db for call in calls}

    assert gains(0) == {0}
    assert gains(2) == {-2, -1, 0, 1, 2}


async def test_the_steady_time_is_when_all_calls_spoke() -> None:
    said = [(10, transcript("Hello.", start=0, end=200)), (90, transcript("Bye.", start=300, end=900))]
    steady = (await run(Peer(posts=said), calls=2, ramp=0.4, duration=1.2))["steady"]
    assert 0 < steady["end"] - steady["begin"] < 1.2
    assert (await run(Peer(posts=said), calls=2, ramp=4.0, duration=1.0))["steady"] is None


async def test_a_message_that_the_gateway_did_not_count_is_lost() -> None:
    report = await run(Peer(lose=2), calls=1, transcripts=False)
    assert report["messages"]["lost"] == 2
    assert not report["ok"]
    assert "2 of 104 messages not counted by the gateway" in report["bad"]


async def test_a_run_without_transcripts_is_bad_unless_none_are_awaited() -> None:
    silent = "no transcript came: does the gateway post to this run's receiver?"
    assert silent in (await run(Peer(), calls=1))["bad"]
    assert silent not in (await run(Peer(), calls=1, transcripts=False))["bad"]


@pytest.mark.parametrize(
    ("wrong", "share"),
    [
        ({"manner": Manner(first_timestamp_ms=9000)}, 1.0),
        ({"manner": Manner(jitter_ms=400)}, 1.0),
        ({"manner": Manner(drop=0.4)}, 0.6),
        ({"manner": Manner(send_silence=False)}, 0.5),
        ({"manner": Manner(stall_at_ms=200, stall_ms=600)}, 1.0),
        ({"manner": Manner(ending=Ending.CLOSE)}, 1.0),
        ({"manner": Manner(ending=Ending.RESET)}, 1.0),
        ({"odd": True}, 1.0),
        ({"gated": True}, 1.0),
        ({"coalesced": True}, 1.0),
        ({"together": 3}, 1.0),
    ],
    ids=[
        "late first timestamp",
        "jitter",
        "gaps",
        "no silence",
        "stall",
        "close",
        "reset",
        "odd",
        "gated",
        "coalesced",
        "together",
    ],
)
async def test_a_gateway_loses_nothing_however_the_wire_behaves(
    wrong: dict[str, Any], share: float, tmp_path: Path
) -> None:
    pcm = np.where(np.arange(8000) < 4000, 9000, 0).astype(np.int16)
    call = Recording({Track.INBOUND: pcm, Track.OUTBOUND: pcm})
    async with gateway_running(settings_for(tmp_path)) as customer:
        key = (customer.key.api_id, customer.key.api_secret)
        url = customer.gateway.public_url_of("http")
        report = await Load(Plan(url, *key, call, ENDS, 4, 0.0, 1.0, transcripts=False, **wrong)).run()
    assert [reason for reason in report["bad"] if not reason.startswith("void")] == []
    assert report["calls"] == {"asked": 4, "done": 4, "errors": {}}
    assert report["dropped"] == {}
    media = report["messages"]["sent"] - 4 * 4
    assert report["messages"]["lost"] == 0
    assert media == pytest.approx(share * 400, rel=0.15, abs=8)
    assert report["server"]["cpuUsPerMessage"] >= 0
    assert report["generator"]["native"] is not NO_EXTENSIONS


async def test_tls_is_loaded_through_the_loop(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(cert))
    async with gateway_running(settings_for(tmp_path, tls={"cert": cert, "key": key})) as customer:
        account = (customer.key.api_id, customer.key.api_secret)
        url = customer.gateway.public_url_of("https")
        pcm = np.zeros(8000, np.int16)
        call = Recording({Track.INBOUND: pcm, Track.OUTBOUND: pcm})
        report = await Load(Plan(url, *account, call, ENDS, 3, 0.1, 1.0, transcripts=False, context=context)).run()
    assert report["messages"] == {"sent": 312, "counted": 312, "lost": 0}
    assert report["calls"]["errors"] == {}
    assert report["generator"]["native"] is False
    assert report["generator"]["compiled"] is not NO_EXTENSIONS


async def test_the_api_is_timed_and_probed_while_calls_speak(tmp_path: Path) -> None:
    pcm = np.zeros(8000, np.int16)
    call = Recording({Track.INBOUND: pcm, Track.OUTBOUND: pcm})
    async with gateway_running(settings_for(tmp_path)) as customer:
        key = (customer.key.api_id, customer.key.api_secret)
        url = customer.gateway.public_url_of("http")
        report = await Load(Plan(url, *key, call, ENDS, 2, 0.1, 1.0, transcripts=False, probe=50.0)).run()
    assert report["calls"]["errors"] == {}
    # The prober's own call says connected, start and close.
    assert report["messages"] == {"sent": 2 * 104 + 3, "counted": 2 * 104 + 3, "lost": 0}
    whole, steady = report["apiMs"]["whole"], report["apiMs"]["steady"]
    assert whole["stop"]["count"] > 2
    assert 0 < steady["all"]["count"] < whole["all"]["count"] == sum(whole[name]["count"] for name in ENDPOINTS)
    assert report["pacingMs"]["of"] == "steady"
    assert report["server"]["steady"] is True
    assert set(report["server"]["steadyTickMs"]) == {"p50", "p95", "p99", "p99.9"}


@pytest.mark.parametrize(
    ("peer", "kind"),
    [
        (Peer(refuse_upgrade=503), "upgrade 503"),
        (Peer(start_ok=False), "start 5002"),
        (Peer(refuse_start=(400, "400-203", "no call")), "api 400-203"),
        (Peer(close_after=10), "closed 1008"),
    ],
)
async def test_failures_are_counted_by_kind(peer: Peer, kind: str) -> None:
    report = await run(peer, calls=2)
    assert report["calls"]["errors"] == {kind: 2}
    assert not report["ok"]


@pytest.mark.parametrize("speaking", [True, False])
async def test_an_interrupted_run_hangs_up_and_reports(speaking: bool) -> None:
    """While its one call that has begun speaks, or before; the others would begin in half a minute and more."""
    peer = Peer()
    async with serving(peer):
        load = Load(plan(peer, transcripts=False, ramp=100.0, duration=3600.0))
        running = asyncio.ensure_future(load.run())
        async with asyncio.timeout(20):
            while load.pacer.messages < 10 * speaking:
                await asyncio.sleep(0)
            load.interrupt()
            report = await running
    begun = report["calls"]["done"]
    assert begun == 1 or not speaking
    assert report["calls"]["errors"] == {}
    assert f"interrupted: {begun} of 3 calls had begun" in report["bad"]
    assert not report["ok"]
    assert report["messages"]["sent"] >= 14 * speaking
    assert report["messages"]["lost"] == 0
    assert report["steady"] is None


async def test_an_interrupted_run_has_no_steady_time() -> None:
    peer = Peer()
    async with serving(peer):
        load = Load(plan(peer, transcripts=False, ramp=0.0, duration=3600.0))
        running = asyncio.ensure_future(load.run())
        async with asyncio.timeout(20):
            while load.window.times is None:
                await asyncio.sleep(0)
            load.interrupt()
            report = await running
    assert report["calls"] == {"asked": 3, "done": 3, "errors": {}}
    assert report["steady"] is None
    assert report["messages"]["lost"] == 0


async def test_a_gateway_that_goes_away_is_told_with_what_was_counted() -> None:
    peer = Peer()

    async def ended() -> dict[str, Any]:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(serving(peer))
            load = Load(plan(peer, calls=1, ramp=0.0, transcripts=False))
            task = asyncio.create_task(load.run())
            while load.pacer.messages < 20:
                await asyncio.sleep(0.01)
            await stack.aclose()
            return await task

    report = await ended()
    assert report["calls"]["done"] == 0
    assert "the gateway did not answer at the end: its counters are of before" in report["bad"]
    assert report["server"]["steady"] is False


async def test_nobody_there() -> None:
    with pytest.raises(PeerError, match="no gateway"):
        await Load(plan(Peer(url="http://127.0.0.1:1"))).run()


@pytest.mark.parametrize(
    "wrong",
    [
        {"calls": 0},
        {"calls": 5001},
        {"ramp": -1},
        {"duration": 0},
        {"duration": 3601},
        {"gain_db": 25},
        {"probe": 101.0},
        {"together": 51},
        {"manner": Manner(drop=1.5)},
        {"manner": Manner(jitter_ms=-1)},
        {"manner": Manner(first_timestamp_ms=-1)},
        {"manner": Manner(stall_ms=-1)},
        {"manner": Manner(stall_at_ms=-1, stall_ms=1)},
        {"manner": Manner(stall_at_ms=500)},
        {"manner": Manner(stall_at_ms=1000, stall_ms=1)},
        {"manner": Manner(form=Form.MINIMAL)},
    ],
)
def test_runs_are_bounded(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"--(calls|ramp|gain|gaps|probe|together|jitter|first|stall)|Twilio's form"):
        plan(Peer(url="http://127.0.0.1:1"), **wrong)


async def test_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[generator.Progress] = []
    async with serving(Peer()) as peer:
        await Load(plan(peer, calls=2, ramp=0.0, duration=1.5), on_progress=told.append).run()
    assert told[0].live == 2
    assert 0 < told[0].sent < 2 * 153
    await asyncio.sleep(0)
