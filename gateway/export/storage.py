"""Where feeds are kept: a folder of this machine, or a bucket of S3-compatible storage.

Both keep a file whole or not at all. Methods block: call them on a worker thread.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gateway.config import ExportSettings
from gateway.errors import ConfigError, StoreError
from gateway.export.partitions import parse

if TYPE_CHECKING:
    from obstore.store import S3Store

__all__ = ["ANSWER_S", "Bucket", "Folder", "Storage", "open_storage"]

ANSWER_S = 4.0
"""How long a gateway with calls waits for an answer of a bucket: its end waits for such requests, too."""


class Storage(Protocol):
    """A place for feeds. Methods raise :class:`~gateway.errors.StoreError` when it refuses or is away."""

    def keys(self, prefix: str) -> list[str]:
        """All keys that begin with ``prefix``, which ends in a slash; sorted."""

    def put(self, key: str, source: Path) -> None:
        """Take a finished file, whole or not at all, in place of what is there; ``source`` may be gone then."""

    def mark(self, key: str) -> None:
        """Make an empty file."""

    def remove(self, keys: Iterable[str]) -> None:
        """Remove files; one that is gone already is no error."""

    def link(self, key: str, seconds: int) -> str | None:
        """A URL of the storage's own that is good for so long; None where the gateway serves files itself."""


class Folder:
    """A folder; files and folders in it are their owner's alone, as the database is."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where the file of ``key`` lies.

        Raises:
            ValueError: the key is none that a builder makes, and could lead anywhere.
        """
        if parse(key) is None:
            msg = "not the key of a feed's file"
            raise ValueError(msg)
        return self.root / key

    def keys(self, prefix: str) -> list[str]:
        """All keys that begin with ``prefix``; sorted."""
        # A folder that is removed meanwhile is passed over, as one that was not there.
        walked = os.walk(self.root / prefix)
        paths = (Path(folder, name) for folder, _, names in walked for name in names)
        found = (path.relative_to(self.root).as_posix() for path in paths)
        return sorted(key for key in found if parse(key) is not None)

    def put(self, key: str, source: Path) -> None:
        """Move a file of the same file system into place; the file is synced already."""
        target = self.path(key)
        with _told(str(self.root)):
            _make_folders(self.root, target.parent)
            source.replace(target)
            _sync_folder(target.parent)

    def mark(self, key: str) -> None:
        """Make an empty file."""
        target = self.path(key)
        with _told(str(self.root)):
            _make_folders(self.root, target.parent)
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o600))
            _sync_folder(target.parent)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove files, and folders that are empty then."""
        for key in keys:
            path = self.path(key)
            with _told(str(self.root)):
                path.unlink(missing_ok=True)
                for folder in path.parents:
                    if folder == self.root or not _removed_empty(folder):
                        break
                if path.parent.is_dir():
                    _sync_folder(path.parent)

    def link(self, key: str, seconds: int) -> str | None:
        """None: the gateway serves these files itself."""
        return None


def _make_folders(root: Path, folder: Path) -> None:
    for missing in reversed([folder, *folder.parents]):
        if missing.is_relative_to(root) and not missing.is_dir():
            missing.mkdir(mode=0o700, exist_ok=True, parents=missing == root)
            _sync_folder(missing.parent)


def _removed_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told(place: str) -> Any:
    """Errors of the system as ours."""
    try:
        yield
    except OSError as error:
        msg = f"{place}: feeds cannot be kept here ({error.strerror or type(error).__name__})"
        raise StoreError(msg) from error


class Bucket:
    """A bucket. An upload of several parts becomes a file only when all of them are there.

    Args:
        store: obstore's, with prefix and credentials.
        name: for errors.
    """

    def __init__(self, store: S3Store, name: str) -> None:
        import obstore

        self._obstore = obstore
        self._store = store
        self._name = name

    @contextlib.contextmanager
    def _told(self) -> Any:
        try:
            yield
        except (self._obstore.exceptions.BaseError, OSError) as error:
            # Its text has the request and the whole answer: the kind of error says enough, and quotes nothing.
            msg = f"bucket {self._name}: the storage refused or is away ({type(error).__name__}: {_status(error)})"
            raise StoreError(msg) from None

    def keys(self, prefix: str) -> list[str]:
        """All keys that begin with ``prefix``; sorted."""
        with self._told():
            listed = self._obstore.list(self._store, prefix.rstrip("/")).collect()
        return sorted(entry["path"] for entry in listed if parse(entry["path"]) is not None)

    def put(self, key: str, source: Path) -> None:
        """Upload a file, a long one in parts."""
        with self._told():
            self._obstore.put(self._store, key, source)
        source.unlink()

    def mark(self, key: str) -> None:
        """Make an empty object."""
        with self._told():
            self._obstore.put(self._store, key, b"")

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects."""
        gone = list(keys)
        if gone:
            with self._told():
                self._obstore.delete(self._store, gone)

    def link(self, key: str, seconds: int) -> str | None:
        """The storage's presigned URL."""
        with self._told():
            return self._obstore.sign(self._store, "GET", key, timedelta(seconds=seconds))


def _status(error: BaseException) -> str:
    """The HTTP status that a storage error tells, if it tells one."""
    text = str(error)
    _, found, rest = text.partition("non-2xx status code: ")
    return f"HTTP {rest[:3]}" if found and rest[:3].isdigit() else "no answer" if "HTTP error" in text else "no status"


def open_storage(settings: ExportSettings, folder: Path, answer_s: float | None = None) -> Storage:
    """The storage of the settings; ``folder`` is used where no bucket is set.

    Args:
        settings: the feeds'.
        folder: where they are kept without a bucket.
        answer_s: how long a bucket may take for an answer, in seconds; None: minutes, with ten more tries.

    Raises:
        ConfigError: a bucket is set and obstore is not installed, or what is set is not usable.
    """
    if settings.s3_bucket is None:
        return Folder(folder)
    if importlib.util.find_spec("obstore") is None:
        msg = "GATEWAY_EXPORT__S3_BUCKET: needs obstore, which is not installed; `pip install 'callscribe-gateway[s3]'`"
        raise ConfigError(msg)
    # Imported here: most gateways need no bucket.
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    options: dict[str, Any] = {"region": settings.s3_region or "us-east-1"}
    if settings.s3_endpoint is not None:
        options["endpoint"] = settings.s3_endpoint
    client: dict[str, Any] = {"allow_http": (settings.s3_endpoint or "").startswith("http://")}
    if answer_s is not None:
        longest = timedelta(seconds=answer_s)
        client |= {"timeout": longest, "connect_timeout": longest}
        options["retry_config"] = {"max_retries": 1, "retry_timeout": longest}
    options["client_options"] = client
    if settings.s3_key is not None and settings.s3_secret is not None:
        options |= {"access_key_id": settings.s3_key, "secret_access_key": settings.s3_secret.get_secret_value()}
    try:
        store = S3Store(settings.s3_bucket, prefix=settings.s3_prefix or None, **options)
    except (BaseError, ValueError) as error:
        msg = f"GATEWAY_EXPORT__S3_BUCKET: the storage's settings cannot be used ({type(error).__name__})"
        raise ConfigError(msg) from None
    return Bucket(store, settings.s3_bucket)
