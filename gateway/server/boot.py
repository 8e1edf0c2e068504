"""Before the first call: the data directory held against other gateways, and a first API key on an empty store."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import structlog

from gateway.errors import ConfigError
from gateway.store.store import Store

__all__ = ["LOCK_FILE", "alone", "first_key"]

log = structlog.get_logger(__name__)

LOCK_FILE = "gateway.lock"
"""In the data directory; locked while a gateway runs on it. The commands take no lock: they may run beside it."""


@contextlib.contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """Hold the data directory against other gateways; a kill lets go of it, too.

    Raises:
        ConfigError: another one has it, or it cannot be locked.
    """
    path = data_dir / LOCK_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        msg = f"GATEWAY_DATA_DIR: {path} cannot be made ({error.strerror}); name a directory we may write"
        raise ConfigError(msg) from error
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        msg = f"GATEWAY_DATA_DIR: another gateway runs on {path.parent}; stop it, or name another directory"
        raise ConfigError(msg) from None
    except OSError as error:
        msg = f"GATEWAY_DATA_DIR: {path} cannot be locked ({error.strerror}); name a directory of a local disk"
        raise ConfigError(msg) from error


async def first_key(store: Store, data_dir: Path) -> None:
    """On a store without keys make one: shown once on a terminal, else left in a file of the data directory."""
    if await store.has_keys():
        return
    key = await store.create_key("first")
    if sys.stderr.isatty():
        sys.stderr.write(
            f"\n  First API key (shown once; `gateway keys create` makes more). For the other terminal:\n"
            f"    export GATEWAY_API_ID={key.api_id} GATEWAY_API_SECRET={key.api_secret}\n\n"
        )
        return
    path = data_dir / "first-key.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps({"apiId": key.api_id, "apiSecret": key.api_secret}) + b"\n")
    log.info("first API key written", path=str(path))
