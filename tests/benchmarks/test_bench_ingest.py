"""What a message costs is measured on servers that took all of it, and a fault does not pass for a figure."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_ingest
from benchmarks.audio.files import SAMPLE
from benchmarks.bench_ingest import Plan, run
from benchmarks.ingest import measurement, report
from benchmarks.ingest.measurement import Expected, measure
from benchmarks.ingest.report import Row, as_rows, best, judged, table
from benchmarks.ingest.servers import busy_seconds, nginx_binary, runner
from benchmarks.load.voice import Voice
from benchmarks.load.wire import sound
from benchmarks.process import cpu_seconds
from benchmarks.runners import ingest_work
from gateway._native import NO_EXTENSIONS, mulaw
from gateway.errors import PeerError
from gateway.peers import recording


def row(name: str, us: float, calls: int = 1000, **changes: Any) -> Row:
    one = Row(calls, 3.0, 0.3, 0.4, 100_000, 100_000, 0.5, 2.0, 0.4, name=name, us=us, proof="checksum")
    for key, value in changes.items():
        setattr(one, key, value)
    return one


@pytest.fixture
def expected() -> Expected:
    return Expected(sound(recording.load(SAMPLE)), calls=3, frames=110)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "WARM_SECONDS", 0.2)


# What is expected of a server


def test_the_scripts_table_is_that_of_the_gateway() -> None:
    every = bytes(range(256))
    assert ingest_work.table().tolist() == mulaw.decode(every).tolist()


def test_the_sums_are_those_of_what_is_sent(expected: Expected) -> None:
    streams, size = [], 0
    for number in range(expected.calls):
        stream, voice = ingest_work.Stream(), Voice(expected.script(number, "MZ" + "0" * 32))
        stream.take(b'{"event":"start","start":{"tracks":["inbound","outbound"]}}')
        for _ in range(expected.frames):
            for data in voice.next():
                size += len(data)
                stream.take(measurement._text(data))
        streams.append(stream)
    tracks = [track for stream in streams for track in stream.tracks.values()]
    assert sum(stream.media for stream in streams) == expected.messages == 660
    assert size == expected.calls * expected.line_bytes
    assert sum(track.samples + track.at for track in tracks) == expected.samples
    assert sum(track.checksum for track in tracks) == expected.checksum


@pytest.mark.parametrize("sizes", [(160,) * 120, (8000, 1), (7999, 2, 8000, 20_000), (0, 5)])
def test_a_tracks_sum_does_not_depend_on_how_it_is_cut(sizes: tuple[int, ...]) -> None:
    audio = os.urandom(sum(sizes))
    whole, cut, at = ingest_work.Track(), ingest_work.Track(), 0
    whole.put(audio)
    for size in sizes:
        cut.put(audio[at : at + size])
        at += size
    assert (cut.samples + cut.at, cut.checksum) == (len(audio), whole.checksum)


# Which figures count


def test_the_least_round_counts_but_not_a_void_one() -> None:
    rounds = [
        row("bare", 4.0),
        row("bare", 3.5),
        row("bare", 1.0, late_p99=25.0),
        row("bare", 0.9, short=True),
        row("bare", 0.8, unsent=7),
    ]
    assert best(rounds).us == 3.5
    assert best([row("bare", math.inf, late_p99=0.0, short=True), row("bare", 2.0, late_p99=25.0)]).us == 2.0
    assert best([row("bare", 1.0, late_p99=300.0), row("bare", 2.0, late_p99=25.0)]).us == 2.0


@pytest.mark.parametrize("fault", [{"lost": 1}, {"wrong": True}])
def test_a_round_that_lost_something_is_the_one_that_is_told(fault: dict[str, Any]) -> None:
    assert best([row("gated", 1.0), row("gated", 2.0, **fault)]).bad


def test_who_has_no_time_left_is_saturated_and_its_lateness_is_its_own() -> None:
    one = row("websockets", 9.0, cores=0.96, busy=0.97, taken_rate=70_000, late_p99=900.0)
    assert (one.saturated, one.void) == (True, False)
    assert one.verdict == "saturated: takes 70,000 of 100,000 a second"


def test_who_is_behind_because_others_took_the_core_says_nothing() -> None:
    one = row("bare", 1.0, cores=0.5, busy=0.99, late_p99=900.0)
    assert (one.saturated, one.void) == (False, True)
    assert "void: others took the core" in one.verdict
    assert row("bare", 1.0, cores=0.3, busy=0.6).void
    assert row("bare", 1.0, answer_ms=900.0).void
    assert best([one, row("bare", 2.0, cores=0.97, busy=0.98), row("bare", 3.0)]).us == 3.0


def test_marks_are_met_missed_or_void() -> None:
    rows = [row("gated", 1.2), row("started", 2.0), row("bare", 3.2), row("websockets", 20.0, cores=1.0, busy=1.0)]
    first, second, third = judged(rows)
    rows += [row("started", 2.1, calls=300), row("websockets", 15.0, calls=300)]
    assert [(mark["calls"], mark["ratio"], mark["met"]) for mark in judged(rows)[2:]] == [
        (1000, 0.1, True),
        (300, 0.14, False),
    ]
    assert (first["ratio"], first["met"]) == (0.375, True)
    assert (second["ratio"], second["met"]) == (0.625, False)
    assert (third["ratio"], third["met"], third["saturated"]) == (0.1, True, ["websockets"])
    assert judged([row("gated", 1.2), row("bare", 3.2, late_p99=21.0)])[0]["met"] is None
    assert judged([row("gated", 1.2, lost=1), row("bare", 4.0)])[0]["met"] is False
    assert judged([row("gated", 1.2, calls=300), row("bare", 4.0, calls=300)]) == []


def test_under_tls_the_most_sockets_that_the_load_could_pace_are_judged() -> None:
    rows = [row("tls-gated", 20.0 + calls / 100, calls=calls) for calls in (100, 300)]
    rows += [row("tls-bare", 20.0, calls=100), row("tls-bare", 10.0, calls=300, late_p99=90.0)]
    (mark,) = judged(rows)
    assert (mark["calls"], mark["ratio"], mark["met"]) == (100, 1.05, True)


def test_the_table_shows_both_sides() -> None:
    rows = [row("gated", 1.2, round_ms=40.0), row("bare", 3.2), row("bare", math.inf, calls=300, short=True)]
    result: dict[str, Any] = {
        "machine": "here",
        "versions": {"uvloop": "1"},
        "seconds": 3.0,
        "rounds": 2,
        "tickMs": 20,
        "rows": as_rows(rows, {(one.name, one.calls): [one, replace(one, us=9.0)] for one in rows}),
        "without": {"picows": "no registry"},
        "marks": judged(rows),
    }
    assert result["rows"][0]["roundsUs"] == [1.2, 9.0]
    assert (result["rows"][2]["us"], result["rows"][2]["toBare"]) == (None, None)
    json.dumps(result, allow_nan=False)
    shown = table(result)
    for words in (
        "1.20    0.30     0.38   40 ms",
        "none lost, by checksum",
        "without picows",
        "0.375, mark ≤ 0.4: met",
    ):
        assert words in shown


def test_the_plot_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [
        row("gated", 1.2),
        row("bare", 3.2, cores=1.0, busy=1.0),
        row("bare", 3.0, calls=300),
        row("tls-bare", 3.0, calls=100),
    ]
    result = {"rows": as_rows(rows, {(one.name, one.calls): [one] for one in rows})}
    for name in ("a.svg", "b.svg"):
        report.plot(result, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


# The processor's time


def test_a_process_is_asked_for_its_time() -> None:
    before = cpu_seconds([os.getpid()])
    while cpu_seconds([os.getpid()]) < before + 0.01:
        pass
    assert busy_seconds([os.getpid()])[0] > 0
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    with pytest.raises(PeerError, match="has ended"):
        cpu_seconds([gone.pid])


# Real servers


def judge(found: dict[tuple[str, int], list[Row]], proofs: dict[str, str]) -> None:
    """All was taken; a machine that is busy with other things may saturate a server or void a round."""
    assert {name for name, _ in found} == set(proofs)
    for (name, _), rounds in found.items():
        assert not any(one.bad for one in rounds), rounds
        assert all(one.saturated or one.starved or one.unsent or one.proof == proofs[name] for one in rounds)
        assert all(0 < one.us < 10_000 for one in rounds)
        ticks = name.removeprefix("tls-") in ("gated", "started", "nginx") and not NO_EXTENSIONS
        assert all((one.round_ms > 0) == ticks for one in rounds)


@pytest.mark.usefixtures("soon")
def test_a_gateway_and_a_bare_protocol_take_all(capsys: pytest.CaptureFixture[str]) -> None:
    found, without = run([("started", 4), ("bare", 4)], Plan(SAMPLE, 0.2, 1))
    assert without == {}
    judge(found, {"started": "checksum", "bare": "bytes"})
    assert "4 sockets, started" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("soon")
def test_the_other_servers_take_all() -> None:
    proofs = {"gated": "messages", "buffered": "bytes", "websockets": "checksum", "aiohttp": "checksum"}
    proofs |= {"tls-bare": "bytes", "tls-started": "checksum", "tls-websockets": "checksum"}
    if nginx_binary() is not None:
        proofs |= {"nginx": "checksum", "tls-nginx": "checksum"}
    found, without = run([(name, 3) for name in proofs], Plan(SAMPLE, 0.2, 1))
    assert without == {}
    judge(found, proofs)


@pytest.mark.usefixtures("soon")
async def test_pcm_that_is_not_what_was_said_is_noticed(expected: Expected) -> None:
    class Other(Expected):
        @property
        def checksum(self) -> int:
            return super().checksum + 1

    async with runner("websockets", None) as server:
        found = await measure(server, Other(expected.sound, 2, 60), 0.2)
    assert found.saturated or found.starved or found.bad


def test_what_is_void_is_measured_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    late = {"bare": [99.0, 99.0, 1.0], "gated": [99.0, 1.0], "started": [99.0, 99.0, 99.0]}

    async def one(case: tuple[str, int], expected: Expected, plan: Plan) -> Row:
        return row(case[0], 1.0, late_p99=late[case[0]].pop(0))

    monkeypatch.setattr(bench_ingest, "one", one)
    found, _ = run([("bare", 1000), ("gated", 1000), ("started", 1000)], Plan(SAMPLE, 0.2, 2))
    assert [len(rounds) for rounds in found.values()] == [3, 2, 3]
    assert [best(rounds).void for rounds in found.values()] == [False, False, True]


def test_a_server_that_cannot_be_had_is_left_out() -> None:
    found, without = run([("nobody", 1)], Plan(SAMPLE, 0.2, 1))
    assert (found, without) == ({}, {"nobody": "no such row: nobody (at 1 sockets)"})


# The command


@pytest.mark.usefixtures("soon")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs a core for the server and one for the load")
def test_the_command_keeps_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_ingest, "RESULTS", tmp_path)
    short = ["--rows", "bare", "--sockets", "2", "--tls", "--seconds", "0.2", "--rounds", "1"]
    assert bench_ingest.main([*short, "--json", "--keep"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "ingest.json").read_text())
    assert [(one["name"], one["calls"], one["toBare"]) for one in printed["rows"]] == [("bare", 2, 1.0)]


def test_one_core_is_not_enough(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert bench_ingest.main([]) == 2
    assert "two cores" in capsys.readouterr().err
