"""What every media socket needs of the gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.calls.registry import Registry
from gateway.server.plane import MediaPlane
from gateway.store.records import Principal

__all__ = ["ConnectionServices"]


@dataclass(frozen=True, slots=True)
class ConnectionServices:
    """Calls, the tick, and who opens a socket by its token; shared by all sockets."""

    registry: Registry
    plane: MediaPlane
    authenticate: Callable[[str], Awaitable[Principal]]
