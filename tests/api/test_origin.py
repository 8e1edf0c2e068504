from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import Request

from gateway.api.origin import Origin, Proxies

PROXIES = Proxies(["127.0.0.1", "10.0.0.0/8"])


def request(peer: str, headers: dict[str, str] | None = None) -> Request:
    made: Any = make_mocked_request("GET", "/", headers=headers or {})
    result: Request = made.clone(remote=peer)
    return result


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("192.0.2.7", {}, Origin("192.0.2.7", private=False)),
        ("127.0.0.1", {}, Origin("127.0.0.1", private=True)),
        ("192.0.2.7", {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "https"}, Origin("192.0.2.7", False)),
        ("10.1.2.3", {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "https"}, Origin("198.51.100.1", True)),
        ("10.1.2.3", {"X-Forwarded-For": "198.51.100.1"}, Origin("198.51.100.1", False)),
        ("10.1.2.3", {"X-Forwarded-For": "1.1.1.1, 198.51.100.1, 10.9.9.9"}, Origin("198.51.100.1", False)),
        ("10.1.2.3", {"X-Forwarded-For": "<script>"}, Origin("10.1.2.3", False)),
        ("127.0.0.1", {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "http"}, Origin("198.51.100.1", False)),
    ],
)
def test_origin(peer: str, headers: dict[str, str], expected: Origin) -> None:
    assert PROXIES.origin(request(peer, headers)) == expected
