"""``gateway keys``: API keys, made, listed and revoked. Works on the store itself, also while the server runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from gateway import config
from gateway.cli.console import err, out, print_json
from gateway.errors import UsageError
from gateway.store.records import KeyRecord
from gateway.store.secrets import store_key
from gateway.store.store import Store

__all__ = ["app"]

app = typer.Typer(help="API keys: made, listed, revoked.", no_args_is_help=True)

T = TypeVar("T")

_JSON = typer.Option(False, "--json", help="Print JSON for scripts.")
_CONFIG = typer.Option(None, "--config", help="TOML file with settings.", metavar="FILE")

# As wide as the column it goes into.
_NAME_CHARS = 200


def _with_store(config_file: Path | None, work: Callable[[Store], Awaitable[T]]) -> T:
    """Open the store of the settings, do the work, close it."""

    async def run() -> T:
        store = await Store.open(settings.resolved_database_url, key=store_key(settings))
        try:
            return await work(store)
        finally:
            await store.close()

    settings = config.load(config_file)
    # What is written here holds secrets: its owner's alone.
    os.umask(0o077)
    return asyncio.run(run())


def _require_store(config_file: Path | None) -> None:
    """Looking at keys makes no database: most likely the command was run in another directory than the gateway.

    Raises:
        UsageError: there is no SQLite file where the settings say.
    """
    settings = config.load(config_file)
    path = settings.resolved_database_url.removeprefix("sqlite:///")
    if settings.resolved_database_url.startswith("sqlite:///") and not Path(path).exists():
        msg = f"{path}: there is no database; run this where the gateway runs, or set GATEWAY_DATA_DIR"
        raise UsageError(msg)


def _checked(option: str, value: str) -> str:
    value = value.strip()
    if not value or len(value) > _NAME_CHARS or not value.isprintable():
        msg = f"{option}: must be 1 to {_NAME_CHARS} printable characters"
        raise UsageError(msg)
    return value


@app.command()
def create(
    name: str = typer.Option(..., "--name", help="What the key is for."),
    account: str | None = typer.Option(
        None, "--account", help="Account that owns the calls; made if there is none yet.", show_default="default"
    ),
    as_json: bool = _JSON,
    config_file: Path | None = _CONFIG,
) -> None:
    """Make a key. Its secret is shown this once."""
    checked = _checked("--name", name)
    owner = None if account is None else _checked("--account", account)
    key = _with_store(config_file, lambda store: store.create_key(checked, owner))
    if as_json:
        print_json({"apiId": key.api_id, "apiSecret": key.api_secret})
        return
    out.print(f"asapp-api-id:     {key.api_id}", markup=False, soft_wrap=True)
    out.print(f"asapp-api-secret: {key.api_secret}", markup=False, soft_wrap=True)
    place = config.load(config_file).resolved_database_url.rpartition("@")[2]
    err.print(f"The secret is not shown again; keep it now. Made in {place}", markup=False, soft_wrap=True)


@app.command("list")
def list_keys(as_json: bool = _JSON, config_file: Path | None = _CONFIG) -> None:
    """Show all keys, revoked ones too."""

    async def work(store: Store) -> tuple[list[KeyRecord], dict[str, str]]:
        return await store.list_keys(), await store.account_names()

    _require_store(config_file)
    keys, names = _with_store(config_file, work)
    if as_json:
        print_json([_as_json(key, names[key.account_id]) for key in keys])
        return
    if not keys:
        err.print("There are no keys; `gateway keys create --name NAME` makes one.")
        return
    table = Table("api id", "name", "account", "made", "revoked", box=None, pad_edge=False)
    for key in keys:
        # Names are the owner's: brackets in them are no markup.
        table.add_row(
            key.api_id, escape(key.name), escape(names[key.account_id]), _day(key.created_at), _day(key.revoked_at)
        )
    out.print(table)


@app.command()
def revoke(
    api_id: str = typer.Argument(..., metavar="API_ID", help="As `gateway keys list` shows it."),
    config_file: Path | None = _CONFIG,
) -> None:
    """Revoke a key for good: its API calls and new media streams are refused from now on."""
    _require_store(config_file)
    if not _with_store(config_file, lambda store: store.revoke_key(api_id)):
        msg = f"{api_id}: no such key, or it is revoked already; `gateway keys list` shows them"
        raise UsageError(msg)
    err.print(f"{api_id}: revoked", markup=False)


def _as_json(key: KeyRecord, account: str) -> dict[str, str | None]:
    return {
        "apiId": key.api_id,
        "name": key.name,
        "account": account,
        "createdAt": key.created_at.isoformat(),
        "revokedAt": None if key.revoked_at is None else key.revoked_at.isoformat(),
    }


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}Z"
