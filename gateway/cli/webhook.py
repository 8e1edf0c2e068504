"""``gateway webhook``: try the configured webhook."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gateway import config
from gateway.cli.console import err, out, print_json
from gateway.config import WebhookSettings
from gateway.delivery.target import PostResult
from gateway.delivery.webhook import Post, WebhookPublisher
from gateway.errors import UsageError

__all__ = ["app"]

app = typer.Typer(help="The webhook that transcripts are posted to.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The webhook that transcripts are posted to."""


@app.command("test")
def send_test(
    config_file: Annotated[
        Path | None, typer.Option("--config", help="TOML file with settings.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Post one made-up transcript. Exit code 1 if the target did not take it, 2 if no webhook is set."""
    settings = config.load(config_file).webhook
    if settings.url is None:
        msg = "no webhook is set; set GATEWAY_WEBHOOK__URL to the http(s) URL that transcripts are to be posted to"
        raise UsageError(msg)
    result = asyncio.run(_send(settings))
    _report(result, as_json=as_json)
    if not result.ok:
        raise typer.Exit(1)


async def _send(settings: WebhookSettings) -> PostResult:
    publisher = WebhookPublisher(settings, on_outcome=_ignore)
    try:
        return await publisher.send_test()
    finally:
        await publisher.close()


def _ignore(_post: Post, _outcome: str, _reason: str) -> None:
    """The test's own result tells all; nothing is kept."""


def _report(result: PostResult, *, as_json: bool) -> None:
    milliseconds = round(result.ms, 1)
    if as_json:
        print_json({"ok": result.ok, "status": result.status, "ms": milliseconds, "reason": result.reason or None})
    elif result.ok:
        out.print(f"[green]taken[/]: HTTP {result.status} in {milliseconds} ms")
    else:
        status = "no answer" if result.status is None else f"HTTP {result.status}"
        err.print(Text("not taken: ", style="red"), Text(f"{result.reason} ({status}, {milliseconds} ms)"), sep="")
