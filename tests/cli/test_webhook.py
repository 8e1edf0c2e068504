"""``gateway webhook test``, as a process, against a real target."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from tests.cli.command import gateway
from tests.delivery.hook import serving


async def test_taken(tmp_path: Path) -> None:
    async with serving() as hook:
        url = {"GATEWAY_WEBHOOK__URL": hook.url}
        ended = await gateway("webhook", "test", cwd=tmp_path, **url)
        assert ended.code == 0, ended.err
        assert ended.out.startswith("taken: HTTP 200 in ")
        ended = await gateway("webhook", "test", "--json", cwd=tmp_path, **url)
    assert set(ended.json) == {"ok", "status", "ms", "reason"}
    assert (ended.json["ok"], ended.json["status"], ended.json["reason"]) == (True, 200, None)
    assert [body["type"] for body in hook.bodies] == ["transcript", "transcript"]


async def test_refused(tmp_path: Path) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=403)

    async with serving(refuse) as hook:
        ended = await gateway("webhook", "test", cwd=tmp_path, GATEWAY_WEBHOOK__URL=hook.url)
    assert ended.code == 1
    assert ended.out == ""
    assert ended.err.startswith("not taken: ")
    assert "HTTP 403" in ended.err


async def test_nobody_there(tmp_path: Path) -> None:
    variables = {"GATEWAY_WEBHOOK__URL": "http://127.0.0.1:1/hook?key=hunter2"}
    ended = await gateway("webhook", "test", "--json", cwd=tmp_path, **variables)
    assert ended.code == 1
    assert (ended.json["ok"], ended.json["status"]) == (False, None)
    assert ended.json["reason"]
    assert "hunter2" not in ended.out + ended.err


async def test_no_webhook_is_set(tmp_path: Path) -> None:
    ended = await gateway("webhook", "test", cwd=tmp_path)
    assert ended.code == 2
    assert ended.err.startswith("error: no webhook is set; set GATEWAY_WEBHOOK__URL")
    assert ended.err.count("\n") == 1


async def test_a_wrong_setting(tmp_path: Path) -> None:
    ended = await gateway("webhook", "test", cwd=tmp_path, GATEWAY_WEBHOK__URL="http://x")
    assert ended.code == 2
    assert ended.err == "error: GATEWAY_WEBHOK__URL: is not a setting; did you mean GATEWAY_WEBHOOK__URL?\n"
