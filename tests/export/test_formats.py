"""The forms of files."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.export.formats import FORMATS, file_name, open_rows, require
from gateway.export.rows import Row

COLUMNS = (("text", "string"), ("count", "integer"))
ROWS: list[Row] = [
    {"text": "Plain.", "count": 1},
    {"text": 'He said "no", twice\r\nand left\x00\x1b\x85\u2028.', "count": None},
    {"text": "naïve 日本 😀", "count": 3},
]


def written(path: Path, form: str, rows: list[Row], *, compressed: bool = False, at_once: int = 2) -> bytes:
    writer = open_rows(path, form, COLUMNS, compressed=compressed)
    for i in range(0, len(rows), at_once):
        writer.write(rows[i : i + at_once])
    writer.close()
    return path.read_bytes()


def test_jsonl_has_a_row_a_line(tmp_path: Path) -> None:
    data = written(tmp_path / "f", "jsonl", ROWS)
    assert data.endswith(b"}\n")
    # However a reader parts lines.
    assert len(data.decode().splitlines()) == len(data.split(b"\n")) - 1 == len(ROWS)
    assert [json.loads(line) for line in data.splitlines()] == ROWS
    assert b"\r" not in data


def test_jsonl_escapes_controls(tmp_path: Path) -> None:
    data = written(tmp_path / "f", "jsonl", [{"text": "".join(map(chr, range(0xA0))), "count": 0}]).decode()
    assert all(char == "\n" or not (ord(char) < 32 or 0x7F <= ord(char) < 0xA0) for char in data)
    assert json.loads(data)["text"] == "".join(map(chr, range(0xA0)))


def test_csv_is_rfc_4180(tmp_path: Path) -> None:
    data = written(tmp_path / "f", "csv", ROWS).decode()
    assert data.startswith("text,count\r\nPlain.,1\r\n")
    assert '"He said ""no"", twice\r\nand left' in data
    rows = list(csv.DictReader(io.StringIO(data, newline="")))
    assert [row["text"] for row in rows] == [row["text"] for row in ROWS]
    assert [row["count"] for row in rows] == ["1", "", "3"]


def test_csv_without_rows_has_its_header(tmp_path: Path) -> None:
    assert written(tmp_path / "f", "csv", []) == b"text,count\r\n"


@given(text=st.text(st.characters(codec="utf-8"), max_size=40))
def test_texts_come_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("texts")
    rows: list[Row] = [{"text": text, "count": 1}]
    (line,) = written(folder / "j", "jsonl", rows).splitlines()
    assert json.loads(line) == rows[0]
    (row,) = csv.DictReader(io.StringIO(written(folder / "c", "csv", rows).decode(), newline=""))
    assert row["text"] == text


def test_parquet(tmp_path: Path) -> None:
    written(tmp_path / "f", "parquet", ROWS)
    table = pyarrow.parquet.read_table(tmp_path / "f")
    assert table.to_pylist() == ROWS
    assert [(field.name, str(field.type)) for field in table.schema] == [("text", "string"), ("count", "int64")]


def test_parquet_of_many_rows_has_row_groups(tmp_path: Path) -> None:
    many: list[Row] = [{"text": f"Row {n}.", "count": n} for n in range(40_000)]
    written(tmp_path / "f", "parquet", many, at_once=500)
    file = pyarrow.parquet.ParquetFile(tmp_path / "f")
    assert file.metadata.num_row_groups == 3
    assert [row["count"] for row in file.read().to_pylist()] == list(range(40_000))
    file.close()


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_gzip(tmp_path: Path, form: str) -> None:
    plain = written(tmp_path / "plain", form, ROWS)
    assert gzip.decompress(written(tmp_path / "packed", form, ROWS, compressed=True)) == plain


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("form", FORMATS)
def test_the_same_rows_are_the_same_bytes(tmp_path: Path, form: str, compressed: bool) -> None:
    (tmp_path / "other").mkdir()
    one = written(tmp_path / "one", form, ROWS, compressed=compressed)
    assert written(tmp_path / "other" / "two", form, ROWS, compressed=compressed, at_once=3) == one


def test_a_file_is_its_owners_and_never_overwritten(tmp_path: Path) -> None:
    written(tmp_path / "f", "jsonl", ROWS)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        open_rows(tmp_path / "f", "jsonl", COLUMNS, compressed=False)


def test_names() -> None:
    assert file_name("utterances", "jsonl", compressed=False) == "utterances.jsonl"
    assert file_name("utterances", "csv", compressed=True) == "utterances.csv.gz"
    assert file_name("utterances", "parquet", compressed=True) == "utterances.parquet"


def test_parquet_without_pyarrow_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pyarrow" else object())
    require(("jsonl", "csv"))
    with pytest.raises(ConfigError, match=r"GATEWAY_EXPORT__FORMATS: parquet needs pyarrow.*\[parquet\]"):
        require(("parquet",))
