"""What the graphs of one model have in common: their sizes, read off the weights, and the rotary table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .source import Source

__all__ = ["Layout", "layout", "rotary"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of the decoder: ``size`` is a head's, ``width`` a head's in the attention over what was said.

    ``width`` is ``size`` rounded up to a multiple of 16, which ONNX Runtime's attention with a cache asks for.
    """

    layers: int
    heads: int
    size: int
    width: int

    @property
    def scale(self) -> float:
        """What attention's products are multiplied by."""
        return float(self.size**-0.5)


def layout(decoder: Source) -> Layout:
    """The sizes of a decoder.

    Raises:
        ModelError: it is not a decoder of this family.
    """
    _, heads, _, size = decoder.sizes("past_key_values.0.decoder.key")
    return Layout(layers=decoder.layers, heads=heads, size=size, width=-(-size // 16) * 16)


def rotary(source: Source, positions: int, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosine and sine of every position's angles, (positions, size / 2) each, for heads of ``size``.

    Only the first of a head's numbers are turned; the others get an angle of 0.
    """
    turning = source.input("rotary_emb/Expand_output_0", 0).reshape(-1)
    frequencies = np.zeros(size // 2, np.float32)
    frequencies[: len(turning)] = turning
    angles = np.arange(positions, dtype=np.float32)[:, None] * frequencies
    return np.cos(angles), np.sin(angles)
