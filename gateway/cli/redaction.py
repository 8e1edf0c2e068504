"""``gateway redaction``: what a running gateway hides in the transcripts of the key's account."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from gateway.cli.asking import URL, ApiId, ApiSecret, AsJson, Ca, Insecure, Url, ask, whole
from gateway.cli.console import out, print_json
from gateway.peers.client import GatewayClient, Json

__all__ = ["app"]

app = typer.Typer(help="What is hidden in transcripts: listed, turned on, turned off.", no_args_is_help=True)

Entities = Annotated[list[str], typer.Argument(metavar="ENTITY", help="Ids, such as EMAIL.", show_default=False)]


@app.command("list")
def list_entities(
    url: Url = URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Show what can be hidden, and what is, in the transcripts of the key's account."""
    entities = ask(lambda gateway: gateway.redaction_entities(), url, api_id, api_secret, insecure, ca)
    if as_json:
        print_json(entities)
    else:
        out.print(_table(entities))


@app.command()
def enable(
    entities: Entities,
    url: Url = URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Hide entities, in calls that are started from now on."""
    _report(ask(lambda gateway: _set(gateway, entities, True), url, api_id, api_secret, insecure, ca), as_json)


@app.command()
def disable(
    entities: Entities,
    url: Url = URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Show entities, in calls that are started from now on. Locked ones stay hidden: exit code 1."""
    _report(ask(lambda gateway: _set(gateway, entities, False), url, api_id, api_secret, insecure, ca), as_json)


async def _set(gateway: GatewayClient, entities: list[str], active: bool) -> list[Json]:
    return [await gateway.set_redaction(entity.upper(), active) for entity in entities]


def _report(entities: list[Json], as_json: bool) -> None:
    if as_json:
        print_json(entities)
    else:
        out.print(_table(entities))


def _table(entities: list[Json]) -> Table:
    made = Table(whole("entity"), "hidden", "what", box=None, pad_edge=False)
    for entity in entities:
        hidden = entity.get("policies", {}).get("autoTranscribe") is True
        shown = Text("yes", style="green") if hidden else Text("no", style="dim")
        made.add_row(Text(str(entity.get("id"))), shown, Text(str(entity.get("description", ""))))
    return made
