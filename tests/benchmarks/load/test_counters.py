"""A gateway's counters tell what it lost and what it used."""

from __future__ import annotations

import pytest

from benchmarks.load import counters

TICK = "gateway_tick_seconds_bucket"


def test_a_percentile_is_read_off_a_histogram() -> None:
    metrics = {'x_bucket{le="0.1"}': 50.0, 'x_bucket{le="0.2"}': 100.0, 'x_bucket{le="+Inf"}': 101.0, 'y{le="9"}': 1.0}
    assert counters.percentile(metrics, "x_bucket", 0.25) == pytest.approx(50.5)
    assert counters.percentile(metrics, "x_bucket", 0.75) == pytest.approx(151.5)
    assert counters.percentile(metrics, "x_bucket", 1.0) == 200.0
    assert counters.percentile(metrics, "z_bucket", 0.5) == 0.0


def test_optional_decodes_are_shed_and_not_dropped() -> None:
    grown = {
        'gateway_asr_shed_total{kind="partial"}': 3.0,
        'gateway_asr_shed_total{kind="final"}': 1.0,
        'gateway_wire_skipped_total{reason="binary"}': 2.0,
        'gateway_wire_skipped_total{reason="json"}': 0.0,
        "gateway_wire_messages_total": 9.0,
    }
    assert set(counters.dropped(grown).values()) == {1.0, 2.0}
    assert set(counters.shed(grown).values()) == {3.0, 1.0}


def sample(messages: float, cpu: float, mib: float, ticks: float = 0.0) -> dict[str, float]:
    return {
        "gateway_wire_messages_total": messages,
        "process_cpu_seconds_total": cpu,
        "process_resident_memory_bytes": mib * 2**20,
        f'{TICK}{{le="0.01"}}': ticks,
        f'{TICK}{{le="0.1"}}': ticks,
        f'{TICK}{{le="+Inf"}}': ticks,
    }


RUN = [
    (0.0, sample(1000, 5.0, 100, 50)),
    (10.0, sample(51_000, 6.0, 120, 60)),
    (20.0, sample(151_000, 6.5, 140, 160)),
    (30.0, sample(201_000, 8.0, 130, 250)),
]


def test_what_the_gateway_used_while_all_calls_spoke() -> None:
    used = counters.server(RUN, 10, 5.0, 25.0)
    assert used["steady"] is True
    assert (used["messagesPerSecond"], used["cores"], used["cpuUsPerMessage"]) == (10_000, 0.05, 5.0)
    assert (used["residentMiB"], used["kibPerCall"]) == (140.0, 4096.0)
    assert (used["ticks"], used["tickMs"]["p50"], used["steadyTickMs"]["p99"]) == (200, 5.0, 9.9)


def test_what_it_used_in_the_whole_run_if_there_was_no_such_time() -> None:
    used = counters.server(RUN, 10, 11.0, 12.0)
    assert (used["steady"], used["seconds"], used["cpuUsPerMessage"]) == (False, 30.0, 15.0)
    assert used["residentMiB"] == 140.0


def test_a_gateway_that_does_not_tell_its_use() -> None:
    used = counters.server([(0.0, {}), (1.0, {"gateway_wire_messages_total": 5.0})], 1, 0.0, 0.0)
    assert set(used) == {"steady", "seconds", "tickMs", "ticks", "messagesPerSecond"}
    assert used["messagesPerSecond"] == 5
