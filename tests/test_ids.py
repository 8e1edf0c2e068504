from __future__ import annotations

import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from gateway.ids import new_request_id, new_stream_id, new_ulid


def test_ulid_of_the_specification() -> None:
    """The first ten characters are the time: https://github.com/ulid/spec shows 01ARZ3NDEK for 1469922850.259 s."""
    assert new_ulid(1469922850.259).startswith("01ARZ3NDEK")


@given(st.floats(0, 2**47 / 1000), st.floats(0, 2**47 / 1000))
def test_ulids_sort_by_time(first: float, second: float) -> None:
    one, two = new_ulid(first), new_ulid(second)
    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", one)
    if int(first * 1000) < int(second * 1000):
        assert one < two


def test_ids_are_unique() -> None:
    assert len({new_ulid() for _ in range(1000)}) == 1000
    assert len({new_stream_id() for _ in range(1000)}) == 1000
    assert len({new_request_id() for _ in range(1000)}) == 1000


def test_stream_ids_are_uuid1_and_tell_no_hardware_address() -> None:
    value = uuid.UUID(new_stream_id())
    assert value.version == 1
    # The multicast bit marks a node that is no network card's (RFC 9562 §6.10).
    assert value.node >> 40 & 1 == 1
