"""Links: signed for one file, and good for a while."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from gateway.export.links import FILES_PATH, Links
from gateway.log import mask_path

KEY = "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/hr=04/utterances.jsonl"


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def links(clock: Clock) -> Links:
    return Links(bytes(32), 900, clock=clock)


def taken_apart(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return unquote(parts.path).removeprefix(FILES_PATH), query["expires"][0], query["signature"][0]


def test_a_link_is_good_for_its_time(links: Links, clock: Clock) -> None:
    url = links.link("https://calls.example.com/", KEY)
    assert url.startswith("https://calls.example.com/fileexporter/v1/files/01ACC/utterances/version=1/")
    key, expires, signature = taken_apart(url)
    assert key == KEY
    assert links.good(key, expires, signature)
    clock.now += 899.9
    assert links.good(key, expires, signature)
    clock.now += 0.1
    assert not links.good(key, expires, signature)


def test_whatever_is_altered_is_no_good(links: Links) -> None:
    key, expires, signature = taken_apart(links.link("https://calls.example.com", KEY))
    assert not links.good(key.replace("01ACC", "02ACC"), expires, signature)
    assert not links.good(key, str(int(expires) + 1), signature)
    assert not links.good(key, expires, signature[:-1] + ("0" if signature[-1] != "0" else "1"))
    for odd in ("", "ü", "\ud800", "0" * 10_000):
        assert not links.good(key, expires, odd)
        assert not links.good(key, odd, signature)
        assert not links.good(odd, expires, signature)


def test_another_gateways_link_is_no_good(links: Links, clock: Clock) -> None:
    other = Links(b"\x01" * 32, 900, clock=clock)
    assert not links.good(*taken_apart(other.link("https://calls.example.com", KEY)))


def test_a_log_hides_the_signature(links: Links) -> None:
    url = links.link("https://calls.example.com", KEY)
    assert taken_apart(url)[2] not in mask_path(url)
