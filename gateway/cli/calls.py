"""``gateway calls``: the calls of a running gateway: listed, shown, stopped."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from gateway.cli.asking import URL, ApiId, ApiSecret, AsJson, Ca, Insecure, Url, ask, table, whole
from gateway.cli.console import err, out, print_json
from gateway.peers.client import Json

__all__ = ["app"]

app = typer.Typer(help="The calls of a running gateway: listed, shown, stopped.", no_args_is_help=True)

Guid = Annotated[str, typer.Argument(help="The Call SID.")]

_STATE_STYLES = {"transcribing": "green", "gated": "yellow", "paused": "yellow", "completed": "dim"}


@app.command("list")
def list_calls(
    url: Url = URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at the most.")] = 100,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Show the calls: live ones, then stored ones."""
    calls = ask(lambda gateway: gateway.calls(limit), url, api_id, api_secret, insecure, ca)
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
    url: Url = URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Show one call: its tracks, what is stored of it, and the posts that did not arrive."""
    call = ask(lambda gateway: gateway.call(guid), url, api_id, api_secret, insecure, ca)
    if as_json:
        print_json(call)
        return
    out.print(_facts_table(call))
    if tracks := call.get("live", {}).get("tracks"):
        out.print(table(tracks, ("track", "role", "streamSid", "connected", "receivedMs", "filledMs", "checksum")))
    if failures := call.get("deliveryFailures"):
        out.print(table(failures, ("sequence", "outcome", "reason", "at", "messageId")))


@app.command()
def stop(
    guid: Guid,
    url: Url = URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Stop the transcription of a call. Exit code 1 if the gateway did not."""
    answer = ask(lambda gateway: gateway.stop(guid), url, api_id, api_secret, insecure, ca)
    stopped = answer.get("isOk") is True
    if as_json:
        print_json(answer)
    elif stopped:
        out.print(_summary_table(answer))
    else:
        err.print("not stopped:", Text(str(answer.get("errorMessage", "the gateway gives no reason"))))
    if not stopped:
        raise typer.Exit(1)


def _calls_table(calls: list[Json]) -> Table:
    made = Table(
        whole("guid"), "state", "since", "sockets", "transcripts", "customer", "agent", box=None, pad_edge=False
    )
    for call in calls:
        live, stored = call.get("live", {}), call.get("stored", {})
        state = str(call.get("state"))
        made.add_row(
            Text(str(call.get("guid"))),
            Text(state, style=_STATE_STYLES.get(state, "")),
            str(live.get("connectedAt") or stored.get("startedAt", "")),
            str(live.get("sockets", "")),
            str(live.get("transcripts", "")),
            Text(str(stored.get("customerId", ""))),
            Text(str(stored.get("agentId", ""))),
        )
    return made


def _facts_table(call: Json) -> Table:
    live = {name: value for name, value in call.get("live", {}).items() if name != "tracks"}
    facts = {"guid": call.get("guid"), "state": call.get("state"), **live, **call.get("stored", {})}
    made = Table(show_header=False, box=None, pad_edge=False)
    for name, value in facts.items():
        made.add_row(Text(name, style="bold"), Text(str(value)))
    return made


def _summary_table(answer: Json) -> Table:
    participants = answer.get("autotranscribeResponse", {})
    rows = [{"participant": role, **participant.get("summary", {})} for role, participant in participants.items()]
    return table(rows, ("participant", "transcripts", "audioDurationMs", "totalAudioBytes", "streamingSeconds"))
