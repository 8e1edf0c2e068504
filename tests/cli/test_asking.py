"""What the commands share that ask a gateway."""

from __future__ import annotations

import pytest
from rich.console import Console
from yarl import URL

from gateway.cli.asking import ask, here, table
from gateway.errors import UsageError
from gateway.peers.client import GatewayClient, Json
from tests.cli.command import gateway_here
from tests.cli.conftest import Place
from tests.peers.peer import Peer


def test_a_question_is_asked_with_the_key(peer_in_thread: Peer) -> None:
    async def question(gateway: GatewayClient) -> str:
        return await gateway.stream_url()

    assert ask(question, peer_in_thread.url, "id", "secret", False, None).startswith("ws")
    with pytest.raises(UsageError, match="go together"):
        ask(question, peer_in_thread.url, "id", None, False, None)


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"HOST": "0.0.0.0", "PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"HOST": "::"}, "http://[::1]:8080"),
        ({"HOST": "10.0.0.7", "TLS__CERT": "c.pem"}, "https://10.0.0.7:8080"),
        ({"HOST": "localhost"}, "http://localhost:8080"),
    ],
)
def test_a_gateway_is_asked_where_its_settings_say(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str
) -> None:
    for name in ("HOST", "PORT", "TLS__CERT"):
        monkeypatch.delenv(f"GATEWAY_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(f"GATEWAY_{name}", value)
    assert here() == url
    for wrong in ("0", "http", "99999", "٣"):
        monkeypatch.setenv("GATEWAY_PORT", wrong)
        with pytest.raises(UsageError, match="GATEWAY_PORT: is no port"):
            here()


async def test_the_commands_find_it_in_the_environment(place: Place) -> None:
    key = {"GATEWAY_API_ID": place.key.api_id, "GATEWAY_API_SECRET": place.key.api_secret}
    for where in (
        {"GATEWAY_URL": place.url, "GATEWAY_PORT": "1"},
        {"GATEWAY_PORT": str(URL(place.url).port), "GATEWAY_HOST": "0.0.0.0"},
    ):
        ended = await gateway_here("vocabulary", "list", **key, **where)
        assert (ended.code, ended.err) == (0, "no phrases\n")


def test_a_table_has_the_columns_that_hold_something() -> None:
    rows: list[Json] = [{"a": 1, "b": None}, {"a": "[red]x[/]", "c": False}]
    console = Console(width=80)
    with console.capture() as captured:
        console.print(table(rows, ("a", "b", "c")))
    assert [line.split() for line in captured.get().splitlines()] == [["a", "c"], ["1"], ["[red]x[/]", "False"]]
