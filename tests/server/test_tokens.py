"""Stream tokens."""

from __future__ import annotations

import base64
import traceback
from typing import Any

import jwt
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigError, PeerError
from gateway.server.tokens import StreamTokens, TokenError, TokenReason, extract, stream_url
from gateway.store.records import Principal

SECRET = b"0123456789abcdef0123456789abcdef"


class Clock:
    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> StreamTokens:
    return StreamTokens(SECRET, 300, clock=clock)


def reason_of(tokens: StreamTokens, token: str) -> TokenReason:
    with pytest.raises(TokenError) as caught:
        tokens.verify(token)
    assert isinstance(caught.value, PeerError)
    shown = "".join(traceback.format_exception(caught.value))
    assert len(token) < 20 or token not in shown
    return caught.value.reason


def forged(clock: Clock, changes: dict[str, Any], secret: bytes = SECRET, algorithm: str = "HS256") -> str:
    claims: dict[str, Any] = {
        "iss": "gateway",
        "aud": "twilio-media",
        "sub": "acc",
        "kid": "key",
        "iat": int(clock.now),
        "exp": int(clock.now) + 300,
        "jti": "j",
    }
    claims.update(changes)
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, secret, algorithm=algorithm)


def test_round_trip(tokens: StreamTokens) -> None:
    assert tokens.verify(tokens.issue("acc", "key")) == Principal("acc", "key")


def test_claims(tokens: StreamTokens, clock: Clock) -> None:
    token = tokens.issue("acc", "key")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert set(claims) == {"iss", "aud", "sub", "kid", "iat", "exp", "jti"}
    assert claims["exp"] - claims["iat"] == 300
    assert claims["iat"] == int(clock.now)
    assert jwt.get_unverified_header(token)["alg"] == "HS256"


def test_each_token_is_its_own(tokens: StreamTokens) -> None:
    assert tokens.issue("acc", "key") != tokens.issue("acc", "key")


def test_survives_a_restart_with_the_same_secret(tokens: StreamTokens, clock: Clock) -> None:
    assert StreamTokens(SECRET, 5, clock=clock).verify(tokens.issue("acc", "key")).account_id == "acc"


def test_good_until_the_ttl_and_not_at_it(tokens: StreamTokens, clock: Clock) -> None:
    token = tokens.issue("acc", "key")
    clock.now += 299.9
    assert tokens.verify(token).key_id == "key"
    clock.now += 0.1
    assert reason_of(tokens, token) is TokenReason.EXPIRED


def test_a_clock_set_back_does_not_refuse(tokens: StreamTokens, clock: Clock) -> None:
    token = tokens.issue("acc", "key")
    clock.now -= 5
    assert tokens.verify(token).account_id == "acc"


def test_another_secret(tokens: StreamTokens, clock: Clock) -> None:
    assert reason_of(tokens, forged(clock, {}, secret=b"x" * 32)) is TokenReason.BAD_SIGNATURE


def test_changed_claims(tokens: StreamTokens) -> None:
    head, body, mac = tokens.issue("acc", "key").split(".")
    claims = orjson.loads(base64.urlsafe_b64decode(body + "=="))
    claims["sub"] = "other"
    body = base64.urlsafe_b64encode(orjson.dumps(claims)).rstrip(b"=").decode()
    assert reason_of(tokens, f"{head}.{body}.{mac}") is TokenReason.BAD_SIGNATURE


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_other_algorithms(tokens: StreamTokens, clock: Clock, algorithm: str) -> None:
    assert reason_of(tokens, forged(clock, {}, algorithm=algorithm)) is TokenReason.MALFORMED


def test_no_algorithm(tokens: StreamTokens, clock: Clock) -> None:
    unsigned = jwt.encode({"sub": "acc", "exp": int(clock.now) + 9}, "", algorithm="none")
    assert reason_of(tokens, unsigned) is TokenReason.MALFORMED


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "kid", "iat", "exp", "jti"])
def test_a_missing_claim(tokens: StreamTokens, clock: Clock, claim: str) -> None:
    assert reason_of(tokens, forged(clock, {claim: None})) is TokenReason.MALFORMED


@pytest.mark.parametrize(("claim", "value"), [("aud", "elsewhere"), ("iss", "elsewhere")])
def test_meant_for_another_service(tokens: StreamTokens, clock: Clock, claim: str, value: str) -> None:
    assert reason_of(tokens, forged(clock, {claim: value})) is TokenReason.WRONG_AUDIENCE


@pytest.mark.parametrize("changes", [{"kid": 7}, {"exp": "soon"}, {"exp": 1e400}, {"kid": ["key"]}])
def test_claims_of_a_wrong_type(tokens: StreamTokens, clock: Clock, changes: dict[str, Any]) -> None:
    assert reason_of(tokens, forged(clock, changes)) is TokenReason.MALFORMED


@given(st.text(max_size=80))
def test_anything_else_is_malformed(text: str) -> None:
    assert reason_of(StreamTokens(SECRET, 300), text) is TokenReason.MALFORMED


@pytest.mark.parametrize("token", ["\ud800.a.b", "eyJhbGciOiJIUzI1NiJ9." + "A" * 4000 + ".x", "..", "a.b.c.d"])
def test_odd_strings(tokens: StreamTokens, token: str) -> None:
    with pytest.raises(TokenError, match="malformed"):
        tokens.verify(token)


def test_a_short_secret_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="GATEWAY_STREAM_TOKEN_SECRET: must be 32 bytes or more") as caught:
        StreamTokens(b"hunter2", 300)
    assert "hunter2" not in str(caught.value)


def test_url_and_back(tokens: StreamTokens) -> None:
    token = tokens.issue("acc", "key")
    url = stream_url("wss://gw.example.com/", token)
    assert url == f"wss://gw.example.com/twilio-media/{token}"
    assert extract(url.removeprefix("wss://gw.example.com"), "") == token


@pytest.mark.parametrize(
    ("path", "query", "token"),
    [
        ("/twilio-media/abc", "", "abc"),
        ("/twilio-media/abc/", "", "abc"),
        ("/twilio-media/a%2Eb", "", "a.b"),
        ("/mg-twilio-autotranscribe/twilio-media/abc", "", "abc"),
        ("/twilio-media/abc", "token=def", "abc"),
        ("/twilio-media", "token=def", "def"),
        ("/twilio-media/", "x=1&token=def", "def"),
        ("/twilio-media", "token=a&token=b", None),
        ("/twilio-media", "", None),
        ("/twilio-media", "token=", None),
        ("/twilio-media", "&".join("a=1" for _ in range(100)), None),
        ("/other/abc", "token=def", None),
        ("/twilio-media/a/b", "token=def", None),
        ("/", "", None),
        ("", "", None),
    ],
)
def test_extract(path: str, query: str, token: str | None) -> None:
    assert extract(path, query) == token
