"""The examples in deploy/ do what they say: checked by the programs they are for, where those are installed."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import websockets
from aiohttp import ClientSession, TCPConnector
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from gateway.cli.settings_doc import settings
from gateway.config import load

DEPLOY = Path(__file__).parents[2] / "deploy"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
needs_haproxy = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


class TestUnit:
    def test_it_tells_systemd_when_it_is_ready_and_runs_as_its_own_user(self) -> None:
        lines = read("gateway.service").splitlines()
        assert {"Type=notify", "User=gateway", "Restart=on-failure", "StateDirectory=gateway"} <= set(lines)

    def test_it_waits_longer_than_the_gateway_drains(self) -> None:
        stop = re.search(r"^TimeoutStopSec=(\d+)$", read("gateway.service"), re.MULTILINE)
        assert stop is not None
        assert int(stop[1]) > load().drain_seconds

    @needs_systemd
    def test_systemd_accepts_it(self, tmp_path: Path) -> None:
        unit = tmp_path / "gateway.service"
        unit.write_text(read("gateway.service").replace("/opt/gateway/.venv/bin/gateway serve", "/bin/true"))
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
        complaints = [line for line in done.stderr.splitlines() if "gateway.service" in line]
        assert (done.returncode, complaints) == (0, [])


class TestEnvironmentFile:
    def test_it_names_only_settings(self) -> None:
        named = set(re.findall(r"^#?(GATEWAY_\w+)=", read("gateway.env"), re.MULTILINE))
        assert named
        assert named <= {setting.variable for setting in settings()}

    def test_its_examples_are_accepted_together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in re.findall(r"^#?(GATEWAY_\w+)=(.+)$", read("gateway.env"), re.MULTILINE):
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GATEWAY_TWILIO__AUTH_TOKEN", "12345")
        assert load().webhook.auth == "secret"


class TestHaproxy:
    def test_no_query_and_no_token_is_logged(self) -> None:
        text = read("haproxy.cfg")
        assert "str(/twilio-media/***) if { path_sub /twilio-media }" in text
        log_format = re.search(r'log-format "(.*)"', text)
        assert log_format is not None
        # %r, %HU, %HP and %HQ are request line, URI, path and query.
        assert not re.search(r"%(r|HU|HP|HQ|HPO|hr|hrl)\b", log_format[1])

    @needs_haproxy
    def test_haproxy_accepts_it(self, tmp_path: Path) -> None:
        certificate, key = self_signed(tmp_path)
        both = tmp_path / "both.pem"
        both.write_bytes(certificate.read_bytes() + key.read_bytes())
        config = tmp_path / "haproxy.cfg"
        config.write_text(read("haproxy.cfg").replace("/etc/haproxy/calls.example.com.pem", str(both)))
        subprocess.run(["haproxy", "-c", "-f", config], check=True, capture_output=True)


def self_signed(directory: Path) -> tuple[Path, Path]:
    """A certificate for calls.example.com and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "calls.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("calls.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption()))
    return paths


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Site:
    """nginx with the example, in a directory of its own."""

    directory: Path
    port: int
    upstream: int
    certificate: Path = field(init=False)

    def write(self) -> list[str]:
        """Write the configuration; returns the command that runs nginx on it."""
        self.certificate, key = self_signed(self.directory)
        site = (
            read("nginx.conf")
            .replace("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl")
            .replace("127.0.0.1:8080", f"127.0.0.1:{self.upstream}")
            .replace("/etc/letsencrypt/live/calls.example.com/fullchain.pem", str(self.certificate))
            .replace("/etc/letsencrypt/live/calls.example.com/privkey.pem", str(key))
            .replace("/var/log/nginx/", f"{self.directory}/")
        )
        (self.directory / "site.conf").write_text(site)
        user = "user root;" if os.getuid() == 0 else ""
        temporary = "".join(
            f"{kind}_temp_path {self.directory}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.directory / "nginx.conf").write_text(
            f"{user} daemon off; master_process off; pid {self.directory}/nginx.pid; error_log stderr;\n"
            f"events {{}}\nhttp {{ {temporary} include {self.directory}/site.conf; }}\n"
        )
        return ["nginx", "-p", str(self.directory), "-e", "stderr", "-c", str(self.directory / "nginx.conf")]

    @property
    def log(self) -> str:
        return (self.directory / "gateway.log").read_text()

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, free_port(), free_port())


@asynccontextmanager
async def behind_nginx(site: Site) -> AsyncIterator[list[Request]]:
    """nginx, and behind it a server that echoes; yields the requests that reach the server."""
    seen: list[Request] = []

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    def note(connection: ServerConnection, request: Request) -> Response | None:
        seen.append(request)
        return None if "Upgrade" in request.headers else connection.respond(200, "plain\n")

    async with serve(echo, "127.0.0.1", site.upstream, process_request=note):
        process = await asyncio.create_subprocess_exec(*site.write(), stderr=subprocess.PIPE)
        try:
            await listening(site.port, process)
            yield seen
        finally:
            process.terminate()
            await process.communicate()


async def listening(port: int, process: asyncio.subprocess.Process) -> None:
    """Wait until somebody listens on ``port``."""
    async with asyncio.timeout(20):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return
    assert process.stderr is not None
    pytest.fail((await process.stderr.read()).decode())


@needs_nginx
class TestNginx:
    def test_nginx_accepts_it(self, site: Site) -> None:
        done = subprocess.run([*site.write(), "-t"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "[warn]" not in done.stderr

    async def test_a_media_socket_passes_with_its_token_but_the_log_does_not_tell_it(self, site: Site) -> None:
        async with behind_nginx(site) as seen:
            url = f"wss://calls.example.com:{site.port}/twilio-media/{TOKEN}"
            async with websockets.connect(url, ssl=site.trust, host="127.0.0.1", port=site.port) as media:
                await media.send("x" * 60_000)
                assert await media.recv() == "x" * 60_000
            async with websockets.connect(
                f"wss://calls.example.com:{site.port}/twilio-media?token={TOKEN}",
                ssl=site.trust,
                host="127.0.0.1",
                port=site.port,
                additional_headers={"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http"},
            ):
                pass
        assert seen[0].path == f"/twilio-media/{TOKEN}"
        assert seen[1].path == f"/twilio-media?token={TOKEN}"
        assert [seen[1].headers[f"X-Forwarded-{name}"] for name in ("For", "Proto", "Host")] == [
            "127.0.0.1",
            "https",
            "calls.example.com",
        ]
        assert site.log.count(" 101 ") == 2
        assert "/twilio-media/***" in site.log
        assert TOKEN[:10] not in site.log

    async def test_secrets_in_the_query_of_a_request_are_not_logged(self, site: Site) -> None:
        async with behind_nginx(site) as seen, ClientSession(connector=TCPConnector(ssl=False)) as client:
            url = f"https://127.0.0.1:{site.port}/v1/health?asapp-api-secret=hidden"
            async with client.get(url, headers={"asapp-api-id": "name"}) as response:
                assert response.status == 200
        assert seen[0].headers["asapp-api-id"] == "name"
        assert "GET /v1/health?*** 200" in site.log
        assert "hidden" not in site.log
