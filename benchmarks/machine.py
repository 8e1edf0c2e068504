"""The machine and the versions that figures were measured with."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from gateway._version import __version__

__all__ = ["machine"]


def machine() -> str:
    """What the figures were measured on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return f"gateway {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores, {cpu}"
