"""Logs: structlog on standard error, coloured lines on a terminal, JSON elsewhere.

Stdlib loggers go the same way. Nobody logs transcript text, audio, tokens or secrets: the masks here are the
second line of defence, not the first.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections import deque
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from gateway.config import LogSettings
from gateway.metrics import LOG_DROPPED

__all__ = ["MASK", "LogWriter", "configure", "mask_path", "mask_processor"]

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


class LogWriter(logging.Handler):
    """Writes lines from a thread of its own: a full pipe or a slow terminal must not stop the event loop.

    Lines are formatted where they are logged and wait in a bounded queue; what does not fit is dropped and counted
    (``gateway_log_dropped_total``). :meth:`flush` waits for what is queued, ``FLUSH_SECONDS`` at most; the
    interpreter calls it at exit.
    """

    MAX_LINES = 10_000
    FLUSH_SECONDS = 2.0

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: deque[str] = deque()
        self._changed = threading.Condition()
        self._writing = self._closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line."""
        try:
            line = self.format(record) + "\n"
        except Exception:
            # logging's way: tell on stderr, and never fail the caller.
            self.handleError(record)
            return
        with self._changed:
            if self._closed or len(self._lines) >= self.MAX_LINES:
                LOG_DROPPED.inc()
                return
            self._lines.append(line)
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                batch = "".join(self._lines)
                self._lines.clear()
                self._writing = True
            try:
                self._stream.write(batch)
                self._stream.flush()
            except (OSError, ValueError):
                # The reader is gone, or the stream is closed: there is nowhere left to say so but the metric.
                LOG_DROPPED.inc(batch.count("\n"))

    def flush(self) -> None:
        """Wait until what is queued is written."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._lines or self._writing), self.FLUSH_SECONDS)

    def close(self) -> None:
        """Write what is queued, and end the thread."""
        self.flush()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        super().close()


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
    handler = LogWriter(stream)
    handler.setFormatter(_formatter(console, colors=console and stream.isatty()))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, LogWriter)]:
        old.close()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[settings.level])
    for name in ("asyncio", "aiosqlite", "alembic"):
        # They tell their life's story below warning.
        logging.getLogger(name).setLevel(max(logging.WARNING, _LEVELS[settings.level]))
    # gateway.api writes its own access log, with masked paths.
    logging.getLogger("aiohttp.access").disabled = True
    logging.getLogger("aiohttp.server").addFilter(_tame_bad_requests)


def _head_first(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    head = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return {**head, **event}


def _tame_bad_requests(record: logging.LogRecord) -> bool:
    # aiohttp quotes the line that it could not parse, and that may be the one with a secret in it.
    error = record.exc_info[1] if record.exc_info else None
    if type(error).__module__ == "aiohttp.http_exceptions":
        record.msg, record.args, record.exc_info = "malformed request: %s", (type(error).__name__,), None
        record.levelno, record.levelname = logging.INFO, "INFO"
    return logging.getLogger().isEnabledFor(record.levelno)


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
            *([] if console else [_head_first]),
            renderer,
        ],
    )
