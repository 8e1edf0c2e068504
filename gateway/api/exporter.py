"""The File Exporter's endpoints, and the files behind the links that they give.

A day that is not complete, or never was, is 404, so that ``[]`` means that nothing was said; so is what does not exist.
"""

from __future__ import annotations

from datetime import date
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel

from gateway.api.auth import Protected
from gateway.api.body import read_json, validated
from gateway.api.context import CONTEXT, ApiContext
from gateway.api.endpoints import Endpoint, Parameter
from gateway.api.envelope import Handler, answer
from gateway.api.schemas import exporter as schemas
from gateway.errors import RequestError
from gateway.export.catalogue import Catalogue
from gateway.export.formats import FORMATS, MEDIA_TYPES
from gateway.export.links import FILES_PATH
from gateway.export.partitions import VERSION, Day, Place, bare, parse_date, parse_hour
from gateway.export.rows import FEEDS
from gateway.store.records import Principal

__all__ = ["ENDPOINTS"]

_Model = TypeVar("_Model", bound=BaseModel)

_SEGMENTS = {
    "account": "the account's id",
    "feed": "a feed",
    "version": "version=1",
    "format": "format=jsonl",
    "date": "dt=2026-03-02",
    "hour": "hr=14",
    "name": "the file's name",
}


async def _feeds(_request: web.Request, context: ApiContext, _principal: Principal) -> web.Response:
    # No body is declared for it; one that is sent is not looked at.
    return answer(schemas.Feeds(feeds=[] if context.feeds is None else list(FEEDS)))


async def _versions(request: web.Request, context: ApiContext, _principal: Principal) -> web.Response:
    asked = await _asked(request, schemas.FeedVersionsRequest)
    _feed(context, asked.feed)
    return answer(schemas.FeedVersions(**asked.model_dump(), versions=[VERSION]))


async def _formats(request: web.Request, context: ApiContext, _principal: Principal) -> web.Response:
    asked = await _asked(request, schemas.FeedFormatsRequest)
    catalogue = _feed(context, asked.feed)
    _version(asked.version)
    return answer(schemas.FeedFormats(**asked.model_dump(), formats=list(catalogue.formats)))


