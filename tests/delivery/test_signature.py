from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.delivery.signature import sign

SECRET = "whsec-0123456789abcdef"
BODY = '{"text": "Grüße"}'.encode()


def test_the_scheme_is_fixed() -> None:
    # printf '1700000000.%s' '{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
    digest = "9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23"
    assert sign("0123456789abcdef", b'{"a":1}', 1_700_000_000) == f"t=1700000000,v1={digest}"


def documented(name: str) -> Callable[..., Any]:
    """A function of the receiver's, as docs/webhooks.md shows it."""
    text = (Path(__file__).parents[2] / "docs/webhooks.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    [block] = [block for block in blocks if f"def {name}(" in block]
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 - our own documentation
    found: Callable[..., Any] = names[name]
    return found


@pytest.fixture
def verify() -> Callable[..., bool]:
    return documented("verify")


def test_the_documented_receiver_takes_each_message_once() -> None:
    receive, seen, kept = documented("receive"), set[str](), list[dict[str, int]]()
    assert [receive(name, {"n": number}, seen, kept) for number, name in enumerate("abab")] == [200] * 4
    assert kept == [{"n": 0}, {"n": 1}]


def test_the_documented_receiver_accepts_what_we_sign(verify: Callable[..., bool]) -> None:
    assert verify(SECRET, sign(SECRET, BODY, 1000), BODY, now=1299)


@pytest.mark.parametrize(
    ("header", "body", "now"),
    [
        (sign(SECRET, BODY, 1000), BODY + b" ", 1000),
        (sign("another-secret-16", BODY, 1000), BODY, 1000),
        (sign(SECRET, BODY, 1000), BODY, 1301),
        (sign(SECRET, BODY, 1000), BODY, 699),
        (sign(SECRET, BODY, 1000).replace("t=1000", "t=1001"), BODY, 1000),
        ("", BODY, 1000),
        ("t=now,v1=", BODY, 1000),
        ("v1", BODY, 1000),
    ],
)
def test_the_documented_receiver_refuses_the_rest(
    verify: Callable[..., bool], header: str, body: bytes, now: int
) -> None:
    assert not verify(SECRET, header, body, now=now)
