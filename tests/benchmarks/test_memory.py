"""A process' memory is read as the kernel tells it."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.memory import Held, descriptors, held

SIZE_KIB = 64 * 1024
CHILD = f"""
import sys
files = [open("/dev/null") for _ in range(7)]
data = None
for line in sys.stdin:
    data = bytearray(b"x") * {SIZE_KIB * 1024} if line == "fill\\n" else None
    print(len(files), flush=True)
"""


def test_what_a_child_fills_it_holds() -> None:
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def tell(what: str) -> Held:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(f"{what}\n")
            child.stdin.flush()
            child.stdout.readline()
            return held(child.pid)

        before = tell("free")
        grown = tell("fill").since(before)
        files = descriptors(child.pid)
        freed = tell("free").since(before)
        child.stdin.close()
    for kib in (grown.rss, grown.pss, grown.private):
        assert SIZE_KIB <= kib < SIZE_KIB + 4096
    assert freed.rss < 4096
    assert grown.among(64).private == round(grown.private / 64, 1)
    assert files >= 3 + 7


def test_descriptors_are_those_that_are_open() -> None:
    before = descriptors(os.getpid())
    ends = os.pipe()
    assert descriptors(os.getpid()) == before + 2
    for end in ends:
        os.close(end)
    assert descriptors(os.getpid()) == before
