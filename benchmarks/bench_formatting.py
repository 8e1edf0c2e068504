"""How much of spoken numbers, money, times and addresses is written as one writes them, and how long does it take?

    python -m benchmarks.bench_formatting [--json] [--keep] [--peers NAME…]

Ours and the libraries of PyPI (each in an environment of its own) at the sentences of ``labelled/formatting``. *Exact*
is the labelled text, character by character. What is right is partly a convention, so *lenient* passes over what may
differ: capitals, spaces before marks, commas in and hyphens between digits, "03:30", how "p.m." is written.
*Stays* is the share of the sentences that must not change and do not (lenient). Times are ms an utterance, the least of
several rounds; *MB* is what an environment holds besides pip.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.machine import machine
from benchmarks.peers import RUNNERS, Peer, ensure
from gateway.errors import PeerError
from gateway.text.formatting import format_text

__all__ = ["LIBRARIES", "Pair", "lenient", "main", "read", "score"]

FOLDER = Path(__file__).parent / "labelled" / "formatting"
RESULTS = Path(__file__).parent / "results" / "formatting.json"
SETS = ("seen", "unseen")
OURS = "gateway"
UNCHANGED = "stays"
ROUNDS = 5
_SCRIPT = "formatting.py"

LIBRARIES = {
    peer.name: peer
    for peer in (
        Peer("text2num", ("text2num==3.1.0",), _SCRIPT, "numbers and ordinals; MIT"),
        Peer("wetext", ("wetext==0.1.8",), _SCRIPT, "WeTextProcessing's grammars without pynini; Apache-2.0"),
        Peer("WeTextProcessing", ("WeTextProcessing==1.2.0",), _SCRIPT, "grammars on pynini; Apache-2.0"),
        # Two of its dependencies come as sources only.
        Peer(
            "nemo",
            ("nemo_text_processing==1.2.0", "--no-binary=cdifflib,wget"),
            _SCRIPT,
            "grammars on pynini; Apache-2.0",
        ),
    )
}

_SPACED_MARK = re.compile(r"\s+(?=[.,?!%])")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[,-](?=\d)|(?<=\d), (?=\d)")
_LEADING_ZERO = re.compile(r"\b0(?=\d:\d\d)")
_HALF_DAY = re.compile(r"\b([ap])\.?\s?m\b\.?")


@dataclass(frozen=True, slots=True)
class Pair:
    """A labelled sentence."""

    kind: str
    spoken: str
    written: str


def read(path: Path) -> list[Pair]:
    """The pairs of a tab-separated file with a header."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Pair(**row) for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]


def lenient(text: str) -> str:
    """A text without what is only a convention."""
    text = _SPACED_MARK.sub("", text.lower())
    text = _BETWEEN_DIGITS.sub("", text)
    return " ".join(_HALF_DAY.sub(r"\1m", _LEADING_ZERO.sub("", text)).rstrip(".").split())


def score(pairs: Sequence[Pair], texts: Sequence[str]) -> dict[str, Any]:
    """Shares of the pairs that are right, by kind (lenient) as well."""
    exact = [text == pair.written for pair, text in zip(pairs, texts, strict=True)]
    alike = [lenient(text) == lenient(pair.written) for pair, text in zip(pairs, texts, strict=True)]

    stays = [pair.kind == UNCHANGED for pair in pairs]
    kinds = {kind: [pair.kind == kind for pair in pairs] for kind in dict.fromkeys(pair.kind for pair in pairs)}
    return {
        "exact": _share(exact, [True] * len(pairs)),
        "lenient": _share(alike, [True] * len(pairs)),
        "changes": _share(alike, [not one for one in stays]),
        "stays": _share(alike, stays),
        "kinds": {kind: _share(alike, of_kind) for kind, of_kind in kinds.items()},
    }


