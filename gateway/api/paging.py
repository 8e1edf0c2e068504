"""Pages of a list, told apart by cursors: what is added or removed meanwhile neither repeats nor skips another item."""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiohttp import web

from gateway.api.endpoints import Parameter
from gateway.errors import RequestError

__all__ = ["PARAMETERS", "Page", "page"]

_DEFAULT_LIMIT = 20
_MAX_LIMIT = 100

PARAMETERS = (
    Parameter(
        "cursor",
        "query",
        "nextCursor or prevCursor of an earlier answer; the first page without it",
        {"type": "string", "minLength": 1},
        required=False,
    ),
    Parameter(
        "limit",
        "query",
        "how many at the most",
        {"type": "integer", "minimum": 1, "maximum": _MAX_LIMIT, "default": _DEFAULT_LIMIT},
        required=False,
    ),
)

_Item = TypeVar("_Item")

# A cursor is a border between two keys: the items behind it, or those before it. A page is empty if its last item was
# removed meanwhile; the way back from it then begins at the border itself.
_CURSOR = re.compile(r"(?P<side><=|>=|<|>)(?P<listing>[a-z]+):(?P<key>[0-9A-Z_]{1,64})")
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


@dataclass(frozen=True, slots=True)
class Page(Generic[_Item]):
    """Some items of a list, and the cursors of the pages around; None where there is none."""

    items: Sequence[_Item]
    next_cursor: str | None
    prev_cursor: str | None


def page(request: web.Request, listing: str, items: Sequence[_Item], key: Callable[[_Item], str]) -> Page[_Item]:
    """The page that ``cursor`` and ``limit`` of the query ask for.

    Args:
        request: who asks.
        listing: the list's name, ``a`` to ``z``: the cursor of one list is none of another.
        items: all of the list, sorted by ``key``.
        key: what tells an item, ``0`` to ``9``, ``A`` to ``Z`` and ``_``.

    Raises:
        RequestError: 400-01, the cursor or the limit is wrong.
    """
    limit, text = _limit(request), _once(request, "cursor")
    keys = [key(item) for item in items]
    side, border = (">=", "") if text is None else _decode(text, listing)
    cut = bisect_left(keys, border) if side in ("<", ">=") else bisect_right(keys, border)
    first, last = (cut, cut + limit) if side.startswith(">") else (max(0, cut - limit), cut)
    last = min(last, len(keys))
    after = before = None
    if last < len(keys):
        after = _encode(">", listing, keys[last - 1]) if last > first else _encode(_OPPOSITE[side], listing, border)
    if first > 0:
        before = _encode("<", listing, keys[first]) if last > first else _encode(_OPPOSITE[side], listing, border)
    return Page(items[first:last], after, before)


def _limit(request: web.Request) -> int:
    text = _once(request, "limit")
    if text is None:
        return _DEFAULT_LIMIT
    # int() takes signs, spaces, underscores and other scripts' digits; a limit has none of them.
    limit = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0
    if not 1 <= limit <= _MAX_LIMIT:
        raise RequestError(400, "400-01", f"Bad request: limit must be a number from 1 to {_MAX_LIMIT}")
    return limit


def _once(request: web.Request, name: str) -> str | None:
    values = request.query.getall(name, [])
    if len(values) > 1:
        raise RequestError(400, "400-01", f"Bad request: give the query parameter {name} once")
    return values[0] if values else None


def _encode(side: str, listing: str, key: str) -> str:
    return base64.urlsafe_b64encode(f"{side}{listing}:{key}".encode("ascii")).decode("ascii").rstrip("=")


def _decode(text: str, listing: str) -> tuple[str, str]:
    wrong = RequestError(
        400, "400-01", "Bad request: cursor must be a nextCursor or prevCursor of this list; leave it out to begin anew"
    )
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise wrong from None
    parts = _CURSOR.fullmatch(plain)
    # Base 64 has several spellings of some texts; ours is one.
    if parts is None or parts["listing"] != listing or _encode(*parts.groups()) != text:
        raise wrong
    return parts["side"], parts["key"]
