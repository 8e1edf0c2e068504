"""The File Exporter: which feeds there are, of which days, in which files, and a link to each file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.api.schemas.common import Answer, Identifier, RequestModel

__all__ = [
    "FeedDates",
    "FeedDatesRequest",
    "FeedFile",
    "FeedFileRequest",
    "FeedFiles",
    "FeedFilesRequest",
    "FeedFormats",
    "FeedFormatsRequest",
    "FeedIntervals",
    "FeedIntervalsRequest",
    "FeedVersions",
    "FeedVersionsRequest",
    "Feeds",
]

_Feed = Annotated[Identifier, Field(description="a name from listfeeds")]
_Version = Annotated[Identifier, Field(description="1, or version=1")]
_Format = Annotated[Identifier, Field(description="jsonl, or format=jsonl")]
_Date = Annotated[Identifier, Field(description="a day, UTC: 2026-03-02, or dt=2026-03-02")]
_Interval = Annotated[Identifier, Field(description="an hour, UTC: hr=23, or 23")]
_FileName = Annotated[Identifier, Field(description="a name from listfeedfiles")]


class FeedVersionsRequest(RequestModel):
    """Which versions a feed has."""

    feed: _Feed


class FeedFormatsRequest(FeedVersionsRequest):
    """Which formats a feed is built in."""

    version: _Version


class FeedDatesRequest(FeedFormatsRequest):
    """Which days of a feed are complete."""

    format: _Format


class FeedIntervalsRequest(FeedDatesRequest):
    """Which hours of a day have files."""

    date: _Date


class FeedFilesRequest(FeedIntervalsRequest):
    """Which files a day has, or one hour of it."""

    interval: _Interval | None = None


class FeedFileRequest(FeedFilesRequest):
    """A link to a file."""

    file_name: _FileName


class Feeds(Answer):
    """The feeds that are built."""

    feeds: list[str]


class FeedVersions(Answer):
    """The feed's versions; what was asked for stands in each answer as it was sent."""

    feed: str
    versions: list[str]


class FeedFormats(Answer):
    """The formats that the feed is built in."""

    feed: str
    version: str
    formats: list[str]


class FeedDates(Answer):
    """The days that are complete, oldest first."""

    feed: str
    version: str
    format: str
    dates: list[str]


class FeedIntervals(Answer):
    """The hours with files, as ``hr=14``."""

    feed: str
    version: str
    format: str
    date: str
    intervals: list[str]


class FeedFiles(Answer):
    """The files; without an interval in the request their names begin with their hours: ``hr=14/utterances.jsonl``."""

    feed: str
    version: str
    format: str
    date: str
    interval: str | None = None
    files: list[str]


class FeedFile(Answer):
    """A link to a file; anyone who has it can fetch the file, until it expires."""

    feed: str
    version: str
    format: str
    date: str
    interval: str | None = None
    file_name: str
    url: str
