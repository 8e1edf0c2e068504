"""A gateway's outside, on aiohttp: the API's shape and a media socket that remembers what it is told.

It stands where a test asks what the *client* says and does: what a real gateway would never show, such as every
byte that reached it, or would never do, such as refusing at a chosen place.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from aiohttp import web

KEY = {"asapp-api-id": "id", "asapp-api-secret": "secret"}
OK = {"code": 1000, "description": "OK"}


@dataclass
class Socket:
    """One media socket: its messages as text, and how it ended."""

    messages: list[str] = field(default_factory=list)
    close_code: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Its messages of one kind."""
        return [event for event in map(orjson.loads, self.messages) if event["event"] == kind]

    def payload(self, track: str) -> bytes:
        """The μ-law audio of a track."""
        media = [event["media"] for event in self.events("media")]
        return b"".join(base64.b64decode(each["payload"]) for each in media if each.get("track", "inbound") == track)


@dataclass
class Peer:
    """What the peer was told, and what it is to answer."""

    url: str = ""
    sockets: list[Socket] = field(default_factory=list)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    transcripts: list[dict[str, Any]] = field(default_factory=list)
    """Items of the messages endpoint; ``after`` media messages each is there."""
    webhook: str | None = None
    """Where ``posts`` go."""
    posts: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Media messages of a socket after which a body is posted, ``{guid}`` filled in."""
    refuse_upgrade: int = 0
    close_after: int | None = None
    refuse_start: tuple[int, str, str] | None = None
    start_ok: bool = True
    lose: int = 0
    """Messages that the peer does not count."""
    media: int = 0

    def answer(self) -> dict[str, Any]:
        """Of a start; a stop's has summaries."""
        status = OK if self.start_ok else {"code": 5002, "description": "No instances available"}
        parts = {role: {"streamId": f"s-{role}", "status": status} for role in ("customer", "agent")}
        return {"isOk": self.start_ok, "autotranscribeResponse": parts}


def _refused(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"requestId": "r", "code": code, "message": message}}, status=status)


class _App:
    def __init__(self, peer: Peer, session: aiohttp.ClientSession) -> None:
        self.peer = peer
        self.session = session
        self.tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/mg-autotranscribe/v1/twilio-media-stream-url", self.stream_url)
        app.router.add_post("/mg-autotranscribe/v1/start-streaming", self.start)
        app.router.add_post("/mg-autotranscribe/v1/stop-streaming", self.stop)
        app.router.add_get("/conversation/v1/conversation/messages", self.messages)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/twilio-media/{token}", self.media)
        return app

    def _known(self, request: web.Request) -> bool:
        return all(request.headers.get(name) == value for name, value in KEY.items())

    async def stream_url(self, request: web.Request) -> web.Response:
        if not self._known(request):
            return _refused(401, "401-01", "Unauthorized")
        return web.json_response({"streamingUrl": self.peer.url.replace("http", "ws", 1) + "/twilio-media/a.b.c"})

    async def start(self, request: web.Request) -> web.Response:
        self.peer.requests.append(("start", await request.json()))
        if self.peer.refuse_start:
            return _refused(*self.peer.refuse_start)
        return web.json_response(self.peer.answer())

    async def stop(self, request: web.Request) -> web.Response:
        self.peer.requests.append(("stop", await request.json()))
        answer = self.peer.answer()
        summary = {"totalAudioBytes": 16, "audioDurationMs": 1, "streamingSeconds": 1, "transcripts": 1}
        for role, part in answer["autotranscribeResponse"].items():
            count = sum(item["sender"]["role"] == role for item in self.peer.transcripts)
            part["summary"] = summary | {"transcripts": count}
        return web.json_response(answer)

    async def messages(self, request: web.Request) -> web.Response:
        there = [item for item in self.peer.transcripts if item["after"] <= self.peer.media]
        if not there:
            return _refused(404, "404-01", "no such conversation")
        return web.json_response({"items": [{k: v for k, v in item.items() if k != "after"} for item in there]})

    async def metrics(self, request: web.Request) -> web.Response:
        # As the gateway does, with the frame that closed a socket.
        frames = sum(len(socket.messages) + socket.ended.is_set() for socket in self.peer.sockets)
        total = max(0, frames - self.peer.lose)
        lines = f"# HELP gateway_wire_messages_total x\ngateway_wire_messages_total {float(total)}\n"
        return web.Response(text=lines)

    async def media(self, request: web.Request) -> web.StreamResponse:
        if self.peer.refuse_upgrade:
            return web.Response(status=self.peer.refuse_upgrade)
        wire = web.WebSocketResponse()
        await wire.prepare(request)
        socket = Socket()
        self.peer.sockets.append(socket)
        seen, guid = 0, ""
        async for message in wire:
            socket.messages.append(message.data)
            event = orjson.loads(message.data)
            if event["event"] == "start":
                guid = event["start"]["callSid"]
            if event["event"] == "media":
                seen += 1
                self.peer.media += 1
                self._post_due(seen, guid)
                if seen == self.peer.close_after:
                    await wire.close(code=1008, message=b"enough")
        socket.close_code = wire.close_code
        socket.ended.set()
        return wire

    def _post_due(self, seen: int, guid: str) -> None:
        for after, body in self.peer.posts:
            if after == seen and self.peer.webhook is not None:
                task = asyncio.create_task(self._post(body | {"externalConversationId": guid}))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def _post(self, body: dict[str, Any]) -> None:
        assert self.peer.webhook is not None
        async with self.session.post(self.peer.webhook, json=body):
            pass


def transcript(text: str, role: str = "customer", start: int = 0, end: int = 20) -> dict[str, Any]:
    """A webhook body without its call."""
    return {
        "type": "transcript",
        "streamId": f"s-{role}",
        "sender": {"externalId": role, "role": role},
        "autotranscribeResponse": {"message": "transcript", "start": start, "end": end, "utterance": [{"text": text}]},
    }


def item(text: str, role: str = "customer", after: int = 0, message_id: str = "1") -> dict[str, Any]:
    """An item of the messages endpoint."""
    when = "2026-01-01T00:00:00.000Z"
    sender = {"externalId": role, "role": role}
    return {
        "text": text, "sender": sender, "messageId": message_id, "createdTimestamp": when, "clientTimestamp": when,
        "after": after,
    }  # fmt: skip


@asynccontextmanager
async def serving(peer: Peer) -> AsyncIterator[Peer]:
    """Serve it on a free port of the loopback."""
    async with aiohttp.ClientSession() as session:
        app = _App(peer, session)
        runner = web.AppRunner(app.routes(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        peer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield peer
        finally:
            await asyncio.gather(*app.tasks)
            await runner.cleanup()
