"""``gateway vocabulary``: the phrases that a running gateway listens for in the calls of the key's account."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table
from rich.text import Text

from gateway.cli.asking import URL, ApiId, ApiSecret, AsJson, Ca, Insecure, Url, ask, whole
from gateway.cli.console import err, out, print_json
from gateway.errors import UsageError
from gateway.peers.client import ApiError, GatewayClient, Json

__all__ = ["app", "read_phrases"]

app = typer.Typer(help="Phrases that the recognizer is to know: listed, added, removed.", no_args_is_help=True)

Entry = tuple[str, list[str]]
"""A phrase, and how it may sound."""

_MAX_FILE_BYTES = 1024 * 1024


@app.command("list")
def list_phrases(
    url: Url = URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Show the phrases of the key's account."""
    phrases = ask(lambda gateway: gateway.vocabularies(), url, api_id, api_secret, insecure, ca)
    if as_json:
        print_json(phrases)
    elif phrases:
        out.print(_table(phrases))
    else:
        err.print("no phrases")


@app.command()
def add(
    phrase: Annotated[str, typer.Argument(help="As it is to be written.")],
    sounds_like: Annotated[
        list[str] | None, typer.Option(help="How it may sound, in words; up to five times.", show_default=False)
    ] = None,
    url: Url = URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Add a phrase, for calls that are started from now on."""
    sounds = sounds_like or []
    added = ask(lambda gateway: gateway.add_vocabulary(phrase, sounds), url, api_id, api_secret, insecure, ca)
    if as_json:
        print_json(added)
    else:
        out.print(_table([added]))


@app.command()
def remove(
    phrase: Annotated[str, typer.Argument(help="The phrase, or its id.")],
    url: Url = URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Remove a phrase. Exit code 1 if there is none."""
    removed = ask(lambda gateway: _remove(gateway, phrase), url, api_id, api_secret, insecure, ca)
    if removed is None:
        err.print(Text("error: no such phrase; `gateway vocabulary list` shows them"))
        raise typer.Exit(1)
    if as_json:
        print_json(removed)
    else:
        out.print(Text(f"removed: {removed.get('phrase')}"))


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV, or JSON as `vocabulary list --json` prints it.")],
    url: Url = URL,
    api_id: ApiId = None,
    api_secret: ApiSecret = None,
    insecure: Insecure = False,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Add the phrases of a file: a phrase a line, what it sounds like behind it, parted by commas.

    Phrases that are there already are left as they are. Exit code 1 if some were refused; the others are added.
    """
    entries = read_phrases(file)
    added, known, refused = ask(lambda gateway: _add_all(gateway, entries), url, api_id, api_secret, insecure, ca)
    if as_json:
        print_json({"added": added, "known": known, "refused": refused})
    else:
        out.print(f"{len(added)} added, {known} were there already, {len(refused)} refused")
        for one in refused:
            err.print(Text(f"{file}, entry {one['entry']}: {one['reason']}"), soft_wrap=True)
    if refused:
        raise typer.Exit(1)


def read_phrases(file: Path) -> list[Entry]:
    """The entries of a CSV or (``.json``) a JSON file, as they stand there.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    try:
        if file.stat().st_size > _MAX_FILE_BYTES:
            raise UsageError(f"{file}: is larger than 1 MiB; an account may have 200 phrases")
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{file}: cannot be read ({reason})") from error
    return _from_json(file, text) if file.suffix.lower() == ".json" else _from_csv(file, text)


def _from_csv(file: Path, text: str) -> list[Entry]:
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), strict=True)]
    except csv.Error as error:
        raise UsageError(f"{file}: is no CSV ({error}); put a phrase on a line, its sounds behind commas") from error
    return [(row[0], [sound for sound in row[1:] if sound]) for row in rows if any(row)]


def _from_json(file: Path, text: str) -> list[Entry]:
    wrong = UsageError(f'{file}: must be a JSON array of {{"phrase": "…", "soundsLike": ["…"]}}')
    try:
        items = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise wrong from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise wrong
    return [_entry(item, wrong) for item in items]


def _entry(item: dict[str, Any], wrong: UsageError) -> Entry:
    phrase, sounds = item.get("phrase"), item.get("soundsLike", [])
    if not isinstance(phrase, str) or not isinstance(sounds, list) or not all(isinstance(one, str) for one in sounds):
        raise wrong
    return phrase, sounds


async def _remove(gateway: GatewayClient, phrase: str) -> Json | None:
    wanted = phrase.strip().casefold()
    for one in await gateway.vocabularies():
        if one.get("id") == phrase or str(one.get("phrase")).casefold() == wanted:
            return await gateway.delete_vocabulary(str(one.get("id")))
    return None


async def _add_all(gateway: GatewayClient, entries: list[Entry]) -> tuple[list[Json], int, list[Json]]:
    """What was added, how many were there already, and which were refused why; entries count from 1."""
    added: list[Json] = []
    refused: list[Json] = []
    known = 0
    for number, (phrase, sounds) in enumerate(entries, 1):
        try:
            added.append(await gateway.add_vocabulary(phrase, sounds))
        except ApiError as error:
            if error.status == 409:
                known += 1
            elif error.status in (400, 422):
                refused.append({"entry": number, "reason": str(error)})
            else:
                raise
    return added, known, refused


def _table(phrases: list[Json]) -> Table:
    made = Table(whole("id"), "phrase", "sounds like", box=None, pad_edge=False)
    for one in phrases:
        sounds = ", ".join(map(str, one.get("soundsLike", [])))
        made.add_row(*(Text(str(cell)) for cell in (one.get("id"), one.get("phrase"), sounds)))
    return made
