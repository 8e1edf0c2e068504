"""The kernels' tests, and whole calls, on a build with the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway._native import KERNELS
from tests.fuzz.build import ROOT, RUNTIMES, Build, compile_kernels, instrumented, run_sanitized

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(None in RUNTIMES, reason="gcc has no libasan or libubsan"),
]

PYTEST = (
    *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler"),
    # A sanitizer reports straight to the descriptor and ends the process: pytest must not hold that back.
    "--capture=sys",
)


@pytest.fixture(scope="module")
def build() -> Build:
    return instrumented()


def run_pytest(build: Build, *arguments: str, timeout: int = 120) -> None:
    tests = run_sanitized([*PYTEST, f"--timeout={timeout}", *arguments], build.folder, build.coverage)
    assert tests.returncode == 0, tests.stdout[-8000:] + tests.stderr[-8000:]


def test_the_kernels_tests_pass_under_the_sanitizers(build: Build) -> None:
    run_pytest(build, "--ignore=tests/native/test_sanitizers.py", "tests/native", "tests/fuzz/test_oracles.py")
    # The load generator's sender is no kernel, but is built like one.
    run_pytest(build, "tests/benchmarks/load/test_sender.py")
    modules = run_sanitized(
        [sys.executable, "-c", "from gateway import _native; print(_native.endpoint.__file__, _native.chosen())"],
        build.folder,
        build.coverage,
    )
    assert str(build.folder) in modules.stdout
    chosen = modules.stdout.split("{")[1]
    assert chosen.count("compiled") == len(KERNELS)
    assert "python" not in chosen


def test_a_gateway_amid_garbage_passes_under_the_sanitizers(build: Build) -> None:
    # Whole calls over real sockets, through every kernel that a stream passes, with peers that send anything.
    run_pytest(
        build,
        *("-m", "not slow", "-k", "checksum or good_call or fragments or huge"),
        *("tests/adversity/test_checksums.py", "tests/adversity/test_garbage.py"),
        timeout=300,
    )


OVERFLOW = '''"""A kernel with a bug, to see that the build finds it."""

from libc.stdlib cimport free, malloc


def read(Py_ssize_t index):
    cdef unsigned char* block = <unsigned char*>malloc(16)
    block[0] = 1
    try:
        return block[index]
    finally:
        free(block)


def add(int value):
    cdef int most = 2147483647
    return value + most
'''


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "native").mkdir()
    (folder / "native" / "broken.pyx").write_text(OVERFLOW, encoding="utf-8")
    (folder / "gateway" / "_native").mkdir(parents=True)
    (folder / "gateway" / "__init__.py").touch()
    (folder / "gateway" / "_native" / "__init__.py").touch()
    shutil.copy(ROOT / "setup.py", folder)
    compile_kernels(folder)
    return folder


@pytest.mark.parametrize(
    ("fine", "wrong", "report"),
    [
        # Whichever of the two sanitizers sees it first.
        ("read(15)", "read(16)", r"heap-buffer-overflow|insufficient space"),
        ("add(0)", "add(1)", r"signed integer overflow"),
    ],
)
def test_the_sanitizers_find_a_bug(broken: Path, fine: str, wrong: str, report: str) -> None:
    def call(expression: str) -> subprocess.CompletedProcess[str]:
        return run_sanitized([sys.executable, "-c", f"from gateway._native import broken; broken.{expression}"], broken)

    assert call(fine).returncode == 0
    found = call(wrong)
    assert found.returncode != 0
    assert re.search(report, found.stderr)
