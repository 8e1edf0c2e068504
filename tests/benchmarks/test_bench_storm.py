"""A small storm is measured whole, and whatever was refused, lost or late is bad."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from benchmarks import bench_storm
from benchmarks.bench_storm import Storm, bad, measure, table


@pytest.mark.parametrize("tls", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["plain", "TLS"])
async def test_a_small_storm(monkeypatch: pytest.MonkeyPatch, tls: bool) -> None:
    monkeypatch.setattr(bench_storm, "SETTLE_S", 0.2)
    found = await measure(Storm(sockets=20, seconds=0.2, carried=2, tls=tls))
    assert [each["ending"] for each in found["rounds"]] == ["fin", "rst"]
    for each in found["rounds"]:
        assert (each["admitted"], each["share"], each["gone"]) == (20, 1.0, True)
        assert each["upgradeMs"]["count"] == each["startMs"]["count"] == 20
        assert each["apiMs"]["count"] > 0
    assert found["messages"]["counted"] == found["messages"]["sent"] > 2 * 20 * 2
    assert (found["errors"], found["dropped"], found["apiFailed"]) == ({}, {}, 0)
    # A busy machine may void the run; nothing else may be wrong with it.
    assert [reason for reason in found["bad"] if "void" not in reason] == []
    shown = table({"machine": "here", "loadAverage": 1.0, "storms": [found]})
    assert ("TLS: 20 sockets" if tls else "plain: 20 sockets") in shown
    assert "admitted 100.0%" in shown
    _every_fault_is_told(found)


def _every_fault_is_told(good: dict[str, Any]) -> None:
    def told(**faults: Any) -> str:
        found = copy.deepcopy(good)
        for each in found["rounds"]:
            each["lateMs"]["p99"] = 0.0
        assert bad(found) == []
        found["rounds"][0] |= faults.pop("round", {})
        (reason,) = bad(found | faults)
        return reason

    assert told(messages={"sent": 10, "counted": 7}).startswith("3 of 10 messages")
    assert "gateway_wire_skipped" in told(dropped={"gateway_wire_skipped_total": 1})
    assert "upgrade 503" in told(errors={"upgrade 503": 2})
    assert told(apiFailed=4) == "4 requests failed"
    assert told(round={"share": 0.9, "admitted": 18}) == "fin: 2 sockets not admitted"
    assert "not over" in told(round={"gone": False})
    assert "void" in told(round={"lateMs": {"p99": 25.0}})
    # A round that was sent badly counts for nothing if another one was not; what it lost counts.
    late = {**good["rounds"][0], "lateMs": {"p99": 25.0}}
    rounds = [{**each, "lateMs": {"p99": 1.0}} for each in good["rounds"]]
    assert bad(good | {"rounds": [late, *rounds]}) == []
    assert len(bad(good | {"rounds": [late | {"gone": False}, *rounds]})) == 1
