"""The gateway put together: the first key, where it listens, restarts."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.frames import CloseCode

from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.server.app import running
from gateway.server.connection import MediaConnection
from gateway.store.rows import write
from gateway.store.secrets import load_or_create
from gateway.store.store import Store
from tests.harness import Customer, Twilio, gateway_running, settings_for, webhook_receiver
from tests.store.samples import delivery, message, opened_call

GATEWAY = str(Path(sys.executable).with_name("gateway"))


@asynccontextmanager
async def serving(path: Path, **variables: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`gateway serve` as its own process, and its URL, taken from its log."""
    process = await asyncio.create_subprocess_exec(
        GATEWAY,
        "serve",
        env={
            "GATEWAY_PORT": "0",
            "GATEWAY_DATA_DIR": str(path / "data"),
            "GATEWAY_ASR__MODEL": "none",
            "GATEWAY_DRAIN_SECONDS": "0",
            **variables,
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async for line in process.stderr:
            entry = json.loads(line)
            if entry["event"] == "serving":
                yield process, entry["url"]
                break
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("mode", ["at_most_once", "at_least_once"])
async def test_a_post_left_pending_is_dropped_or_sent(tmp_path: Path, mode: str) -> None:
    data = tmp_path / "data"
    store = await Store.open(f"sqlite:///{data / 'gateway.db'}", key=load_or_create(data / "store-key"))
    call = await opened_call(store)
    said = message(call.call_id, 0, "my PIN is ####", unredacted="my PIN is 8765")
    pending = dataclasses.replace(delivery(said), at=datetime.now(UTC))
    async with store.engine.begin() as connection:
        await connection.run_sync(write, [said, pending], store.cipher)
    async with webhook_receiver() as receiver:
        settings = settings_for(tmp_path, webhook={"url": receiver.url, "delivery": mode})
        async with asyncio.timeout(30), gateway_running(settings) as customer:
            if mode == "at_least_once":
                [posted] = await receiver.wait_for(1)
                assert posted["autotranscribeResponse"]["utterance"] == [{"text": "my PIN is 8765"}]
            while (await customer.gateway.store.pending_size())[0]:
                await asyncio.sleep(0.001)
        failures = await store.delivery_failures(call.account_id)
        await store.close()
        expected = [("dropped", "gateway_restart")] if mode == "at_most_once" else []
        assert [(record.outcome, record.reason) for record in failures] == expected
        assert len(receiver.posts) == (mode == "at_least_once")


async def test_another_store_key_is_told_at_the_start(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    store = await Store.open(settings.resolved_database_url, key=bytes(32))
    call = await opened_call(store)
    said = message(call.call_id, 0, "my PIN is ####", unredacted="my PIN is 8765")
    async with store.engine.begin() as connection:
        await connection.run_sync(write, [said], store.cipher)
    await store.close()
    with capture_logs() as told:
        async with asyncio.timeout(30), gateway_running(settings):
            pass
    [line] = [line for line in told if "cannot be opened" in line["event"]]
    assert line["log_level"] == "error"
    assert "GATEWAY_STORE_KEY" in line["reason"]


async def test_the_first_key_is_left_for_its_owner_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as (process, url):
        path = tmp_path / "data" / "first-key.json"
        key = json.loads(path.read_text())
        for file in (tmp_path / "data").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o600), file.name
        headers = {"asapp-api-id": key["apiId"], "asapp-api-secret": key["apiSecret"]}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{url}/v1/health") as response:
            assert await response.json() == {"healthCheck": "SUCCESS"}
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    written = path.read_bytes()
    async with serving(tmp_path):
        assert path.read_bytes() == written


async def test_signals_end_it_with_0(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        async with serving(tmp_path) as (process, _):
            process.send_signal(number)
            assert await process.wait() == 0


async def test_the_log_holds_no_token(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        GATEWAY,
        "serve",
        env={
            "GATEWAY_PORT": "0",
            "GATEWAY_DATA_DIR": str(tmp_path),
            "GATEWAY_ASR__MODEL": "none",
            "GATEWAY_LOG__LEVEL": "debug",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    lines = b""
    while b'"serving"' not in (line := await process.stderr.readline()):
        lines += line
    url = json.loads(line)["url"]
    key = json.loads((tmp_path / "first-key.json").read_text())
    headers = {"asapp-api-id": key["apiId"], "asapp-api-secret": key["apiSecret"]}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"{url}/mg-autotranscribe/v1/twilio-media-stream-url") as response:
            stream_url = (await response.json())["streamingUrl"]
        token = stream_url.rpartition("/")[2]
        async with Twilio.connected(stream_url) as twilio:
            await twilio.settle()
        async with session.get(f"{url}/twilio-media?token={token}x") as response:
            assert response.status == 401
    process.send_signal(signal.SIGTERM)
    rest = await process.stderr.read()
    await process.wait()
    assert token.encode() not in lines + rest
    assert key["apiSecret"].encode() not in lines + rest


async def test_stream_urls_carry_the_public_url_or_the_bind_address(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        _, body = await customer.request(
            "GET", "/mg-autotranscribe/v1/twilio-media-stream-url", skip_auto_headers=["Host"]
        )
        assert body["streamingUrl"].startswith(f"ws://127.0.0.1:{customer.gateway.port}/twilio-media/")
    async with gateway_running(settings_for(tmp_path, public_url="wss://calls.example.com/gw/")) as customer:
        assert (await customer.stream_url()).startswith("wss://calls.example.com/gw/twilio-media/")


@pytest.mark.parametrize(
    ("overrides", "variable"),
    [
        ({"tls": {"cert": "missing.pem", "key": "missing.pem"}}, "GATEWAY_TLS__CERT"),
        ({"host": "192.0.2.1"}, "GATEWAY_HOST"),
        ({"asr": {"model": "whisper"}}, "GATEWAY_ASR__MODEL"),
        ({"stream_token_secret": "short"}, "GATEWAY_STREAM_TOKEN_SECRET"),
        ({"store_key": "short"}, "GATEWAY_STORE_KEY"),
        ({"webhook": {"url": "https://127.0.0.1", "ca": "missing.pem"}}, "GATEWAY_WEBHOOK__CA"),
    ],
)
async def test_what_stops_the_start_names_its_variable(
    tmp_path: Path, overrides: dict[str, object], variable: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        async with running(settings_for(tmp_path, **overrides)):
            pass
    assert variable in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_socket_that_fails_keeps_no_other_from_its_1001(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.server.app.CLOSING_S", 0.5)
    async with AsyncExitStack() as stack:
        customer = await stack.enter_async_context(gateway_running(settings_for(tmp_path)))
        sockets = [await connect(await customer.stream_url()) for _ in range(4)]
        open_sockets = [one for one in customer.gateway.plane.sockets if isinstance(one, MediaConnection)]
        fail, broken = MediaConnection.fail, open_sockets[:2]

        def failing(connection: MediaConnection, code: int, reason: str) -> None:
            if connection in broken:
                raise RuntimeError("no")
            fail(connection, code, reason)

        with monkeypatch.context() as patch:
            patch.setattr(MediaConnection, "fail", failing)
            await stack.aclose()
        closing = {asyncio.ensure_future(socket.wait_closed()) for socket in sockets}
        async with asyncio.timeout(30):
            while len(waiting := {one for one in closing if not one.done()}) > 2:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert [socket.close_code for socket in sockets].count(CloseCode.GOING_AWAY) == 2
        for connection in broken:
            connection._abort()
        await asyncio.wait(closing)


async def test_a_request_that_never_ends_does_not_hold_the_end_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Far beyond what the end may take.
    monkeypatch.setattr("gateway.api.body._BODY_SECONDS", 3600.0)
    monkeypatch.setattr("gateway.server.app.REQUESTS_S", 0.1)
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        customer = await stack.enter_async_context(gateway_running(settings_for(tmp_path)))
        reader, writer = await asyncio.open_connection("127.0.0.1", customer.gateway.port)
        key = customer.key
        writer.write(
            b"POST /mg-autotranscribe/v1/start-streaming HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n"
            b"Expect: 100-continue\r\n"
            + f"asapp-api-id: {key.api_id}\r\nasapp-api-secret: {key.api_secret}\r\n\r\n".encode()
        )
        # Its handler runs when it asks for the body.
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        await stack.aclose()
        writer.close()


@asynccontextmanager
async def live_call(customer: Customer) -> AsyncIterator[str]:
    """A call that is being transcribed, and stands in the store."""
    store, account = customer.gateway.store, customer.key.account_id
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        assert (await customer.start(twilio.call_sid))[0] == 200
        async with asyncio.timeout(30):
            while await store.call(account, twilio.call_sid) is None:
                await asyncio.sleep(0)
        yield twilio.call_sid


async def refused_start(settings: Settings) -> str:
    with pytest.raises(ConfigError) as caught:
        async with running(settings):
            pass
    return str(caught.value)


async def test_a_second_gateway_on_the_data_directory_does_not_start(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    async with gateway_running(settings) as customer, live_call(customer) as guid:
        message = await refused_start(settings)
        assert "GATEWAY_DATA_DIR" in message
        assert "\n" not in message
        call = await customer.gateway.store.call(customer.key.account_id, guid)
        assert call is not None
        assert call.completed_at is None
        # The commands work beside it.
        process = await asyncio.create_subprocess_exec(
            GATEWAY,
            "keys",
            "list",
            env={"GATEWAY_DATA_DIR": str(settings.data_dir)},
            stdout=asyncio.subprocess.PIPE,
        )
        listed, _ = await process.communicate()
        assert process.returncode == 0
        assert customer.key.api_id.encode() in listed
    async with gateway_running(settings):
        pass


async def test_a_second_gateway_on_the_port_leaves_a_shared_database_alone(tmp_path: Path) -> None:
    shared = {"database_url": f"sqlite:///{tmp_path / 'shared.db'}", "store_key": "k" * 32}
    async with gateway_running(settings_for(tmp_path, **shared)) as customer, live_call(customer) as guid:
        second = settings_for(tmp_path / "second", port=customer.gateway.port, **shared)
        assert "GATEWAY_PORT" in await refused_start(second)
        call = await customer.gateway.store.call(customer.key.account_id, guid)
        assert call is not None
        assert call.completed_at is None


async def test_a_data_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    message = await refused_start(settings_for(tmp_path))
    assert "GATEWAY_DATA_DIR" in message
    assert "\n" not in message


async def test_a_model_that_was_not_fetched_is_one_line(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        GATEWAY,
        "serve",
        env={"GATEWAY_PORT": "0", "GATEWAY_DATA_DIR": str(tmp_path), "GATEWAY_MODELS_DIR": str(tmp_path / "empty")},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"gateway models fetch" in errors
    assert b"Traceback" not in errors
    assert os.sep.encode() in errors
