"""What the decoder had in its ear as it said a token: its attention to the frames of the audio."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["FRAME_MS", "Attention", "attention"]

FRAME_MS = 24
"""The encoder's convolutions have strides 64, 3 and 2: a frame of its output stands for 384 samples of 16 kHz."""


Attention = NDArray[np.float32]
"""Of each token how much of the attention to the audio each frame had, (tokens, frames): a token's sum is 1."""


def attention(layers: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> Attention:
    """The mean attention of all heads of some layers.

    Args:
        layers: of each, what the tokens ask, (tokens, heads · size) and scaled, and the audio's keys,
            (heads, frames, size).
    """
    every = []
    for asked, keys in layers:
        heads, _, size = keys.shape
        products = asked.reshape(-1, heads, size).transpose(1, 0, 2) @ keys.transpose(0, 2, 1)
        raised = np.exp(products - products.max(axis=-1, keepdims=True))
        every.append((raised / raised.sum(axis=-1, keepdims=True)).mean(axis=0))
    result: Attention = np.mean(every, axis=0)
    return result
