"""A real server on the loopback, and what may go wrong on the way from it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import ModelError
from models import web
from models.web import download

from .site import Site, certificate, serving

BODY = bytes(range(256)) * 4096


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Site({"/weights": BODY})) as running:
        yield running


def fetch(
    site: Site, folder: Path, path: str = "/weights", size: int | None = len(BODY), *, resume: bool = True
) -> Path:
    target = folder / "weights"
    download(site.url + path, target, size, lambda _done: None, resume=resume)
    return target


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("size", [len(BODY), None])
def test_a_file_comes_with_progress(site: Site, tmp_path: Path, size: int | None) -> None:
    seen: list[int] = []
    download(f"{site.url}/weights", tmp_path / "weights", size, seen.append)
    assert (tmp_path / "weights").read_bytes() == BODY
    assert seen == sorted(seen)
    assert seen[-1] == len(BODY)
    assert files(tmp_path) == ["weights"]


def test_a_broken_connection_is_taken_up_at_once(site: Site, tmp_path: Path) -> None:
    site.cuts = [1000, 2000]
    assert fetch(site, tmp_path).read_bytes() == BODY
    assert [asked for _, asked in site.asked] == [None, "bytes=1000-", "bytes=3000-"]
    assert files(tmp_path) == ["weights"]


def test_what_came_is_kept_for_the_next_call(site: Site, tmp_path: Path) -> None:
    site.cuts = [1000, 0]
    with pytest.raises(ModelError, match=r"ended after 1000 of 1048576 bytes; 1000 bytes are kept: run it again"):
        fetch(site, tmp_path)
    assert files(tmp_path) == ["weights.etag", "weights.part"]
    assert fetch(site, tmp_path).read_bytes() == BODY
    assert site.asked[-1][1] == "bytes=1000-"


def test_another_version_is_not_joined_to_the_first(site: Site, tmp_path: Path) -> None:
    site.cuts = [1000, 0]
    with pytest.raises(ModelError):
        fetch(site, tmp_path)
    site.files["/weights"] = BODY[::-1]
    assert fetch(site, tmp_path).read_bytes() == BODY[::-1]


@pytest.mark.parametrize("resume", [True, False])
def test_without_a_version_only_a_checksum_allows_to_go_on(site: Site, tmp_path: Path, resume: bool) -> None:
    site.etags = False
    site.cuts = [1000, 0]
    with pytest.raises(ModelError):
        fetch(site, tmp_path)
    site.asked.clear()
    assert fetch(site, tmp_path, resume=resume).read_bytes() == BODY
    assert site.asked == [("/weights", "bytes=1000-" if resume else None)]


def test_a_server_without_ranges_sends_it_all_again(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    site.cuts = [1000]
    assert fetch(site, tmp_path).read_bytes() == BODY


def test_a_part_that_is_too_long_is_dropped(site: Site, tmp_path: Path) -> None:
    (tmp_path / "weights.part").write_bytes(bytes(len(BODY) + 1))
    assert fetch(site, tmp_path).read_bytes() == BODY
    assert site.asked == [("/weights", None)]


def test_a_part_that_is_whole_is_not_asked_for(site: Site, tmp_path: Path) -> None:
    (tmp_path / "weights.part").write_bytes(BODY)
    assert fetch(site, tmp_path).read_bytes() == BODY
    assert site.asked == []


def test_a_server_that_falls_silent_is_left(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_TIMEOUT", 0.2)
    site.hangs = {"/weights"}
    with pytest.raises(ModelError, match=r"nothing came for 0\.2 s; \d+ bytes are kept"):
        fetch(site, tmp_path)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"headers": {"Content-Type": "text/html; charset=utf-8"}}, "gives a web page, not a model"),
        ({"files": {"/weights": BODY + b"x"}}, "has 1048577 bytes instead of 1048576: it is another file"),
        ({"files": {"/weights": BODY * 2}, "headers": {"Content-Length": ""}}, "more than the 1048576 bytes"),
        ({"files": {"/weights": BODY[:-1]}}, "has 1048575 bytes instead of 1048576"),
        ({"files": {"/weights": BODY[:-1]}, "headers": {"Content-Length": ""}}, "ended after 1048575 of 1048576"),
        ({"files": {}}, "the server answered 404: there is no such file"),
        ({"status": 403}, "the server answered 403: access is denied"),
        ({"status": 503}, "the server answered 503; try again later"),
    ],
)
def test_a_bad_answer_is_named_in_one_line(
    site: Site, tmp_path: Path, changes: dict[str, object], complaint: str
) -> None:
    for name, value in changes.items():
        setattr(site, name, value)
    with pytest.raises(ModelError, match=complaint) as caught:
        fetch(site, tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "weights").exists()


def test_a_file_of_unknown_size_is_given_up_when_it_does_not_end(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MOST_BYTES", 1000)
    with pytest.raises(ModelError, match="more than the 1000 bytes"):
        fetch(site, tmp_path, size=None)
    assert (tmp_path / "weights.part").stat().st_size == 0


def test_a_redirect_away_from_https_is_not_followed(site: Site, tmp_path: Path) -> None:
    site.redirects = {"/moved": f"{site.url}/weights"}
    with pytest.raises(ModelError, match="redirects to an address without TLS"):
        fetch(site, tmp_path, "/moved")
    assert [path for path, _ in site.asked] == ["/moved"]


def test_a_redirect_to_https_is_followed(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    folder = tmp_path / "into"
    folder.mkdir()
    with serving(Site({"/weights": BODY}), tls) as secure:
        site.redirects = {"/moved": f"{secure.url}/weights"}
        with pytest.raises(ModelError, match=r"certificate is not trusted .*SSL_CERT_FILE"):
            fetch(site, folder, "/moved")
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        assert fetch(site, folder, "/moved").read_bytes() == BODY


def test_an_unreachable_server_is_named(tmp_path: Path, site: Site) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ModelError, match=r"could not be downloaded: .* is the network reachable"):
            download(f"http://127.0.0.1:{taken.getsockname()[1]}/a", tmp_path / "a", 1, lambda _done: None)
