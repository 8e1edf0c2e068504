"""What does a compiled kernel take, beside its Python twin and what a user would take instead?

pytest-benchmark times :mod:`benchmarks.kernels.cases`: each side of each contest, in turns, collector off; what counts
is the least round of all turns, a round being at least a millisecond of calls. The price of calling from Python, 30 to
50 ns, is in all of them; the tick calls the kernels from C.

    python -m benchmarks.bench_kernels [--kernels scan base64 …] [--turns 3] [--seconds 0.25] [--json] [--keep]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.kernels.cases import LIBRARY, OURS, TWIN, Contest, contests
from benchmarks.machine import machine
from gateway._native import chosen

__all__ = ["main", "measure", "rows", "table"]

RESULT = Path(__file__).parent / "results" / "kernels.json"
MODULE = Path(__file__).parent / "kernels" / "timed.py"
ROUND_S = 0.001
LIBRARIES = ("numpy", "websockets", "orjson", "msgspec", "pybase64", "pytest-benchmark")


def measure(wanted: list[str], turns: int, seconds: float) -> dict[str, Any]:
    """What pytest-benchmark wrote.

    Args:
        wanted: names of kernels, all if none.
        turns: how often each side is timed.
        seconds: each time, about.

    Raises:
        SystemExit: sides differ, or the run failed otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        out = Path(folder) / "kernels.json"
        # Without the options of the tests, which leave this plugin out, and without the cache of their runs.
        command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:xdist"]
        command += ["-p", "no:schemathesis", "--timeout=0", "--benchmark-quiet", "--benchmark-disable-gc"]
        command += [f"--benchmark-min-time={ROUND_S}", f"--benchmark-max-time={seconds}", "--benchmark-columns=min"]
        # Nor as a worker of those: a benchmark times nothing in one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [*command, f"--benchmark-json={out}", str(MODULE)],
            env={**environment, "BENCH_TURNS": str(turns), "BENCH_KERNELS": ",".join(wanted)},
            cwd=MODULE.parents[1],
            check=False,
            stdout=subprocess.PIPE,
            stderr=None if sys.stderr.isatty() else subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"the kernels could not be timed:\n{done.stdout}{done.stderr or ''}")
        found: dict[str, Any] = json.loads(out.read_text())
    return found


def rows(document: dict[str, Any], contest: Contest) -> list[dict[str, Any]]:
    """The sides of a contest with the least time of all their turns, ns for one of its items.

    Args:
        document: of :func:`measure`.
        contest: whose rows are wanted.
    """
    least: dict[str, float] = {}
    for run in document["benchmarks"]:
        if run["extra_info"]["kernel"] == contest.kernel:
            name = run["extra_info"]["side"]
            least[name] = min(least.get(name, float("inf")), run["stats"]["min"])
    ours = least[contest.sides[0].name]
    return [
        {
            "kind": side.kind,
            "name": side.name,
            "ns": round(least[side.name] / contest.items * 1e9, 1),
            "perSecond": round(contest.items / least[side.name]),
            "mbPerSecond": round(contest.size / least[side.name] / 1e6, 1),
            "timesOurs": round(least[side.name] / ours, 2),
        }
        for side in contest.sides
    ]


def table(document: dict[str, Any]) -> str:
    """The result for a terminal."""
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    lines = [f"{document['machine']}; load average {document['loadAverage']:.1f}", versions]
    lines += [f"least of {document['turns']} turns", ""]
    lines += [f"{'kernel':12} {'':28} {'ns':>9} {'a second':>12} {'MB/s':>9} {'× ours':>7}"]
    for kernel in document["kernels"]:
        lines.append(f"{kernel['kernel']:12} {kernel['what']}")
        lines += [
            f"{'':12} {side['name']:28} {side['ns']:9,.1f} {side['perSecond']:12,} {side['mbPerSecond']:9,.1f} "
            f"{side['timesOurs']:7.2f}{'  faster than ours' if side['timesOurs'] < 1 else ''}"
            for side in kernel["sides"]
        ]
    behind = [
        f"{kernel['kernel']} ({side['name']}, {1 / side['timesOurs']:.2f} times as fast)"
        for kernel in document["kernels"]
        for side in kernel["sides"]
        if side["kind"] == LIBRARY and side["timesOurs"] < 1
    ]
    return "\n".join([*lines, "", "slower than a library: " + ("; ".join(behind) or "none")])


def main(arguments: list[str] | None = None) -> int:
    """Time, print, keep the result if asked to; exit code 1 if a kernel is no faster than its twin."""
    all_of_them = contests()
    names = [contest.kernel for contest in all_of_them]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench_kernels", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--kernels", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--turns", type=int, default=3, help="how often each side is timed")
    parser.add_argument("--seconds", type=float, default=0.25, help="each time")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="write the result into benchmarks/results/")
    options = parser.parse_args(arguments)
    if options.turns < 1 or not 0 < options.seconds < 3600:
        parser.error("--turns must be at least 1, --seconds more than 0")
    twins = [name for name, kind in chosen().items() if kind != "compiled"]
    if twins:
        print(f"not compiled: {', '.join(twins)}; run `make setup`, without GATEWAY_NO_EXTENSIONS", file=sys.stderr)
        return 2
    found = measure(options.kernels, options.turns, options.seconds)
    document = {
        "machine": machine(),
        "versions": {name: version(name) for name in LIBRARIES},
        "loadAverage": os.getloadavg()[0],
        "turns": options.turns,
        "kernels": [
            {"kernel": contest.kernel, "what": contest.what, "sides": rows(found, contest)}
            for contest in all_of_them
            if contest.kernel in options.kernels
        ],
    }
    text = json.dumps(document, indent=1, ensure_ascii=False)
    if options.keep:
        RESULT.write_text(text + "\n", encoding="utf-8")
    print(text if options.json else table(document))
    sides = [{side["kind"]: side["ns"] for side in kernel["sides"]} for kernel in document["kernels"]]
    return int(any(side[OURS] >= side[TWIN] for side in sides))


if __name__ == "__main__":
    sys.exit(main())
