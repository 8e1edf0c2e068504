"""What the commands share that ask a gateway."""

from __future__ import annotations

import pytest
from rich.console import Console

from gateway.cli.asking import ask, table
from gateway.errors import UsageError
from gateway.peers.client import GatewayClient, Json
from tests.peers.peer import Peer


def test_a_question_is_asked_with_the_key(peer_in_thread: Peer) -> None:
    async def question(gateway: GatewayClient) -> str:
        return await gateway.stream_url()

    assert ask(question, peer_in_thread.url, "id", "secret", False, None).startswith("ws")
    with pytest.raises(UsageError, match="go together"):
        ask(question, peer_in_thread.url, "id", None, False, None)


def test_a_table_has_the_columns_that_hold_something() -> None:
    rows: list[Json] = [{"a": 1, "b": None}, {"a": "[red]x[/]", "c": False}]
    console = Console(width=80)
    with console.capture() as captured:
        console.print(table(rows, ("a", "b", "c")))
    assert [line.split() for line in captured.get().splitlines()] == [["a", "c"], ["1"], ["[red]x[/]", "False"]]
