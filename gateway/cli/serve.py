"""``gateway serve``: the gateway in the foreground."""

from __future__ import annotations

from pathlib import Path

import typer

from gateway.cli.settings_doc import settings_help
from gateway.config import load

__all__ = ["serve"]


def serve(
    config: Path | None = typer.Option(None, "--config", help="TOML file with settings.", metavar="FILE"),
) -> None:
    """Serve media, API and pages on one port until SIGTERM."""
    import uvloop

    from gateway import log
    from gateway.server import app

    settings = load(config)
    log.configure(settings.log)
    uvloop.run(app.serve(settings))


serve.__doc__ = f"{serve.__doc__}\n\n\b\n{settings_help()}"
