"""The compiled sender; its twin, ``sender_py``, is the specification."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.load.sender_py import DONE as DONE
from benchmarks.load.sender_py import LATE_BINS as LATE_BINS
from benchmarks.load.sender_py import LOST as LOST
from benchmarks.load.sender_py import PLAYING as PLAYING
from benchmarks.load.sender_py import STALLED as STALLED
from benchmarks.load.sender_py import Outcome as Outcome
from benchmarks.load.voice import Script

HAS_THREAD: bool

class Sender:
    """As the twin's; any thread may call it while another one runs it.

    Where it runs by itself lateness is told by the clock after a write, not by the time that ``step`` was told.
    """

    messages: int
    def __init__(self, coalesced: bool = False, patience_us: int = 10_000_000, together: int = 1) -> None: ...
    @property
    def lateness(self) -> NDArray[np.int64]: ...
    def __len__(self) -> int: ...
    def add(self, target: int | Callable[[bytes], int], script: Script, now_us: int) -> tuple[int, int]: ...
    def control(self, number: int, data: bytes) -> None: ...
    def remove(self, number: int) -> Outcome: ...
    def ended(self) -> list[tuple[int, int, int]]: ...
    def step(self, now_us: int) -> int: ...
    def run(self) -> None:
        """Step and sleep, without the GIL, until :meth:`stop`."""

    def stop(self) -> None:
        """Let :meth:`run` return."""
