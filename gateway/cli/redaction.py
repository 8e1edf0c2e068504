"""``gateway redaction``: what a running gateway hides in the transcripts of the key's account."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from gateway.cli.asking import URL, ApiId, ApiSecret, AsJson, Ca, Insecure, Url, ask, whole
from gateway.cli.console import err, out, print_json
from gateway.errors import UsageError
from gateway.peers.client import ApiError, GatewayClient, Json

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
    """Hide entities, in calls that are started from now on. A name that is none changes nothing: exit code 2."""
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
    """Show entities, in calls that are started from now on. Locked ones stay hidden: exit code 1.

    The others are shown all the same. A name that is none changes nothing: exit code 2.
    """
    _report(ask(lambda gateway: _set(gateway, entities, False), url, api_id, api_secret, insecure, ca), as_json)


async def _set(gateway: GatewayClient, entities: list[str], active: bool) -> tuple[list[Json], list[ApiError]]:
    """Those that were set, and why others were not; every name is looked up before any is set."""
    wanted = list(dict.fromkeys(entity.upper() for entity in entities))
    known = {str(entity.get("id")) for entity in await gateway.redaction_entities()}
    if unknown := [entity for entity in wanted if entity not in known]:
        names = ", ".join(unknown)
        raise UsageError(f"no such entity: {names}; nothing was changed, `gateway redaction list` shows all")
    changed: list[Json] = []
    refused: list[ApiError] = []
    for entity in wanted:
        try:
            changed.append(await gateway.set_redaction(entity, active))
        except ApiError as error:
            refused.append(error)
    return changed, refused


def _report(done: tuple[list[Json], list[ApiError]], as_json: bool) -> None:
    changed, refused = done
    if as_json:
        print_json(changed)
    elif changed:
        out.print(_table(changed))
    for error in refused:
        err.print(Text.assemble(("error: ", "red"), str(error)), soft_wrap=True)
    if refused:
        raise typer.Exit(1)


def _table(entities: list[Json]) -> Table:
    made = Table(whole("entity"), "hidden", "what", box=None, pad_edge=False)
    for entity in entities:
        hidden = entity.get("policies", {}).get("autoTranscribe") is True
        shown = Text("yes", style="green") if hidden else Text("no", style="dim")
        made.add_row(Text(str(entity.get("id"))), shown, Text(str(entity.get("description", ""))))
    return made
