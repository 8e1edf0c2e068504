"""Audio cut into blocks; utterances of one participant (more in test_offline, beside what is made of them)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gateway.recordings.listening import BLOCK_MS, blocks, listen
from gateway.speech.engine import Pcm
from tests.recordings.test_offline import Loudness, PitchEngine, say, settings

BLOCK = BLOCK_MS * 8


@pytest.mark.parametrize("length", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 5 * BLOCK + 7])
@pytest.mark.parametrize("piece", [1000, BLOCK, 3 * BLOCK + 1])
def test_blocks_are_of_one_length_but_the_last(length: int, piece: int) -> None:
    pcm = np.random.default_rng(1).integers(-32768, 32767, length).astype(np.int16)
    whole = list(blocks(pcm))
    parted = list(blocks(pcm[at : at + piece] for at in range(0, length, piece)))
    assert [len(block) for block in whole] == [len(block) for block in parted]
    assert all(len(block) == BLOCK for block in whole[:-1])
    assert all(0 < len(block) <= BLOCK for block in whole)
    for cut in (whole, parted):
        np.testing.assert_array_equal(np.concatenate([pcm[:0], *cut]), pcm)


def test_utterances_come_while_the_audio_is_read() -> None:
    """Nothing is read ahead, so that a long recording is never in memory."""
    read = 0

    def pieces() -> Iterator[Pcm]:
        nonlocal read
        for _ in range(50):
            read += 1
            yield say((0, 640), (200, 960), (0, 1600))

    voice = Loudness()
    found = listen(pieces(), voice, PitchEngine(), settings().vad, settings().endpoint)
    first = next(found)
    assert (first.segment.start, read) == (640 * 8, 1)
    assert first.hypothesis is not None
    assert len(list(found)) == 49
    assert not voice.used
