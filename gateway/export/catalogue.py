"""What there is to fetch: an account's feeds, days, hours and files, and links to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

from gateway.export.build import in_thread
from gateway.export.links import Links
from gateway.export.partitions import SUCCESS, Day, Place, parse
from gateway.export.storage import Folder, Storage

__all__ = ["Catalogue"]


class Catalogue:
    """Reads a storage for one account at a time. A day without its marker is not there.

    Args:
        storage: where feeds are kept.
        formats: those that are built.
        links: for files that the gateway serves itself.
        base: the ``http(s)://`` address that such links begin with.
    """

    def __init__(self, storage: Storage, formats: tuple[str, ...], links: Links, base: Callable[[], str]) -> None:
        self.formats = formats
        self.links = links
        self._storage = storage
        self._base = base

    async def dates(self, account_id: str, feed: str, form: str) -> list[date]:
        """The days that are complete, oldest first.

        Raises:
            StoreError: the storage is away.
        """
        above = Day(account_id, feed, form, date.min).prefix.rpartition("dt=")[0]
        keys = await in_thread(partial(self._storage.keys, above))
        places = filter(None, map(parse, keys))
        return sorted({place.day.date for place in places if place.hour is None})

    async def files(self, day: Day) -> list[Place] | None:
        """The files of a day by hour and name; None if it is not complete.

        Raises:
            StoreError: the storage is away.
        """
        keys = await in_thread(partial(self._storage.keys, day.prefix))
        if day.success not in keys:
            return None
        places = filter(None, map(parse, keys))
        return sorted((one for one in places if one.name != SUCCESS), key=lambda one: one.key)

    async def url(self, place: Place) -> str:
        """A link to a file, good for a while.

        Raises:
            StoreError: the storage makes none.
        """
        made = await in_thread(partial(self._storage.link, place.key, self.links.ttl))
        return made or self.links.link(self._base(), place.key)

    async def path(self, key: str) -> Path | None:
        """Where the file of a key lies on this machine; None if there is none, or it is kept elsewhere."""
        storage = self._storage
        place = parse(key)
        if not isinstance(storage, Folder) or place is None or place.name == SUCCESS:
            return None
        path = storage.path(key)
        return path if await in_thread(path.is_file) else None
