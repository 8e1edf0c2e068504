"""Attention worked out from what tokens ask and what the audio has to offer."""

import numpy as np
import pytest

from gateway.speech.attention import attention

HEADS, SIZE, FRAMES = 2, 3, 5


def test_attention_is_the_mean_of_all_heads_of_all_layers() -> None:
    random = np.random.default_rng(0)
    layers = [
        (
            random.normal(size=(4, HEADS * SIZE)).astype(np.float32),
            random.normal(size=(HEADS, FRAMES, SIZE)).astype(np.float32),
        )
        for _ in range(2)
    ]
    expected = np.zeros((4, FRAMES))
    for asked, keys in layers:
        for token in range(4):
            for head in range(HEADS):
                likely = np.exp(keys[head] @ asked[token, head * SIZE : (head + 1) * SIZE])
                expected[token] += likely / likely.sum() / (2 * HEADS)
    found = attention(layers)
    assert found == pytest.approx(expected, abs=1e-6)
    assert found.sum(axis=1) == pytest.approx(1.0)


def test_large_products_do_not_overflow() -> None:
    asked = np.full((1, SIZE), 100, np.float32)
    keys = np.zeros((1, FRAMES, SIZE), np.float32)
    keys[0, 3] = 100
    assert attention([(asked, keys)])[0].tolist() == [0, 0, 0, 1, 0]
