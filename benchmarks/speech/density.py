"""How many calls a core carries: the search for that number, what passes, the table and the plot. No processes here."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["LIMIT_MS", "Row", "as_rows", "carried", "percentile", "plot", "queued", "row", "search", "table"]

LIMIT_MS = 600.0
"""Mark of the 95th percentile, end of speech to webhook."""


@dataclass(frozen=True, slots=True)
class Row:
    """One run of the gateway. Latencies are of the time when all calls spoke, in ms; cores are CPU over wall time, and
    ``parts`` how they divide between event loop, recognizer and the rest (voice activity, store). ``decided`` is the
    95th percentile from the endpoint decision to the webhook's answer, as the gateway counts it in the whole run: what
    ``p95`` has beyond it is mostly the silence that an endpoint waits for.

    ``refused`` counts calls that failed or were not let in, ``lost`` messages and everything dropped, ``shed`` optional
    decodes given up. ``reasons`` says why the run does not count as carried; ``void`` that its load was late.
    """

    calls: int
    p50: float
    p95: float
    p99: float
    decided: float
    transcripts: int
    cores: float
    parts: Mapping[str, float]
    mib: float
    refused: int
    lost: int
    shed: int
    late_ms: float
    void: bool
    reasons: tuple[str, ...]


def row(result: Mapping[str, Any], limit_ms: float = LIMIT_MS) -> Row:
    """A run's row, from :func:`benchmarks.bench_calls.measure`'s result."""
    load = result["load"]
    steady = load["steady"]
    latency = steady["latencyMs"] if steady else load["latencyMs"]
    reasons = list(load["bad"])
    if steady is None:
        reasons.append("there was no time when all calls spoke")
    if latency["p95"] > limit_ms:
        reasons.append(f"p95 of {latency['p95']:.0f} ms is over {limit_ms:.0f}")
    return Row(
        calls=load["calls"]["asked"],
        p50=latency["p50"],
        p95=latency["p95"],
        p99=latency["p99"],
        decided=load["decidedMs"]["p95"],
        transcripts=latency["count"],
        cores=result["steadyCores"],
        parts=result["steadyParts"],
        mib=result["steadyMiB"],
        refused=sum(load["calls"]["errors"].values()),
        lost=load["messages"]["lost"] + round(sum(load["dropped"].values())),
        shed=round(sum(load["shed"].values())),
        late_ms=load["pacingMs"]["p99"],
        void=load["void"],
        reasons=tuple(reasons),
    )


def search(steps: Sequence[int], resolution: int, run: Callable[[int], bool | None]) -> tuple[int, int | None]:
    """The largest number that passes, and the least that does not.

    The steps are tried upwards until one fails; then the gap is halved until it is no wider than ``resolution``.

    Args:
        steps: numbers of calls, rising.
        resolution: how exactly it is wanted to be known.
        run: whether a number passes; None if that cannot be told, which ends the search.

    Returns:
        The largest that passed (0: none did), and the least that failed; None if none failed.
    """
    good, bad = 0, None
    for calls in steps:
        passed = run(calls)
        if passed is None:
            return good, None
        if not passed:
            bad = calls
            break
        good = calls
    while bad is not None and bad - good > resolution:
        middle = (good + bad) // 2
        passed = run(middle)
        if passed is None:
            break
        good, bad = (middle, bad) if passed else (good, middle)
    return good, bad


def carried(rows: Iterable[Row]) -> int:
    """The most calls that were carried with fewer never failing; void runs say nothing."""
    judged = [row for row in rows if not row.void]
    failed = min((row.calls for row in judged if row.reasons), default=None)
    return max((row.calls for row in judged if not row.reasons and (failed is None or row.calls < failed)), default=0)


def queued(work: Sequence[tuple[float, float, float]], period: float, starts: Sequence[float]) -> list[float]:
    """How late utterances of many calls are done, one worked on after the other, first come first served.

    Args:
        work: of one call, for each utterance when its speech ends, when it is found to be over, and the time that it
            takes, all in s.
        period: length of the call in s, which is played twice over; what the first round brings is not counted.
        starts: when each call begins.

    Returns:
        For each utterance of the second round the time from the end of its speech to its being done, in s.
    """
    arrivals = [
        (start + turn * period + over, start + turn * period + end, took, turn == 1)
        for start in starts
        for turn in (0, 1)
        for end, over, took in work
    ]
    heapq.heapify(arrivals)
    free, result = 0.0, []
    while arrivals:
        over, end, took, counted = heapq.heappop(arrivals)
        free = max(free, over) + took
        if counted:
            result.append(free - end)
    return result


def table(document: Mapping[str, Any]) -> str:
    """The result for a terminal."""
    lines = [
        document["machine"],
        f"{document['recording']}, {document['seconds']:.0f} s with all calls, both tracks, the gateway on one core",
        "calls    p50    p95    p99 ms   decided p95   transcripts   core = loop + recognizer + rest    MiB   "
        "refused   lost   shed   load late",
    ]
    for one in document["rows"]:
        lines.append(
            f"{one['calls']:5d} {one['p50']:6.0f} {one['p95']:6.0f} {one['p99']:6.0f} {one['decided']:13.0f} "
            f"{one['transcripts']:14d} "
            f"{one['cores']:6.2f}   {_parts(one['parts']):26} {one['mib']:6.0f} {one['refused']:9d} {one['lost']:6d} "
            f"{one['shed']:6d} "
            f"{one['late_ms']:8.1f} ms   {'void' if one['void'] else '; '.join(one['reasons']) or 'carried'}"
        )
    lines.append(f"gateway         {document['carried']} calls a core with p95 ≤ {document['limitMs']:.0f} ms")
    for name, peer in document["peers"].items():
        lines.append(
            f"{name:15} {peer['carried']} calls a core as early, {peer['byCpu']:.1f} if all its time were used "
            f"({peer['coresPerCall']:.4f} core a call; {peer['how']}): the gateway carries {peer['ratio']:.1f} ×"
        )
    return "\n".join(lines)


def _parts(parts: Mapping[str, float]) -> str:
    return f"{parts['loop']:4.2f}   {parts['recognizer']:10.2f}   {parts['rest']:4.2f}" if parts else ""


def plot(document: Mapping[str, Any], path: Path) -> None:
    """Draw latency and CPU against calls; the suffix of ``path`` tells the format.

    Raises:
        ImportError: matplotlib is not installed (dependency group ``bench``).
    """
    # Without a display.
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = sorted((one for one in document["rows"] if not one["void"]), key=lambda one: one["calls"])
    calls = [one["calls"] for one in rows]
    # What is drawn twice is the same file twice.
    matplotlib.rcParams["svg.hashsalt"] = "density"
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    left = figure.add_subplot()
    for name in ("p50", "p95", "p99"):
        left.plot(calls, [one[name] for one in rows], marker="o", label=name)
    left.axhline(document["limitMs"], color="grey", linestyle="--", linewidth=1, label=f"{document['limitMs']:.0f} ms")
    top = max([2.5 * document["limitMs"], *(one["p50"] for one in rows)])
    left.set(xlabel="calls on one core", ylabel="end of speech to webhook, ms", ylim=(0, top), xlim=(0, None))
    for number, (name, peer) in enumerate(document["peers"].items()):
        left.axvline(peer["byCpu"], color=f"C{5 + number}", linestyle=":", label=f"{name}, all its time used")
    right = left.twinx()
    right.plot(calls, [100 * one["cores"] for one in rows], color="black", alpha=0.4, marker=".", label="CPU")
    right.set(ylabel="CPU of the core, %", ylim=(0, 105))
    left.legend(loc="upper left", fontsize="small")
    title = f"{document['carried']} calls on one core with p95 ≤ {document['limitMs']:.0f} ms"
    left.set_title(title, fontsize="medium")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def as_rows(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows for JSON."""
    return [asdict(row) for row in rows]


def percentile(values: Sequence[float], share: float) -> float:
    """Of some values; infinite if there are none."""
    return float(np.percentile(values, 100 * share)) if len(values) else float("inf")
