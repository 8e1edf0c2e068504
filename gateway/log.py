"""Logs: structlog on standard error, coloured lines on a terminal, JSON elsewhere.

Stdlib loggers go the same way. Nobody logs transcript text, audio, tokens or secrets: the masks here are the
second line of defence, not the first.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from gateway.config import LogSettings

__all__ = ["MASK", "configure", "mask_path", "mask_processor"]

MASK = "***"

# A key is masked if one of its words is among the first, or its last word among the second: `api_secret` and
# `secret_value` are, `stream_token` is, `stream_token_ttl` is not.
_ANY_WORD = frozenset({"secret", "secrets", "password", "authorization", "credential", "credentials", "unredacted"})
_LAST_WORD = frozenset(
    {
        "audio",
        "body",
        "cookie",
        "payload",
        "pcm",
        "signature",
        "text",
        "token",
        "tokens",
        "transcript",
        "utterance",
    }
)
_WORDS = re.compile(r"[a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_TOKEN_SEGMENT = re.compile(r"(/twilio-media/)[^/?#\s]+")
_QUERY_PAIR = re.compile(r"([?&;])([^=&;#\s]+)=([^&;#\s]*)")
_MAX_DEPTH = 6

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def mask_path(path: str) -> str:
    """A request target fit for a log: the stream token, and token and secret query values, hidden."""
    return _QUERY_PAIR.sub(_mask_pair, _TOKEN_SEGMENT.sub(rf"\g<1>{MASK}", path))


def _mask_pair(pair: re.Match[str]) -> str:
    separator, name, _ = pair.groups()
    return f"{separator}{name}={MASK}" if _is_sensitive(name) else pair.group()


def _is_sensitive(key: str) -> bool:
    words = _WORDS.findall(_CAMEL.sub("_", key).lower())
    return bool(words) and (words[-1] in _LAST_WORD or not _ANY_WORD.isdisjoint(words))


def mask_processor(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: hides values under sensitive keys, and stream tokens in any string."""
    for key, value in event.items():
        event[key] = MASK if _is_sensitive(key) else _masked(value)
    return event


def _masked(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return _JWT.sub(MASK, mask_path(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if depth == _MAX_DEPTH:
        return MASK
    if isinstance(value, Mapping):
        return {k: MASK if _is_sensitive(str(k)) else _masked(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_masked(item, depth + 1) for item in value]
    return value


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Set up structlog and the root logger; calling it again replaces what was set up.

    Args:
        settings: level and format.
        stream: where to write (default: standard error).
    """
    stream = sys.stderr if stream is None else stream
    console = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(console, colors=console and stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[settings.level])
    for name in ("asyncio", "aiosqlite", "alembic"):
        # They tell their life's story below warning.
        logging.getLogger(name).setLevel(max(logging.WARNING, _LEVELS[settings.level]))
    # gateway.api writes its own access log, with masked paths.
    logging.getLogger("aiohttp.access").disabled = True


def _shared() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Plain tracebacks: richer ones print local variables, and those hold transcripts and secrets.
        structlog.processors.format_exc_info,
        structlog.processors.StackInfoRenderer(),
    ]


def _formatter(console: bool, *, colors: bool) -> logging.Formatter:
    renderer: Any
    if console:
        renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    else:
        renderer = structlog.processors.JSONRenderer(default=repr)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *_shared()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            mask_processor,
            renderer,
        ],
    )
