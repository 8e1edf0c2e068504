"""The sample call is what its README says."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

SAMPLES = Path(__file__).parents[2] / "samples"
CHANNEL = {"customer": 0, "agent": 1}


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SAMPLES / "support-call.json").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def audio() -> NDArray[np.float64]:
    samples, rate = soundfile.read(SAMPLES / "support-call.wav", dtype="float64", always_2d=True)
    assert rate == 8000
    return np.asarray(samples)


def level(samples: NDArray[np.float64]) -> float:
    """RMS in dBFS."""
    return float(10 * np.log10(np.mean(samples**2) + 1e-12))


def test_is_a_telephone_recording_of_about_a_minute(reference: dict[str, Any]) -> None:
    info = soundfile.info(SAMPLES / "support-call.wav")
    assert (info.samplerate, info.channels, info.subtype) == (8000, 2, "PCM_16")
    assert 55 <= info.duration <= 75
    assert reference["durationMs"] == pytest.approx(info.duration * 1000, abs=1)


def test_each_turn_lies_in_its_speakers_channel(reference: dict[str, Any], audio: NDArray[np.float64]) -> None:
    for turn in reference["turns"]:
        channel = audio[:, CHANNEL[turn["speaker"]]]
        start, end = turn["start_ms"] * 8, turn["end_ms"] * 8
        assert -24 < level(channel[start:end]) < -18, turn["text"]
        # The first and the last 40 ms sound, and what lies just outside is the line's noise.
        assert level(channel[start : start + 320]) > -60, turn["text"]
        assert level(channel[end - 320 : end]) > -60, turn["text"]
        assert level(channel[start - 800 : start - 16]) < -60, turn["text"]
        assert level(channel[end + 16 : end + 800]) < -60, turn["text"]


def test_the_line_is_quiet_but_not_dead(reference: dict[str, Any], audio: NDArray[np.float64]) -> None:
    for speaker, index in CHANNEL.items():
        quiet = np.ones(len(audio), dtype=bool)
        for turn in reference["turns"]:
            if turn["speaker"] == speaker:
                quiet[turn["start_ms"] * 8 - 16 : turn["end_ms"] * 8 + 16] = False
        assert level(audio[quiet, index]) == pytest.approx(-65, abs=1)


def test_the_two_take_turns_naturally(reference: dict[str, Any]) -> None:
    turns = reference["turns"]
    gaps = [after["start_ms"] - before["end_ms"] for before, after in itertools.pairwise(turns)]
    assert all(a["speaker"] != b["speaker"] for a, b in itertools.pairwise(turns))
    assert 1 <= sum(gap < 0 for gap in gaps) <= 2
    assert all(300 <= gap <= 900 for gap in gaps if gap >= 0)


def _luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    return sum(digits[0::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0


def test_holds_a_card_a_pin_an_address_and_a_number_all_made_up(reference: dict[str, Any]) -> None:
    secrets = {turn["secret"]["kind"]: turn["secret"]["written"] for turn in reference["turns"] if "secret" in turn}
    assert set(secrets) == {"card", "pin", "email", "phone"}
    assert len(secrets["card"].replace(" ", "")) == 16
    assert _luhn(secrets["card"].replace(" ", ""))
    assert re.fullmatch(r"\d{4}", secrets["pin"])
    assert secrets["email"].endswith("@example.com")
    assert re.fullmatch(r"\d{3} 555 01\d\d", secrets["phone"])


def test_the_words_are_those_of_the_secret(reference: dict[str, Any]) -> None:
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    for turn in reference["turns"]:
        if "secret" in turn and turn["secret"]["kind"] != "email":
            spoken = "".join(
                str(names.index(word)) for word in re.findall(r"[a-z]+", turn["text"].lower()) if word in names
            )
            assert spoken == turn["secret"]["written"].replace(" ", "")


def test_the_hold_call_has_music_from_its_hold_on_and_only_there() -> None:
    reference = json.loads((SAMPLES / "hold-call.json").read_text(encoding="utf-8"))
    audio, rate = soundfile.read(SAMPLES / "hold-call.wav", dtype="float64", always_2d=True)
    hold = reference["holdMs"] * 8
    assert (rate, len(audio)) == (8000, reference["durationMs"] * 8)
    assert all(turn["end_ms"] < reference["holdMs"] for turn in reference["turns"])
    assert [turn["secret"]["kind"] for turn in reference["turns"] if "secret" in turn] == ["pin"]
    assert level(audio[hold - 3200 : hold, CHANNEL["agent"]]) < -60
    assert level(audio[hold:, CHANNEL["agent"]]) > -30
    assert level(audio[hold:, CHANNEL["customer"]]) < -60
