"""Builds days in a process of its own, so that a gateway with calls does not feel it.

Rows are made in Python: on a thread of the gateway they would share its interpreter with the media plane, which has to
look at its sockets every 20 ms. The process is as nice as the recognizer's threads are, and reads and writes as
``gateway export`` does. It ends with the gateway; a day that it leaves without its marker is built again.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from typing import cast

from gateway.config import Settings
from gateway.errors import GatewayError, InternalError, StoreError
from gateway.export.build import Built, Plan
from gateway.export.exporter import Exporter
from gateway.store.secrets import store_key
from gateway.store.store import Store

__all__ = ["Aside"]

NICE = 10
_FAILED = 1
_ORPHAN = 3


class Aside:
    """A builder whose work is done by another process; for who holds the folder (``gateway.export.build.alone``)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def build(
        self, account_id: str, day: date, plan: Plan, on_hour: Callable[[], None] = lambda: None
    ) -> list[Built]:
        """As :meth:`gateway.export.build.Builder.build`; ``on_hour`` is called at the end, 24 times.

        Raises:
            StoreError: the database or the storage is away.
            InternalError: the process died.
        """
        # Settings hold secrets: they go through a pipe, and are on no command line.
        said = pickle.dumps((self._settings, account_id, day, plan))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.export.aside", stdin=pipe, stdout=pipe, start_new_session=True
        )
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - they are pipes
        try:
            # It died already; uvloop says so with a RuntimeError.
            with suppress(ConnectionError, RuntimeError):
                process.stdin.write(said)
                await process.stdin.drain()
            answer = await process.stdout.read()
        finally:
            # Whatever ended the wait: nobody builds in a folder that is let go of.
            with suppress(ProcessLookupError):
                if process.returncode is None and not process.stdout.at_eof():
                    process.kill()
            process.stdin.close()
            await process.wait()
        if process.returncode == _FAILED and answer:
            raise StoreError(answer.decode("utf-8", "replace"))
        if process.returncode != 0:
            raise InternalError(f"the process that builds feeds ended with {process.returncode}")
        for _ in range(24):
            on_hour()
        return cast("list[Built]", pickle.loads(answer))  # noqa: S301 - written by our own process


async def _build(settings: Settings, account_id: str, day: date, plan: Plan) -> list[Built]:
    store = await Store.open(settings.resolved_database_url, key=store_key(settings))
    try:
        return await Exporter.open(settings, store).builder.build(account_id, day, plan)
    finally:
        await store.close()


def _end_with_the_gateway() -> None:
    """Die when the gateway does: its end of the pipe stays open for as long as it lives and wants us."""
    with suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(_ORPHAN)


def main() -> int:
    """Build what standard input says; the answer, or why there is none, goes to standard output."""
    os.nice(NICE)
    os.umask(0o077)
    # What libraries print must not come into the answer.
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    job = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by the gateway that started us
    threading.Thread(target=_end_with_the_gateway, daemon=True).start()
    try:
        answer, code = pickle.dumps(asyncio.run(_build(*job))), 0
    except GatewayError as error:
        answer, code = str(error).encode(), _FAILED
    except Exception as error:
        # Without its traceback: what it says may quote a transcript.
        answer, code = b"", _FAILED
        sys.stderr.write(f"feeds: the build failed by our own mistake ({type(error).__name__})\n")
    with answers:
        answers.write(answer)
    return code


if __name__ == "__main__":
    sys.exit(main())
