"""``X-Twilio-Signature``, against published vectors and Twilio's own helper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from gateway.server.signature import candidates, matches, sign

TOKEN = "12345"

VECTORS = [
    ("wss://mycompany.com/twilio-media", "qBifMb9So6LAqu9UaK+IIYXd7sc="),
    ("wss://mycompany.com/twilio-media/", "6qRbL8vbCKCqq4AO3cM7srdCRF4="),
    ("https://mycompany.com/twilio-media", "a6iqFF+LzakdM3++eEDXl8LDByM="),
    ("wss://mycompany.com:443/twilio-media", "pqTqoJGOXlszEy+UOgM5VrBmmXk="),
    ("wss://mycompany.com/", "mYiF8d/XAbCcA+tc7fet8c0hJG8="),
]


@pytest.mark.parametrize(("url", "signature"), VECTORS)
def test_vectors(url: str, signature: str) -> None:
    assert sign(TOKEN, url) == signature


@given(st.text(min_size=1, max_size=20), st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_equals_twilio(token: str, path: str) -> None:
    url = f"wss://gw.example.com/{path}"
    assert sign(token, url) == RequestValidator(token).compute_signature(url, {})


@pytest.mark.parametrize(
    "signed",
    [
        "wss://gw.example.com/twilio-media/T",
        "wss://gw.example.com/twilio-media/T/",
        "wss://gw.example.com:443/twilio-media/T",
        "wss://gw.example.com:443/twilio-media/T/",
    ],
)
@pytest.mark.parametrize("base", ["wss://gw.example.com", "wss://gw.example.com:443", "wss://gw.example.com/"])
@pytest.mark.parametrize("target", ["/twilio-media/T", "/twilio-media/T/"])
def test_forms_twilio_may_sign(signed: str, base: str, target: str) -> None:
    signature = RequestValidator(TOKEN).compute_signature(signed, {})
    assert matches(TOKEN, signature, candidates(base, target))


@pytest.mark.parametrize(
    "signed",
    [
        "https://gw.example.com/twilio-media/T",
        "wss://other.example.com/twilio-media/T",
        "wss://gw.example.com/twilio-media/U",
        "wss://gw.example.com/twilio-media/T?token=x",
        "wss://gw.example.com:8443/twilio-media/T",
    ],
)
def test_other_urls_are_refused(signed: str) -> None:
    signature = sign(TOKEN, signed)
    assert not matches(TOKEN, signature, candidates("wss://gw.example.com", "/twilio-media/T"))


def test_another_account_is_refused() -> None:
    urls = candidates("wss://gw.example.com", "/twilio-media/T")
    assert not matches(TOKEN, sign("54321", urls[0]), urls)


@pytest.mark.parametrize("signature", [None, "", "x", "é", "\udcff", "qBifMb9So6LAqu9UaK+IIYXd7sc"])
def test_odd_headers_are_refused(signature: str | None) -> None:
    assert not matches(TOKEN, signature, candidates("wss://mycompany.com", "/twilio-media"))


def test_the_query_stays_as_it_came() -> None:
    assert candidates("wss://gw.example.com", "/twilio-media?token=a%20b&x")[0] == (
        "wss://gw.example.com/twilio-media?token=a%20b&x"
    )


@pytest.mark.parametrize("target", ["/twilio-media/T", "/voice/twilio-media/T"])
def test_a_prefix_stripped_by_the_proxy_or_not(target: str) -> None:
    signature = sign(TOKEN, "wss://gw.example.com/voice/twilio-media/T")
    assert matches(TOKEN, signature, candidates("wss://gw.example.com/voice", target))


def test_other_ports_stay() -> None:
    assert candidates("wss://gw.example.com:8443", "/a") == (
        "wss://gw.example.com:8443/a",
        "wss://gw.example.com:8443/a/",
    )
    assert "wss://[::1]:443/a" in candidates("wss://[::1]", "/a")
