"""Download one file over HTTP: goes on where it was broken off, and takes no redirect away from https.

What has come of ``FILE`` lies in ``FILE.part`` until it is whole, with the server's name for that version (ETag) in
``FILE.etag``. Whether it is the right file is for its checksum to say: :func:`models.fetch.check`.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import IO

from gateway.errors import ModelError

__all__ = ["MOST_BYTES", "download"]

MOST_BYTES = 4 << 30
"""A file of unknown size is given up beyond this; the largest Moonshine model has 0.3 GB in all."""

_CHUNK = 1 << 18
_TIMEOUT = 60.0  # seconds without a byte
_TRIES = 4  # as long as each brings the file further
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_AGENT = "media-gateway"


class _Broken(Exception):  # noqa: N818 - what happened to the connection; it becomes an error if it lasts
    """The connection ended early; what has come is kept."""


def download(url: str, target: Path, size: int | None, progress: Callable[[int], None], *, resume: bool = True) -> None:
    """Download ``url`` to ``target``, which must not be there.

    Args:
        url: ``http://`` or ``https://``.
        target: where to; its folder is there.
        size: bytes that it must have; None if that is not known.
        progress: called with the bytes that are there.
        resume: whether to go on with what an earlier call left even if the server does not say that it is still the
            same file: only right where a checksum will tell.

    Raises:
        ModelError: it could not be had; what has come is kept for the next call, unless it is of no use.
        OSError: it could not be written.
    """
    part, tag = target.with_name(target.name + ".part"), target.with_name(target.name + ".etag")
    if not (resume or tag.exists()) or _length(part) > (size or MOST_BYTES):
        _forget(part, tag)
    for left in reversed(range(_TRIES)):
        before = _length(part)
        if before == size:
            break  # broken off after its last byte
        try:
            _go_on(url, part, tag, size, progress)
            break
        except _Broken as broken:
            if left == 0 or _length(part) <= before:
                msg = f"{url} could not be downloaded: {broken}"
                if _length(part):
                    msg += f"; {_length(part)} bytes are kept: run it again to go on from there"
                raise ModelError(msg) from broken
    part.rename(target)
    tag.unlink(missing_ok=True)


def _go_on(url: str, part: Path, tag: Path, size: int | None, progress: Callable[[int], None]) -> None:
    """One request, for what is missing."""
    request = urllib.request.Request(url, headers={"User-Agent": _AGENT, "Accept-Encoding": "identity"})  # noqa: S310 - http or https: checked where it is read
    if done := _length(part):
        request.add_header("Range", f"bytes={done}-")
        if tag.exists():
            request.add_header("If-Range", tag.read_text(encoding="latin-1"))
    try:
        with _opener().open(request, timeout=_TIMEOUT) as response:
            if response.status == http.client.PARTIAL_CONTENT:
                _must_go_on_at(url, response.headers, done)
            else:
                done = 0
                _forget(part, tag)
            _must_be_a_file(url, response.headers, size, done)
            # A weak tag does not promise the same bytes.
            if (etag := response.headers.get("ETag", "")).startswith('"'):
                tag.write_text(etag, encoding="latin-1")
            with part.open("ab") as file:
                _copy(response, file, done, url, size, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            _forget(part, tag)
        msg = f"{url} could not be downloaded: the server answered {error.code}{_hint(error.code)}"
        raise ModelError(msg) from error
    except urllib.error.URLError as error:
        raise ModelError(_unreachable(url, error.reason)) from error
    except TimeoutError as error:
        msg = f"nothing came for {_TIMEOUT:g} s"
        raise _Broken(msg) from error
    except (ConnectionError, http.client.HTTPException, ssl.SSLError) as error:
        msg = f"the connection broke ({type(error).__name__})"
        raise _Broken(msg) from error


def _copy(
    response: http.client.HTTPResponse,
    file: IO[bytes],
    done: int,
    url: str,
    size: int | None,
    progress: Callable[[int], None],
) -> None:
    promised = response.headers.get("Content-Length")
    whole = done + int(promised) if promised and promised.isdigit() else size
    progress(done)
    # read1 gives what has come: with read, a trickle would never run into the timeout nor show.
    while chunk := response.read1(_CHUNK):
        done += len(chunk)
        if done > (size or MOST_BYTES):
            file.truncate(0)
            msg = f"{url}: the server sends more than the {size or MOST_BYTES} bytes that the file may have"
            raise ModelError(msg)
        file.write(chunk)
        progress(done)
    if whole is not None and done < whole:
        msg = f"the connection ended after {done} of {whole} bytes"
        raise _Broken(msg)


def _must_go_on_at(url: str, headers: Message, done: int) -> None:
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if found is None or int(found.group(1)) != done:
        msg = f"{url}: the server sends another part of the file than was asked for"
        raise ModelError(msg)


def _must_be_a_file(url: str, headers: Message, size: int | None, done: int) -> None:
    if headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        msg = f"{url}: the server gives a web page, not a model; a proxy's login page, or a wrong address?"
        raise ModelError(msg)
    promised = headers.get("Content-Length", "")
    if size is not None and promised.isdigit() and done + int(promised) != size:
        has = done + int(promised)
        msg = f"{url}: the server has {has} bytes instead of {size}: it is another file than the manifest's"
        raise ModelError(msg)


class _OnlyToHttps(urllib.request.HTTPRedirectHandler):
    """Redirects are followed to https alone, ten at the most (the library's limit)."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith("https://"):
            fp.close()
            msg = f"{req.full_url} redirects to an address without TLS, which is not followed; give the https address"
            raise ModelError(msg)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_OnlyToHttps)


def _unreachable(url: str, reason: object) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"{url}: the server's certificate is not trusted ({reason.verify_message}); "
            "SSL_CERT_FILE may name a file of your CAs"
        )
    return f"{url} could not be downloaded: {reason}; is the network reachable?"


def _hint(code: int) -> str:
    if code in (http.client.NOT_FOUND, http.client.GONE):
        return ": there is no such file; is the address right?"
    if code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN, http.client.PROXY_AUTHENTICATION_REQUIRED):
        return ": access is denied"
    if code >= http.client.INTERNAL_SERVER_ERROR or code == http.client.TOO_MANY_REQUESTS:
        return "; try again later"
    return ""


def _length(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _forget(part: Path, tag: Path) -> None:
    for path in (part, tag):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
