"""A real gateway on a free port, a real webhook receiver, and a Twilio-like peer, for the tests."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect

from gateway.config import Settings, load
from gateway.server.app import Gateway, running
from gateway.store.records import NewKey

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "models" / "cache"
SPEECH = ROOT.parent / "shared" / "speech"
SAMPLE = ROOT / "samples" / "support-call.wav"

SILENCE = b"\xff" * 160


def new_sid(prefix: str) -> str:
    """A made-up SID."""
    return prefix + secrets.token_hex(16)


def settings_for(path: Path, **overrides: Any) -> Settings:
    """Settings of a gateway that lives in ``path``, without models unless ``asr`` says otherwise."""
    values: dict[str, Any] = {
        "port": 0,
        "data_dir": path / "data",
        "models_dir": MODELS,
        "asr": {"model": "none"},
        "drain_seconds": 0.0,
        "limits": {"tick_ms": 10},
    }
    values.update(overrides)
    return load(None, **values)


@dataclass
class Receiver:
    """A webhook target that keeps what it gets."""

    url: str = ""
    posts: list[dict[str, Any]] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        async with self.arrived:
            self.posts.append(body)
            self.arrived.notify_all()
        return web.Response()

    async def wait_for(self, count: int) -> list[dict[str, Any]]:
        """Return when ``count`` posts have arrived."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.posts) >= count)
        return self.posts


@asynccontextmanager
async def webhook_receiver() -> AsyncIterator[Receiver]:
    """A webhook target on a free port."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


class Customer:
    """A contact centre: one account's key, and the API calls it makes."""

    def __init__(self, gateway: Gateway, key: NewKey, session: aiohttp.ClientSession) -> None:
        self.gateway = gateway
        self.key = key
        self._session = session
        self._headers = {"asapp-api-id": key.api_id, "asapp-api-secret": key.api_secret}

    async def request(self, method: str, path: str, **kwargs: Any) -> tuple[int, Any]:
        """Status and JSON body of a request."""
        url = self.gateway.public_url_of("http") + path
        async with self._session.request(method, url, headers=self._headers, **kwargs) as response:
            text = await response.text()
            return response.status, json.loads(text) if text[:1] in "{[" else text

    async def stream_url(self) -> str:
        status, body = await self.request("GET", "/mg-autotranscribe/v1/twilio-media-stream-url")
        assert status == 200
        url: str = body["streamingUrl"]
        return url

    async def start(self, guid: str, **fields: Any) -> tuple[int, Any]:
        body = {"namespace": "twilio", "guid": guid, "customerId": "C1", "agentId": "A1", **fields}
        return await self.request("POST", "/mg-autotranscribe/v1/start-streaming", json=body)

    async def stop(self, guid: str) -> tuple[int, Any]:
        body = {"namespace": "twilio", "guid": guid}
        return await self.request("POST", "/mg-autotranscribe/v1/stop-streaming", json=body)

    async def call(self, guid: str) -> Any:
        """The live snapshot of a call."""
        return self.gateway.registry.snapshot(self.key.account_id, guid)

    async def messages(self, guid: str) -> tuple[int, Any]:
        return await self.request("GET", f"/conversation/v1/conversation/messages?externalId={guid}")


@asynccontextmanager
async def gateway_running(settings: Settings) -> AsyncIterator[Customer]:
    """A gateway in this process, and a customer of it."""
    async with running(settings) as gateway:
        key = await gateway.store.create_key("test")
        async with aiohttp.ClientSession() as session:
            yield Customer(gateway, key, session)


class Twilio:
    """The far end of a media socket, made of the ``websockets`` client."""

    def __init__(self, socket: ClientConnection, call_sid: str, stream_sid: str) -> None:
        self.socket = socket
        self.call_sid = call_sid
        self.stream_sid = stream_sid
        self.sequence = 0
        self._chunks: dict[str, int] = {}

    @classmethod
    @asynccontextmanager
    async def connected(
        cls,
        url: str,
        call_sid: str | None = None,
        tracks: Sequence[str] = ("inbound", "outbound"),
        *,
        custom: dict[str, str] | None = None,
        start: bool = True,
        **options: Any,
    ) -> AsyncIterator[Self]:
        """A stream that has said ``connected`` and ``start``."""
        async with connect(url, compression=None, **options) as socket:
            self = cls(socket, call_sid or new_sid("CA"), new_sid("MZ"))
            await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
            if start:
                await self.start(tracks, custom or {})
            yield self

    async def send(self, message: dict[str, Any] | str | bytes) -> None:
        if isinstance(message, dict):
            message = json.dumps(message, separators=(",", ":"))
        await self.socket.send(message)

    def _next(self) -> str:
        self.sequence += 1
        return str(self.sequence)

    async def start(self, tracks: Sequence[str], custom: dict[str, str]) -> None:
        await self.send(
            {
                "event": "start",
                "sequenceNumber": self._next(),
                "start": {
                    "accountSid": "AC" + "0" * 32,
                    "streamSid": self.stream_sid,
                    "callSid": self.call_sid,
                    "tracks": list(tracks),
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                    "customParameters": custom,
                },
                "streamSid": self.stream_sid,
            }
        )

    def media_message(self, timestamp: int, payload: bytes = SILENCE, track: str = "inbound") -> dict[str, Any]:
        self._chunks[track] = self._chunks.get(track, 0) + 1
        return {
            "event": "media",
            "sequenceNumber": self._next(),
            "media": {
                "track": track,
                "chunk": str(self._chunks[track]),
                "timestamp": str(timestamp),
                "payload": base64.b64encode(payload).decode(),
            },
            "streamSid": self.stream_sid,
        }

    async def media(self, timestamp: int, payload: bytes = SILENCE, track: str = "inbound") -> None:
        await self.send(self.media_message(timestamp, payload, track))

    async def stop(self) -> None:
        stop = {"accountSid": "AC" + "0" * 32, "callSid": self.call_sid}
        await self.send({"event": "stop", "sequenceNumber": self._next(), "stop": stop, "streamSid": self.stream_sid})

    async def settle(self) -> None:
        """Return when the gateway has read everything sent so far: it answers a ping in order."""
        await (await self.socket.ping())
