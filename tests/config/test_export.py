"""Settings of the feeds."""

from __future__ import annotations

from datetime import time

import pytest

from gateway.config import load
from gateway.errors import ConfigError


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)


def test_the_defaults() -> None:
    export = load().export
    assert (export.enabled, export.formats, export.gzip) == (True, ["jsonl", "csv"], False)
    assert (export.at_time, export.retention_days, export.link_ttl) == (time(2), 32, 900)
    assert export.unredacted is False
    assert export.s3_bucket is None


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_EXPORT__FORMATS", "csv, parquet,csv")
    monkeypatch.setenv("GATEWAY_EXPORT__AT", "23:45")
    monkeypatch.setenv("GATEWAY_EXPORT__S3_BUCKET", "feeds")
    monkeypatch.setenv("GATEWAY_EXPORT__S3_PREFIX", "/a/b/")
    export = load().export
    assert export.formats == ["csv", "parquet"]
    assert export.at_time == time(23, 45)
    assert export.s3_prefix == "a/b"


@pytest.mark.parametrize(
    ("bucket", "endpoint"),
    [("feeds", None), ("a.b-2.c", None), ("1" * 63, None), ("My_Bucket", "https://storage.example.com")],
)
def test_buckets(bucket: str, endpoint: str | None) -> None:
    assert load(export={"s3_bucket": bucket, "s3_endpoint": endpoint}).export.s3_bucket == bucket


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FORMATS", "xml", "GATEWAY_EXPORT__FORMATS"),
        ("FORMATS", "", "GATEWAY_EXPORT__FORMATS"),
        ("AT", "2:00", "GATEWAY_EXPORT__AT: must be a time of day such as 02:00"),
        ("AT", "24:00", "GATEWAY_EXPORT__AT: must be a time of day"),
        ("S3_ENDPOINT", "ftp://storage", "GATEWAY_EXPORT__S3_ENDPOINT: must begin with http"),
        ("S3_PREFIX", "a/../b", "GATEWAY_EXPORT__S3_PREFIX: must be names"),
        ("S3_KEY", "id", "GATEWAY_EXPORT__S3_KEY and GATEWAY_EXPORT__S3_SECRET go together"),
        ("S3_PREFIX", "a/b", "GATEWAY_EXPORT__S3_PREFIX: goes with GATEWAY_EXPORT__S3_BUCKET"),
        ("S3_ENDPOINT", "http://storage", "GATEWAY_EXPORT__S3_ENDPOINT: goes with GATEWAY_EXPORT__S3_BUCKET"),
        *[
            ("S3_BUCKET", bucket, "GATEWAY_EXPORT__S3_BUCKET: is no bucket's name; it has 3 to 63")
            for bucket in (
                "My_Bucket",
                "ab",
                "a" * 64,
                "-feeds",
                "feeds.",
                "a..b",
                "10.0.0.1",
                "s3://feeds",
                "a/b",
                "a b",
            )
        ],
        ("RETENTION_DAYS", "0", "GATEWAY_EXPORT__RETENTION_DAYS"),
        ("LINK_TTL", "604801", "GATEWAY_EXPORT__LINK_TTL"),
    ],
)
def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    monkeypatch.setenv(f"GATEWAY_EXPORT__{name}", value)
    with pytest.raises(ConfigError) as raised:
        load()
    assert str(raised.value).startswith(message)


def test_messages_outlive_the_building_of_their_feeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_RETENTION__MESSAGES_DAYS", "1")
    with pytest.raises(ConfigError, match="GATEWAY_RETENTION: messages_days must be 2 or more"):
        load()
    monkeypatch.setenv("GATEWAY_EXPORT__ENABLED", "false")
    assert load().retention.messages_days == 1
