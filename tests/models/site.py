"""A web server for the tests that can go wrong in the ways that servers do."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Site:
    """What the server has, and what it was asked.

    ``cuts`` says after how many bytes of a body the connection is closed, one entry a request, None for never;
    ``hangs`` are paths at which it stops in mid-body; ``redirects`` lead elsewhere; ``headers`` are sent besides.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int | None] = field(default_factory=list)
    hangs: set[str] = field(default_factory=set)
    redirects: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    etags: bool = True
    status: int = 200
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site = self.site
        asked = self.headers.get("Range")
        site.asked.append((self.path, asked))
        if target := site.redirects.get(self.path):
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
            return
        body = site.files.get(self.path)
        if body is None or site.status != 200:
            self.send_error(404 if body is None else site.status)
            return
        self._send(body, asked)

    def _send(self, body: bytes, asked: str | None) -> None:
        site = self.site
        etag = f'"{hashlib.sha256(body).hexdigest()[:8]}"'
        same = self.headers.get("If-Range", etag) == etag
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and site.ranges and same else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if site.etags:
            self.send_header("ETag", etag)
        for name, value in ({"Content-Length": str(len(body) - start)} | site.headers).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        rest = body[start:]
        cut = site.cuts.pop(0) if site.cuts else None
        if self.path in site.hangs:
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            site.ended.wait()
            return
        # The client may have had enough.
        with contextlib.suppress(OSError):
            self.wfile.write(rest[:cut])

    def log_message(self, *_args: Any) -> None:
        """Quiet: the tests look at what the client says."""


@contextlib.contextmanager
def serving(site: Site, tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """Run ``site`` on a free port of the loopback; its ``url`` is set."""
    handler = type("Handler", (_Handler,), {"site": site})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.handle_error = lambda *_args: None  # type: ignore[method-assign]  # a client that leaves is no news
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        site.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            site.ended.set()
            server.shutdown()
            thread.join()


def certificate(folder: Path) -> Path:
    """A PEM file of a key and a certificate for 127.0.0.1 that is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "models test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
