"""Where a request comes from, and whether its keys crossed the net in the clear.

``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed only from ``GATEWAY_TRUSTED_PROXIES``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

__all__ = ["Origin", "Proxies"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Origin:
    """The client's address as far as it is known, and whether the whole way was TLS or this machine's own."""

    remote: str | None
    private: bool


class Proxies:
    """The proxies whose headers are believed.

    Args:
        networks: addresses or networks, as ``GATEWAY_TRUSTED_PROXIES`` lists them.
    """

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]

    def origin(self, request: web.Request) -> Origin:
        """Where ``request`` comes from."""
        peer = request.remote
        address = _address(peer)
        local = address is None or address.is_loopback
        if address is None or not self._trusts(address):
            return Origin(peer, request.secure or local)
        forwarded = self._forwarded(request.headers.getall("X-Forwarded-For", []))
        scheme = request.headers.get("X-Forwarded-Proto", "").split(",")[0].strip().lower()
        private = scheme == "https" if scheme else request.secure or (local and forwarded is None)
        return Origin(str(forwarded) if forwarded is not None else peer, private)

    def _forwarded(self, headers: list[str]) -> Address | None:
        """The nearest address that is none of our proxies: whatever stands before it, anybody may have written."""
        for part in reversed(",".join(headers).split(",")):
            address = _address(part.strip())
            if address is None:
                return None
            if not self._trusts(address):
                return address
        return None

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _address(text: str | None) -> Address | None:
    try:
        return ipaddress.ip_address(text or "")
    except ValueError:
        return None
