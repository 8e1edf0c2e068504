"""Folder and bucket keep files alike."""

from __future__ import annotations

import socket
import sys
import urllib.request
from datetime import date
from pathlib import Path

import pytest

from gateway.config import ExportSettings
from gateway.errors import ConfigError, StoreError
from gateway.export.partitions import Day
from gateway.export.storage import Folder, Storage, open_storage

DAY = Day("01ACC", "utterances", "jsonl", date(2026, 3, 2))
OTHER = Day("02ACC", "utterances", "jsonl", date(2026, 3, 2))
KEY = DAY.key(9, "utterances.jsonl")


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    settings = ExportSettings.model_validate({}) if request.param == "folder" else request.getfixturevalue("s3")
    return open_storage(settings, tmp_path / "feeds")


def made(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


class TestBoth:
    def test_what_is_put_is_listed(self, storage: Storage, tmp_path: Path) -> None:
        assert storage.keys(DAY.prefix) == []
        storage.put(KEY, made(tmp_path / "a", b"one"))
        storage.mark(DAY.success)
        storage.put(OTHER.key(9, "utterances.jsonl"), made(tmp_path / "b", b"two"))
        assert storage.keys(DAY.prefix) == sorted([DAY.success, KEY])
        assert storage.keys("01ACC/") == sorted([DAY.success, KEY])
        assert len(storage.keys("02ACC/")) == 1
        assert not (tmp_path / "a").exists()

    def test_a_file_is_replaced(self, storage: Storage, tmp_path: Path) -> None:
        storage.put(KEY, made(tmp_path / "a", b"one"))
        storage.put(KEY, made(tmp_path / "b", b"two"))
        assert content(storage, KEY) == b"two"

    def test_a_marker_is_empty_and_may_be_there(self, storage: Storage) -> None:
        storage.mark(DAY.success)
        storage.mark(DAY.success)
        assert content(storage, DAY.success) == b""

    def test_removal(self, storage: Storage, tmp_path: Path) -> None:
        storage.put(KEY, made(tmp_path / "a", b"one"))
        storage.mark(DAY.success)
        storage.remove([KEY, DAY.key(10, "utterances.jsonl")])
        assert storage.keys(DAY.prefix) == [DAY.success]
        storage.remove([])
        storage.remove([DAY.success])
        assert storage.keys("01ACC/") == []

    def test_a_large_file(self, storage: Storage, tmp_path: Path) -> None:
        """A bucket takes it in several parts."""
        large = bytes(range(256)) * 50_000
        storage.put(KEY, made(tmp_path / "a", large))
        assert content(storage, KEY) == large


def content(storage: Storage, key: str) -> bytes:
    if isinstance(storage, Folder):
        return storage.path(key).read_bytes()
    url = storage.link(key, 60)
    assert url is not None
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
        data: bytes = answer.read()
    return data


class TestFolder:
    def test_is_its_owners(self, tmp_path: Path) -> None:
        folder = Folder(tmp_path / "feeds")
        folder.mark(DAY.success)
        assert (tmp_path / "feeds").stat().st_mode & 0o777 == 0o700
        assert folder.path(DAY.success).parent.stat().st_mode & 0o777 == 0o700
        assert folder.path(DAY.success).stat().st_mode & 0o777 == 0o600

    def test_leaves_no_empty_folders(self, tmp_path: Path) -> None:
        folder = Folder(tmp_path / "feeds")
        folder.mark(DAY.success)
        folder.mark(OTHER.success)
        folder.remove([DAY.success])
        assert [path.name for path in (tmp_path / "feeds").iterdir()] == ["02ACC"]

    def test_makes_no_links_of_its_own(self, tmp_path: Path) -> None:
        assert Folder(tmp_path).link(KEY, 60) is None

    def test_no_key_leads_out_of_it(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="not the key"):
            Folder(tmp_path).path("../secret")

    def test_others_files_are_not_listed(self, tmp_path: Path) -> None:
        folder = Folder(tmp_path)
        folder.mark(DAY.success)
        (tmp_path / DAY.prefix / "notes.txt").write_text("mine")
        (tmp_path / "01ACC" / "readme").write_text("mine")
        assert folder.keys("01ACC/") == [DAY.success]

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "feeds").write_text("a file")
        with pytest.raises(StoreError, match="feeds cannot be kept here"):
            Folder(tmp_path / "feeds").mark(DAY.success)


class TestBucket:
    def test_its_links_are_presigned(self, s3: ExportSettings, tmp_path: Path) -> None:
        storage = open_storage(s3, tmp_path)
        storage.put(KEY, made(tmp_path / "a", b"one"))
        url = storage.link(KEY, 60)
        assert url is not None
        assert url.startswith(f"{s3.s3_endpoint}/{s3.s3_bucket}/calls/feeds/01ACC/utterances/")
        assert "X-Amz-Expires=60" in url
        assert "X-Amz-Signature=" in url
        assert "not much of one" not in url

    def test_a_bucket_that_is_not_there(self, s3: ExportSettings, tmp_path: Path) -> None:
        storage = open_storage(s3.model_copy(update={"s3_bucket": "nobody-has-it"}), tmp_path)
        with pytest.raises(StoreError, match=r"bucket nobody-has-it: .*HTTP 404"):
            storage.keys("01ACC/")
        with pytest.raises(StoreError, match=r"HTTP 404"):
            storage.put(KEY, made(tmp_path / "a", b"one"))
        # What could not be uploaded is still there.
        assert (tmp_path / "a").exists()

    def test_one_that_does_not_answer_is_not_waited_for(self, s3: ExportSettings, tmp_path: Path) -> None:
        """By a gateway, whose end waits for such requests. Tried again for three minutes, this would not end."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"http://127.0.0.1:{silent.getsockname()[1]}"
            storage = open_storage(s3.model_copy(update={"s3_endpoint": address}), tmp_path, answer_s=0.1)
            with pytest.raises(StoreError, match="no answer"):
                storage.keys("01ACC/")

    def test_the_prefix_is_kept_apart(self, s3: ExportSettings, tmp_path: Path) -> None:
        open_storage(s3, tmp_path).mark(DAY.success)
        other = open_storage(s3.model_copy(update={"s3_prefix": "other"}), tmp_path)
        assert other.keys("01ACC/") == []

    def test_without_obstore_is_a_clear_error(
        self, s3: ExportSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "obstore", None)
        monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
        with pytest.raises(ConfigError, match=r"GATEWAY_EXPORT__S3_BUCKET: needs obstore.*\[s3\]"):
            open_storage(s3, tmp_path)
