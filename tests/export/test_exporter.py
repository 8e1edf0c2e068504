"""The exporter as the settings make it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import load
from gateway.errors import ConfigError
from gateway.export.exporter import Exporter
from gateway.export.storage import Bucket, Folder
from gateway.store.store import Store


def test_a_folder_in_the_data_directory(store: Store, tmp_path: Path) -> None:
    exporter = Exporter.open(load(data_dir=tmp_path), store)
    assert isinstance(exporter.storage, Folder)
    assert exporter.storage.root == exporter.folder == tmp_path / "feeds"
    assert exporter.plan.formats == ("jsonl", "csv")
    assert exporter.plan.terms.company_marker is None


def test_what_is_set(store: Store, tmp_path: Path) -> None:
    export = {
        "directory": tmp_path / "there",
        "gzip": True,
        "company_marker": "acme",
        "unredacted": True,
        "at": "03:30",
    }
    exporter = Exporter.open(load(export=export, retention={"messages_days": 9}), store)
    assert exporter.folder == tmp_path / "there"
    assert exporter.plan.gzip
    assert (exporter.plan.terms.company_marker, exporter.plan.terms.unredacted) == ("acme", True)
    assert (exporter.calendar.at.hour, exporter.calendar.at.minute) == (3, 30)
    assert exporter.calendar.messages_days == 9


def test_a_bucket_has_a_folder_to_make_files_in(store: Store, tmp_path: Path) -> None:
    exporter = Exporter.open(load(data_dir=tmp_path, export={"s3_bucket": "feeds"}), store)
    assert isinstance(exporter.storage, Bucket)
    assert exporter.folder == tmp_path / "feeds"


def test_an_output_stands_in_for_the_bucket(store: Store, tmp_path: Path) -> None:
    exporter = Exporter.open(load(export={"s3_bucket": "feeds"}), store, tmp_path / "out")
    assert isinstance(exporter.storage, Folder)
    assert exporter.storage.root == tmp_path / "out"


def test_a_directory_that_cannot_be_written_stops_the_start(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    there = tmp_path / "file/feeds"
    for settings, variable in (
        (load(export={"directory": there}), "GATEWAY_EXPORT__DIRECTORY"),
        (load(data_dir=tmp_path / "file"), "GATEWAY_DATA_DIR"),
        (load(export={"directory": tmp_path / "file"}), "GATEWAY_EXPORT__DIRECTORY"),
    ):
        with pytest.raises(ConfigError, match=f"^{variable}: .* cannot be written .*; name a directory"):
            Exporter.open(settings, store)
    assert Exporter.open(load(export={"directory": there}), store, tmp_path / "out").folder == tmp_path / "out"


def test_a_format_that_is_not_there_stops_the_start(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="parquet needs pyarrow"):
        Exporter.open(load(data_dir=tmp_path, export={"formats": ["parquet"]}), store)