def _share(right: Sequence[bool], counted: Sequence[bool]) -> float | None:
    """The share of what is right of what counts; None if nothing does."""
    taken = [one for one, counts in zip(right, counted, strict=True) if counts]
    return round(sum(taken) / len(taken), 4) if taken else None


def ours(texts: Sequence[str]) -> tuple[list[str], list[float]]:
    """Our texts, and ms each."""
    least = [float("inf")] * len(texts)
    for _ in range(ROUNDS):
        for at, text in enumerate(texts):
            start = time.perf_counter()
            format_text(text)
            least[at] = min(least[at], (time.perf_counter() - start) * 1000)
    return [format_text(text).text for text in texts], least


def theirs(peer: Peer, cache: Path, texts: Sequence[str]) -> tuple[list[str], list[float], int]:
    """A library's texts, ms each, and the MB of its environment.

    Raises:
        PeerError: it cannot be installed, or failed.
    """
    python = ensure(peer, cache)
    command = [str(python), str(RUNNERS / peer.script)]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or len(lines) != len(texts):
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise PeerError(f"{peer.name} wrote {len(lines)} of {len(texts)} texts and ended: {last}")
    failed = sum(one["failed"] for one in lines)
    if failed:
        print(f"{peer.name} raised at {failed} of {len(texts)} texts, which count as left unchanged", file=sys.stderr)
    return [one["text"] for one in lines], [one["ms"] for one in lines], weight(python.parents[1])


def weight(home: Path) -> int:
    """MB of the packages of an environment, without pip and setuptools."""
    packages = (
        path for path in home.glob("lib/python*/site-packages/*") if not path.name.startswith(("pip", "setuptools"))
    )
    files = (file for path in packages for file in ([path] if path.is_file() else path.rglob("*")))
    return round(sum(file.stat().st_size for file in files if file.is_file()) / 1e6)


def _summary(sets: Mapping[str, Sequence[Pair]], texts: Sequence[str], ms: Sequence[float]) -> dict[str, Any]:
    rest = iter(texts)
    scores = {name: score(pairs, [next(rest) for _ in pairs]) for name, pairs in sets.items()}
    p50, p95 = (round(float(value), 3) for value in np.percentile(ms, (50, 95)))
    return {"ms_p50": p50, "ms_p95": p95, "sets": scores}


def table(result: Mapping[str, Any]) -> str:
    """The result for people."""
    lines = [f"{'':18}{'set':8}{'exact':>9}{'lenient':>9}{'changes':>9}{'stays':>9}{'p50 ms':>9}{'p95 ms':>9}{'MB':>7}"]
    for name, one in result["formatters"].items():
        for of, scores in one["sets"].items():
            shares = "".join(f"{scores[key]:9.1%}" for key in ("exact", "lenient", "changes", "stays"))
            lines.append(f"{name:18}{of:8}{shares}{one['ms_p50']:9.3f}{one['ms_p95']:9.3f}{one.get('mb', 0):7}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="*", choices=list(LIBRARIES), default=list(LIBRARIES), help="default: all")
    parser.add_argument("--cache", type=Path, default=peers.FOLDER, help="folder of the peers' environments")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="write the result into benchmarks/results/")
    options = parser.parse_args(arguments)
    sets = {name: read(FOLDER / f"{name}.tsv") for name in SETS}
    texts = [pair.spoken for pairs in sets.values() for pair in pairs]
    formatters = {OURS: _summary(sets, *ours(texts))}
    for name in options.peers:
        try:
            written, ms, megabytes = theirs(LIBRARIES[name], options.cache, texts)
        except PeerError as error:
            print(error, file=sys.stderr)
            continue
        what = {"what": LIBRARIES[name].what, "requirements": list(LIBRARIES[name].requirements), "mb": megabytes}
        formatters[name] = _summary(sets, written, ms) | what
    result = {
        "machine": machine(),
        "sentences": {name: len(pairs) for name, pairs in sets.items()},
        "formatters": formatters,
    }
    if options.keep:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1, ensure_ascii=False) if options.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
