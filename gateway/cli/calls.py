"""``gateway calls``: the calls of a running gateway: listed, shown, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Column, Table
from rich.text import Text

from gateway.cli.console import err, out, print_json
from gateway.peers.client import GatewayClient, Json, credentials, tls_context

__all__ = ["app"]

app = typer.Typer(help="The calls of a running gateway: listed, shown, stopped.", no_args_is_help=True)

_Result = TypeVar("_Result")

Url = Annotated[str, typer.Option(help="The gateway.")]
ApiId = Annotated[str | None, typer.Option(envvar="GATEWAY_API_ID", show_envvar=True)]
ApiSecret = Annotated[str | None, typer.Option(envvar="GATEWAY_API_SECRET", show_envvar=True)]
Insecure = Annotated[bool, typer.Option("--insecure", help="Do not check the gateway's certificate.")]
Ca = Annotated[Path | None, typer.Option(help="PEM file with the CA of the gateway's certificate.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Guid = Annotated[str, typer.Argument(help="The Call SID.")]

_URL = "http://127.0.0.1:8080"
_STATE_STYLES = {"transcribing": "green", "gated": "yellow", "paused": "yellow", "completed": "dim"}


@app.command("list")
def list_calls(
    url: Url = _URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at the most.")] = 100,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Show the calls: live ones, then stored ones."""
    calls = _ask(lambda gateway: gateway.calls(limit), url, api_id, api_secret, insecure, ca)
    if as_json:
        print_json(calls)
        return
    if not calls:
        err.print("no calls")
        return
    out.print(_calls_table(calls))


@app.command()
def show(
    guid: Guid,
    url: Url = _URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Show one call: its tracks, what is stored of it, and the posts that did not arrive."""
    call = _ask(lambda gateway: gateway.call(guid), url, api_id, api_secret, insecure, ca)
    if as_json:
        print_json(call)
        return
    out.print(_facts_table(call))
    if tracks := call.get("live", {}).get("tracks"):
        out.print(_table(tracks, ("track", "role", "streamSid", "connected", "receivedMs", "filledMs", "checksum")))
    if failures := call.get("deliveryFailures"):
        out.print(_table(failures, ("sequence", "outcome", "reason", "at", "messageId")))


@app.command()
def stop(
    guid: Guid,
    url: Url = _URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Stop the transcription of a call. Exit code 1 if the gateway did not."""
    answer = _ask(lambda gateway: gateway.stop(guid), url, api_id, api_secret, insecure, ca)
    stopped = answer.get("isOk") is True
    if as_json:
        print_json(answer)
    elif stopped:
        out.print(_summary_table(answer))
    else:
        err.print("not stopped:", Text(str(answer.get("errorMessage", "the gateway gives no reason"))))
    if not stopped:
        raise typer.Exit(1)


def _ask(
    question: Callable[[GatewayClient], Awaitable[_Result]],
    url: str,
    api_id: str | None,
    api_secret: str | None,
    insecure: bool,
    ca: Path | None,
) -> _Result:
    async def ask() -> _Result:
        async with client as gateway:
            return await question(gateway)

    context = tls_context(insecure=insecure, ca=ca)
    client = GatewayClient(url, *credentials(url, api_id, api_secret), context)
    return asyncio.run(ask())


def _table(rows: list[Json], columns: tuple[str, ...]) -> Table:
    """Columns that have something in them; cells are text, never markup."""
    filled = [column for column in columns if any(row.get(column) is not None for row in rows)]
    table = Table(*map(_whole, filled), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text("" if row.get(column) is None else str(row[column])) for column in filled))
    return table


def _whole(name: str) -> Column:
    """A column whose cells are copied by hand: never cut off."""
    return Column(name, no_wrap=True, overflow="ignore")


def _calls_table(calls: list[Json]) -> Table:
    table = Table(
        _whole("guid"), "state", "since", "sockets", "transcripts", "customer", "agent", box=None, pad_edge=False
    )
    for call in calls:
        live, stored = call.get("live", {}), call.get("stored", {})
        state = str(call.get("state"))
        table.add_row(
            Text(str(call.get("guid"))),
            Text(state, style=_STATE_STYLES.get(state, "")),
            str(live.get("connectedAt") or stored.get("startedAt", "")),
            str(live.get("sockets", "")),
            str(live.get("transcripts", "")),
            Text(str(stored.get("customerId", ""))),
            Text(str(stored.get("agentId", ""))),
        )
    return table


def _facts_table(call: Json) -> Table:
    live = {name: value for name, value in call.get("live", {}).items() if name != "tracks"}
    facts = {"guid": call.get("guid"), "state": call.get("state"), **live, **call.get("stored", {})}
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in facts.items():
        table.add_row(Text(name, style="bold"), Text(str(value)))
    return table


def _summary_table(answer: Json) -> Table:
    participants = answer.get("autotranscribeResponse", {})
    rows = [{"participant": role, **participant.get("summary", {})} for role, participant in participants.items()]
    return _table(rows, ("participant", "transcripts", "audioDurationMs", "totalAudioBytes", "streamingSeconds"))
