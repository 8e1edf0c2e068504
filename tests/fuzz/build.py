"""The kernels built for finding faults: address and undefined-behaviour sanitizers, and coverage for libFuzzer.

The build is a copy of the project in ``build/instrumented``, so that nothing else finds its modules; a second build
compiles only what has changed. It needs gcc with its sanitizers.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["RUNTIMES", "Build", "compile_kernels", "instrumented", "run_sanitized"]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "instrumented"
SANITIZERS = "address,undefined"
COVERAGE_FLAGS = "-fsanitize-coverage=trace-pc,trace-cmp"

# Python keeps much for its whole life, which the leak check would report; `coverage.c` is preloaded before the runtime.
ASAN_OPTIONS = "detect_leaks=0:verify_asan_link_order=0:quarantine_size_mb=32"


def _runtime(name: str) -> Path | None:
    """A sanitizer's runtime library, if this compiler has it."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    found = subprocess.run([compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True)
    path = Path(found.stdout.strip())
    # gcc repeats the bare name of what it does not find.
    return path if path.is_absolute() and path.is_file() else None


RUNTIMES = [_runtime("libasan.so"), _runtime("libubsan.so")]


@dataclass(frozen=True, slots=True)
class Build:
    """A folder to run Python in, and the library that ``coverage.c`` became."""

    folder: Path
    coverage: Path


def compile_kernels(folder: Path, **environment: str) -> None:
    """Build ``folder/native`` with the sanitizers; AssertionError with the compiler's words if that fails."""
    built = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "--build-temp", "objects", "--parallel", "2"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "GATEWAY_BUILD_SANITIZE": SANITIZERS, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr


def compile_coverage(library: Path) -> None:
    """Build ``coverage.c``."""
    source = Path(__file__).with_name("coverage.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)


def instrumented() -> Build:
    """The project's copy, up to date, with its kernels built."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    generated = shutil.ignore_patterns("*.so", "*.c", "__pycache__", "cache")
    library = FOLDER / "coverage.so"
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy2(ROOT / name, FOLDER)
        for name in ("native", "gateway", "models", "benchmarks", "tests"):
            # What was deleted since must not be run.
            for stale in (FOLDER / name).rglob("*.py"):
                stale.unlink()
            shutil.copytree(ROOT / name, FOLDER / name, ignore=generated, dirs_exist_ok=True)
        compile_kernels(FOLDER, CFLAGS=COVERAGE_FLAGS)
        compile_coverage(library)
    return Build(FOLDER, library)


def run_sanitized(
    command: list[str], folder: Path, coverage: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with the sanitizers' runtimes loaded; its own modules come from ``folder``."""
    preloaded = [str(path) for path in (coverage, *RUNTIMES) if path is not None]
    variables = {
        "PYTHONPATH": str(folder),
        "LD_PRELOAD": " ".join(preloaded),
        "ASAN_OPTIONS": ASAN_OPTIONS,
        "UBSAN_OPTIONS": "print_stacktrace=1",
        # Python's own allocator hides overflows.
        "PYTHONMALLOC": "malloc",
        "GATEWAY_TEST_PROFILE": "quick",
    }
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **variables, **environment}, capture_output=True, text=True, check=False
    )
