"""Runs the ``gateway`` command as a script would: in a process of its own, or quicker, in a thread of this one."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.cli.console import err as console_of_errors
from gateway.cli.console import out as console_of_results
from gateway.cli.main import main

__all__ = ["Ended", "gateway", "gateway_here", "run_here"]


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


async def gateway(*arguments: str, cwd: Path, **variables: str) -> Ended:
    """Run ``gateway``; ``variables`` are its only ``GATEWAY_…`` environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from gateway.cli.main import main; main()",
        *arguments,
        cwd=cwd,
        env={**environment, "COLUMNS": "200", **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def gateway_here(*arguments: str, **variables: str) -> Ended:
    """The same in a thread, for what would take several processes; one at a time."""
    return await asyncio.to_thread(run_here, *arguments, **variables)


def run_here(*arguments: str, **variables: str) -> Ended:
    """The same for a test that has no loop."""
    told, wrong, code = io.StringIO(), io.StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(wrong),
    ):
        for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
            patch.delenv(name)
        for name, value in ({"COLUMNS": "200"} | variables).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["gateway", *arguments])
        # The consoles took theirs when they were made, from what pytest-xdist tells its workers.
        for console in (console_of_results, console_of_errors):
            patch.setattr(console, "width", int(os.environ["COLUMNS"]))
        mask = os.umask(0o022)
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            os.umask(mask)
    return Ended(code, told.getvalue(), wrong.getvalue())
