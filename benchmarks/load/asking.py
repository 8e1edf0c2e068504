"""Somebody who asks a gateway for stream URLs all the time, in a process of its own.

What makes a storm of connections is itself held up by it for tens of ms: it could not tell what the gateway takes.

    GATEWAY_API_ID=… GATEWAY_API_SECRET=… python -m benchmarks.load.asking URL EVERY_S [CERTIFICATE]

prints a line for each request: the monotonic time at which it was made, and the ms that it took, or -1 if it failed.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time
from types import TracebackType
from typing import Self

import uvloop

from gateway.errors import GatewayError
from gateway.peers.client import GatewayClient

__all__ = ["Asking"]


class Asking:
    """The process, and what it has told; an async context manager.

    Args:
        url: of the gateway.
        api_id: of the account.
        api_secret: its secret.
        every: seconds from one request to the next.
        certificate: file of the one that a gateway under TLS has.
    """

    def __init__(self, url: str, api_id: str, api_secret: str, every: float, certificate: str | None = None) -> None:
        self._command = [sys.executable, "-m", "benchmarks.load.asking", url, str(every)]
        if certificate is not None:
            self._command.append(certificate)
        self._key = {"GATEWAY_API_ID": api_id, "GATEWAY_API_SECRET": api_secret}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._taken: list[tuple[float, float]] = []
        self.failed = 0

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env={**os.environ, **self._key}, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._reading = asyncio.create_task(self._read(self._process.stdout))
        await self._begun.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._reading is not None
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()
        await self._reading

    async def _read(self, lines: asyncio.StreamReader) -> None:
        try:
            while (line := await lines.readline()).endswith(b"\n"):
                asked, took = map(float, line.split())
                if took < 0:
                    self.failed += 1
                else:
                    self._taken.append((asked, took))
                self._begun.set()
        finally:
            # Also if it could not be started, which what it has printed explains.
            self._begun.set()

    def between(self, begin: float, end: float) -> list[float]:
        """How many ms each took of those that were answered by now and made in that time (monotonic clock)."""
        return [took for asked, took in self._taken if begin <= asked < end]


async def _ask(url: str, every: float, context: ssl.SSLContext | None) -> None:
    async with GatewayClient(url, os.environ["GATEWAY_API_ID"], os.environ["GATEWAY_API_SECRET"], context) as client:
        while True:
            begun = time.monotonic()
            try:
                await client.stream_url()
                took = (time.monotonic() - begun) * 1000
            except GatewayError:
                took = -1.0
            print(begun, took, flush=True)
            await asyncio.sleep(max(0.0, every - (time.monotonic() - begun)))


if __name__ == "__main__":
    certificate = sys.argv[3] if len(sys.argv) > 3 else None
    uvloop.run(_ask(sys.argv[1], float(sys.argv[2]), ssl.create_default_context(cafile=certificate)))
