"""How late each transcript of one call was, and what it cuts in two: the reckoning of ``bench_latency``. No I/O.

All times are ms of the recording, which goes on behind its end with its beginning again.

* *matched*: a transcript whose end lies within 400 ms of a labelled end of speech; of several for one label the
  nearest. Its latency counts from the time when the 20 ms frame that holds the label's last speech was due.
* *cut*: a transcript that ends inside a labelled utterance (from where speech begins to its border): matched with an
  end that is no border, or with none. What ends where nobody speaks is *stray*: a noise that became words.
* *joined*: borders within a transcript; the price of waiting.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.load.tally import MATCH_MS, Said, Spread
from benchmarks.speech.labels import Labels
from gateway.participants import Track
from gateway.peers.emitter import FRAME_MS

__all__ = ["MARKS", "Judged", "judge", "marks", "report", "table"]

BORDER_MS = MATCH_MS
"""Nearer to its border a transcript's end does not cut the utterance."""

CLOSING_MS = 500
"""A transcript that ends so near to the end of its pass may have been ended by it."""

MARKS = {"p50": 350.0, "p95": 600.0, "after": 120.0, "utterances": 12.0}
"""Milliseconds from the end of speech, and after the decision at the 95th percentile; utterances a minute."""


@dataclass(slots=True)
class Judged:
    """What was made of one or more passes; ``minutes`` is their length together."""

    minutes: float = 0.0
    said: int = 0
    latencies: list[float] = field(default_factory=list)
    at_borders: list[float] = field(default_factory=list)
    """The latencies at borders alone."""
    decisions: list[float] = field(default_factory=list)
    """From the end of speech to the endpoint's decision, where that is known: the same on every machine."""
    after: list[float] = field(default_factory=list)
    """From the endpoint's decision, where that is known."""
    cuts: list[tuple[Track, int]] = field(default_factory=list)
    """Where: the track, and the ms of the recording."""
    stray: int = 0
    joined: int = 0

    def add(self, other: Judged) -> None:
        """Take another pass in."""
        for name in ("minutes", "said", "stray", "joined"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("latencies", "at_borders", "decisions", "after", "cuts"):
            getattr(self, name).extend(getattr(other, name))


def judge(said: Sequence[Said], labels: Labels, period_ms: int, begin_ms: int, seconds: float) -> Judged:
    """Judge a pass; what its end cut short is left out.

    Args:
        said: the transcripts, times counted on behind the end of the recording.
        labels: of the recording.
        period_ms: its length.
        begin_ms: where in it the pass began.
        seconds: how long the pass was.
    """
    said = [one for one in said if one.end < begin_ms + seconds * 1000 - CLOSING_MS]
    result = Judged(minutes=seconds / 60, said=len(said))
    turns = range(-1, 2 + max((int(one.end) for one in said), default=0) // period_ms)
    for track in Track:
        mine = sorted((one for one in said if one.track is track), key=lambda one: one.start)
        ends = [end + turn * period_ms for turn in turns for end in labels.ends.get(track, ())]
        borders = [end + turn * period_ms for turn in turns for end in labels.borders.get(track, ())]
        begins = [begin + turn * period_ms for turn in turns for begin in labels.begins.get(track, ())]
        matches = _match(mine, ends)
        at_border = set(borders)
        for number, one in enumerate(mine):
            label = matches.get(number)
            result.joined += sum(one.start + MATCH_MS < border < one.end - MATCH_MS for border in borders)
            if label is not None:
                result.latencies.append(one.at - _due(label))
            if label in at_border:
                result.at_borders.append(result.latencies[-1])
            elif label is not None or _inside(one.end, begins, borders):
                result.cuts.append((track, round(one.end) % period_ms))
            else:
                result.stray += 1
    return result


def _match(said: Sequence[Said], ends: Sequence[int]) -> dict[int, int]:
    """For a transcript's number the label that is its own."""
    nearest: dict[int, tuple[float, int]] = {}
    for number, one in enumerate(said):
        at = bisect.bisect_left(ends, one.end)
        label = min(ends[max(at - 1, 0) : at + 1], key=lambda end: abs(end - one.end), default=None)
        if label is None or abs(label - one.end) > MATCH_MS:
            continue
        if label not in nearest or abs(label - one.end) < nearest[label][0]:
            nearest[label] = abs(label - one.end), number
    return {number: label for label, (_, number) in nearest.items()}


def _due(label: int) -> float:
    """When the frame with the last speech was sent: a frame is sent when its place on the clock begins."""
    return float((label - 1) // FRAME_MS * FRAME_MS)


def _inside(end: float, begins: Sequence[int], borders: Sequence[int]) -> bool:
    """Whether an utterance is under way there: one has begun since the last border, and its own is not near."""
    at = bisect.bisect_left(borders, end)
    if at == len(borders) or borders[at] - end <= BORDER_MS:
        return False
    last = borders[at - 1] if at else float("-inf")
    return any(last < begin < end for begin in begins)


def report(judged: Judged) -> dict[str, Any]:
    """As JSON."""
    minutes = max(judged.minutes, 1e-9)
    return {
        "minutes": round(judged.minutes, 2),
        "utterancesAMinute": round(judged.said / minutes, 2),
        "latencyMs": asdict(Spread.of(judged.latencies)),
        "atBordersMs": asdict(Spread.of(judged.at_borders)),
        "decisionMs": asdict(Spread.of(judged.decisions)),
        "afterDecisionMs": asdict(Spread.of(judged.after)),
        "cutsAMinute": round(len(judged.cuts) / minutes, 2),
        "strayAMinute": round(judged.stray / minutes, 2),
        "joinedAMinute": round(judged.joined / minutes, 2),
        "cutsAt": [f"{track.value} {ms / 1000:.2f}" for track, ms in sorted(judged.cuts)],
    }


def marks(ours: Mapping[str, Any], peer: Mapping[str, Any] | None) -> dict[str, bool]:
    """Which marks are held; the one of cuts only beside moonshine-voice."""
    latency = ours["latencyMs"]
    held = {
        f"p50 <= {MARKS['p50']:.0f} ms": latency["p50"] <= MARKS["p50"],
        f"p95 <= {MARKS['p95']:.0f} ms": latency["p95"] <= MARKS["p95"],
        f"p95 after the decision <= {MARKS['after']:.0f} ms": ours["afterDecisionMs"]["p95"] <= MARKS["after"],
        f"utterances a minute <= {MARKS['utterances']:.0f}": ours["utterancesAMinute"] <= MARKS["utterances"],
    }
    if peer is not None:
        held["cuts a minute <= moonshine-voice's"] = ours["cutsAMinute"] <= peer["cutsAMinute"]
    # Where nothing was measured nothing is held.
    return {name: good and latency["count"] > 0 for name, good in held.items()}


def table(result: Mapping[str, Any]) -> str:
    """For a terminal."""
    lines = [
        f"{result['recording']}, one call, {result['seconds']:.0f} s × {result['repeats']}; ms from the end of speech",
        f"{'':18} {'p50':>6} {'p95':>6} {'decided p50':>12} {'p95':>6} {'after p50':>10} {'p95':>6} "
        f"{'utt/min':>8} {'cuts/min':>9} {'stray':>6} "
        f"{'joined':>7} {'matched':>8}",
    ]
    for name, one in result["systems"].items():
        latency = one["latencyMs"]
        decided, after = (_known(one[name]) for name in ("decisionMs", "afterDecisionMs"))
        lines.append(
            f"{name:18} {latency['p50']:6.0f} {latency['p95']:6.0f} "
            f"{decided[0]:>12} {decided[1]:>6} {after[0]:>10} {after[1]:>6} "
            f"{one['utterancesAMinute']:8.1f} {one['cutsAMinute']:9.2f} {one['strayAMinute']:6.2f} "
            f"{one['joinedAMinute']:7.2f} {latency['count']:8}"
        )
    lines += [f"{'held' if held else 'MISSED':7} {name}" for name, held in result["marks"].items()]
    return "\n".join(lines)


def _known(spread: Mapping[str, Any]) -> tuple[str, str]:
    """Median and 95th percentile; dashes where nothing was measured."""
    return (f"{spread['p50']:.0f}", f"{spread['p95']:.0f}") if spread["count"] else ("–", "–")
