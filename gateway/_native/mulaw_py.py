"""G.711 μ-law to 16-bit PCM and back: the twin and specification of ``gateway._native.mulaw``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode", "encode"]

# ITU-T G.711 table 2a: a bias of 33 and a clip below 8159 on the 14-bit scale, which is the 16-bit one over
# four.
_BIAS = 33
_CLIP = 8158


def _decode_table() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    exponent = (code >> 4) & 7
    magnitude = ((((code & 15) << 1) + _BIAS) << exponent) - _BIAS
    return np.where(code & 0x80, -magnitude * 4, magnitude * 4).astype(np.int16)


def _encode_table() -> NDArray[np.uint8]:
    # Indexed by the sample read as an unsigned 16-bit number.
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 2
    magnitude = np.minimum(np.abs(sample), _CLIP) + _BIAS
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 5
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 15)
    table: NDArray[np.uint8] = (code ^ np.where(sample < 0, 0x7F, 0xFF)).astype(np.uint8)
    return table


_DECODE = _decode_table()
_ENCODE = _encode_table()


def decode(data: bytes) -> NDArray[np.int16]:
    """PCM of μ-law bytes, one sample a byte; both zeros (0xFF, 0x7F) give 0.

    Raises:
        TypeError: ``data`` is not bytes.
    """
    if not isinstance(data, bytes):
        raise TypeError(f"μ-law data must be bytes, not {type(data).__name__}")
    pcm: NDArray[np.int16] = _DECODE[np.frombuffer(data, np.uint8)]
    return pcm


def encode(pcm: NDArray[np.int16]) -> bytes:
    """μ-law bytes of 16-bit PCM, one byte a sample; louder than ±32,636 is clipped.

    Raises:
        TypeError: ``pcm`` is not a one-dimensional int16 array.
    """
    if not isinstance(pcm, np.ndarray) or pcm.dtype != np.int16 or pcm.ndim != 1:
        raise TypeError("PCM must be a one-dimensional int16 array")
    return _ENCODE[pcm.view(np.uint16)].tobytes()
