from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway._version import __version__
from gateway.config import WebhookSettings
from gateway.delivery.backoff import Backoff
from gateway.delivery.oauth2 import TokenError, TokenSource
from gateway.delivery.target import PostResult, Target
from gateway.errors import ConfigError

from .certificates import Authority
from .hook import serving
from .issuer import Issuer, issuing

SECRET = "s3cret/+:value"
AT_ONCE = Backoff(first=0, most=0)
NEVER = Backoff(first=1e6, most=1e6)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def settings(token_url: str, url: str = "http://127.0.0.1/", **values: Any) -> WebhookSettings:
    oauth2 = {
        "auth": "oauth2",
        "oauth2_token_url": token_url,
        "oauth2_client_id": "gate way",
        "oauth2_client_secret": SECRET,
    }
    return WebhookSettings.model_validate({"url": url, **oauth2, **values})


@asynccontextmanager
async def source(of: WebhookSettings, **arguments: Any) -> AsyncIterator[TokenSource]:
    tokens = TokenSource(of, **arguments)
    try:
        yield tokens
    finally:
        await tokens.close()


async def posted(of: WebhookSettings, count: int = 1) -> list[PostResult]:
    target = Target(of)
    try:
        return [await target.post(b'{"n": 1}') for _ in range(count)]
    finally:
        await target.close()


async def test_a_post_carries_the_token_which_is_asked_for_once(authority: Authority) -> None:
    tls = authority.server()
    async with serving(tls=tls) as hook, issuing(tls) as issuer:
        results = await posted(settings(issuer.url, hook.url, ca=authority.ca, oauth2_scope="post all"), 3)
        assert all(result.ok for result in results)
        assert [request.headers["Authorization"] for request in hook.requests] == ["Bearer token-1"] * 3
        assert issuer.forms == [{"grant_type": "client_credentials", "scope": "post all"}]
        # RFC 6749 §2.3.1: each part form-encoded, then base64.
        expected = base64.b64encode(b"gate+way:s3cret%2F%2B%3Avalue").decode()
        assert issuer.requests[0].headers["Authorization"] == f"Basic {expected}"
        names = {request.headers["User-Agent"] for request in (*issuer.requests, *hook.requests)}
        assert names == {f"gateway/{__version__}"}


async def test_the_secret_can_go_in_the_form() -> None:
    async with issuing() as issuer:
        values = {"oauth2_auth": "post", "oauth2_audience": "https://api.example.com"}
        async with source(settings(issuer.url, **values)) as tokens:
            assert await tokens.token() == "token-1"
        assert "Authorization" not in issuer.requests[0].headers
        assert issuer.forms == [
            {
                "grant_type": "client_credentials",
                "audience": "https://api.example.com",
                "client_id": "gate way",
                "client_secret": SECRET,
            }
        ]


