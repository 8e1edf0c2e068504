"""What the accuracy benchmark makes of what was heard: error rates, differences, tables. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.audio.conditions import CLEAN, CONDITIONS, DISTURBED, SEED
from benchmarks.peers import PEERS, Heard
from benchmarks.speech.wer import RESAMPLES, Score, difference, one_word, score
from gateway.speech.engine import Pcm

__all__ = ["ALL", "OURS", "Item", "report", "table"]

OURS = "gateway"
ALL = "all eight"
"""The part that holds every disturbed condition."""

RATE = 8000

Scores = Mapping[str, Sequence[Score]]
"""Each system's, one an item."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file in one condition, as it comes out of the line; ``text`` is what was said."""

    id: str
    condition: str
    text: str
    pcm: Pcm


def report(items: Sequence[Item], heard: Mapping[str, Sequence[Heard]]) -> dict[str, Any]:
    """Word error rates of every system, and how the gateway compares with each of the others.

    Args:
        items: what was played.
        heard: what each system made of it, one an item; :data:`OURS` is among them.
    """
    scores = {
        name: [score(item.text, one.texts) for item, one in zip(items, texts, strict=True)]
        for name, texts in heard.items()
    }
    kept = [row for row, item in enumerate(items) if not one_word(item.text)]
    parts = _parts(items, kept)
    seconds = sum(len(item.pcm) for item in items) / RATE
    return {
        "seed": SEED,
        "resamples": RESAMPLES,
        "systems": {name: _what(name) for name in heard},
        "conditions": {name: CONDITIONS[name].what for name in parts if name in CONDITIONS},
        "files": len({items[row].id for row in kept}),
        "apart": sorted({item.id for item in items} - {items[row].id for row in kept}),
        "wer": {part: {name: _rate(of, rows) for name, of in scores.items()} for part, rows in parts.items()},
        "kinds": {part: {name: _kinds(of, rows) for name, of in scores.items()} for part, rows in parts.items()},
        "differences": {
            part: _differences(items, scores, rows) for part, rows in parts.items() if part in (CLEAN.name, ALL)
        },
        "cpuPerSecond": {name: round(sum(one.cpu for one in of) / seconds, 4) for name, of in heard.items()},
        "items": [
            {"id": item.id, "condition": item.condition}
            | {name: {"errors": of[row].errors, "alignment": _aligned(of[row])} for name, of in scores.items()}
            | {"words": scores[OURS][row].words}
            for row, item in enumerate(items)
        ],
    }


def _what(name: str) -> str:
    if name not in PEERS:
        return "its own path with its settings, unredacted"
    return f"{', '.join(PEERS[name].requirements)}: {PEERS[name].what}"


def _parts(items: Sequence[Item], kept: Sequence[int]) -> dict[str, list[int]]:
    """The rows of each condition, and of all disturbed ones if none is missing."""
    parts: dict[str, list[int]] = {}
    for row in kept:
        parts.setdefault(items[row].condition, []).append(row)
    if all(condition.name in parts for condition in DISTURBED):
        parts[ALL] = [row for condition in DISTURBED for row in parts[condition.name]]
    return parts


def _rate(scores: Sequence[Score], rows: Sequence[int]) -> float:
    return round(sum(scores[row].errors for row in rows) / max(1, sum(scores[row].words for row in rows)), 5)


def _kinds(scores: Sequence[Score], rows: Sequence[int]) -> dict[str, int]:
    kinds = ("words", "substitutions", "deletions", "insertions", "border")
    return {kind: sum(getattr(scores[row], kind) for row in rows) for kind in kinds}


def _differences(items: Sequence[Item], scores: Scores, rows: Sequence[int]) -> dict[str, dict[str, float]]:
    ours = _by_file(items, scores[OURS], rows)
    return {
        name: {bound: round(value, 4) for bound, value in asdict(difference(ours, _by_file(items, of, rows))).items()}
        for name, of in scores.items()
        if name != OURS
    }


def _by_file(items: Sequence[Item], scores: Sequence[Score], rows: Sequence[int]) -> NDArray[np.int64]:
    """Word errors of each file in all of its ``rows``."""
    files = {name: index for index, name in enumerate(sorted({items[row].id for row in rows}))}
    errors = np.zeros(len(files), np.int64)
    for row in rows:
        errors[files[items[row].id]] += scores[row].errors
    return errors


def _aligned(one: Score) -> list[str]:
    return [f"{error.reference or '∅'} → {error.heard or '∅'}" for error in one.alignment]


def table(result: Mapping[str, Any]) -> str:
    """A report for a terminal."""
    names = list(result["systems"])
    lines = [f"{name:<16} {what}" for name, what in result["systems"].items()]
    lines += ["", f"{'word error rate %':<18}" + "".join(f"{name:>17}" for name in names)]
    for part, rates in result["wer"].items():
        what = result["conditions"].get(part, "the disturbed conditions together")
        lines.append(f"{part:<18}" + "".join(f"{100 * rates[name]:17.1f}" for name in names) + f"   {what}")
    if CLEAN.name in result["wer"] and ALL in result["wer"]:
        lines += ["", *_by_file_lines(result, names)]
    lines += ["", "kinds of errors: substituted + left out + put in, of those at a border between utterances"]
    for part, kinds in result["kinds"].items():
        if part in (CLEAN.name, ALL):
            lines += [f"{part:<10} {name:<16} {_kinds_text(kinds[name])}" for name in names]
    lines += [
        "",
        f"the gateway against each, 95 % by {result['resamples']} paired bootstraps of {result['files']} files",
    ]
    for part, peers in result["differences"].items():
        for name, bounds in peers.items():
            values = "{relative:+.1%}  ({low:+.1%} to {high:+.1%})".format(**bounds)
            lines.append(f"{part:<10} {name:<16} {values}")
    cpu = ", ".join(f"{name} {value:.3f}" for name, value in result["cpuPerSecond"].items())
    lines += ["", f"processor time a second of audio: {cpu}"]
    return "\n".join(lines)


def _kinds_text(kinds: Mapping[str, int]) -> str:
    return (
        f"{kinds['substitutions']:4} + {kinds['deletions']:3} + {kinds['insertions']:3} of {kinds['words']} words, "
        f"{kinds['border']} at a border"
    )


def _by_file_lines(result: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Errors of each file, clean and in all disturbed conditions together."""
    files: dict[str, dict[str, list[int]]] = {}
    words: dict[str, int] = {}
    for item in result["items"]:
        row = files.setdefault(item["id"], {name: [0, 0] for name in names})
        words[item["id"]] = item["words"]
        for name in names:
            row[name][item["condition"] != CLEAN.name] += item[name]["errors"]
    lines = [f"{'errors: clean / 8':<18}" + "".join(f"{name:>17}" for name in names)]
    for file, row in files.items():
        cells = "".join(f"{f'{clean} / {bad}':>17}" for clean, bad in (row[name] for name in names))
        apart = " (one word once normalised: told apart, in no sum)" if file in result["apart"] else ""
        lines.append(f"{file:<18}{cells}   of {words[file]} words{apart}")
    return lines
