"""Starts that are ahead of their call's media stream."""

from __future__ import annotations

import asyncio

from gateway.calls.model import unknown

__all__ = ["START_WAIT_S", "Arrivals"]

START_WAIT_S = 2.0
"""How long a start waits for the call's media stream."""


class Arrivals:
    """Start requests that wait for a stream of their call, by account and guid."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], asyncio.Future[None]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._waiting

    async def wait(self, key: tuple[str, str]) -> None:
        """Return when a stream of the call has come.

        Raises:
            RequestError: 400-203, none came in time.
        """
        came = self._waiting[key] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(came, START_WAIT_S)
        except TimeoutError:
            raise unknown(key[1]) from None
        finally:
            del self._waiting[key]

    def came(self, key: tuple[str, str]) -> None:
        """A stream of the call has come."""
        waiter = self._waiting.get(key)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
