"""``gateway webhook``: try the configured webhook, see what did not arrive, post it again."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text
from yarl import URL

from gateway import config
from gateway.cli.console import err, out, print_json
from gateway.config import Settings, WebhookAuth, WebhookSettings
from gateway.delivery.posts import Post
from gateway.delivery.redelivery import Tally, redeliver
from gateway.delivery.target import PostResult, Target
from gateway.delivery.webhook import WebhookPublisher
from gateway.errors import UsageError
from gateway.store.outbox import Undelivered
from gateway.store.records import DeliveryRecord
from gateway.store.secrets import store_key
from gateway.store.store import Store
from gateway.store.writer import Writer

__all__ = ["app", "moment"]

app = typer.Typer(
    help="The webhook that transcripts are posted to: tried, its failures shown and mended.", no_args_is_help=True
)

T = TypeVar("T")

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.", metavar="FILE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Guid = Annotated[str | None, typer.Option(help="Only those of this call (its Call SID).")]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only those since: 30m, 2h, 7d ago, or 2026-03-02T12:00:00Z.")
]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@app.command("test")
def send_test(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Post one made-up transcript. Exit code 1 if the target did not take it, 2 if no webhook is set."""
    webhook = _webhook(config.load(config_file))
    result = asyncio.run(_send(webhook))
    _report(result, webhook, as_json=as_json)
    if not result.ok:
        raise typer.Exit(1)


@app.command()
def failures(
    guid: Guid = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at the most.")] = 100,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the posts that failed or were dropped, newest first, over all accounts."""
    which = Undelivered(guid, None if since is None else moment(since))

    async def look(store: Store) -> tuple[list[tuple[str, DeliveryRecord]], int]:
        await _check_guid(store, guid)
        return await store.undelivered(which, limit), await store.count_pending(which)

    found, pending = _with_store(config.load(config_file), look)
    if as_json:
        print_json([_as_json(call, record) for call, record in found])
        return
    if found:
        out.print(_failures_table(found))
    waiting = f"{pending} wait to be posted" if pending else ""
    told = [*([] if found else ["nothing failed and nothing was dropped"]), *([waiting] if waiting else [])]
    if told:
        err.print("; ".join(told))


@app.command("redeliver")
def post_again(
    guid: Guid = None,
    since: Since = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="All of them.")] = False,
    url: Annotated[
        str | None, typer.Option(help="Post to this address instead; on another host without authentication.")
    ] = None,
    same_auth: Annotated[
        bool, typer.Option("--same-auth", help="With --url: authenticate and sign there as set, on any host.")
    ] = False,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Post again what failed or was dropped; a running gateway goes on meanwhile.

    Exit code 1 if the target did not take all of it.
    """
    if all_failed == (guid is not None or since is not None):
        msg = "which ones? Name --guid, --since or both; or --all-failed alone"
        raise UsageError(msg)
    settings = config.load(config_file)
    webhook = _webhook(settings, url, same_auth=same_auth)
    which = Undelivered(guid, None if since is None else moment(since))
    tally, left = _with_store(settings, lambda store: _redeliver(store, webhook, which))
    _tell(tally, left, as_json=as_json)
    if tally.failed or tally.lost or left:
        raise typer.Exit(1)


# What is nobody's but the target's.
_NO_AUTH = {"auth": WebhookAuth.NONE, "signing_secret": None, "client_cert": None, "client_key": None}


def _webhook(settings: Settings, url: str | None = None, *, same_auth: bool = False) -> WebhookSettings:
    """The webhook's settings, with another address where one is given; secrets stay with the origin they are for."""
    if url is not None:
        there = _origin(url)
        if there is None:
            msg = "--url: must be written as http://HOST/PATH or https://HOST/PATH"
            raise UsageError(msg)
        known = same_auth or there == _origin(settings.webhook.url or "")
        return settings.webhook.model_copy(update={"url": url, **({} if known else _NO_AUTH)})
    if same_auth:
        msg = "--same-auth: goes with --url; without it the target is the one that is set"
        raise UsageError(msg)
    if settings.webhook.url is None:
        msg = "no webhook is set; set GATEWAY_WEBHOOK__URL to the http(s) URL that transcripts are to be posted to"
        raise UsageError(msg)
    return settings.webhook


