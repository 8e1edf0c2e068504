"""What a gateway's own counters say about a load run: losses, ticks, its processor time and memory. No I/O."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["MESSAGES", "Metrics", "Sample", "decided", "dropped", "percentile", "server", "shed"]

Metrics = Mapping[str, float]
Sample = tuple[float, Metrics]
"""The monotonic clock, and all metrics then."""

# Counters that should not move in a run without faults.
LOSSES = (
    "gateway_audio_dropped_samples_total",
    "gateway_asr_shed_total",
    "gateway_asr_failed_total",
    "gateway_wire_skipped_total",
    "gateway_webhook_dropped_total",
    "gateway_store_dropped_total",
    "gateway_store_failed_total",
)
# A speculative or partial decode is optional work: giving it up loses nothing.
OPTIONAL = ('kind="speculative"', 'kind="partial"')
SHED = "gateway_asr_shed_total"
MESSAGES = "gateway_wire_messages_total"
DELIVERY = "gateway_delivery_seconds_bucket"
TICKS = "gateway_tick_seconds_bucket"
CPU = "process_cpu_seconds_total"
RESIDENT = "process_resident_memory_bytes"


def percentile(metrics: Metrics, name: str, share: float) -> float:
    """In ms, from a histogram of seconds: read off a straight line within the bucket that holds it; 0 of nothing.

    Args:
        metrics: ``name{le="0.1"}`` and its like, cumulative.
        name: of the buckets.
        share: 0 to 1.
    """
    found = re.compile(rf'{name}{{le="([^"]+)"}}')
    buckets = sorted((float(match[1]), count) for key, count in metrics.items() if (match := found.fullmatch(key)))
    wanted = share * buckets[-1][1] if buckets else 0.0
    low, below = 0.0, 0.0
    for edge, count in buckets:
        if wanted and count >= wanted:
            within = (wanted - below) / (count - below) if edge < math.inf else 0.0
            return round(1000 * (low + within * (edge - low if edge < math.inf else 0.0)), 1)
        low, below = edge, count
    return 0.0


def decided(grown: Metrics) -> dict[str, float]:
    """Endpoint decision to the webhook's answer, ms."""
    return {f"p{share}": percentile(grown, DELIVERY, share / 100) for share in (50, 95)}


def dropped(grown: Metrics) -> dict[str, float]:
    """What should not have grown, and by how much."""
    return {
        name: value
        for name, value in grown.items()
        if value and name.startswith(LOSSES) and not any(kind in name for kind in OPTIONAL)
    }


def shed(grown: Metrics) -> dict[str, float]:
    """Decodes given up, optional ones too."""
    return {name: value for name, value in grown.items() if value and name.startswith(SHED)}


def server(samples: Sequence[Sample], calls: int, begin: float, end: float) -> dict[str, Any]:
    """What the gateway's process used.

    Processor time, messages and memory are of the time when all calls spoke if two samples lie in it, else of the whole
    run; ticks are of the whole run, and once more of that time.

    Args:
        samples: in order; the first is of before the run, the last of after it.
        calls: how many there were.
        begin: of that time, by the monotonic clock.
        end: of that time.
    """
    inside = [sample for sample in samples if begin <= sample[0] <= end]
    (since, first), (until, last) = (inside[0], inside[-1]) if len(inside) > 1 else (samples[0], samples[-1])
    before, after = samples[0][1], samples[-1][1]
    ticks = _grown(before, after, TICKS)
    found: dict[str, Any] = {
        "steady": len(inside) > 1,
        "seconds": round(until - since, 1),
        "tickMs": _ticks(ticks),
        "ticks": int(ticks.get(TICKS + '{le="+Inf"}', 0)),
    }
    if len(inside) > 1:
        found["steadyTickMs"] = _ticks(_grown(first, last, TICKS))
    messages = last.get(MESSAGES, 0.0) - first.get(MESSAGES, 0.0)
    if until > since:
        found["messagesPerSecond"] = round(messages / (until - since))
    # A gateway without these tells them nowhere else, since it may be another machine's.
    if CPU in last and CPU in first and until > since:
        used = last[CPU] - first[CPU]
        found["cores"] = round(used / (until - since), 3)
        found["cpuUsPerMessage"] = round(used / messages * 1e6, 2) if messages else 0.0
    if RESIDENT in before:
        most = max(sample[1].get(RESIDENT, 0.0) for sample in (inside if len(inside) > 1 else samples))
        found["residentMiB"] = round(most / 2**20, 1)
        found["kibPerCall"] = round((most - before[RESIDENT]) / 1024 / calls, 1)
    return found


def _grown(before: Metrics, after: Metrics, prefix: str) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items() if name.startswith(prefix)}


def _ticks(grown: Metrics) -> dict[str, float]:
    shares = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999))
    return {name: percentile(grown, TICKS, share) for name, share in shares}
