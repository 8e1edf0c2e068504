"""The ``gateway`` command: one module a command, all of them registered here.

Exit codes: 0 done; 1 a peer failed (:class:`~gateway.errors.PeerError`) or the result is bad; 2 the caller's mistake;
130 interrupted. Errors are one line on standard error, never a traceback.
"""

from __future__ import annotations

import sys

import typer

from gateway._version import __version__
from gateway.cli import (
    calls,
    export,
    keys,
    loadtest,
    models,
    redaction,
    serve,
    simulate,
    transcribe,
    vocabulary,
    webhook,
)
from gateway.cli.console import err
from gateway.errors import CallerError, GatewayError, UsageError

__all__ = ["app", "main"]

app = typer.Typer(
    name="gateway",
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


# One line a command; each module brings its own app or function.
app.add_typer(keys.app, name="keys")
app.command("serve")(serve.serve)
app.add_typer(calls.app, name="calls")
app.add_typer(redaction.app, name="redaction")
app.add_typer(vocabulary.app, name="vocabulary")
app.add_typer(models.app, name="models")
app.add_typer(webhook.app, name="webhook")
app.command()(simulate.simulate)
app.command()(transcribe.transcribe)
app.command()(export.export)
app.command()(loadtest.loadtest)


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
