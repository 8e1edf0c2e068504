"""A gateway's API under a load: how long each answer takes, by endpoint, and why there was none."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self

import orjson

from benchmarks.load.lean import Lean
from benchmarks.load.tally import Spread
from benchmarks.load.voice import frame
from benchmarks.load.wire import MediaSocket
from gateway.errors import GatewayError, PeerError
from gateway.participants import Track
from gateway.peers.client import NAMESPACE, ApiError, Json
from gateway.peers.emitter import Identity, Manner, opening

__all__ = ["ENDPOINTS", "Prober", "Timed", "failure"]

ENDPOINTS = ("streamUrl", "start", "stop", "messages")
GATEWAY = "/mg-autotranscribe/v1"


def failure(error: Exception) -> str:
    """The kind of failure, the same for all calls that fail alike: no URL, no id, nothing that a gateway said."""
    if isinstance(error, ApiError):
        return f"api {error.code}"
    if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
        return "timeout"
    if isinstance(error, PeerError) and error.__cause__ is not None:
        return f"api {type(error.__cause__).__name__}"
    return "api malformed" if isinstance(error, PeerError) else type(error).__name__


class Timed:
    """The calls of the API that a load makes; an async context manager.

    Args:
        url: of the gateway.
        api_id: of the account.
        api_secret: its secret.
        context: for ``https://``; None is the system's.

    Each may raise a GatewayError whose message is the kind of failure.
    """

    def __init__(self, url: str, api_id: str, api_secret: str, context: SSLContext | None = None) -> None:
        self._lean = Lean(url, {"asapp-api-id": api_id, "asapp-api-secret": api_secret}, context)
        self._took: dict[str, list[tuple[float, float]]] = {name: [] for name in ENDPOINTS}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lean.close()

    async def stream_url(self) -> str:
        """A stream URL."""
        url = (await self._ask("streamUrl", "GET", f"{GATEWAY}/twilio-media-stream-url")).get("streamingUrl")
        if not isinstance(url, str):
            raise GatewayError("api malformed")
        return url

    async def start(self, guid: str) -> Json:
        """Start both participants."""
        who = {"namespace": NAMESPACE, "guid": guid, "customerId": "customer", "agentId": "agent"}
        return await self._ask("start", "POST", f"{GATEWAY}/start-streaming", who)

    async def stop(self, guid: str) -> Json:
        """Stop them."""
        return await self._ask("stop", "POST", f"{GATEWAY}/stop-streaming", {"namespace": NAMESPACE, "guid": guid})

    async def messages(self, guid: str) -> Json:
        """The call's transcripts; none if the gateway knows no such conversation yet."""
        return await self._ask(
            "messages", "GET", f"/conversation/v1/conversation/messages?externalId={guid}", known=404
        )

    async def _ask(self, name: str, method: str, path: str, body: Json | None = None, known: int = 200) -> Json:
        try:
            status, content, asked, took = await self._lean.ask(method, path, orjson.dumps(body) if body else b"")
            answer = _read(status, content, known)
        except PeerError as error:
            raise GatewayError(failure(error)) from error
        self._took[name].append((asked, took))
        return answer

    def between(self, begin: float, end: float) -> dict[str, dict[str, Any]]:
        """Latency in ms of what was asked in this time (monotonic clock) and answered, by endpoint and of all."""
        spreads = {
            name: Spread.of([took for asked, took in times if begin <= asked < end])
            for name, times in self._took.items()
        }
        every = [took for times in self._took.values() for asked, took in times if begin <= asked < end]
        return {name: asdict(spread) for name, spread in spreads.items() if spread.count} | {
            "all": asdict(Spread.of(every))
        }


def _read(status: int, content: bytes, known: int) -> Json:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise PeerError("no JSON") from None
    if not isinstance(answer, dict):
        raise PeerError("no JSON object")
    if status >= 400 and status != known:
        error = answer.get("error")
        code = error.get("code", status) if isinstance(error, dict) else status
        raise ApiError("the request", status, str(code), "")
    return answer


class Prober:
    """Asks each endpoint in its turn for as long as a load runs; an async context manager.

    It has a call of its own, which says ``start`` and then nothing, and is started and stopped again and again. A probe
    that comes late because the one before it took long does not move those after it.

    Args:
        timed: what to ask, and where the latency is kept.
        context: for ``wss://``.
        a_second: probes a second.
        on_failed: told the kind of a probe's failure.
    """

    def __init__(
        self, timed: Timed, context: SSLContext | None, a_second: float, on_failed: Callable[[str], None]
    ) -> None:
        self._timed = timed
        self._context = context
        self._every = 1 / a_second
        self._on_failed = on_failed
        self._socket: MediaSocket | None = None
        self._identity = Identity.random()
        self._task: asyncio.Task[None] | None = None

    @property
    def frames(self) -> int:
        """What its call has sent: a gateway counts that too."""
        return self._socket.frames if self._socket is not None else 0

    async def __aenter__(self) -> Self:
        url = await self._timed.stream_url()
        self._socket = await MediaSocket.open(url, lambda why: self._on_failed(f"probe {why}"), self._context)
        tracks = (Track.INBOUND, Track.OUTBOUND)
        for message in opening(self._identity, tracks, Manner(), self._identity.stream_sids[0]):
            self._socket.write(frame(message.encode()))
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def _run(self) -> None:
        timed, guid = self._timed, self._identity.call_sid
        asks: tuple[Callable[[], Awaitable[object]], ...] = (
            timed.stream_url,
            lambda: timed.start(guid),
            lambda: timed.messages(guid),
            lambda: timed.stop(guid),
        )
        begin = time.monotonic()
        for turn in itertools.count():
            await asyncio.sleep(max(0.0, begin + self._every * turn - time.monotonic()))
            try:
                await asks[turn % len(asks)]()
            except GatewayError as problem:
                self._on_failed(f"probe {problem}")
