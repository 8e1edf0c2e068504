"""``gateway webhook`` against a real target."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from gateway.cli.webhook import _webhook, moment
from gateway.config import WebhookAuth, load
from gateway.errors import UsageError
from gateway.store.records import DeliveryRecord
from gateway.store.rows import write
from gateway.store.secrets import derive
from gateway.store.store import Store
from tests.cli.command import Ended, gateway, gateway_here
from tests.delivery.certificates import Authority
from tests.delivery.hook import serving
from tests.delivery.issuer import Issuer, issuing
from tests.store.samples import delivery, message, opened_call


async def test_taken(tmp_path: Path) -> None:
    async with serving() as hook:
        url = {"GATEWAY_WEBHOOK__URL": hook.url}
        ended = await gateway("webhook", "test", cwd=tmp_path, **url)
        assert ended.code == 0, ended.err
        assert ended.out.startswith("taken: HTTP 200 in ")
        ended = await posted(tmp_path, "test", "--json", **url)
    assert set(ended.json) == {"ok", "status", "ms", "reason", "detail"}
    assert (ended.json["ok"], ended.json["status"], ended.json["reason"]) == (True, 200, None)
    assert [body["type"] for body in hook.bodies] == ["transcript", "transcript"]


async def test_refused(tmp_path: Path) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=403)

    async with serving(refuse) as hook:
        ended = await posted(tmp_path, "test", GATEWAY_WEBHOOK__URL=hook.url)
    assert ended.code == 1
    assert ended.out == ""
    assert ended.err.startswith("not taken: ")
    assert "HTTP 403" in ended.err


async def test_nobody_there(tmp_path: Path) -> None:
    variables = {"GATEWAY_WEBHOOK__URL": "http://127.0.0.1:1/hook?key=hunter2"}
    ended = await posted(tmp_path, "test", "--json", **variables)
    assert ended.code == 1
    assert (ended.json["ok"], ended.json["status"]) == (False, None)
    assert ended.json["reason"]
    assert "hunter2" not in ended.out + ended.err


async def test_what_is_wrong_with_tls_is_said_and_which_setting_may_help(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ca = {"GATEWAY_WEBHOOK__CA": str(authority.ca)}
    other = {"GATEWAY_WEBHOOK__CA": str(Authority(tmp_path, "other").ca)}
    async with serving(tls=authority.server()) as hook:
        known = {"GATEWAY_WEBHOOK__URL": hook.url}
        ended = await posted(tmp_path, "test", **known)
        assert ended.code == 1
        assert "tls: unable to get local issuer certificate" in ended.err
        assert "this system does not know its CA; GATEWAY_WEBHOOK__CA names" in ended.err
        ended = await posted(tmp_path, "test", **known, **other)
        assert "other.pem is not its CA; GATEWAY_WEBHOOK__CA names" in ended.err
        ended = await posted(tmp_path, "test", "--json", **known)
        assert ended.json["detail"] == "unable to get local issuer certificate"
    async with serving(tls=authority.server(expired=True)) as hook:
        ended = await posted(tmp_path, "test", GATEWAY_WEBHOOK__URL=hook.url, **ca)
        assert "tls: certificate has expired" in ended.err
        assert "GATEWAY_WEBHOOK__" not in ended.err
    async with serving(tls=authority.demanding()) as hook:
        ended = await posted(tmp_path, "test", GATEWAY_WEBHOOK__URL=hook.url, **ca)
        assert "GATEWAY_WEBHOOK__CLIENT_CERT and GATEWAY_WEBHOOK__CLIENT_KEY" in ended.err


async def test_a_token_that_cannot_be_had_is_said_without_a_promise(tmp_path: Path) -> None:
    async def refuse(_issuer: Issuer) -> web.StreamResponse:
        return web.json_response({"error": "invalid_client"}, status=401)

    async with issuing(reply=refuse) as issuer, serving() as hook:
        ended = await posted(
            tmp_path,
            "test",
            GATEWAY_WEBHOOK__URL=hook.url,
            GATEWAY_WEBHOOK__AUTH="oauth2",
            GATEWAY_WEBHOOK__OAUTH2_TOKEN_URL=issuer.url,
            GATEWAY_WEBHOOK__OAUTH2_CLIENT_ID="x",
            GATEWAY_WEBHOOK__OAUTH2_CLIENT_SECRET="y",
        )
    assert ended.code == 1
    assert "not taken: oauth2_status 401: invalid_client" in ended.err
    assert "next try" not in ended.err


async def test_no_webhook_is_set(tmp_path: Path) -> None:
    ended = await posted(tmp_path, "test")
    assert ended.code == 2
    assert ended.err.startswith("error: no webhook is set; set GATEWAY_WEBHOOK__URL")
    assert ended.err.count("\n") == 1


async def test_a_wrong_setting(tmp_path: Path) -> None:
    ended = await gateway("webhook", "test", cwd=tmp_path, GATEWAY_WEBHOK__URL="http://x")
    assert ended.code == 2
    assert ended.err == "error: GATEWAY_WEBHOK__URL: is not a setting; did you mean GATEWAY_WEBHOOK__URL?\n"


KEY = "a-key-of-more-than-16-characters"


async def stored(folder: Path) -> list[DeliveryRecord]:
    """A data directory with a call of which one post failed, one was dropped and one arrived."""
    (folder / "data").mkdir()
    store = await Store.open(f"sqlite:///{folder / 'data/gateway.db'}", key=derive(KEY, "GATEWAY_STORE_KEY"))
    call = await opened_call(store, "CA[bold]1")
    said = [message(call.call_id, number, f"said {number}", unredacted=f"secret {number}") for number in range(3)]
    records = [
        delivery(said[0], "failed", "status 503"),
        delivery(said[1], "dropped", "queue_full"),
        delivery(said[2], "delivered"),
    ]
    async with store.engine.begin() as connection:
        await connection.run_sync(write, [*said, *records], store.cipher)
    await store.close()
    return records


async def posted(folder: Path, *arguments: str, **variables: str) -> Ended:
    """``gateway webhook`` on such a data directory."""
    known = {"GATEWAY_STORE_KEY": KEY, "GATEWAY_DATA_DIR": str(folder / "data")}
    return await gateway_here("webhook", *arguments, **{**known, **variables})


async def test_failures_are_listed(tmp_path: Path) -> None:
    records = await stored(tmp_path)
    ended = await posted(tmp_path, "failures")
    assert ended.code == 0, ended.err
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[0] == ["guid", "sequence", "outcome", "reason", "at"]
    assert lines[1][:4] == ["CA[bold]1", "1", "dropped", "queue_full"]
    assert lines[2][:5] == ["CA[bold]1", "0", "failed", "status", "503"]
    assert len(lines) == 3
    ended = await posted(tmp_path, "failures", "--limit", "1", "--json")
    assert ended.json == [
        {
            "guid": "CA[bold]1",
            "sequence": 1,
            "messageId": records[1].message_id,
            "outcome": "dropped",
            "reason": "queue_full",
            "at": "2026-03-02T12:00:00.123000+00:00",
        }
    ]


async def test_what_waits_is_no_failure_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    store = await Store.open(f"sqlite:///{tmp_path / 'data/gateway.db'}", key=derive(KEY, "GATEWAY_STORE_KEY"))
    call = await opened_call(store, "CA1")
    said = message(call.call_id, 0)
    async with store.engine.begin() as connection:
        await connection.run_sync(write, [said, delivery(said, "pending")], store.cipher)
    await store.close()
    ended = await posted(tmp_path, "failures", "--guid", "CA1")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "nothing failed and nothing was dropped; 1 wait to be posted\n"
    ended = await posted(tmp_path, "failures", "--json")
    assert ended.json == []


async def test_a_call_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    await stored(tmp_path)
    for arguments in (("failures",), ("redeliver",)):
        ended = await posted(tmp_path, *arguments, "--guid", "CA2", GATEWAY_WEBHOOK__URL="http://127.0.0.1:1/")
        assert (ended.code, ended.out) == (2, "")
        assert "--guid CA2: the database has no such call" in ended.err


async def test_failures_are_posted_again(tmp_path: Path) -> None:
    await stored(tmp_path)
    down = True

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500 if down else 200)

    async with serving(answer) as hook:
        variables = {"GATEWAY_WEBHOOK__URL": hook.url}
        ended = await posted(tmp_path, "redeliver", "--all-failed", **variables)
        assert (ended.code, ended.out) == (1, "delivered 0, failed again 2, lost 0, left 0\n"), ended.err
        down = False
        hook.bodies.clear()
        ended = await posted(tmp_path, "redeliver", "--guid", "CA[bold]1", "--json", **variables)
        assert ended.code == 0, ended.err
        assert ended.json == {"delivered": 2, "failed": 0, "lost": 0, "left": 0, "gaveUp": None}
        # As first sent: this call asked for unredacted text.
        assert hook.texts == ["secret 0", "secret 1"]
        ended = await posted(tmp_path, "redeliver", "--since", "7d", **variables)
        assert (ended.code, ended.out, ended.err) == (0, "", "nothing to post again\n")


async def test_failures_are_posted_elsewhere_without_the_secrets_of_the_target(tmp_path: Path) -> None:
    await stored(tmp_path)
    async with serving() as hook:
        variables = {
            "GATEWAY_WEBHOOK__URL": "http://127.0.0.1:1/",
            "GATEWAY_WEBHOOK__AUTH": "secret",
            "GATEWAY_WEBHOOK__SECRET_VALUE": "hunter2",
            "GATEWAY_WEBHOOK__SIGNING_SECRET": "not for everybody",
        }
        ended = await posted(tmp_path, "redeliver", "--all-failed", "--url", hook.url, **variables)
        assert ended.code == 0, ended.err
        assert len(hook.bodies) == 2
        assert not {"Authorization", "X-Gateway-Signature"} & set(hook.requests[0].headers)


def test_secrets_stay_with_the_origin_they_are_for() -> None:
    given = {
        "url": "https://hooks.example.com/transcripts?key=1",
        "auth": "secret",
        "secret_value": "hunter2",
        "signing_secret": "not for everybody",
        "client_cert": "client.pem",
        "client_key": "client-key.pem",
    }
    settings = load(webhook=given)
    for url, same_auth, kept in (
        ("https://hooks.example.com/again", False, True),
        ("https://HOOKS.example.com:443/again", False, True),
        ("http://hooks.example.com/again", False, False),
        ("https://hooks.example.com:8443/again", False, False),
        ("https://hooks.example.com.evil.test/", False, False),
        ("https://other.example.com/", True, True),
    ):
        there = _webhook(settings, url, same_auth=same_auth)
        assert there.url == url
        given_there = (there.auth, there.signing_secret, there.client_cert, there.client_key)
        mine = (settings.webhook.auth, settings.webhook.signing_secret, Path("client.pem"), Path("client-key.pem"))
        assert given_there == (mine if kept else (WebhookAuth.NONE, None, None, None))
    for wrong in ("ftp://hooks.example.com/", "https://", "hooks.example.com", "http://[::1"):
        with pytest.raises(UsageError, match="--url: must be written as"):
            _webhook(settings, wrong)
    with pytest.raises(UsageError, match="--same-auth: goes with --url"):
        _webhook(settings, same_auth=True)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "error: which ones? Name --guid, --since or both; or --all-failed alone\n"),
        (
            ("--since", "yesterday"),
            "error: --since: 'yesterday' is no time; write 30m, 2h, 7d or 2026-03-02T12:00:00Z\n",
        ),
        (("--all-failed",), "there is no database; run this where the gateway runs"),
    ],
)
async def test_what_cannot_be_posted_again_is_said(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    variables = {"GATEWAY_WEBHOOK__URL": "http://127.0.0.1:1/"}
    ended = await posted(tmp_path, "redeliver", *arguments, **variables)
    assert (ended.code, ended.out) == (2, "")
    assert complaint in ended.err


def test_since_is_a_while_ago_or_a_time() -> None:
    now = datetime.now(UTC)
    for text, ago in (("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604_800)):
        assert abs((now - moment(text)).total_seconds() - ago) < 60
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert moment("2026-03-02T12:00:00Z") == moment("2026-03-02T12:00:00") == moment("2026-03-02T13:00+01:00") == noon
    assert moment("2026-03-02") == datetime(2026, 3, 2, tzinfo=UTC)
    for wrong in ("", "2", "2 weeks", "-2h", "9999999d"):
        with pytest.raises(UsageError, match="--since"):
            moment(wrong)
