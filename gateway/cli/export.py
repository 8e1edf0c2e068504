"""``gateway export``: builds feeds on demand, beside a running gateway or without one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway import config
from gateway.cli.console import err, out, print_json
from gateway.config import Settings
from gateway.errors import UsageError
from gateway.export.build import Built, Plan, alone
from gateway.export.exporter import Exporter
from gateway.export.formats import FORMATS, require
from gateway.export.partitions import parse_date
from gateway.export.rows import FEEDS
from gateway.export.schedule import Calendar, days_between
from gateway.export.storage import Folder
from gateway.store.feeds import AccountRecord
from gateway.store.secrets import store_key
from gateway.store.store import Store

__all__ = ["days_of", "export"]


def export(
    day: Annotated[str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="A day, UTC; else yesterday.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="First day of several.")] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="Last day of several; else yesterday.")
    ] = None,
    feeds: Annotated[list[str] | None, typer.Option("--feed", help=f"{', '.join(FEEDS)}; may be repeated.")] = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help=f"{', '.join(FORMATS)}; may be repeated; else as set.")
    ] = None,
    gzip: Annotated[bool | None, typer.Option("--gzip/--no-gzip", help="Compress jsonl and csv; else as set.")] = None,
    account: Annotated[str | None, typer.Option(help="Name or id of one account; else all.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write here, not to where the API reads; today is allowed, too."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="TOML file with settings.", metavar="FILE")
    ] = None,
) -> None:
    """Build the feeds of a day, or build them again; the same messages give the same files."""
    settings = config.load(config_file)
    path = settings.resolved_database_url.removeprefix("sqlite:///")
    if settings.resolved_database_url.startswith("sqlite:///") and not Path(path).exists():
        raise UsageError(f"{path}: there is no database; run this where the gateway runs, or set GATEWAY_DATA_DIR")
    os.umask(0o077)
    now = datetime.now(UTC)
    plan = Plan(feeds=_known("--feed", feeds, tuple(FEEDS)), formats=_known("--format", formats, FORMATS))
    require(plan.formats if formats else ())
    if not formats:
        plan = replace(plan, formats=tuple(settings.export.formats))
    if gzip is None:
        gzip = settings.export.gzip
    built = asyncio.run(_run(settings, now, (day, first, last), replace(plan, gzip=gzip), account, output))
    _report(*built, as_json=as_json)


def _known(option: str, given: Sequence[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    for name in given or ():
        if name not in known:
            raise UsageError(f"{option} {name!r}: must be one of {', '.join(known)}")
    return tuple(dict.fromkeys(given or known))


def days_of(
    asked: tuple[str | None, str | None, str | None], calendar: Calendar, now: datetime, *, today: bool
) -> list[date]:
    """The days that the options name.

    Args:
        asked: ``--date``, ``--from`` and ``--to``.
        calendar: what can still be built.
        now: aware.
        today: whether the day that is not over may be asked for.

    Raises:
        UsageError: no day, days in the wrong order, not over, or of which messages are gone already.
    """
    names = ("--date", "--from", "--to")
    day, first, last = (_day(name, text) for name, text in zip(names, asked, strict=True))
    if day is not None and (first is not None or last is not None):
        raise UsageError("--date goes without --from and --to; give one day or several")
    if last is not None and first is None:
        raise UsageError("--to: give the first day, too, with --from")
    newest = now.date() - timedelta(days=0 if today else 1)
    yesterday = now.date() - timedelta(days=1)
    begin, end = day or first or yesterday, day or last or max(yesterday, first or yesterday)
    if begin > end:
        raise UsageError(f"--from {begin}: is after --to {end}")
    if end > newest:
        hint = "" if today else "; with --output the messages so far of today can be had"
        raise UsageError(f"{end}: this day is not over (UTC); the newest that can be built is {newest}{hint}")
    earliest = calendar.earliest(now)
    if begin < earliest:
        raise UsageError(
            f"{begin}: messages are kept {calendar.messages_days} days; the first day that is whole is {earliest}"
        )
    return days_between(begin, end)


def _day(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    day = parse_date(text)
    if day is None:
        raise UsageError(f"{option} {text!r}: must be a day such as 2026-03-02")
    return day


async def _run(
    settings: Settings,
    now: datetime,
    asked: tuple[str | None, str | None, str | None],
    plan: Plan,
    account: str | None,
    output: Path | None,
) -> tuple[list[Built], dict[str, str], str]:
    """What was built, the accounts' names by id, and where it is."""
    store = await Store.open(settings.resolved_database_url, key=store_key(settings))
    try:
        exporter = Exporter.open(settings, store, output)
        days = days_of(asked, exporter.calendar, now, today=output is not None)
        accounts = _chosen(await exporter.queries.accounts(), account)
        built: list[Built] = []
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task("hours", total=24 * len(days) * len(accounts))
            async with alone(exporter.folder):
                for day in days:
                    terms = exporter.plan.terms
                    whole = replace(plan, terms=terms, complete=day < now.date())
                    for one in accounts:
                        built += await exporter.builder.build(
                            one.account_id, day, whole, on_hour=lambda: bar.advance(task)
                        )
        storage = exporter.storage
        place = str(storage.root) if isinstance(storage, Folder) else f"bucket {settings.export.s3_bucket}"
        return built, {one.account_id: one.name for one in accounts}, place
    finally:
        await store.close()


def _chosen(accounts: list[AccountRecord], name: str | None) -> list[AccountRecord]:
    chosen = [one for one in accounts if name is None or name in (one.account_id, one.name)]
    if not chosen and name is not None:
        raise UsageError(f"--account {name!r}: there is no such account; `gateway keys list` shows them")
    return chosen


def _report(built: list[Built], names: dict[str, str], place: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"place": place, "built": [_as_json(one, names) for one in built]})
        return
    if not built:
        err.print("There are no accounts; `gateway keys create --name NAME` makes the first.")
        return
    table = Table("day", "account", "feed", "format", "rows", "files", "bytes", box=None, pad_edge=False)
    for one in built:
        day = one.day
        name = escape(names[day.account_id])
        table.add_row(str(day.date), name, day.feed, day.format, str(one.rows), str(one.files), f"{one.bytes:,}")
    out.print(table)
    err.print(f"in {place}", markup=False, soft_wrap=True)


def _as_json(one: Built, names: dict[str, str]) -> dict[str, str | int]:
    return {
        "date": one.day.date.isoformat(),
        "account": names[one.day.account_id],
        "path": one.day.prefix,
        "feed": one.day.feed,
        "format": one.day.format,
        "rows": one.rows,
        "files": one.files,
        "bytes": one.bytes,
    }
