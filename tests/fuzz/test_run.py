"""A bounded run of the fuzzer over every target, on kernels built with sanitizers and coverage."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris has wheels for Linux on x86-64 and CPython 3.11 to 3.13")

from tests.fuzz.build import RUNTIMES, Build, instrumented
from tests.fuzz.oracles import CHECKS
from tests.fuzz.run import fuzz
from tests.native.test_scanner import message

SECONDS = 8

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(None in RUNTIMES, reason="gcc has no libasan or libubsan"),
]


@pytest.fixture(scope="module")
def build() -> Build:
    return instrumented()


def blocks_of(target: str) -> int:
    """Fewer blocks than these mean that a part of the kernels is out of the fuzzer's reach."""
    return {"frames": 60, "scanner": 100, "reader": 500, "track": 200}[target]


@pytest.mark.parametrize("target", CHECKS)
def test_no_input_divides_the_kernels_from_their_twins(build: Build, tmp_path: Path, target: str) -> None:
    result = fuzz(build, target, tmp_path, SECONDS)
    assert result.failed is None, result.report[-6000:]
    assert result.runs > 100
    assert result.blocks >= blocks_of(target)


PLANTED = '''"""A check that only fails on what the compiled scanner accepts."""

from gateway._native import scanner


def check(data: bytes) -> None:
    assert scanner.scan(data) is None, "a whole message"
'''


def test_the_fuzzer_finds_its_way_through_compiled_code(build: Build, tmp_path: Path) -> None:
    # A word that stands nowhere but in the kernel: it must be found by what the kernel compares.
    (build.folder / "tests" / "fuzz" / "planted.py").write_text(PLANTED, encoding="utf-8")
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "seed").write_bytes(message(track=""))
    # One seed in ten takes longer than this.
    seeds = (f"-seed={number}" for number in range(1, 5))
    results = (fuzz(build, "planted", tmp_path, 60, seed, check="tests.fuzz.planted:check") for seed in seeds)
    failed = next((result.failed for result in results if result.failed is not None), None)
    assert failed is not None
    assert b'bound","chunk":"' in failed.read_bytes()


OVERFLOW = '''"""A check that writes behind a block of memory."""

import ctypes


def check(data: bytes) -> None:
    if data[:1] == b"!":
        ctypes.memset(ctypes.create_string_buffer(16), 0, 64)
'''


def test_the_sanitizers_watch_while_it_fuzzes(build: Build, tmp_path: Path) -> None:
    (build.folder / "tests" / "fuzz" / "overflow.py").write_text(OVERFLOW, encoding="utf-8")
    result = fuzz(build, "overflow", tmp_path, 60, "-seed=1", check="tests.fuzz.overflow:check")
    assert result.failed is not None
    assert result.failed.read_bytes().startswith(b"!")
    assert "heap-buffer-overflow" in result.report
