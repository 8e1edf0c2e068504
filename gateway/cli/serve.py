"""``gateway serve``: the gateway in the foreground."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.settings_doc import settings_help
from gateway.config import load

__all__ = ["serve"]

SWITCH_S = 0.0005


def serve(
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.", metavar="FILE")] = None,
) -> None:
    """Serve media streams and the API on one port until SIGTERM."""
    import uvloop

    from gateway import log
    from gateway.server import app

    # What the gateway writes holds transcripts and keys: its owner's alone.
    os.umask(0o077)
    settings = load(config)
    log.configure(settings.log)
    # The event loop and the models' threads share one interpreter: a thread that comes back from native code must not
    # wait 5 ms (the default) for a busy loop to let go.
    sys.setswitchinterval(SWITCH_S)
    uvloop.run(app.serve(settings))


serve.__doc__ = f"{serve.__doc__}\n\n\b\n{settings_help()}"
