"""The compiled kernels, their Python twins, and the choice between them.

``from gateway._native import track`` gives ``gateway._native.track`` if it is built, else ``track_py``, its
twin and specification. ``GATEWAY_NO_EXTENSIONS=1`` in the environment chooses the twins for all. A kernel
that is built but cannot be loaded is an error: it never falls back in silence.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

__all__ = ["KERNELS", "NO_EXTENSIONS", "chosen"]

KERNELS = ("endpoint", "frames", "level", "mulaw", "plane", "reader", "scanner", "track")
"""The kernels; each has ``native/NAME.pyx``, ``NAME_py.py`` and ``NAME.pyi``."""

NO_EXTENSIONS = os.environ.get("GATEWAY_NO_EXTENSIONS", "") == "1"
"""Whether the environment asked for the Python twins."""


def _load(name: str) -> ModuleType:
    """The module that stands for a kernel; ImportError if a built one cannot be loaded."""
    if not NO_EXTENSIONS:
        compiled = f"{__name__}.{name}"
        try:
            return importlib.import_module(compiled)
        except ModuleNotFoundError as error:
            if error.name != compiled:
                raise
    return importlib.import_module(f"{__name__}.{name}_py")


def chosen() -> dict[str, str]:
    """Kernel name -> ``"compiled"`` or ``"python"``, for the start-up log and the tests."""
    return {name: "python" if _load(name).__name__.endswith("_py") else "compiled" for name in KERNELS}


def __getattr__(name: str) -> ModuleType:
    # Lazily, so that a process pays only for the kernels that it uses.
    if name not in KERNELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _load(name)
    globals()[name] = module
    return module
