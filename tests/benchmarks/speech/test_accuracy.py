from __future__ import annotations

import numpy as np

from benchmarks.audio.conditions import CONDITIONS
from benchmarks.peers import Heard
from benchmarks.speech.accuracy import ALL, OURS, Item, report, table

TEXTS = {"a": "the quick brown fox", "b": "jumps over the dog", "digits": "one two three"}
PCM = np.zeros(8000, np.int16)


def items(conditions: list[str]) -> list[Item]:
    return [Item(name, condition, text, PCM) for condition in conditions for name, text in TEXTS.items()]


def heard(given: list[Item], wrong: str) -> list[Heard]:
    """Everything is right but ``wrong``, of which a word is left out; of the digits everything is wrong."""
    return [
        Heard((item.text.rpartition(" ")[0] if item.id in (wrong, "digits") else item.text,), 0.5) for item in given
    ]


def test_rates_are_by_condition_and_over_all_eight() -> None:
    given = items(list(CONDITIONS))
    result = report(given, {OURS: heard(given, "none"), "pocketsphinx": heard(given, "b")})
    assert result["wer"]["clean"] == {OURS: 0, "pocketsphinx": 0.125}
    assert result["wer"][ALL] == {OURS: 0, "pocketsphinx": 0.125}
    assert list(result["wer"]) == [*CONDITIONS, ALL]
    assert result["kinds"][ALL]["pocketsphinx"] == {
        "words": 64,
        "substitutions": 0,
        "deletions": 8,
        "insertions": 0,
        "border": 0,
    }
    assert result["cpuPerSecond"] == {OURS: 0.5, "pocketsphinx": 0.5}


def test_what_becomes_one_word_is_in_no_sum_but_shown() -> None:
    given = items(list(CONDITIONS))
    result = report(given, {OURS: heard(given, "none")})
    assert result["apart"] == ["digits"]
    assert result["files"] == 2
    assert set(result["wer"]) == {*CONDITIONS, ALL}
    assert not any(rates[OURS] for rates in result["wer"].values())
    assert [item[OURS]["errors"] for item in result["items"]] == 9 * [0, 0, 1]
    assert "told apart" in next(line for line in table(result).splitlines() if line.startswith("digits"))


def test_all_eight_are_summed_only_if_they_were_measured() -> None:
    given = items(["clean", "white"])
    result = report(given, {OURS: heard(given, "a"), "pocketsphinx": heard(given, "b")})
    assert ALL not in result["wer"]
    assert list(result["differences"]) == ["clean"]


def test_differences_are_paired_by_file() -> None:
    given = items(list(CONDITIONS))
    result = report(given, {OURS: heard(given, "none"), "pocketsphinx": heard(given, "b")})
    # The second file alone has errors: where it is not drawn there is no difference.
    assert result["differences"][ALL]["pocketsphinx"] == {"relative": -1.0, "low": -1.0, "high": 0.0}
    assert OURS not in result["differences"][ALL]


def test_the_table_names_every_system_and_shows_what_was_misheard_nowhere() -> None:
    given = items(list(CONDITIONS))
    result = report(given, {OURS: heard(given, "none"), "pocketsphinx": heard(given, "b")})
    text = table(result)
    assert "pocketsphinx==5.0.4" in text
    assert "-100.0%  (-100.0% to +0.0%)" in text
    assert "12.5" in next(line for line in text.splitlines() if line.startswith("white"))
    assert "dog" not in text
    assert result["items"][1]["pocketsphinx"]["alignment"] == ["dog → ∅"]
