"""Identifiers: ULIDs for what is kept, UUIDv1 for streams, opaque ids for requests."""

from __future__ import annotations

import secrets
import time
import uuid

__all__ = ["first_ulid", "new_request_id", "new_stream_id", "new_ulid"]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid(now: float | None = None) -> str:
    """A ULID (26 characters, Crockford base 32): 48 bits of ms since the epoch, 80 random bits.

    Source: https://github.com/ulid/spec. Sorts by time to the millisecond.
    """
    milliseconds = int((time.time() if now is None else now) * 1000) & (1 << 48) - 1
    return _crockford(milliseconds << 80 | secrets.randbits(80))


def first_ulid(at: float) -> str:
    """The least ULID of a moment, in seconds since the epoch: what was made then or later sorts behind it."""
    return _crockford((int(at * 1000) & (1 << 48) - 1) << 80)


def _crockford(value: int) -> str:
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


# A random node id with the multicast bit (RFC 9562 §6.10): the machine's own address stays private.
_NODE = secrets.randbits(48) | 1 << 40


def new_stream_id() -> str:
    """A UUIDv1, as the documented streamIds are; its node is random."""
    return str(uuid.uuid1(node=_NODE))


def new_request_id() -> str:
    """An opaque id for one API request."""
    return str(uuid.uuid4())
