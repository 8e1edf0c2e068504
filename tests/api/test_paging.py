"""Pages by cursors, over lists that change meanwhile."""

from __future__ import annotations

import base64
from urllib.parse import urlencode

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.paging import Page, page
from gateway.errors import RequestError

LETTERS = list("ABCDEFGHIJ")


def ask(items: list[str], **query: object) -> Page[str]:
    shown = {name: value for name, value in query.items() if value is not None}
    request = make_mocked_request("GET", f"/?{urlencode(shown, doseq=True)}")
    return page(request, "letters", items, str)


def test_forwards_and_back() -> None:
    first = ask(LETTERS, limit=4)
    assert (first.items, first.prev_cursor) == (list("ABCD"), None)
    second = ask(LETTERS, limit=4, cursor=first.next_cursor)
    assert second.items == list("EFGH")
    last = ask(LETTERS, limit=4, cursor=second.next_cursor)
    assert (last.items, last.next_cursor) == (list("IJ"), None)
    back = ask(LETTERS, limit=4, cursor=last.prev_cursor)
    assert back == second
    assert ask(LETTERS, limit=4, cursor=back.prev_cursor) == first


def test_twenty_unless_told() -> None:
    items = [f"{number:03}" for number in range(21)]
    found = ask(items)
    assert len(found.items) == 20
    assert ask(items, limit=100).items == items
    assert ask(items, cursor=found.next_cursor).items == ["020"]


def test_exactly_one_page() -> None:
    assert ask(LETTERS, limit=10) == Page(LETTERS, None, None)
    assert ask([], limit=10) == Page([], None, None)


def test_what_comes_and_goes_meanwhile_moves_nothing_else() -> None:
    first = ask(LETTERS, limit=4)
    assert ask(list("BCDEF"), limit=4, cursor=first.next_cursor).items == list("EF")
    assert ask([*"ABC", "C1", *"DEF"], limit=4, cursor=first.next_cursor).items == list("EF")
    # The border itself has gone.
    assert ask(list("ABCEF"), limit=4, cursor=first.next_cursor).items == list("EF")


def test_a_page_that_was_emptied_leads_back() -> None:
    onwards = ask(LETTERS, limit=4).next_cursor
    empty = ask(list("ABCD"), limit=4, cursor=onwards)
    assert (empty.items, empty.next_cursor) == ([], None)
    assert ask(list("ABCD"), limit=4, cursor=empty.prev_cursor).items == list("ABCD")
    back = ask(LETTERS, limit=4, cursor=onwards).prev_cursor
    empty = ask(list("EF"), limit=4, cursor=back)
    assert (empty.items, empty.prev_cursor) == ([], None)
    assert ask(list("EF"), limit=4, cursor=empty.next_cursor).items == list("EF")


@given(st.sets(st.text("ABC_019", min_size=1, max_size=8), max_size=40), st.integers(1, 7))
def test_every_item_is_on_one_page(keys: set[str], limit: int) -> None:
    items = sorted(keys)
    pages, cursor = [], None
    while True:
        found = ask(items, limit=limit, cursor=cursor)
        pages.append(found)
        cursor = found.next_cursor
        if cursor is None:
            break
    assert [item for found in pages for item in found.items] == items
    for after, before in zip(pages[:0:-1], pages[-2::-1], strict=True):
        assert ask(items, limit=limit, cursor=after.prev_cursor).items == before.items


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "ZZZZZ",
        "näh",
        "A",
        encoded("letters:A"),
        encoded("!letters:A"),
        encoded(">letters:"),
        encoded(">letters:a b"),
        encoded(">letters:ä"),
        encoded(">numbers:A"),
        encoded(">letters:" + "A" * 65),
        encoded(">letters:A") + "==",
        encoded(">letters:A") + "\n",
        # The last character's spare bits are set.
        "PmxldHRlcnM6QR",
    ],
)
def test_a_cursor_that_is_none(cursor: str) -> None:
    with pytest.raises(RequestError, match="cursor must be a nextCursor or prevCursor of this list") as refused:
        ask(LETTERS, cursor=cursor)
    assert (refused.value.status, refused.value.code) == (400, "400-01")


@pytest.mark.parametrize("limit", ["0", "101", "-1", "+5", " 5", "1_0", "٣", "5.0", "", "1000000000"])
def test_a_limit_that_is_none(limit: str) -> None:
    with pytest.raises(RequestError, match="limit must be a number from 1 to 100") as refused:
        ask(LETTERS, limit=limit)
    assert (refused.value.status, refused.value.code) == (400, "400-01")


@pytest.mark.parametrize("name", ["cursor", "limit"])
def test_given_twice(name: str) -> None:
    with pytest.raises(RequestError, match=f"query parameter {name} once"):
        ask(LETTERS, **{name: ["5", "5"]})
