"""Joining digits to numbers, and judging what is shown of them."""

import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.text.redaction_speech import (
    AFTER_MS,
    BEFORE_MS,
    GAP_MS,
    KINDS,
    RATE,
    Told,
    join,
    judge,
    run,
    summary,
    takes,
)

PIN = next(kind for kind in KINDS if kind.name == "pin")


def told(*shown: str) -> Told:
    return Told("pin", "ann", "12", ("one", "two"), shown)


def test_takes_are_found_by_speaker_and_digit(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    for name in ("0_ann_0", "0_ann_1", "1_bob_0"):
        soundfile.write(tmp_path / "digits" / f"{name}.wav", np.full(80, 7, np.int16), RATE)
    found = takes(tmp_path)
    assert {speaker: {digit: len(said) for digit, said in of.items()} for speaker, of in found.items()} == {
        "ann": {"0": 2},
        "bob": {"1": 1},
    }
    assert found["bob"]["1"][0].tolist() == [7] * 80


def test_a_folder_without_digits_has_no_speakers(tmp_path: Path) -> None:
    assert takes(tmp_path) == {}
    with pytest.raises(ValueError, match="no spoken digits"):
        run(tmp_path)


def test_a_number_is_its_digits_with_gaps_between() -> None:
    said = {"1": [np.full(100, 1, np.int16)], "2": [np.full(50, 2, np.int16)]}
    pcm = join("1221", said, random.Random(1))
    assert [int(pcm[at]) for at in np.flatnonzero(np.diff(pcm, prepend=0) > 0)] == [1, 2, 2, 1]
    assert np.count_nonzero(pcm == 1) == 200
    silence = (len(pcm) - 300) * 1000 / RATE - BEFORE_MS - AFTER_MS
    assert 4 * GAP_MS[0] <= silence <= 4 * GAP_MS[1]


def test_digits_after_a_request_are_hidden_by_the_default_policy() -> None:
    one = judge(PIN, "ann", "4192", ["Four one nine two."])
    assert one.shown == ("####.",)
    assert not one.digit_shown
    assert not one.words_shown


def test_what_is_shown_is_told_in_shares() -> None:
    found = summary([told("##", "#"), told("#", "to."), told("# two")])
    assert found["kinds"] == {"pin": {"told": 3, "no_digit_shown": 0.6667, "no_word_shown": 0.3333}}
    assert [one["shown"] for one in found["shown"]] == [("#", "to."), ("# two",)]
