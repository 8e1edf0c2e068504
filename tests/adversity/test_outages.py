"""The process killed or ended in mid-call, a dead webhook, a full disk: nothing that was committed is lost."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.adversity.engine import FaultyEngine, hearing
from tests.adversity.server import Server, serving
from tests.adversity.speech import say, spoken
from tests.harness import Receiver, Twilio, gateway_running, settings_for, webhook_receiver

pytestmark = pytest.mark.slow

MODEL = {"GATEWAY_ASR__MODEL": "moonshine-tiny-en"}


def text_of(post: Any) -> str:
    return str(post["autotranscribeResponse"]["utterance"][0]["text"])


@asynccontextmanager
async def hesitant(answers: int) -> AsyncIterator[Receiver]:
    """A webhook target that answers so many posts; those after them it keeps, and says nothing."""
    async with webhook_receiver() as receiver:
        handle, released = receiver.handle, asyncio.Event()

        async def some(request: web.Request) -> web.Response:
            response = await handle(request)
            if len(receiver.posts) > answers:
                await released.wait()
            return response

        app = web.Application()
        app.router.add_post("/hook", some)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        try:
            yield receiver
        finally:
            released.set()
            await runner.cleanup()


async def call_in(stack: AsyncExitStack, server: Server, url: str) -> Twilio:
    """A call that is being transcribed."""
    twilio = await stack.enter_async_context(Twilio.connected(url))
    await twilio.settle()
    status, body = await server.start(twilio.call_sid)
    assert (status, body["isOk"]) == (200, True)
    return twilio


async def talk(twilio: Twilio) -> None:
    await say(twilio, 100, spoken(1, 7.0), "outbound")
    await say(twilio, 100, spoken(0, 7.0), "inbound")


async def test_kill_9_in_mid_call(tmp_path: Path) -> None:
    async with hesitant(4) as receiver:
        variables = {**MODEL, "GATEWAY_WEBHOOK__URL": receiver.url}
        guids = []
        async with serving(tmp_path, **variables) as server, AsyncExitStack() as stack:
            url = await server.stream_url()
            calls = [await call_in(stack, server, url) for _ in range(4)]
            guids = [call.call_sid for call in calls]
            await asyncio.gather(*map(talk, calls))
            await receiver.wait_for(6)
            server.process.kill()
            assert await server.ended() == -signal.SIGKILL
        posted: dict[str, list[str]] = {guid: [] for guid in guids}
        for post in receiver.posts:
            posted[post["externalConversationId"]].append(text_of(post))
        async with serving(tmp_path, **variables) as server:
            reasons: Counter[tuple[str, str]] = Counter()
            for guid in guids:
                stored = await server.texts(guid)
                assert Counter(posted[guid]) <= Counter(stored)
                call = await server.call(guid)
                assert (call["state"], call["stored"]["completedReason"]) == ("completed", "gateway_restart")
                reasons.update((failure["outcome"], failure["reason"]) for failure in call["deliveryFailures"])
            assert set(reasons) == {("dropped", "gateway_restart")}
            assert (await server.request("GET", "/readyz"))[0] == 200


async def test_sigterm_flushes_and_ends_in_order(tmp_path: Path) -> None:
    async with webhook_receiver() as receiver:
        variables = {**MODEL, "GATEWAY_WEBHOOK__URL": receiver.url, "GATEWAY_DRAIN_SECONDS": "1.5"}
        async with serving(tmp_path, **variables) as server, AsyncExitStack() as stack:
            url = await server.stream_url()
            calls = [await call_in(stack, server, url) for _ in range(2)]
            gated = await stack.enter_async_context(Twilio.connected(url))
            await gated.settle()
            # Cut off in mid-word: only the flush can end these utterances.
            for call in calls:
                await say(call, 100, spoken(1, 1.5), "outbound")
                await call.settle()
            server.process.send_signal(signal.SIGTERM)
            while (await server.request("GET", "/readyz"))[0] != 503:
                await asyncio.sleep(0.01)
            with pytest.raises(InvalidStatus) as refused:
                async with Twilio.connected(url):
                    pass
            assert refused.value.response.status_code == 503
            status, body = await server.start(gated.call_sid)
            assert (status, body["isOk"]) == (200, False)
            assert {part["status"]["code"] for part in body["autotranscribeResponse"].values()} == {5001}
            for call in (*calls, gated):
                with pytest.raises(ConnectionClosed) as closed:
                    await call.socket.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1001
            assert await server.ended() == 0
            assert [entry["event"] for entry in server.log].count("stopped") == 1
        guids = Counter(post["externalConversationId"] for post in receiver.posts)
        assert guids == {call.call_sid: 1 for call in calls}


@pytest.mark.parametrize("trouble", ["refused", "hanging", "status 500"])
async def test_a_dead_webhook_costs_the_posts_and_nothing_else(tmp_path: Path, trouble: str) -> None:
    held = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        if trouble == "hanging":
            await held.wait()
        return web.Response(status=500)

    app = web.Application()
    app.router.add_post("/hook", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    if trouble == "refused":
        await runner.cleanup()
    settings = settings_for(tmp_path, webhook={"url": hook, "timeout": 0.2, "queue_items": 2, "connections": 1})
    async with gateway_running(settings) as customer, hearing(customer, FaultyEngine()), AsyncExitStack() as stack:
        url = await customer.stream_url()
        calls = [await stack.enter_async_context(Twilio.connected(url)) for _ in range(4)]
        for twilio in calls:
            await twilio.settle()
            assert (await customer.start(twilio.call_sid))[0] == 200
            await say(twilio, 100, spoken(1, 2.0), "inbound")
            await say(twilio, 100, spoken(0, 2.0), "outbound")
            await twilio.settle()
        publisher = customer.gateway.publisher
        assert publisher is not None
        for _, body in await asyncio.gather(*(customer.stop(twilio.call_sid) for twilio in calls)):
            roles = body["autotranscribeResponse"].values()
            assert [role["summary"]["transcripts"] for role in roles] == [1, 1]
            assert publisher.waiting <= 2
        outcomes: Counter[str] = Counter()
        for twilio in calls:
            stored = (await customer.messages(twilio.call_sid))[1]["items"]
            assert len(stored) == 2
            failures: list[Any] = []
            async with asyncio.timeout(20):
                while len(failures) < 2:
                    _, call = await customer.request("GET", f"/gateway/v1/calls/{twilio.call_sid}")
                    failures = call["deliveryFailures"]
            assert {failure["messageId"] for failure in failures} == {item["messageId"] for item in stored}
            outcomes.update(failure["reason"] for failure in failures)
        expected = {"refused": "connect", "hanging": "timeout", "status 500": "status 500"}[trouble]
        assert outcomes.keys() <= {expected, "queue_full"}
        assert outcomes[expected] >= 1
        assert outcomes.total() == 8
    held.set()
    await runner.cleanup()


async def test_a_full_disk_holds_up_no_post_and_loses_nothing(tmp_path: Path) -> None:
    async with webhook_receiver() as receiver:
        variables = {**MODEL, "GATEWAY_WEBHOOK__URL": receiver.url}
        async with serving(tmp_path, **variables) as server, AsyncExitStack() as stack:
            url, pid = await server.stream_url(), server.process.pid
            twilio, late = await call_in(stack, server, url), await stack.enter_async_context(Twilio.connected(url))
            await late.settle()
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            # No file may grow any more.
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
            await say(twilio, 100, spoken(1, 2.0), "outbound")
            posts = await receiver.wait_for(1)
            while (await server.request("GET", "/readyz"))[0] != 503:
                await asyncio.sleep(0.01)
            assert await server.texts(twilio.call_sid) == []
            status, body = await server.start(late.call_sid)
            assert (status, body["isOk"]) == (200, False)
            assert {part["status"]["code"] for part in body["autotranscribeResponse"].values()} == {5002}
            # The call that was admitted goes on.
            await say(twilio, 6000, spoken(0, 2.0), "inbound")
            await receiver.wait_for(2)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
            while (await server.request("GET", "/readyz"))[0] != 200:
                await asyncio.sleep(0.01)
            assert (await server.stop(twilio.call_sid))[0] == 200
            assert Counter(await server.texts(twilio.call_sid)) == Counter(map(text_of, posts))
            assert (await server.call(twilio.call_sid))["deliveryFailures"] == []
            assert (await server.start(late.call_sid))[1]["isOk"] is True


async def test_a_ruined_database_is_a_503_and_ends_no_call(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        url = await customer.stream_url()
        async with Twilio.connected(url, tracks=["inbound"]) as twilio:
            await twilio.settle()
            assert (await customer.start(twilio.call_sid))[0] == 200
            await customer.messages(twilio.call_sid)
            for name in ("gateway.db", "gateway.db-wal"):
                # In place: a file that is mapped must not shrink.
                with (tmp_path / "data" / name).open("r+b") as file:
                    file.write(b"\x00garbage" * 4096)
            # What a connection has in its cache it would go on answering.
            await customer.gateway.store.engine.dispose()
            status, body = await customer.messages(twilio.call_sid)
            assert (status, body["error"]["code"][:3]) == (503, "503")
            with pytest.raises(InvalidStatus) as refused:
                async with Twilio.connected(url):
                    pass
            assert refused.value.response.status_code == 503
            await twilio.media(100)
            await twilio.settle()
            (track,) = (await customer.call(twilio.call_sid)).tracks
            assert track.received_ms == 20
