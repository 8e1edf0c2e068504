"""Feeds: what the File Exporter builds every day, and where it keeps it."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from gateway.config.sections import Section

__all__ = ["ExportSettings", "FeedFormat"]

FeedFormat = Literal["jsonl", "csv", "parquet"]


# What buckets may be called, to Amazon S3 and to S3-compatible storage, which is not all as strict. The address of one
# at Amazon is a host name.
_BUCKET = re.compile(r"(?!(\d+\.){3}\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_BUCKET_ELSEWHERE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


def _parted(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class ExportSettings(Section):
    """The feeds of the File Exporter."""

    enabled: bool = Field(True, description="whether feeds are built every day; false also hides those there are")
    formats: Annotated[list[FeedFormat], BeforeValidator(_parted)] = Field(
        ["jsonl", "csv"], min_length=1, description="jsonl, csv, parquet (needs the extra `parquet`)"
    )
    gzip: bool = Field(False, description="compress jsonl and csv files")
    at: str = Field("02:00", description="time of day, UTC, at which the day before is built, as HH:MM")
    retention_days: int = Field(32, ge=1, le=366, description="days that feeds are kept")
    directory: Path | None = Field(
        None, description="where feeds are kept and made; unset: `feeds` in the data directory"
    )
    link_ttl: int = Field(900, ge=1, le=604_800, description="seconds that a link to a file is valid")
    company_marker: str | None = Field(
        None, min_length=1, max_length=255, description="the column company_marker; unset: the account's id"
    )
    unredacted: bool = Field(
        False, description="whether calls started with `unredacted` stand so in the feeds, which are not encrypted"
    )
    s3_bucket: str | None = Field(
        None, min_length=1, description="S3-compatible bucket that feeds are kept in (needs the extra `s3`)"
    )
    s3_prefix: str = Field("", description="what keys in the bucket begin with")
    s3_endpoint: str | None = Field(None, description="http(s) URL of S3-compatible storage; unset: AWS")
    s3_region: str | None = Field(None, description="the bucket's region; unset: us-east-1")
    s3_key: str | None = Field(None, description="access key id; unset: as AWS tools find it")
    s3_secret: SecretStr | None = Field(None, description="secret access key; goes with the access key id")

    @property
    def at_time(self) -> time:
        """When the day before is built, UTC."""
        return time.fromisoformat(self.at)

    @field_validator("at")
    @classmethod
    def _time_of_day(cls, value: str) -> str:
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            msg = "must be a time of day such as 02:00"
            raise ValueError(msg)
        return value

    @field_validator("formats")
    @classmethod
    def _once_each(cls, value: list[FeedFormat]) -> list[FeedFormat]:
        return list(dict.fromkeys(value))

    @field_validator("s3_endpoint")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            msg = "must begin with http:// or https://"
            raise ValueError(msg)
        return value

    @field_validator("s3_prefix")
    @classmethod
    def _plain_prefix(cls, value: str) -> str:
        value = value.strip("/")
        if any(part in ("", ".", "..") for part in value.split("/")) and value:
            msg = "must be names parted by single slashes"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _in_a_bucket(self) -> Self:
        if self.s3_bucket is None:
            for name in ("prefix", "endpoint"):
                if getattr(self, f"s3_{name}"):
                    msg = f"GATEWAY_EXPORT__S3_{name.upper()}: goes with GATEWAY_EXPORT__S3_BUCKET, which is not set"
                    raise ValueError(msg)
        elif not (_BUCKET if self.s3_endpoint is None else _BUCKET_ELSEWHERE).fullmatch(self.s3_bucket):
            msg = (
                "GATEWAY_EXPORT__S3_BUCKET: is no bucket's name; it has 3 to 63 lower-case letters, digits, "
                "hyphens and single dots, a letter or digit first and last"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _key_with_secret(self) -> Self:
        if (self.s3_key is None) != (self.s3_secret is None):
            msg = "GATEWAY_EXPORT__S3_KEY and GATEWAY_EXPORT__S3_SECRET go together: set both or neither"
            raise ValueError(msg)
        return self
