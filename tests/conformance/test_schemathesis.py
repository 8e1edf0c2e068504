"""A running gateway does what its ``/openapi.json`` says, whatever it is asked: valid, nearly valid and not at all.

All of schemathesis' checks: no server error; statuses, content types, headers and bodies as declared; valid requests
accepted, invalid ones refused; other methods refused; and no answer without both keys.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import orjson
import pytest

from gateway.api import openapi, routes
from gateway.api.examples import CALL_SID
from gateway.api.routes import ENDPOINTS
from gateway.calls import arrivals
from gateway.calls.model import CallState
from tests.conformance.world import world
from tests.harness import Twilio

CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_document_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nearly every start that is made up is of no call; only the wait for it is cut short.
    monkeypatch.setattr(arrivals, "START_WAIT_S", 0.01)
    async with world(tmp_path) as customer, Twilio.connected(await customer.stream_url(), CALL_SID) as twilio:
        await twilio.settle()
        code, report = await schemathesis(
            tmp_path,
            customer.gateway.public_url_of("http"),
            customer.key.api_id,
            customer.key.api_secret,
            # A live call that is followed has no end.
            *("--exclude-operation-id", "followCall"),
        )
        assert (await customer.call(CALL_SID)).state is not CallState.GATED
    assert code == 0, report.replace(customer.key.api_secret, "…")
    # All but that one, and the document itself.
    assert f"Tested: {len(ENDPOINTS) - 2}" in report, report


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_following_calls_that_are_not_live(tmp_path: Path) -> None:
    async with world(tmp_path) as customer:
        url, key = customer.gateway.public_url_of("http"), customer.key
        code, report = await schemathesis(
            tmp_path, url, key.api_id, key.api_secret, "--include-operation-id", "followCall"
        )
    assert code == 0, report.replace(key.api_secret, "…")


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_lie_in_the_document_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = openapi.document(ENDPOINTS)
    document["components"]["schemas"]["CustomVocabularyList"]["required"].append("total")
    monkeypatch.setattr(routes, "_document", lambda: orjson.dumps(document))
    async with world(tmp_path) as customer:
        url, key = customer.gateway.public_url_of("http"), customer.key
        code, report = await schemathesis(
            tmp_path, url, key.api_id, key.api_secret, "--include-operation-id", "getCustomVocabularies"
        )
    assert code == 1
    assert "'total' is a required property" in report.replace('"', "'")


async def schemathesis(folder: Path, url: str, api_id: str, api_secret: str, *options: str) -> tuple[int, str]:
    """Exit code and report of a run; what it keeps lies in ``folder``."""
    program = Path(sys.executable).with_name("schemathesis")
    run = await asyncio.create_subprocess_exec(
        *(str(program), "--config-file", str(CONFIG), "run", f"{url}/openapi.json"),
        *("--header", f"asapp-api-id: {api_id}", "--header", f"asapp-api-secret: {api_secret}"),
        *options,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await run.communicate()
    assert run.returncode is not None
    return run.returncode, output.decode()
