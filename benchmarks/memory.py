"""What a process holds, as the kernel tells it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Held", "descriptors", "held"]

FIELDS = {"Rss": "rss", "Pss": "pss", "Private_Dirty": "private"}


@dataclass(frozen=True, slots=True)
class Held:
    """KiB: resident, resident with shared pages by share, and what no other process has and no file."""

    rss: float
    pss: float
    private: float

    def since(self, before: Held) -> Held:
        """What has come to it."""
        return Held(self.rss - before.rss, self.pss - before.pss, self.private - before.private)

    def among(self, calls: int) -> Held:
        """For each of so many calls."""
        return Held(*(round(kib / calls, 1) for kib in (self.rss, self.pss, self.private)))


def held(pid: int) -> Held:
    """Memory of a process of this user, from ``/proc/PID/smaps_rollup`` (Linux 4.14).

    Raises:
        OSError: there is no such process.
    """
    found = dict.fromkeys(FIELDS.values(), 0.0)
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if name in FIELDS:
            found[FIELDS[name]] = float(rest.split()[0])
    return Held(**found)


def descriptors(pid: int) -> int:
    """Descriptors that a process of this user has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
