"""The examples of the API guide, run as they stand: bash and curl against a running gateway, a call on its line."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.api.examples import CALL_SID, ERRORS
from gateway.participants import Role
from gateway.text.redaction import Redactor
from tests.conformance.contract import CODES
from tests.conformance.saying import Started
from tests.conformance.test_contract import shape
from tests.conformance.world import world
from tests.docs.test_docs import ROOT, Block, blocks
from tests.harness import Customer, Twilio

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

PHRASE = "01GMXE90AEV7H3J4DPBDKB1R79"
SECONDS = 60.0


def examples(page: str) -> list[tuple[Block, Any]]:
    """The shell blocks that ask something, each with the answer that is shown right below it."""
    found = [block for block in blocks("bash", "json") if block.page == ROOT / "docs" / page]
    pairs = []
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.language == "bash" and re.search(r"(?m)^curl ", block.text):
            ends = block.line + block.text.count("\n")
            below = after is not None and after.language == "json" and after.line <= ends + 4
            pairs.append((block, json.loads(after.text) if below and after is not None else None))
    return pairs


def documents(output: str) -> list[Any]:
    """The JSON documents that several answers are, one behind the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(output):
        value, at = decoder.raw_decode(output, at)
        found.append(value)
        at += len(output[at:]) - len(output[at:].lstrip())
    return found


@dataclass
class Shell:
    """Runs blocks against a gateway; an answer that is an error ends one."""

    customer: Customer
    folder: Path
    phrase: str = PHRASE

    async def run(self, block: Block) -> str:
        """What the block prints."""
        environment = {
            **os.environ,
            "BASE": self.customer.gateway.public_url_of("http"),
            "GATEWAY_API_ID": self.customer.key.api_id,
            "GATEWAY_API_SECRET": self.customer.key.api_secret,
        }
        script = 'set -eo pipefail; curl() { command curl --fail-with-body --max-time 30 "$@"; }\n' + block.text
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", script.replace(PHRASE, self.phrase)),
            env=environment,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, error = await asyncio.wait_for(process.communicate(), SECONDS)
        assert process.returncode == 0, f"{block.name}: {output.decode()} {error.decode()}"
        return output.decode()

    async def ask(self, block: Block, shown: Any) -> None:
        """Run a block; its last answer has the fields that are shown, of the same types."""
        output = await self.run(block)
        if "/metrics" in block.text:
            return
        answers = documents(output)
        assert len(answers) == len(re.findall(r"(?m)^curl ", block.text))
        for answer in answers:
            assert "error" not in answer
        if shown is not None:
            last = dict(shape(answers[-1]))
            last.pop("live.tracks[].checksum", None)  # of a gateway without models
            assert last == dict(shape(shown)), block.name
            if "phrase" in shown:
                self.phrase = answers[-1]["id"]


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    async with world(tmp_path / "gateway") as customer:
        yield Shell(customer, tmp_path)


async def speaking(customer: Customer) -> Started:
    """The examples' call, started again."""
    status, answer = await customer.start(CALL_SID, customerId="TT9833237", agentId="RE223444211993")
    assert (status, answer["isOk"]) == (200, True)
    streams = {role: part["streamId"] for role, part in answer["autotranscribeResponse"].items()}
    return Started(customer, CALL_SID, streams, {"customer": "TT9833237", "agent": "RE223444211993"})


async def test_every_example_of_the_guide_runs(shell: Shell) -> None:
    pairs = examples("api.md")
    assert len(pairs) >= 12
    customer = shell.customer
    async with Twilio.connected(await customer.stream_url(), CALL_SID, tracks=("inbound",)) as twilio:
        for timestamp in range(0, 200, 20):
            await twilio.media(timestamp)
        await twilio.settle()
        for block, shown in pairs:
            if "/live" in block.text:
                await follow(shell, block, twilio)
            else:
                await shell.ask(block, shown)


async def follow(shell: Shell, block: Block, twilio: Twilio) -> None:
    """Read along until the hang-up, and compare the events with those that are shown."""
    customer = shell.customer
    call = await speaking(customer)
    reading = asyncio.create_task(shell.run(block))
    while not customer.gateway.live.watched(customer.key.account_id, CALL_SID):
        assert not reading.done(), await reading
        await asyncio.sleep(0.01)
    await call.say("I need help with my account, my PIN is 5614", Role.CUSTOMER)
    await twilio.socket.close()
    events = dict(re.findall(r"event: (\w+)\ndata: (.*)", await reading))
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"event: (\w+)\ndata: (.*)", text))
    assert set(told) == {"partial", "final", "ended"}
    for name, data in events.items():
        assert set(shape(json.loads(data))) == set(shape(json.loads(told[name])))
    assert set(events) == {"final", "ended"}
    assert json.loads(events["final"])["text"] == json.loads(told["final"])["text"]


@pytest.mark.parametrize("page", ["configuration-api.md", "feeds.md"])
async def test_the_examples_of_what_it_links_to_run(shell: Shell, page: str) -> None:
    pairs = examples(page)
    assert pairs
    for block, shown in pairs:
        await shell.ask(block, shown)


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
async def test_a_whole_day_is_fetched(shell: Shell) -> None:
    (block,) = [block for block in blocks("bash") if block.page.name == "feeds.md" and "jq -r" in block.text]
    await shell.run(block)
    lines = (shell.folder / "utterances.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["utterance"] for line in lines] == [
        "How can I help you?",
        "My PIN is ####.",
        "One moment, please.",
    ]


def test_the_posts_shown_are_what_redaction_makes() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    hidden = Redactor().redact("My PIN is 5614.", Role.CUSTOMER).text
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `\{\"text\": \"(.*?)\".*?\| (\w+) \|$", text, re.MULTILINE)
    assert rows == [
        ("redacted", "false", hidden, "redacted"),
        ("unredacted", "false", "My PIN is 5614.", "unredacted"),
        ("unredacted", "true", "My PIN is 5614.", "unredacted"),
        ("redacted_and_unredacted", "false", hidden, "redacted"),
    ]


def test_the_table_of_errors_is_complete() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{3}) \| (`[^|]+`) \|", text, re.MULTILINE)
    told = {code for status, codes in rows for code in re.findall(rf"`({status}-\d+)`", codes)}
    assert told == set(CODES) == {*ERRORS, "405-01"}
