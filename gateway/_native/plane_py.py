"""The tick over many sockets exists compiled only: here :data:`HAS_PLANE` is false and :data:`Plane` is None."""

from __future__ import annotations

__all__ = ["HAS_PLANE", "Plane"]

HAS_PLANE = False
Plane = None