def _origin(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port; None if it is no address."""
    try:
        parsed = URL(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            return None
        return parsed.scheme, parsed.host.lower(), parsed.port
    except ValueError:
        return None


def _with_store(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    """Open the store of the settings, do the work, close it.

    Raises:
        UsageError: there is no SQLite file where the settings say: most likely this is not where the gateway runs.
    """
    path = settings.resolved_database_url.removeprefix("sqlite:///")
    if settings.resolved_database_url.startswith("sqlite:///") and not Path(path).exists():
        msg = f"{path}: there is no database; run this where the gateway runs, or set GATEWAY_DATA_DIR"
        raise UsageError(msg)

    async def run() -> T:
        store = await Store.open(settings.resolved_database_url, key=store_key(settings))
        try:
            return await work(store)
        finally:
            await store.close()

    os.umask(0o077)
    return asyncio.run(run())


def moment(text: str) -> datetime:
    """``2h`` ago, or a time; UTC where it names no zone.

    Raises:
        UsageError: it is neither.
    """
    ago = re.fullmatch(r"([0-9]{1,6})([smhd])", text.strip())
    if ago is not None:
        # 10^6 days are more than a date can go back.
        return datetime.now(UTC) - min(timedelta(**{_UNITS[ago[2]]: int(ago[1])}), timedelta(days=36_500))
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        msg = f"--since: {text!r} is no time; write 30m, 2h, 7d or 2026-03-02T12:00:00Z"
        raise UsageError(msg) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


async def _send(settings: WebhookSettings) -> PostResult:
    publisher = WebhookPublisher(settings, on_outcome=_ignore)
    try:
        return await publisher.send_test()
    finally:
        await publisher.close()


def _ignore(_post: Post, _outcome: str, _reason: str) -> None:
    """The test's own result tells all; nothing is kept."""


async def _check_guid(store: Store, guid: str | None) -> None:
    if guid is not None and not await store.has_call(guid):
        raise UsageError(f"--guid {guid}: the database has no such call; `gateway calls list` shows the calls")


async def _redeliver(store: Store, settings: WebhookSettings, which: Undelivered) -> tuple[Tally, int]:
    """What came of it, and how many were not tried."""
    await _check_guid(store, which.guid)
    target, writer = Target(settings), Writer(store)
    total = await store.count_undelivered(which)
    columns = (TextColumn("posting"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]} failed"))
    try:
        with Progress(*columns, TimeRemainingColumn(), console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task("", total=total, failed=0)
            tally = await redeliver(
                store,
                writer,
                target,
                which,
                connections=settings.connections,
                on_progress=lambda tally: bar.update(task, completed=tally.done, failed=tally.failed + tally.lost),
            )
    finally:
        await writer.close()
        await target.close()
    return tally, max(0, total - tally.done)


def _tell(tally: Tally, left: int, *, as_json: bool) -> None:
    if as_json:
        counts = {"delivered": tally.delivered, "failed": tally.failed, "lost": tally.lost, "left": left}
        print_json(counts | {"gaveUp": tally.gave_up or None})
        return
    if not tally.done:
        err.print("nothing to post again")
        return
    out.print(f"delivered {tally.delivered}, failed again {tally.failed}, lost {tally.lost}, left {left}")
    if tally.gave_up:
        err.print(Text("stopped: ", style="red"), Text(f"the target does not answer ({tally.gave_up})"), sep="")
    if tally.lost:
        err.print("lost: there is no readable message in the database; `gateway webhook failures` names them")


def _as_json(guid: str, record: DeliveryRecord) -> dict[str, str | int]:
    return {
        "guid": guid,
        "sequence": record.sequence,
        "messageId": record.message_id,
        "outcome": record.outcome,
        "reason": record.reason,
        "at": record.at.isoformat(),
    }


def _failures_table(found: list[tuple[str, DeliveryRecord]]) -> Table:
    table = Table(
        Column("guid", no_wrap=True, overflow="ignore"), "sequence", "outcome", "reason", "at", box=None, pad_edge=False
    )
    for guid, record in found:
        at = f"{record.at:%Y-%m-%dT%H:%M:%SZ}"
        table.add_row(Text(guid), str(record.sequence), record.outcome, record.reason, at)
    return table


def _report(result: PostResult, webhook: WebhookSettings, *, as_json: bool) -> None:
    milliseconds = round(result.ms, 1)
    if as_json:
        told = {"ok": result.ok, "status": result.status, "ms": milliseconds, "reason": result.reason or None}
        print_json(told | {"detail": result.detail or None})
    elif result.ok:
        out.print(f"[green]taken[/]: HTTP {result.status} in {milliseconds} ms")
    else:
        status = "no answer" if result.status is None else f"HTTP {result.status}"
        reason = f"{result.reason}: {result.detail}" if result.detail else result.reason
        told_of = Text(f"{reason} ({status}, {milliseconds} ms)")
        err.print(Text("not taken: ", style="red"), told_of, sep="", soft_wrap=True)
        if advice := _advice(result, webhook):
            err.print(Text(advice), soft_wrap=True)


def _advice(result: PostResult, webhook: WebhookSettings) -> str:
    """Which setting may help; empty where none would."""
    word = result.reason.removeprefix("oauth2_")
    endpoint = word != result.reason
    if result.detail:
        if word != "tls" or not ("issuer" in result.detail or "self-signed" in result.detail):
            return ""
        ca = (webhook.oauth2_ca if endpoint else None) or webhook.ca
        which = "this system does not know its CA" if ca is None else f"{ca} is not its CA"
        return f"{which}; GATEWAY_WEBHOOK__{'OAUTH2_' if endpoint else ''}CA names the PEM file of the right one"
    if endpoint or word not in ("tls", "disconnected") or not (webhook.url or "").startswith("https:"):
        return ""
    if webhook.client_cert is not None:
        return "the target may refuse the client certificate, GATEWAY_WEBHOOK__CLIENT_CERT"
    return (
        "if the target asks for a client certificate: GATEWAY_WEBHOOK__CLIENT_CERT and GATEWAY_WEBHOOK__CLIENT_KEY "
        "name one and its key"
    )
