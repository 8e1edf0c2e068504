"""Logs: format, level, masks."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.config import LogSettings
from gateway.log import MASK, LogWriter, configure, mask_path, mask_processor
from gateway.metrics import LOG_DROPPED
from gateway.server.tokens import StreamTokens


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    access = logging.getLogger("aiohttp.access")
    quiet = {name: logging.getLogger(name).level for name in ("asyncio", "aiosqlite", "alembic")}
    yield
    for handler in root.handlers:
        if isinstance(handler, LogWriter):
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    access.disabled = False
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def written(stream: io.StringIO) -> str:
    for handler in logging.getLogger().handlers:
        handler.flush()
    return stream.getvalue()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in written(stream).splitlines()]


def settings(**values: Any) -> LogSettings:
    return LogSettings.model_validate(values)


def test_json_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    configure(settings(), stream)
    structlog.get_logger("gateway.x").info("call started", guid="CA1")
    (line,) = lines(stream)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line["event"] == "call started"
    assert line["guid"] == "CA1"
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")
    assert line["logger"] == "gateway.x"


def test_lines_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure(settings(), stream)
    structlog.get_logger().info("call started", guid="CA1")
    assert "call started" in written(stream)
    assert "\x1b[" in written(stream)
    assert not written(stream).startswith("{")


def test_level() -> None:
    stream = io.StringIO()
    configure(settings(level="warning"), stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    logging.getLogger("lib").info("quiet")
    logging.getLogger("lib").error("loud too")
    assert [line["event"] for line in lines(stream)] == ["loud", "loud too"]


def test_stdlib_loggers_go_the_same_way() -> None:
    stream = io.StringIO()
    configure(settings(), stream)
    logging.getLogger("aiohttp.server").warning("odd request from %s", "10.0.0.1", extra={"secret": "hush"})
    (line,) = lines(stream)
    assert line["event"] == "odd request from 10.0.0.1"
    assert line["secret"] == MASK


async def test_malformed_requests_are_not_quoted() -> None:
    stream = io.StringIO()
    configure(settings(), stream)
    async with TestServer(web.Application()) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nasapp-api-secret: hunter2\x00\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
    (line,) = lines(stream)
    assert line["event"].startswith("malformed request: ")
    assert line["level"] == "info"
    assert "hunter2" not in written(stream)


def test_configured_twice_writes_once() -> None:
    stream = io.StringIO()
    configure(settings(), io.StringIO())
    configure(settings(), stream)
    structlog.get_logger().info("once")
    assert len(lines(stream)) == 1


@pytest.mark.parametrize("form", ["json", "console"])
def test_tracebacks_hold_no_locals_and_no_tokens(form: str) -> None:
    stream = io.StringIO()
    configure(settings(format=form), stream)
    token = StreamTokens(b"k" * 32, 300).issue("acc", "key")

    def fails() -> None:
        heard = "my card " + "is 4111"
        raise ValueError(token + str(len(heard)))

    try:
        fails()
    except ValueError:
        structlog.get_logger().exception("it broke")
    text = written(stream)
    assert "ValueError" in text
    assert "4111" not in text
    assert token not in text


@pytest.mark.parametrize(
    "key",
    [
        "secret",
        "api_secret",
        "apiSecret",
        "asapp-api-secret",
        "secret_value",
        "token",
        "streamToken",
        "Authorization",
        "text",
        "unredacted_text",
        "unredactedText",
        "payload",
        "cookie",
        "password",
        "utterance",
        "signature",
    ],
)
def test_masked_keys(key: str) -> None:
    assert mask_processor(None, "info", {"event": "e", key: "hush"})[key] == MASK
    nested = mask_processor(None, "info", {"event": "e", "details": [{key: "hush"}]})
    assert nested["details"] == [{key: MASK}]


@pytest.mark.parametrize("key", ["guid", "stream_token_ttl", "context", "status", "textual", "token_count", "event"])
def test_other_keys_stay(key: str) -> None:
    assert mask_processor(None, "info", {key: "shown"})[key] == "shown"


def test_bytes_show_their_length_only() -> None:
    assert mask_processor(None, "info", {"event": "e", "head": b"GET /"})["head"] == "<5 bytes>"


def test_deep_values_end_in_a_mask() -> None:
    deep: Any = "end"
    for _ in range(20):
        deep = [deep]
    assert "end" not in str(mask_processor(None, "info", {"event": "e", "deep": deep}))


def test_tokens_in_any_string_are_masked() -> None:
    token = StreamTokens(b"k" * 32, 300).issue("acc", "key")
    event = mask_processor(None, "info", {"event": f"refused {token}", "url": f"wss://h/x?a={token}"})
    assert token not in str(event)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/twilio-media/abc.def.ghi", f"/twilio-media/{MASK}"),
        ("/twilio-media/abc/", f"/twilio-media/{MASK}/"),
        ("/x/twilio-media/abc?token=def&y=1", f"/x/twilio-media/{MASK}?token={MASK}&y=1"),
        ("/twilio-media?token=def", f"/twilio-media?token={MASK}"),
        ("/a?api_secret=1&Token=2&externalId=CA1", f"/a?api_secret={MASK}&Token={MASK}&externalId=CA1"),
        ("/a?b=token", "/a?b=token"),
        ("/a", "/a"),
        ("", ""),
    ],
)
def test_mask_path(path: str, shown: str) -> None:
    assert mask_path(path) == shown


# --- the writer


class Stuck(io.StringIO):
    """A stream that nobody reads, until somebody does."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.release = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.release.wait()
        return super().write(text)


def dropped() -> float:
    return float(LOG_DROPPED._value.get())


def test_a_stuck_stream_holds_nobody_up_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogWriter, "MAX_LINES", 3)
    stream = Stuck()
    configure(settings(), stream)
    log = structlog.get_logger()
    log.info("first")
    stream.entered.wait()
    before = dropped()
    for number in range(5):
        log.info(str(number))
    assert dropped() == before + 2
    stream.release.set()
    assert [line["event"] for line in lines(stream)] == ["first", "0", "1", "2"]


def test_a_flush_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogWriter, "FLUSH_SECONDS", 0.01)
    stream = Stuck()
    configure(settings(), stream)
    structlog.get_logger().info("never read")
    stream.entered.wait()
    assert written(stream) == ""
    stream.release.set()


def test_a_closed_stream_is_counted_and_no_error() -> None:
    stream = io.StringIO()
    configure(settings(), stream)
    stream.close()
    before = dropped()
    structlog.get_logger().info("to nobody")
    logging.getLogger().handlers[0].flush()
    assert dropped() == before + 1


def test_what_is_logged_last_is_written_before_the_end() -> None:
    code = (
        "import structlog; from gateway.config import LogSettings; from gateway.log import configure\n"
        "configure(LogSettings()); structlog.get_logger().error('last words')"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    assert orjson.loads(ended.stderr)["event"] == "last words"
