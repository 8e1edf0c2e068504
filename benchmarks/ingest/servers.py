"""The servers that ``bench_ingest`` measures, each in a process of its own on one core.

All of them are asked the same way what they have taken, and their processor time is read from the kernel.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import json
import os
import shutil
import ssl
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks import peers
from benchmarks.audio.files import ROOT
from benchmarks.load import counters
from benchmarks.peers import Peer
from benchmarks.process import free_port, gateway, pinned
from gateway.errors import PeerError
from gateway.peers.client import GatewayClient

__all__ = [
    "PICOWS",
    "Certificate",
    "GatewayServer",
    "Runner",
    "Server",
    "busy_seconds",
    "gateway_server",
    "nginx",
    "runner",
    "started",
]

READY_SECONDS = 20.0
PICOWS = Peer(
    "picows",
    ("picows==2.3.1", *(f"{name}=={version(name)}" for name in ("numpy", "orjson", "uvloop"))),
    "ingest_picows.py",
    "picows + orjson + numpy",
)


def busy_seconds(pids: Sequence[int]) -> list[float]:
    """Time that the main thread of each of some processes ran or waited for a core to run on.

    A thread that has no other time is behind with its work, whoever else takes the core from it.
    """
    fields = [Path(f"/proc/{pid}/schedstat").read_text().split() for pid in pids]
    return [(int(ran) + int(waited)) / 1e9 for ran, waited, _ in fields]


class Server(Protocol):
    """A server under load."""

    context: ssl.SSLContext | None

    @property
    def pids(self) -> Sequence[int]:
        """Processes whose time counts."""

    async def media_url(self) -> str:
        """Where media sockets are opened; the same for all."""

    async def taken(self, question: str = "count") -> dict[str, int]:
        """``messages`` or ``bytes`` so far; ``sum`` adds ``samples`` and ``checksum`` where it makes PCM."""


@dataclass
class Runner:
    """A script of ``runners/``; see :mod:`benchmarks.runners.ingest_work`."""

    process: asyncio.subprocess.Process
    port: int
    context: ssl.SSLContext | None = None

    @property
    def pids(self) -> Sequence[int]:
        """The script's."""
        return (self.process.pid,)

    async def media_url(self) -> str:
        """Any path will do."""
        return f"{'ws' if self.context is None else 'wss'}://127.0.0.1:{self.port}/media"

    async def taken(self, question: str = "count") -> dict[str, int]:
        """Ask the script."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{question}\n".encode())
        answer: dict[str, int] = json.loads(await self.process.stdout.readline())
        return answer


@asynccontextmanager
async def runner(
    script: str, core: int | None, certificate: Certificate | None = None, *options: str, python: Path | None = None
) -> AsyncIterator[Runner]:
    """One of ``runners/ingest_*.py``, on a core.

    Args:
        script: its name without ``ingest_``.
        core: the only one it may use; None for all.
        certificate: to speak TLS with.
        options: further arguments.
        python: of another environment.

    Raises:
        PeerError: it does not start.
    """
    files = () if certificate is None else (str(certificate.cert), str(certificate.key))
    command = [str(python or sys.executable), "-m", f"benchmarks.runners.ingest_{script}", *files, *options]
    process = await asyncio.create_subprocess_exec(
        *pinned(command, core),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said: asyncio.Task[bytes] = asyncio.create_task(process.stderr.read())
    try:
        line = await process.stdout.readline()
        if not line:
            last = ((await said).decode().strip() or "no message").splitlines()[-1]
            raise PeerError(f"ingest_{script}.py did not start: {last}")
        yield Runner(process, json.loads(line)["port"], certificate.context if certificate else None)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await said


@dataclass
class GatewayServer:
    """A gateway without a model, and a proxy in front of it."""

    process: asyncio.subprocess.Process
    client: GatewayClient
    context: ssl.SSLContext | None = None
    proxies: list[int] = field(default_factory=list)
    through: str | None = None
    """Scheme and host of the proxy that media go through."""

    @property
    def pids(self) -> Sequence[int]:
        """The gateway's and its proxy's."""
        return (self.process.pid, *self.proxies)

    async def media_url(self) -> str:
        """A stream URL, through the proxy where there is one."""
        url = await self.client.stream_url()
        if self.through is None:
            return url
        proxy = urlsplit(self.through)
        return urlunsplit(urlsplit(url)._replace(scheme=proxy.scheme, netloc=proxy.netloc))

    async def taken(self, question: str = "count") -> dict[str, int]:
        """All frames read, by its metrics, which are up to a second old, and ``rounds``; it has no sum of its own."""
        metrics = await self.client.metrics()
        rounds = int(metrics.get("gateway_round_seconds_count", 0))
        return {"messages": int(metrics[counters.MESSAGES]), "bytes": 0, "rounds": rounds}


@asynccontextmanager
async def gateway_server(
    folder: Path,
    core: int | None,
    certificate: Certificate | None = None,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[GatewayServer]:
    """A gateway with model ``none`` on a core.

    Args:
        folder: its data directory.
        core: the only one it may use; None for all.
        certificate: to end TLS with in its process.
        settings: further ``GATEWAY_…`` variables.
    """
    chosen = {"GATEWAY_ASR__MODEL": "none", "GATEWAY_DRAIN_SECONDS": "0", **(settings or {})}
    if certificate is not None:
        chosen |= {"GATEWAY_TLS__CERT": str(certificate.cert), "GATEWAY_TLS__KEY": str(certificate.key)}
    context = certificate.context if certificate is not None else None
    async with gateway(folder, free_port(), core, chosen) as (process, url):
        key = json.loads((folder / "first-key.json").read_text())
        async with GatewayClient(url, key["apiId"], key["apiSecret"], context) as client:
            try:
                yield GatewayServer(process, client, context)
            finally:
                # Thousands of calls would be ended one by one, and all they leave is thrown away.
                process.kill()
                await process.wait()


NGINX = """\
{user}daemon off; pid {folder}/nginx.pid; error_log stderr crit; worker_processes 1;
worker_rlimit_nofile 20000;
events {{ worker_connections 9000; }}
http {{
  {temporary}
  access_log off;
  server {{
    listen 127.0.0.1:{port} {tls}backlog=4096;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_http_version 1.1; proxy_buffering off;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_read_timeout 4h; proxy_send_timeout 4h;
    }}
  }}
}}
"""


@asynccontextmanager
async def nginx(
    folder: Path, core: int | None, server: GatewayServer, certificate: Certificate, tls: bool
) -> AsyncIterator[None]:
    """nginx in front of a gateway, one worker, on its core; its processor time counts as the gateway's.

    Raises:
        PeerError: there is no nginx, or it does not start.
    """
    binary = nginx_binary()
    if binary is None:
        raise PeerError("nginx is not installed")
    port = free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    text = NGINX.format(
        user="user root; " if os.getuid() == 0 else "",
        folder=folder,
        temporary=" ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds),
        port=port,
        tls="ssl " if tls else "",
        upstream=urlsplit(server.client.url).port,
    )
    shutil.copy(certificate.cert, folder / "server.pem")
    shutil.copy(certificate.key, folder / "server.key")
    (folder / "nginx.conf").write_text(text)
    command = [binary, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    process = await asyncio.create_subprocess_exec(*pinned(command, core), stderr=asyncio.subprocess.PIPE)
    try:
        await _listening(port, process)
        server.proxies = [process.pid, *_children(process.pid)]
        server.context = certificate.context if tls else None
        server.through = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def nginx_binary() -> str | None:
    """Debian keeps it where only administrators look."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while process.returncode is None and time.monotonic() < deadline:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        return
    raise PeerError("nginx did not start")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass
