"""The compiled kernel; its twin is the specification of the reader, and what type checkers see."""

from gateway._native.plane_py import BROKEN as BROKEN
from gateway._native.plane_py import EOF as EOF
from gateway._native.plane_py import FRAME as FRAME
from gateway._native.plane_py import MAX_MESSAGE as MAX_MESSAGE
from gateway._native.plane_py import TEXT as TEXT
from gateway._native.plane_py import Reader as Reader

HAS_PLANE: bool

class Plane:
    """The tick over many sockets; compiled only. The twin's ``Plane`` is None and its ``HAS_PLANE`` false."""

    def __init__(self, budget: int = 131072) -> None: ...
    def register(self, fd: int, reader: Reader) -> None: ...
    def unregister(self, reader: Reader) -> None: ...
    def tick(self, now_ms: int) -> list[Reader]: ...
    @property
    def sockets(self) -> int: ...
    @property
    def last_tick_us(self) -> int: ...
