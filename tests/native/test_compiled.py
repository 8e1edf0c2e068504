"""The compiled kernel is what runs, for every kernel; the twin on request."""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import os
import subprocess
import sys
from types import ModuleType

import pytest

from gateway import _native


def load(name: str) -> ModuleType:
    module: ModuleType = getattr(_native, name)
    return module


@pytest.mark.skipif(_native.NO_EXTENSIONS, reason="GATEWAY_NO_EXTENSIONS=1 asks for the twins")
@pytest.mark.parametrize("name", _native.KERNELS)
def test_the_compiled_kernel_is_what_runs(name: str) -> None:
    assert _native.chosen()[name] == "compiled"
    path = load(name).__file__
    assert path is not None
    assert path.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))


@pytest.mark.parametrize("name", _native.KERNELS)
def test_the_kernel_has_all_that_its_twin_has(name: str) -> None:
    twin = importlib.import_module(f"gateway._native.{name}_py")
    assert twin.__all__
    assert set(twin.__all__) <= set(dir(load(name)))


def test_the_environment_asks_for_the_twins() -> None:
    code = "import json; from gateway import _native; print(json.dumps(_native.chosen()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"GATEWAY_NO_EXTENSIONS": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == dict.fromkeys(_native.KERNELS, "python")


def test_an_unknown_kernel_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        load("nothing")
