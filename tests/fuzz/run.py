"""Coverage-guided fuzzing of the kernels: ``python -m tests.fuzz.run [TARGET …] --seconds 60`` (``make fuzz``).

Starts from the inputs in ``tests/fuzz/corpus``; what is found on the way waits in ``build/fuzz`` for the next run.
``--merge`` writes the least set of inputs that reaches all that was reached back into the corpus.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.build import ROOT, Build, instrumented, run_sanitized
from tests.fuzz.oracles import CHECKS

__all__ = ["CORPUS", "Result", "fuzz", "main", "merge"]

CORPUS = Path(__file__).with_name("corpus")
WORK = ROOT / "build" / "fuzz"
MAX_LENGTH = 12_000
"""Bytes of an input: enough for a reader to give memory back."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run: inputs tried, blocks of C and of the Python twins reached, the report, the input that failed."""

    runs: int
    blocks: int
    report: str
    failed: Path | None


def fuzz(build: Build, target: str, work: Path, seconds: int, *arguments: str, check: str = "") -> Result:
    """Fuzz one target; new inputs go to ``work``, which holds the failing one too if there is any.

    Args:
        build: what to run.
        target: a key of :data:`tests.fuzz.oracles.CHECKS`.
        work: a folder.
        seconds: after so long it ends.
        arguments: more for libFuzzer.
        check: ``module:function`` to call with the bytes instead of the target's check.

    Raises:
        RuntimeError: the fuzzer did not run.
    """
    found = work / "found"
    found.mkdir(parents=True, exist_ok=True)
    folders = [str(folder) for folder in (found, CORPUS / target) if folder.is_dir()]
    options = [f"-max_total_time={seconds}", f"-max_len={MAX_LENGTH}", f"-artifact_prefix={work}/", "-rss_limit_mb=0"]
    ended = _run(build, target, [*options, "-print_final_stats=1", "-timeout=20", *arguments, *folders], check)
    runs = re.search(r"number_of_executed_units: +(\d+)", ended.stderr)
    blocks = re.findall(r"cov: (\d+)", ended.stderr)
    failed = re.search(r"Test unit written to (\S+)", ended.stderr)
    if runs is None and failed is None:
        raise RuntimeError(f"the fuzzer did not run:\n{ended.stdout[-2000:]}{ended.stderr[-4000:]}")
    if ended.returncode and failed is None:
        raise RuntimeError(f"the fuzzer ended with {ended.returncode}:\n{ended.stderr[-4000:]}")
    return Result(
        int(runs[1]) if runs else 0,
        int(blocks[-1]) if blocks else 0,
        ended.stdout + ended.stderr,
        Path(failed[1]) if failed else None,
    )


def merge(build: Build, target: str, work: Path) -> int:
    """Reduce what was found, and the corpus, to what is needed; the number of inputs in the corpus then."""
    least = work / "least"
    shutil.rmtree(least, ignore_errors=True)
    least.mkdir(parents=True)
    folders = [least, CORPUS / target, work / "found"]
    existing = [str(folder) for folder in folders if folder.is_dir()]
    ended = _run(build, target, ["-merge=1", "-rss_limit_mb=0", f"-max_len={MAX_LENGTH}", *existing], "")
    if ended.returncode:
        raise RuntimeError(ended.stderr[-4000:])
    shutil.rmtree(CORPUS / target, ignore_errors=True)
    shutil.copytree(least, CORPUS / target)
    return len(list(least.iterdir()))


def _run(build: Build, target: str, arguments: list[str], check: str) -> subprocess.CompletedProcess[str]:
    return run_sanitized(
        [sys.executable, "-m", "tests.fuzz.target", target, *arguments],
        build.folder,
        build.coverage,
        FUZZ_COVERAGE=str(build.coverage),
        **({"FUZZ_CHECK": check} if check else {}),
    )


def main() -> None:
    """Parse the command line and fuzz; exit code 1 if an input failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[*CHECKS, []], help="default: all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--merge", action="store_true", help="write what was found into the corpus")
    options = parser.parse_args()
    build = instrumented()
    failed = False
    for target in options.targets or CHECKS:
        result = fuzz(build, target, WORK / target, options.seconds)
        print(f"{target}: {result.runs} inputs, {result.blocks} blocks reached", flush=True)
        if result.failed is not None:
            failed = True
            print(f"{result.report[-6000:]}\n{target} failed on {result.failed}", flush=True)
        elif options.merge:
            print(f"{target}: {merge(build, target, WORK / target)} inputs in the corpus", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
