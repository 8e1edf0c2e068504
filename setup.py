"""Build of the native kernels into ``gateway._native``, and of the load generator's sender into ``benchmarks.load``.

Everything else is in ``pyproject.toml``.

Switches, all environment variables:

* ``GATEWAY_BUILD_ANNOTATE=1``  write Cython's annotated HTML beside the sources
* ``GATEWAY_BUILD_DEBUG=1``     C asserts and Cython's bounds checks on, no optimisation
* ``GATEWAY_BUILD_COVERAGE=1``  line tracing, for coverage with ``Cython.Coverage``
* ``GATEWAY_BUILD_SANITIZE=address,undefined``  sanitizers (run Python with the sanitizer runtime preloaded)
"""

from __future__ import annotations

import os
from pathlib import Path

import Cython.Compiler.Options
import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup

ANNOTATE = os.environ.get("GATEWAY_BUILD_ANNOTATE") == "1"
DEBUG = os.environ.get("GATEWAY_BUILD_DEBUG") == "1"
COVERAGE = os.environ.get("GATEWAY_BUILD_COVERAGE") == "1"
SANITIZE = os.environ.get("GATEWAY_BUILD_SANITIZE", "")

# A Cython warning breaks the build: nobody else lints .pyx files.
Cython.Compiler.Options.warning_errors = True

cflags = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Wno-cast-function-type"]
cflags += ["-O0", "-g", "-UNDEBUG"] if DEBUG else ["-O3", "-g1"]
ldflags: list[str] = []
if SANITIZE:
    # Python's own flags have -fwrapv, under which a signed overflow would not be reported.
    cflags += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", "-fno-wrapv"]
    ldflags += [f"-fsanitize={SANITIZE}"]
macros: list[tuple[str, str | None]] = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
if DEBUG:
    macros.append(("GATEWAY_NATIVE_DEBUG", "1"))
if COVERAGE:
    macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1")]

# The load generator's sender is no kernel of the gateway: it stands with what uses it.
sources = {f"gateway._native.{source.stem}": source for source in sorted(Path("native").glob("*.pyx"))}
sources |= {f"benchmarks.load.{source.stem}": source for source in sorted(Path("benchmarks/native").glob("*.pyx"))}
extensions = [
    Extension(
        name,
        [str(source)],
        include_dirs=[np.get_include(), "native"],
        define_macros=macros,
        extra_compile_args=cflags,
        extra_link_args=ldflags,
    )
    for name, source in sources.items()
]

setup(
    ext_modules=cythonize(  # type: ignore[no-untyped-call]  # Cython publishes no types for it
        extensions,
        include_path=["."],  # the .pxd lie in the package, where Cython looks for them: gateway/_native
        annotate=ANNOTATE,
        nthreads=os.cpu_count() or 1,
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "wraparound": DEBUG,
            "initializedcheck": DEBUG,
            "cdivision": True,
            "embedsignature": True,
            "linetrace": COVERAGE,
        },
    )
    if extensions
    else [],
)
