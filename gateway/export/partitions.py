"""Names of partitions: ``FEED/version=1/format=jsonl/dt=2026-03-02/hr=14/…``, as keys and as what requests say.

A key is the account's id and the public path below it; only :class:`Day` and :func:`parse` make one, so that no key
leads anywhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - `date` is the name of a field here, as in the API

from gateway.export.formats import FORMATS
from gateway.export.rows import FEEDS

__all__ = ["SUCCESS", "VERSION", "Day", "Place", "bare", "parse", "parse_date", "parse_hour"]

VERSION = "1"
"""Of all feeds; counts up when a column changes its meaning."""

SUCCESS = "_SUCCESS"
"""The empty file that says that a partition is complete."""

_ACCOUNT = re.compile(r"[0-9A-Za-z]{1,64}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HOUR = re.compile(r"[01]\d|2[0-3]", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Day:
    """A day of one account's feed in one format."""

    account_id: str
    feed: str
    format: str
    date: Date

    @property
    def prefix(self) -> str:
        """What all of the day's keys begin with."""
        return f"{self.account_id}/{self.feed}/version={VERSION}/format={self.format}/dt={self.date.isoformat()}/"

    @property
    def success(self) -> str:
        """The key of the marker that stands when all of the day is there."""
        return self.prefix + SUCCESS

    def key(self, hour: int, name: str) -> str:
        """The key of a file of one hour."""
        return f"{self.prefix}hr={hour:02}/{name}"


@dataclass(frozen=True, slots=True)
class Place:
    """What a key names: a file of an hour, or with ``hour`` None the day's marker."""

    day: Day
    hour: int | None
    name: str

    @property
    def key(self) -> str:
        """The key."""
        return self.day.success if self.hour is None else self.day.key(self.hour, self.name)


def bare(field: str, value: str) -> str:
    """``1`` for ``version=1`` and for ``1``: both spellings are documented."""
    return value.removeprefix(f"{field}=")


def parse_date(value: str) -> Date | None:
    """The day of ``2026-03-02`` or ``dt=2026-03-02``; None if it is none."""
    text = bare("dt", value)
    if not _DATE.fullmatch(text):
        return None
    try:
        return Date.fromisoformat(text)
    except ValueError:
        return None


def parse_hour(value: str) -> int | None:
    """The hour of ``hr=14`` or ``14``; None if it is none."""
    text = bare("hr", value)
    return int(text) if _HOUR.fullmatch(text) else None


def parse(key: str) -> Place | None:
    """What ``key`` names; None if no builder of ours makes such a key."""
    parts = key.split("/")
    if len(parts) not in (6, 7):
        return None
    account_id, feed, version, form, day, *rest = parts
    form = form.removeprefix("format=")
    date = parse_date(day)
    if not _ACCOUNT.fullmatch(account_id) or feed not in FEEDS or form not in FORMATS or date is None:
        return None
    hour = parse_hour(rest[0]) if len(rest) == 2 else None
    name = rest[-1]
    place = Place(Day(account_id, feed, form, date), hour, name)
    right = name == SUCCESS if len(rest) == 1 else hour is not None and _is_name(name, feed, form)
    # Spelt back: there is one way to write a key.
    return place if right and version == f"version={VERSION}" and place.key == key else None


def _is_name(name: str, feed: str, form: str) -> bool:
    return name in (SUCCESS, f"{feed}.{form}", f"{feed}.{form}.gz")