async def _dates(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    asked = await _asked(request, schemas.FeedDatesRequest)
    catalogue = _feed(context, asked.feed)
    _version(asked.version)
    found = await catalogue.dates(principal.account_id, asked.feed, _format(asked.format))
    return answer(schemas.FeedDates(**asked.model_dump(), dates=[day.isoformat() for day in found]))


async def _intervals(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    asked = await _asked(request, schemas.FeedIntervalsRequest)
    places = await _places(asked, context, principal)
    hours = sorted({f"hr={place.hour:02}" for place in places if place.hour is not None})
    return answer(schemas.FeedIntervals(**asked.model_dump(), intervals=hours))


async def _files(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    asked = await _asked(request, schemas.FeedFilesRequest)
    hour = _interval(asked.interval)
    places = await _places(asked, context, principal)
    names = [
        _long_name(place) if hour is None else place.name for place in places if hour is None or place.hour == hour
    ]
    return answer(schemas.FeedFiles(**asked.model_dump(), files=names))


async def _link(request: web.Request, context: ApiContext, principal: Principal) -> web.Response:
    asked = await _asked(request, schemas.FeedFileRequest)
    hour = _interval(asked.interval)
    places = await _places(asked, context, principal)
    for place in places:
        short = place.name == asked.file_name and place.hour == hour
        # The long name says the hour: one in the request must be the same.
        if short or (_long_name(place) == asked.file_name and hour in (None, place.hour)):
            url = await _catalogue(context).url(place)
            return answer(schemas.FeedFile(**asked.model_dump(), url=url))
    raise _unknown("the day has no such file; name one as listfeedfiles does, with the same interval or without one")


async def _download(request: web.Request) -> web.StreamResponse:
    """A file, or a range of it, for who has a link; the links are the only key to it."""
    catalogue = request.app[CONTEXT].feeds
    key = "/".join(request.match_info[segment] for segment in _SEGMENTS)
    expires, signature = (_once(request, name) for name in ("expires", "signature"))
    if catalogue is None or not catalogue.links.good(key, expires, signature):
        raise RequestError(403, "403-01", "Forbidden: the link is altered or has expired; getfeedfile gives a new one")
    path = await catalogue.path(key)
    if path is None:
        raise _unknown("the file has been removed; listfeedfiles names those there are")
    form = request.match_info["format"].partition("=")[2]
    headers = {
        "Content-Type": "application/gzip" if path.suffix == ".gz" else MEDIA_TYPES[form],
        "Content-Disposition": f'attachment; filename="{path.name}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return web.FileResponse(path, headers=headers)


async def _asked(request: web.Request, model: type[_Model]) -> _Model:
    return validated(model, await read_json(request), code="400-03")


def _once(request: web.Request, name: str) -> str:
    values = request.query.getall(name, [])
    return values[0] if len(values) == 1 else ""


def _unknown(message: str) -> RequestError:
    return RequestError(404, "404-01", f"Not found: {message}")


def _wrong(path: str, message: str) -> RequestError:
    return RequestError(400, "400-03", f"ERROR - [Path '/{path}'] {message}")


def _catalogue(context: ApiContext) -> Catalogue:
    if context.feeds is None:
        raise _unknown("feeds are turned off on this gateway")
    return context.feeds


def _feed(context: ApiContext, name: str) -> Catalogue:
    catalogue = _catalogue(context)
    if name not in FEEDS:
        raise _unknown("there is no such feed; listfeeds names them")
    return catalogue


def _version(value: str) -> None:
    if bare("version", value) != VERSION:
        raise _unknown(f"the feed has no such version; it has {VERSION}")


def _format(value: str) -> str:
    form = bare("format", value)
    if form not in FORMATS:
        raise _unknown("the feed has no such format; listfeedformats names them")
    return form


def _date(value: str) -> date:
    day = parse_date(value)
    if day is None:
        raise _wrong("date", "must be a day such as 2026-03-02")
    return day


def _interval(value: str | None) -> int | None:
    if value is None:
        return None
    hour = parse_hour(value)
    if hour is None:
        raise _wrong("interval", "must be an hour such as hr=23")
    return hour


async def _places(
    asked: schemas.FeedIntervalsRequest | schemas.FeedFilesRequest, context: ApiContext, principal: Principal
) -> list[Place]:
    catalogue = _feed(context, asked.feed)
    _version(asked.version)
    day = Day(principal.account_id, asked.feed, _format(asked.format), _date(asked.date))
    places = await catalogue.files(day)
    if places is None:
        raise _unknown("the day is not built yet, or not kept any more; listfeeddates names those there are")
    return places


def _long_name(place: Place) -> str:
    return f"hr={place.hour:02}/{place.name}"


def _static(
    name: str, operation_id: str, summary: str, handler: Any, request: type[BaseModel] | None, response: type[BaseModel]
) -> Endpoint:
    return Endpoint(
        "POST",
        f"/fileexporter/v1/static/{name}",
        operation_id,
        "File Exporter",
        summary,
        Protected(handler),
        response,
        "What there is",
        request=request,
        errors=() if request is None else (400, 404, 408, 413),
    )


_FILE: Handler = _download

ENDPOINTS: tuple[Endpoint, ...] = (
    _static("listfeeds", "listFeeds", "List the feeds", _feeds, None, schemas.Feeds),
    _static(
        "listfeedversions",
        "listFeedVersions",
        "List the versions of a feed",
        _versions,
        schemas.FeedVersionsRequest,
        schemas.FeedVersions,
    ),
    _static(
        "listfeedformats",
        "listFeedFormats",
        "List the formats of a feed",
        _formats,
        schemas.FeedFormatsRequest,
        schemas.FeedFormats,
    ),
    _static(
        "listfeeddates",
        "listFeedDates",
        "List the days of a feed",
        _dates,
        schemas.FeedDatesRequest,
        schemas.FeedDates,
    ),
    _static(
        "listfeedintervals",
        "listFeedIntervals",
        "List the hours of a day that have files",
        _intervals,
        schemas.FeedIntervalsRequest,
        schemas.FeedIntervals,
    ),
    _static(
        "listfeedfiles",
        "listFeedFiles",
        "List the files of a day, or of an hour",
        _files,
        schemas.FeedFilesRequest,
        schemas.FeedFiles,
    ),
    _static("getfeedfile", "listFeedFile", "Get a link to a file", _link, schemas.FeedFileRequest, schemas.FeedFile),
    Endpoint(
        "GET",
        FILES_PATH + "/".join(f"{{{segment}}}" for segment in _SEGMENTS),
        "getFeedFileContent",
        "File Exporter",
        "Fetch a file by its link",
        _FILE,
        None,
        "The file; ranges are answered",
        parameters=(
            *(Parameter(name, "path", what, {"type": "string"}) for name, what in _SEGMENTS.items()),
            Parameter("expires", "query", "of the link", {"type": "string"}),
            Parameter("signature", "query", "of the link", {"type": "string"}),
        ),
        errors=(403, 404),
        media_type="application/octet-stream",
        also=((206, "The range asked for"), (416, "The range is outside of the file")),
    ),
)
"""The File Exporter's endpoints."""
