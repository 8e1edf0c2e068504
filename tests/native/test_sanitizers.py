"""The kernels' tests on a build with the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SANITIZERS = "address,undefined"


def runtime(name: str) -> Path | None:
    """A sanitizer's runtime library, if this compiler has it."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    found = subprocess.run([compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True)
    path = Path(found.stdout.strip())
    # gcc repeats the bare name of what it does not find.
    return path if path.is_absolute() and path.is_file() else None


RUNTIMES = [runtime("libasan.so"), runtime("libubsan.so")]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(None in RUNTIMES, reason="gcc has no libasan or libubsan"),
]


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def run_sanitized(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    # Python keeps much for its whole life, which the leak check would report; its own allocator hides overflows.
    return run(
        command,
        folder,
        LD_PRELOAD=" ".join(str(path) for path in RUNTIMES),
        ASAN_OPTIONS="detect_leaks=0",
        UBSAN_OPTIONS="print_stacktrace=1",
        PYTHONMALLOC="malloc",
        GATEWAY_TEST_PROFILE="quick",
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own copy of what the build and the kernels' tests need, built with sanitizers.

    A copy, because Cython writes its C beside the sources, and because the tests must not find the built
    modules of the project.
    """
    folder = tmp_path_factory.mktemp("sanitized")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, folder)
    generated = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    shutil.copytree(ROOT / "native", folder / "native", ignore=generated)
    shutil.copytree(ROOT / "gateway", folder / "gateway", ignore=generated)
    shutil.copytree(ROOT / "tests" / "native", folder / "tests" / "native", ignore=generated)
    for name in ("__init__.py", "conftest.py"):
        shutil.copy(ROOT / "tests" / name, folder / "tests")
    build(folder)
    return folder


def build(folder: Path) -> None:
    built = run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "--build-temp", "build", "--parallel", "2"],
        folder,
        GATEWAY_BUILD_SANITIZE=SANITIZERS,
    )
    assert built.returncode == 0, built.stdout + built.stderr


def test_the_kernels_tests_pass_under_the_sanitizers(copy: Path) -> None:
    tests = run_sanitized(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler"),
            # A sanitizer reports straight to the descriptor and ends the process: pytest must not hold that back.
            *("--capture=sys", "--ignore=tests/native/test_sanitizers.py", "tests/native"),
        ],
        copy,
    )
    assert tests.returncode == 0, tests.stdout[-8000:] + tests.stderr[-8000:]
    modules = run_sanitized(
        [sys.executable, "-c", "from gateway import _native; print(_native.endpoint.__file__, _native.chosen())"], copy
    )
    assert str(copy) in modules.stdout
    assert "python" not in modules.stdout.split("{")[1]


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
    build(folder)
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
