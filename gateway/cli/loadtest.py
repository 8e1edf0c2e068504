"""``gateway loadtest``: many paced calls into a gateway on this machine, and what became of them."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.live import Live
from rich.table import Table

from benchmarks.load.generator import Load, Progress
from benchmarks.load.plan import Plan
from benchmarks.speech import labels
from gateway.cli.console import err, out, print_json
from gateway.errors import UsageError
from gateway.peers import client, recording
from gateway.peers.emitter import Ending, Manner

__all__ = ["loadtest"]

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


def loadtest(
    file: Annotated[Path, typer.Argument(metavar="FILE.wav", help="What every call says, over and over.")],
    url: Annotated[str, typer.Option(help="The gateway.")] = "http://127.0.0.1:8080",
    api_id: Annotated[str | None, typer.Option(envvar="GATEWAY_API_ID", show_envvar=True)] = None,
    api_secret: Annotated[str | None, typer.Option(envvar="GATEWAY_API_SECRET", show_envvar=True)] = None,
    calls: Annotated[int, typer.Option(help="Calls at once.")] = 10,
    ramp: Annotated[float, typer.Option(metavar="SECONDS", help="Time over which the calls begin.")] = 5.0,
    duration: Annotated[float, typer.Option(metavar="SECONDS", help="How long each call lasts.")] = 60.0,
    webhook_port: Annotated[
        int, typer.Option(metavar="PORT", help="Where transcripts are received: the gateway must post there.")
    ] = 9001,
    labels_file: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE.json", help="Where speech ends; found by energy if not given."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of places, gains and jitter.")] = 1,
    gain: Annotated[int, typer.Option(metavar="DB", help="Calls differ in level by so much, up and down.")] = 0,
    transcripts: Annotated[bool, typer.Option(help="Whether any are awaited; not with model none.")] = True,
    gated: Annotated[bool, typer.Option("--gated", help="Never start transcription.")] = False,
    coalesced: Annotated[
        bool, typer.Option("--coalesced", help="Write the messages of both tracks at once: more from one core.")
    ] = False,
    together: Annotated[
        int, typer.Option(metavar="FRAMES", help="Frames of each track in a write, which leaves with the last of them.")
    ] = 1,
    first_timestamp: Annotated[
        int | None, typer.Option(metavar="MS", help="Of every track; drawn from 100 to 170 if not given.")
    ] = None,
    jitter: Annotated[int, typer.Option(metavar="MS", help="Timestamps lie this far off the grid at the most.")] = 2,
    gaps: Annotated[float, typer.Option(metavar="SHARE", help="Messages lost on the way to Twilio, 0 to 1.")] = 0.0,
    silence: Annotated[bool, typer.Option(help="Whether quiet frames are sent.")] = True,
    odd: Annotated[bool, typer.Option("--odd", help="Payloads of 0 to 320 bytes.")] = False,
    stall_at: Annotated[float, typer.Option(metavar="SECONDS", help="Each call sends nothing from here …")] = 0.0,
    stall: Annotated[float, typer.Option(metavar="SECONDS", help="… for so long, then all of it at once.")] = 0.0,
    ending: Annotated[Ending, typer.Option(help="How a stream ends.")] = Ending.STOP,
    probe: Annotated[
        float, typer.Option(metavar="RATE", help="API requests a second all through the run, to time them.")
    ] = 0.0,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not check the gateway's certificate.")] = False,
    ca: Annotated[Path | None, typer.Option(help="PEM file with the CA of the gateway's certificate.")] = None,
    allow_remote: Annotated[bool, typer.Option("--allow-remote", help="Let the gateway be another machine.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document at the end.")] = False,
) -> None:
    """Put a gateway under paced calls and measure from outside: latency, loss, order, speakers.

    The gateway must run with GATEWAY_WEBHOOK__URL=http://127.0.0.1:PORT/webhook. Exit code 1 if anything was lost,
    dropped or wrong, or if this process itself could not keep time.
    """
    client.check_url(url)
    if not allow_remote and not client.is_loopback(url):
        raise UsageError(f"--url {url}: not this machine; give --allow-remote if that gateway is yours to load")
    key = client.credentials(url, api_id, api_secret)
    call = recording.load(file)
    context = client.tls_context(insecure=insecure, ca=ca)
    ends = labels.load(labels_file) if labels_file is not None else labels.find(call)
    manner = Manner(
        first_timestamp_ms=first_timestamp,
        jitter_ms=jitter,
        drop=gaps,
        send_silence=silence,
        stall_at_ms=round(stall_at * 1000),
        stall_ms=round(stall * 1000),
        ending=ending,
    )
    plan = Plan(
        url, *key, call, ends, calls, ramp, duration, webhook_port, seed, transcripts, context, gain, gated, coalesced,
        manner, odd, probe, together,
    )  # fmt: skip
    report = _run(plan, err if as_json else out)
    if as_json:
        print_json(report)
    else:
        out.print(_table(report, transcripts and not gated))
    for reason in report["bad"]:
        err.print("[red]not good:[/]", reason, soft_wrap=True)
    if not report["ok"]:
        raise typer.Exit(1)


def _run(plan: Plan, console: Console) -> dict[str, Any]:
    with Live(console=console, transient=True, refresh_per_second=2) as live:
        load = Load(
            plan,
            on_ready=lambda url: console.print(f"receiving on {url} (the gateway's GATEWAY_WEBHOOK__URL)", style="dim"),
            on_progress=lambda progress: live.update(_standing(progress)),
        )
        return uvloop.run(_interruptible(load))


async def _interruptible(load: Load) -> dict[str, Any]:
    """Run it; Ctrl-C and SIGTERM end it with a report, and a second one ends it at once."""
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        for one in INTERRUPTS:
            loop.remove_signal_handler(one)
        load.interrupt()

    for one in INTERRUPTS:
        loop.add_signal_handler(one, interrupt)
    return await load.run()


def _standing(now: Progress) -> Table:
    table = Table(
        "live", "done", "failed", "sent", "behind", "dropped", "transcripts", "p50 ms", "p95 ms", "tick p99", "cores",
        "API p95", "own late p99", box=None,
    )  # fmt: skip
    table.add_row(
        str(now.live), str(now.done), str(now.failed), f"{now.sent:,}", f"{now.behind:,}", f"{now.dropped:,}",
        str(now.transcripts), f"{now.p50_ms:.0f}", f"{now.p95_ms:.0f}", f"{now.tick_ms:.1f}", f"{now.cores:.2f}",
        f"{now.api_ms:.1f}", f"{now.late_ms:.1f}",
    )  # fmt: skip
    return table


def _table(report: dict[str, Any], awaited: bool) -> Table:
    latency, calls, messages = report["latencyMs"], report["calls"], report["messages"]
    offset = report["endOffsetMs"]
    per_call, pacing = report["utterancesPerCall"], report["pacingMs"]
    spoken = {
        "latency": f"p50 {latency['p50']:.0f}  p95 {latency['p95']:.0f}  p99 {latency['p99']:.0f}  "
        f"most {latency['most']:.0f} ms  ({latency['count']} of {report['transcripts']} transcripts matched)",
        "end offset": f"p50 {offset['p50']:.0f}  p95 {offset['p95']:.0f} ms from the label",
        "utterances": f"p50 {per_call['p50']:g}  most {per_call['most']:g} a call",
    }
    rows = {
        "calls": f"{calls['done']} of {calls['asked']} done in {report['seconds']} s",
        "errors": ", ".join(f"{count} × {kind}" for kind, count in calls["errors"].items()) or "none",
        "messages": f"{messages['sent']:,} sent, {messages['lost']:,} lost",
        "dropped": ", ".join(f"{name} {count:g}" for name, count in report["dropped"].items()) or "nothing",
        **(spoken if awaited or report["transcripts"] else {}),
        "wrong": ", ".join(f"{count} × {kind}" for kind, count in report["problems"].items()) or "nothing",
        "API": _api(report["apiMs"]["steady"] or report["apiMs"]["whole"]),
        "own pacing": f"p50 {pacing['p50']:.1f}  p99 {pacing['p99']:.1f} ms late"
        + (f" while all calls spoke, p99 {pacing['whole']['p99']:.1f} in all" if pacing["of"] == "steady" else "")
        + f"; {report['generator']['cpuUsPerMessage']:.1f} µs a message",
        "gateway": _server(report["server"]),
    }
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in rows.items():
        table.add_row(f"[bold]{name}[/]", value)
    return table


def _api(latency: dict[str, dict[str, Any]]) -> str:
    said = [
        f"{name} p50 {spread['p50']:.1f}  p95 {spread['p95']:.1f}  p99 {spread['p99']:.1f} ms ({spread['count']})"
        for name, spread in latency.items()
        if spread["count"]
    ]
    return "; ".join(said) or "nothing was asked while all calls spoke"


def _server(server: dict[str, Any]) -> str:
    ticks = server.get("steadyTickMs", server["tickMs"])
    said = [f"ticks p50 {ticks['p50']:g}  p99 {ticks['p99']:g}  p99.9 {ticks['p99.9']:g} ms"]
    if "cores" in server:
        said.append(f"{server['cores']:.2f} cores, {server['cpuUsPerMessage']:.2f} µs a message")
    if "kibPerCall" in server:
        said.append(f"{server['residentMiB']:.0f} MiB, {server['kibPerCall']:.0f} KiB more a call")
    return "; ".join(said)