class Certificate:
    """A certificate for 127.0.0.1 that signs itself, made in a folder, and who trusts it."""

    folder: Path
    cert: Path = field(init=False)
    key: Path = field(init=False)
    context: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench-ingest")])
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        self.cert, self.key = self.folder / "ingest.pem", self.folder / "ingest.key"
        self.cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        private = serialization.PrivateFormat.PKCS8
        self.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
        self.context = ssl.create_default_context(cafile=str(self.cert))


@asynccontextmanager
async def started(name: str, folder: Path, core: int | None, certificate: Certificate) -> AsyncIterator[Server]:
    """The server of a row, ready.

    Args:
        name: one of :data:`benchmarks.ingest.report.ROWS`.
        folder: for its data, empty.
        core: the only one it may use; None for all.
        certificate: for rows with TLS.

    Raises:
        PeerError: it cannot be had here.
    """
    secure = certificate if name.startswith("tls-") else None
    async with AsyncExitStack() as stack:
        match name.removeprefix("tls-"):
            case "bare":
                yield await stack.enter_async_context(runner("bare", core, secure))
            case "buffered":
                yield await stack.enter_async_context(runner("bare", core, secure, "buffered"))
            case "picows":
                python = await asyncio.to_thread(peers.ensure, PICOWS)
                yield await stack.enter_async_context(runner("picows", core, secure, python=python))
            case "websockets" | "aiohttp" as script:
                yield await stack.enter_async_context(runner(script, core, secure))
            case "gated" | "started":
                yield await stack.enter_async_context(gateway_server(folder, core, secure))
            case "nginx":
                server = await stack.enter_async_context(gateway_server(folder, core))
                tls = secure is not None
                await stack.enter_async_context(nginx(folder, core, server, certificate, tls))
                yield server
            case _:
                raise PeerError(f"no such row: {name}")
