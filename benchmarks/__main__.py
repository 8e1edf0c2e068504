"""``python -m benchmarks [NAME…]``: run the benchmarks, one after the other, each in a process of its own.

Names are those of the files without ``bench_``; none runs them all. What a benchmark needs and cannot find (speech to
measure on, models) it says itself, and the next one runs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import machine

__all__ = ["main"]

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks that were asked for; the number of those that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"{', '.join(names())}; all if none is named")
    chosen = parser.parse_args(arguments).name or names()
    if unknown := [name for name in chosen if name not in names()]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(names())}")
    print(machine(), flush=True)
    failed = 0
    for name in chosen:
        print(f"\n== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.bench_{name}"], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
