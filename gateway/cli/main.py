"""The ``gateway`` command: one module a command, all of them named here and each imported when it is called.

Exit codes: 0 done; 1 a peer failed (:class:`~gateway.errors.PeerError`) or the result is bad; 2 the caller's mistake;
130 interrupted. Errors are one line on standard error, never a traceback.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from gateway._version import __version__
from gateway.cli.console import err
from gateway.errors import CallerError, GatewayError, UsageError

__all__ = ["COMMANDS", "app", "load", "main"]

COMMANDS = {
    "keys": "API keys: made, listed, revoked.",
    "serve": "Serve media streams and the API on one port until SIGTERM.",
    "calls": "The calls of a running gateway: listed, shown, stopped.",
    "redaction": "What is hidden in transcripts: listed, turned on, turned off.",
    "vocabulary": "Phrases that the recognizer is to know: listed, added, removed.",
    "models": "Model weights: listed, fetched once, checked.",
    "webhook": "The webhook that transcripts are posted to: tried, its failures shown and mended.",
    "simulate": "Play a WAV file into a gateway as Twilio would, in real time, and show the transcripts as they come.",
    "transcribe": "Transcribe recorded calls as the gateway would, as fast as the cores allow; no gateway need run.",
    "export": "Build the feeds of a day, or build them again; the same messages give the same files.",
    "loadtest": "Put a gateway under paced calls and measure from outside: latency, loss, order, speakers.",
}
"""Each command's module and what the list of commands says of it: that list is shown without importing any of them."""


class _Commands(TyperGroup):
    """The commands by name; one is imported when it is called, since all of them together take a second."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that ``args`` begin with, itself."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, name and load(name), rest


def load(name: str) -> Any:
    """A command of :data:`COMMANDS`, imported: its module's ``app``, or the function of the same name, for Typer."""
    module = importlib.import_module(f"gateway.cli.{name}")
    if hasattr(module, "app"):
        group = typer.main.get_group(module.app)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name)(getattr(module, name))
    return typer.main.get_command(alone)


app = typer.Typer(
    name="gateway",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Turns live Twilio calls into text, on this machine.",
)


def _version(value: bool) -> None:
    if value:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    """Options that stand before the command."""


for _name, _summary in COMMANDS.items():
    app.command(_name, help=_summary)(lambda: None)


def main() -> None:
    """Entry point of the ``gateway`` script."""
    try:
        app()
    except UsageError as error:
        err.print("[red]error:[/]", error, soft_wrap=True)
        sys.exit(error.exit_code)
    except CallerError as error:
        err.print("[red]error:[/]", error, soft_wrap=True)
        sys.exit(2)
    except GatewayError as error:
        err.print("[red]error:[/]", error, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
