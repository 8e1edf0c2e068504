"""``gateway serve`` in a process of its own: to be killed, starved and shouted at."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.harness import MODELS

# The limit on the size of files stands in for a full disk, and needs no root. Its signal would end the process.
# SIGUSR1 has the process tell, as a line of its log, what it holds.
_COMMAND = """
import gc, json, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def tell(*_):
    from gateway._native import reader, track
    from gateway.calls.call import Call, Stream
    from gateway.calls.transcription import Transcription
    from gateway.server.connection import MediaConnection
    gc.collect()
    kinds = (MediaConnection, Stream, Call, Transcription, reader.Reader)
    held = {kind.__name__: sum(isinstance(each, kind) for each in gc.get_objects()) for kind in kinds}
    print(json.dumps({"event": "held", "held": {**held, "Track": track.live()}}), file=sys.stderr, flush=True)

signal.signal(signal.SIGUSR1, tell)
from gateway.cli.main import main
main()
"""


class Server:
    """A gateway's process, and the API as one account sees it."""

    def __init__(self, process: Process, session: aiohttp.ClientSession) -> None:
        self.process = process
        self.url = ""
        self.streams = ""
        self.log: list[dict[str, Any]] = []
        self._session = session
        self._headers: dict[str, str] = {}
        self._reader: asyncio.Task[None] | None = None

    async def ready(self, data_dir: Path) -> None:
        """Return when it serves; its first key is this account's."""
        while not self.url:
            self._take(await self._line())
        self._reader = asyncio.create_task(self._read_on())
        key = json.loads((data_dir / "first-key.json").read_bytes())
        self._headers = {"asapp-api-id": key["apiId"], "asapp-api-secret": key["apiSecret"]}

    async def _line(self) -> bytes:
        assert self.process.stderr is not None
        line = await self.process.stderr.readline()
        assert line, "the gateway ended"
        return line

    def _take(self, line: bytes) -> None:
        entry = json.loads(line)
        self.log.append(entry)
        if entry["event"] == "serving":
            self.url, self.streams = entry["url"], entry["streams"]

    async def _read_on(self) -> None:
        with contextlib.suppress(AssertionError):
            while True:
                self._take(await self._line())

    async def ended(self) -> int:
        """The exit code, when all its log has been read."""
        code = await self.process.wait()
        if self._reader is not None:
            await self._reader
        return code

    async def held(self) -> dict[str, int]:
        """How many objects of a stream's kinds it holds, native ones too."""
        told = len(self.log)
        self.process.send_signal(signal.SIGUSR1)
        while True:
            for entry in self.log[told:]:
                if entry["event"] == "held":
                    return dict(entry["held"])
            await asyncio.sleep(0)

    def descriptors(self) -> int:
        """How many descriptors it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def rss(self) -> int:
        """Bytes of memory it holds."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    async def request(self, method: str, path: str, **kwargs: Any) -> tuple[int, Any]:
        """Status and JSON body of a request."""
        async with self._session.request(method, self.url + path, headers=self._headers, **kwargs) as response:
            return response.status, json.loads(await response.read())

    async def metric(self, name: str) -> dict[str, float]:
        """A metric's values by their labels, as the exposition writes those: ``""`` without any."""
        async with self._session.get(self.url + "/metrics") as response:
            lines = (await response.text()).splitlines()
        pairs = (line.rpartition(" ")[::2] for line in lines if line.startswith((name + " ", name + "{")))
        return {labelled.removeprefix(name): float(value) for labelled, value in pairs}

    async def stream_url(self) -> str:
        _, body = await self.request("GET", "/mg-autotranscribe/v1/twilio-media-stream-url")
        return str(body["streamingUrl"])

    async def start(self, guid: str) -> tuple[int, Any]:
        body = {"namespace": "twilio", "guid": guid, "customerId": "C1", "agentId": "A1"}
        return await self.request("POST", "/mg-autotranscribe/v1/start-streaming", json=body)

    async def stop(self, guid: str) -> tuple[int, Any]:
        body = {"namespace": "twilio", "guid": guid}
        return await self.request("POST", "/mg-autotranscribe/v1/stop-streaming", json=body)

    async def call(self, guid: str) -> Any:
        status, body = await self.request("GET", f"/gateway/v1/calls/{guid}")
        assert status == 200, body
        return body

    async def texts(self, guid: str) -> list[str]:
        """What the messages endpoint shows of a call."""
        status, body = await self.request("GET", f"/conversation/v1/conversation/messages?externalId={guid}")
        assert status == 200, body
        return [item["text"] for item in body["items"]]


@asynccontextmanager
async def serving(tmp_path: Path, **variables: str) -> AsyncIterator[Server]:
    """A gateway on a free port whose data lie below ``tmp_path``; without models unless ``variables`` say so."""
    data_dir = tmp_path / "data"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    environment |= {
        "GATEWAY_PORT": "0",
        "GATEWAY_DATA_DIR": str(data_dir),
        "GATEWAY_MODELS_DIR": str(MODELS),
        "GATEWAY_ASR__MODEL": "none",
        "GATEWAY_LOG__FORMAT": "json",
        **variables,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _COMMAND, "serve", env=environment, stderr=PIPE, limit=1 << 20
    )
    async with aiohttp.ClientSession() as session:
        server = Server(process, session)
        try:
            await server.ready(data_dir)
            yield server
        finally:
            if process.returncode is None:
                process.kill()
            await server.ended()
