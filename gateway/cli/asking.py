"""What the commands share that ask a running gateway: their options, the request, tables of what it answers."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Column, Table
from rich.text import Text

from gateway.errors import UsageError
from gateway.peers.client import GatewayClient, Json, credentials, tls_context

__all__ = ["URL", "ApiId", "ApiSecret", "AsJson", "Ca", "Insecure", "Url", "ask", "here", "table", "whole"]

_Result = TypeVar("_Result")

Url = Annotated[
    str | None,
    typer.Option(
        envvar="GATEWAY_URL",
        show_envvar=True,
        show_default="GATEWAY_HOST and GATEWAY_PORT on this machine, http://127.0.0.1:8080",
        help="The gateway.",
    ),
]
ApiId = Annotated[str | None, typer.Option(envvar="GATEWAY_API_ID", show_envvar=True)]
ApiSecret = Annotated[str | None, typer.Option(envvar="GATEWAY_API_SECRET", show_envvar=True)]
Insecure = Annotated[bool, typer.Option("--insecure", help="Do not check the gateway's certificate.")]
Ca = Annotated[Path | None, typer.Option(help="PEM file with the CA of the gateway's certificate.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]

URL = None
"""No address was given: it is the one that :func:`here` finds."""


def here() -> str:
    """Where a gateway with the settings of this environment is, from this machine.

    Raises:
        UsageError: GATEWAY_PORT is no port.
    """
    host, port = os.environ.get("GATEWAY_HOST") or "127.0.0.1", os.environ.get("GATEWAY_PORT") or "8080"
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise UsageError("GATEWAY_PORT: is no port that one can ask; give --url or GATEWAY_URL")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        # Who listens on all addresses listens on this one, too.
        loopback = "::1" if address.version == 6 else "127.0.0.1"
        host = loopback if address.is_unspecified else host
        host = f"[{host}]" if address.version == 6 else host
    return f"{'https' if os.environ.get('GATEWAY_TLS__CERT') else 'http'}://{host}:{port}"


def ask(
    question: Callable[[GatewayClient], Awaitable[_Result]],
    url: str | None,
    api_id: str | None,
    api_secret: str | None,
    insecure: bool,
    ca: Path | None,
) -> _Result:
    """What the gateway answers, with the address and the key that were given or lie at hand.

    Raises:
        UsageError: there is no key, or the URL or the CA is wrong.
        PeerError: no gateway there, or it refused.
    """

    url = url or here()

    async def asked() -> _Result:
        async with client as gateway:
            return await question(gateway)

    context = tls_context(insecure=insecure, ca=ca)
    client = GatewayClient(url, *credentials(url, api_id, api_secret), context)
    return asyncio.run(asked())


def table(rows: list[Json], columns: tuple[str, ...]) -> Table:
    """Columns that have something in them; cells are text, never markup."""
    filled = [column for column in columns if any(row.get(column) is not None for row in rows)]
    made = Table(*map(whole, filled), box=None, pad_edge=False)
    for row in rows:
        made.add_row(*(Text("" if row.get(column) is None else str(row[column])) for column in filled))
    return made


def whole(name: str) -> Column:
    """A column whose cells are copied by hand: never cut off."""
    return Column(name, no_wrap=True, overflow="ignore")
