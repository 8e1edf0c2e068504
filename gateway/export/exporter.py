"""The File Exporter put together from the settings, for the gateway and for the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self

from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.export.build import Builder, Plan
from gateway.export.catalogue import Catalogue
from gateway.export.formats import require
from gateway.export.links import Links
from gateway.export.rows import Terms
from gateway.export.schedule import Calendar, DayBuilder, Scheduler
from gateway.export.storage import ANSWER_S, Folder, Storage, open_storage
from gateway.store.feeds import FeedQueries
from gateway.store.store import Store

__all__ = ["Exporter"]


class Exporter:
    """Everything that feeds need, wired; make one with :meth:`open`."""

    def __init__(self, settings: Settings, queries: FeedQueries, storage: Storage, folder: Path) -> None:
        export = settings.export
        self.settings = export
        self.queries = queries
        self.storage = storage
        self.folder = folder
        self.builder = Builder(queries, storage, folder)
        self.plan = Plan(
            formats=tuple(export.formats), gzip=export.gzip, terms=Terms(export.company_marker, export.unredacted)
        )
        self.calendar = Calendar(export.at_time, settings.retention.messages_days, export.retention_days)

    @classmethod
    def open(cls, settings: Settings, store: Store, output: Path | None = None, *, patient: bool = True) -> Self:
        """What the settings say.

        Args:
            settings: the gateway's.
            store: where messages come from.
            output: a folder in place of the storage that is set.
            patient: whether to wait long for a bucket; the end of a gateway would wait as long.

        Raises:
            ConfigError: a format or the storage needs what is not installed, or cannot be used.
        """
        require(settings.export.formats)
        folder = output or settings.export.directory or settings.data_dir / "feeds"
        if output is None:
            _check(folder, "GATEWAY_EXPORT__DIRECTORY" if settings.export.directory else "GATEWAY_DATA_DIR")
        storage = (
            Folder(folder)
            if output is not None
            else open_storage(settings.export, folder, None if patient else ANSWER_S)
        )
        return cls(settings, FeedQueries(store), storage, folder)

    def scheduler(self, builder: DayBuilder | None = None) -> Scheduler:
        """What builds every day, with ``builder``, or in this process."""
        chosen = builder or self.builder
        return Scheduler(self.queries, chosen, self.storage, self.folder, self.plan, self.calendar)

    def catalogue(self, secret: bytes, base: Callable[[], str]) -> Catalogue:
        """What the API reads.

        Args:
            secret: 32 bytes that links are signed with.
            base: the gateway's ``http(s)://`` address.
        """
        links = Links(secret, self.settings.link_ttl)
        return Catalogue(self.storage, self.plan.formats, links, base)


def _check(folder: Path, variable: str) -> None:
    """Feeds are first made at night: that they cannot be is said at the start."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        msg = f"{variable}: {folder} cannot be written ({error.strerror}); name a directory we may write"
        raise ConfigError(msg) from error
