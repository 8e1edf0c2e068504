"""The forms that rows are written in: JSON lines, CSV, Parquet; the first two plain or compressed with gzip.

The same rows give the same bytes: nothing of a file tells when it was made.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol, cast

import orjson

from gateway.errors import ConfigError
from gateway.export.rows import Row

__all__ = ["FORMATS", "MEDIA_TYPES", "RowWriter", "file_name", "jsonl", "open_rows", "require"]

FORMATS = ("jsonl", "csv", "parquet")

MEDIA_TYPES = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}

# orjson escapes what JSON must have escaped, the controls below U+0020. The other controls and the two line separators
# are escaped here: readers that split at any of them would break a line in two.
_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}

Columns = Sequence[tuple[str, str]]


def require(formats: Sequence[str]) -> None:
    """Check that what the formats need is installed.

    Raises:
        ConfigError: Parquet is wanted, and pyarrow is not there.
    """
    if "parquet" in formats and importlib.util.find_spec("pyarrow") is None:
        msg = (
            "GATEWAY_EXPORT__FORMATS: parquet needs pyarrow, which is not installed; "
            "`pip install 'callscribe-gateway[parquet]'`, or leave parquet out"
        )
        raise ConfigError(msg)


def file_name(feed: str, form: str, *, compressed: bool) -> str:
    """``utterances.jsonl``, ``utterances.jsonl.gz``, ``utterances.parquet``: Parquet is compressed inside."""
    return f"{feed}.{form}.gz" if compressed and form != "parquet" else f"{feed}.{form}"


def jsonl(rows: Sequence[Row]) -> bytes:
    """JSON lines: an object a line, UTF-8, Unix line ends, also behind the last one."""
    text = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows).decode("utf-8")
    return text.translate(_ESCAPES).encode("utf-8")


class RowWriter(Protocol):
    """Writes rows to one file; for one thread at a time."""

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""

    def close(self) -> None:
        """End the file; its bytes are on the disk then."""


def open_rows(path: Path, form: str, columns: Columns, *, compressed: bool) -> RowWriter:
    """A writer of a new file that only its owner may read.

    Args:
        path: where to; must not exist.
        form: one of :data:`FORMATS`.
        columns: their names and kinds, ``string`` or ``integer``.
        compressed: gzip for jsonl and csv.

    Raises:
        OSError: the file cannot be made.
    """
    raw = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    if form == "parquet":
        return _Parquet(raw, columns)
    # No name and no time in the header (RFC 1952 §2.3.1).
    packed = gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) if compressed else None
    return _Jsonl(raw, packed) if form == "jsonl" else _Csv(raw, packed, columns)


class _Text:
    """A file of text, perhaps compressed."""

    def __init__(self, raw: IO[bytes], packed: gzip.GzipFile | None) -> None:
        self._raw = raw
        self._packed = packed

    def _append(self, data: bytes) -> None:
        if self._packed is None:
            self._raw.write(data)
        else:
            self._packed.write(data)

    def close(self) -> None:
        """End the file."""
        try:
            if self._packed is not None:
                self._packed.close()
            _sync(self._raw)
        finally:
            self._raw.close()


class _Jsonl(_Text):
    """One JSON object a line, UTF-8, Unix line ends."""

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        self._append(jsonl(rows))


class _Csv(_Text):
    """RFC 4180: a header, CRLF, quotes where they are needed; nothing for null."""

    def __init__(self, raw: IO[bytes], packed: gzip.GzipFile | None, columns: Columns) -> None:
        super().__init__(raw, packed)
        self._buffer = io.StringIO(newline="")
        names = [name for name, _ in columns]
        self._writer = csv.DictWriter(self._buffer, names, lineterminator="\r\n")
        self._writer.writeheader()
        self._flush()

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        self._writer.writerows(rows)
        self._flush()

    def _flush(self) -> None:
        self._append(self._buffer.getvalue().encode("utf-8"))
        self._buffer.seek(0)
        self._buffer.truncate()


class _Parquet:
    """Apache Parquet, compressed with Zstandard; row groups of some thousand rows."""

    _GROUP = 16_384

    def __init__(self, raw: IO[bytes], columns: Columns) -> None:
        # Imported here: it takes long, and most gateways write none.
        import pyarrow
        import pyarrow.parquet

        self._arrow = pyarrow
        types = {"string": pyarrow.string(), "integer": pyarrow.int64()}
        self._schema = pyarrow.schema([(name, types[kind]) for name, kind in columns])
        self._raw = raw
        self._writer: Any = pyarrow.parquet.ParquetWriter(raw, self._schema, compression="zstd")
        self._waiting: list[Row] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        self._waiting += rows
        while len(self._waiting) >= self._GROUP:
            self._flush()

    def _flush(self) -> None:
        group, self._waiting = self._waiting[: self._GROUP], self._waiting[self._GROUP :]
        table = self._arrow.Table.from_pylist(cast("list[dict[str, Any]]", group), schema=self._schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """End the file."""
        try:
            if self._waiting:
                self._flush()
            self._writer.close()
            _sync(self._raw)
        finally:
            self._raw.close()


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
