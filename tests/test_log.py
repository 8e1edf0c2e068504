"""Logs: format, level, masks."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog

from gateway.config import LogSettings
from gateway.log import MASK, configure, mask_path, mask_processor
from gateway.server.tokens import StreamTokens


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    access = logging.getLogger("aiohttp.access")
    quiet = {name: logging.getLogger(name).level for name in ("asyncio", "aiosqlite", "alembic")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    access.disabled = False
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def settings(**values: Any) -> LogSettings:
    return LogSettings.model_validate(values)


def test_json_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    configure(settings(), stream)
    structlog.get_logger("gateway.x").info("call started", guid="CA1")
    (line,) = lines(stream)
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
    assert "call started" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


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
    text = stream.getvalue()
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
