"""A store with three days in it, and a real S3-compatible server."""

from __future__ import annotations

import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.config import ExportSettings
from gateway.store.store import Store

from .samples import opened


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path) as store:
        yield store


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of moto's server, in a thread of this process, on the loopback."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str) -> ExportSettings:
    """Settings of a bucket that is there, and empty."""
    bucket = f"feeds-{uuid.uuid4().hex[:12]}"
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=id/20260302/us-east-1/s3/aws4_request"}
    request = urllib.request.Request(f"{s3_server}/{bucket}", method="PUT", headers=headers)  # noqa: S310 - loopback
    urllib.request.urlopen(request).close()  # noqa: S310 - loopback
    return ExportSettings.model_validate(
        {
            "s3_bucket": bucket,
            "s3_endpoint": s3_server,
            "s3_prefix": "calls/feeds",
            "s3_key": "id",
            "s3_secret": "not much of one",
        }
    )