async def test_the_endpoint_is_checked_with_its_own_authority(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    async with serving(tls=authority.server()) as hook, issuing(other.server()) as issuer:
        both = settings(issuer.url, hook.url, ca=authority.ca, oauth2_ca=other.ca)
        assert (await posted(both))[0].ok
        only = settings(issuer.url, hook.url, ca=authority.ca)
        assert (await posted(only))[0].reason == "oauth2_tls"
        assert len(hook.bodies) == 1


async def test_one_renewal_serves_all_who_wait() -> None:
    opened = asyncio.Event()

    async def reply(issuer: Issuer) -> web.StreamResponse:
        await opened.wait()
        return issuer.token()

    async with issuing(reply=reply) as issuer, source(settings(issuer.url)) as tokens:
        waiting = [asyncio.create_task(tokens.token()) for _ in range(20)]
        await issuer.came.wait()
        # One who gives up takes the token from nobody.
        waiting.pop().cancel()
        opened.set()
        assert set(await asyncio.gather(*waiting)) == {"token-1"}
        assert len(issuer.requests) == 1


class Clock:
    """Stands in for the loop's time, which nobody can wait an hour for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("gateway.delivery.oauth2._now", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize(
    ("expires_in", "renewed_after", "life"),
    [(3600, 2880, 3595), ("40", 30, 36), (12, 6, 10.8), (None, 240, 295), (10**9, 69_120, 86_395)],
)
async def test_a_token_is_renewed_before_its_end_and_beside_the_posts(
    clock: Clock, expires_in: Any, renewed_after: float, life: float
) -> None:
    async with issuing(expires_in=expires_in) as issuer, source(settings(issuer.url)) as tokens:
        assert await tokens.token() == "token-1"
        clock.now = 1000 + renewed_after - 0.1
        assert await tokens.token() == "token-1"
        assert len(issuer.requests) == 1
        clock.now = 1000 + renewed_after + 0.1
        issuer.came.clear()
        # Nobody waits: the old one is good still.
        assert await tokens.token() == "token-1"
        await issuer.came.wait()
        while await tokens.token() == "token-1":
            await asyncio.sleep(0)
        assert await tokens.token() == "token-2"
        clock.now += life + 0.1
        assert await tokens.token() == "token-3"


async def test_a_renewal_that_fails_leaves_the_old_token_to_its_end(clock: Clock) -> None:
    refuse = False

    async def reply(issuer: Issuer) -> web.StreamResponse:
        return web.Response(status=500) if refuse else issuer.token()

    async with issuing(reply=reply) as issuer, source(settings(issuer.url), backoff=NEVER) as tokens:
        await tokens.token()
        refuse = True
        clock.now += 3000
        issuer.came.clear()
        assert await tokens.token() == "token-1"
        await issuer.came.wait()
        while tokens.failures == 0:
            await asyncio.sleep(0)
        assert await tokens.token() == "token-1"
        clock.now += 600
        with pytest.raises(TokenError, match="oauth2_status 500"):
            await tokens.token()
        assert len(issuer.requests) == 2


async def test_a_401_gets_one_more_post_with_a_new_token() -> None:
    async def only_the_second(request: web.Request) -> web.StreamResponse:
        return web.Response(status=200 if request.headers["Authorization"] == "Bearer token-2" else 401)

    async with serving(only_the_second) as hook, issuing() as issuer:
        results = await posted(settings(issuer.url, hook.url), 2)
        assert [result.reason for result in results] == ["", ""]
        assert [request.headers["Authorization"][-1] for request in hook.requests] == ["1", "2", "2"]
        assert len(issuer.requests) == 2


async def test_a_target_that_refuses_every_token_costs_no_more_than_one_renewal() -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=401)

    async with serving(refuse) as hook, issuing() as issuer:
        results = await posted(settings(issuer.url, hook.url), 5)
        assert {result.reason for result in results} == {"status 401"}
        assert len(issuer.requests) == 2
        assert len(hook.requests) == 6


def answering(status: int = 200, text: str = "", **headers: str) -> Callable[[Issuer], Any]:
    async def reply(_issuer: Issuer) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers=headers)

    return reply


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (answering(400, '{"error": "invalid_client"}'), "oauth2_status 400 (invalid_client)"),
        (answering(401, '{"error": "the secret was s3cret"}'), "oauth2_status 401"),
        (answering(503), "oauth2_status 503"),
        (answering(302, Location="/oauth/elsewhere"), "oauth2_status 302"),
        (answering(text="<html>"), "oauth2_reply (no JSON)"),
        (answering(text="[]"), "oauth2_reply (no JSON object)"),
        (answering(text='{"token_type": "Bearer"}'), "oauth2_reply (no usable access_token)"),
        (answering(text='{"access_token": "two\\r\\nlines"}'), "oauth2_reply (no usable access_token)"),
        (answering(text='{"access_token": "x", "token_type": "mac"}'), "oauth2_reply (token_type is not Bearer)"),
        (answering(text='{"access_token": "x", "expires_in": "soon"}'), "oauth2_reply (expires_in is no number"),
        (answering(text='{"access_token": "x", "expires_in": -1}'), "oauth2_reply (expires_in is no number"),
        (answering(text='{"access_token": "x", "expires_in": NaN}'), "oauth2_reply (no JSON)"),
        (answering(text=f'{{"access_token": "x", "pad": "{"x" * 70_000}"}}'), "oauth2_reply (over 65536 bytes)"),
    ],
)
async def test_what_is_no_token_is_named(reply: Any, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    async with issuing(reply=reply) as issuer, source(settings(issuer.url)) as tokens:
        with pytest.raises(TokenError) as raised:
            await tokens.token()
    assert str(raised.value).startswith(reason)
    assert reason in caplog.text
    assert "s3cret" not in caplog.text + str(raised.value)


async def test_an_endless_reply_is_cut() -> None:
    async def reply(issuer: Issuer) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(issuer.requests[-1])
        while True:
            await response.write(b" " * 65_536)

    async with issuing(reply=reply) as issuer, source(settings(issuer.url)) as tokens:
        with pytest.raises(TokenError, match="oauth2_reply"):
            await tokens.token()


async def test_an_endpoint_that_hangs_or_is_gone_is_named(unused_tcp_port: int) -> None:
    async def reply(_issuer: Issuer) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with issuing(reply=reply) as issuer, serving() as hook:
        assert (await posted(settings(issuer.url, hook.url, timeout=0.1)))[0].reason == "oauth2_timeout"
        gone = settings(f"http://127.0.0.1:{unused_tcp_port}/", hook.url)
        assert (await posted(gone))[0].reason == "oauth2_connect"
        unknown = settings("https://nowhere.invalid/token", hook.url, timeout=30)
        assert (await posted(unknown))[0].reason == "oauth2_dns"
        assert hook.bodies == []


async def test_after_a_failure_the_endpoint_is_left_alone_for_a_while(clock: Clock) -> None:
    backoff = Backoff(8, 100, lambda: 0.0)
    async with issuing(reply=answering(500)) as issuer, source(settings(issuer.url), backoff=backoff) as tokens:
        # Half of 8, 16, 32: what is not random.
        for number, wait in ((1, 4), (2, 8), (3, 16)):
            for ahead in (0, 0, wait - 0.1):
                clock.now += ahead
                with pytest.raises(TokenError, match="oauth2_status 500"):
                    await tokens.token()
                assert len(issuer.requests) == number
            clock.now += 0.2


async def test_the_endpoint_says_how_long(clock: Clock) -> None:
    reply = answering(429, **{"Retry-After": "120"})
    async with issuing(reply=reply) as issuer, source(settings(issuer.url), backoff=AT_ONCE) as tokens:
        for ahead, asked in ((0, 1), (119, 1), (2, 2)):
            clock.now += ahead
            with pytest.raises(TokenError, match="oauth2_status 429"):
                await tokens.token()
            assert len(issuer.requests) == asked


async def test_after_a_failure_all_goes_on(clock: Clock) -> None:
    async def reply(issuer: Issuer) -> web.StreamResponse:
        return web.Response(status=500) if len(issuer.requests) == 1 else issuer.token()

    async with issuing(reply=reply) as issuer, source(settings(issuer.url), backoff=AT_ONCE) as tokens:
        with pytest.raises(TokenError):
            await tokens.token()
        assert await tokens.token() == "token-2"
        assert tokens.failures == 0


async def test_neither_secret_nor_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as hook, issuing() as issuer:
        assert (await posted(settings(issuer.url, hook.url)))[0].ok
        assert (await posted(settings(issuer.url + "/no", hook.url)))[0].reason == "oauth2_status 404"
    told = caplog.text + repr(settings("https://x/"))
    assert "s3cret" not in told
    assert "token-1" not in told


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"oauth2_token_url": "idp.example.com/token"}, "OAUTH2_TOKEN_URL: must be written as https://HOST/PATH"),
        ({"oauth2_token_url": "https:///token"}, "OAUTH2_TOKEN_URL: must be written"),
        ({"oauth2_token_url": "https://user:pw@host/token"}, "OAUTH2_TOKEN_URL: must be written"),
        ({"oauth2_token_url": "http://idp.example.com/token"}, "OAUTH2_TOKEN_URL: must be https"),
        ({"oauth2_ca": "/nowhere.pem"}, "OAUTH2_CA: /nowhere.pem is no readable PEM"),
        ({"ca": "/nowhere.pem"}, "WEBHOOK__CA: /nowhere.pem is no readable PEM"),
    ],
)
def test_settings_that_cannot_work_stop_the_start(values: dict[str, Any], complaint: str) -> None:
    given = {"token_url": "https://idp.example.com/token", **values}
    token_url = given.pop("oauth2_token_url", given.pop("token_url"))
    with pytest.raises(ConfigError, match=complaint) as raised:
        Target(settings(token_url, **{name: value for name, value in given.items() if name != "token_url"}))
    assert "pw" not in str(raised.value)
