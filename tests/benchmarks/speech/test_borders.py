"""Which ends of speech are borders: by what follows, who follows, and what was said."""

from __future__ import annotations

from benchmarks.speech.borders import End, Word, ends, stretches
from benchmarks.speech.energy import Run


def words(*texts: tuple[int, int, str]) -> list[Word]:
    return [Word(*text) for text in texts]


def test_a_second_parts_stretches() -> None:
    runs = [Run(0, 1000), Run(1999, 3000), Run(4000, 5000)]
    assert stretches(runs) == [runs[:2], runs[2:]]
    assert stretches([]) == []


def test_a_second_of_silence_is_a_border_whatever_was_said() -> None:
    runs = [Run(0, 1000), Run(2000, 3000)]
    assert ends(runs, [], [[], []]) == [End(1000, True, "second"), End(3000, True, "last")]


def test_a_pause_is_a_border_where_a_sentence_is_over() -> None:
    runs = [Run(0, 1000), Run(1500, 2500), Run(2800, 4000)]
    said = words((0, 990, " Yes."), (1500, 2400, " I think"), (2900, 3900, " so."))
    assert [end.border for end in ends(runs, [], [said])] == [True, False, True]


def test_word_times_may_be_off_and_reach_over_the_pause() -> None:
    runs = [Run(0, 1000), Run(1500, 2500)]
    for said in (words((0, 700, "Yes."), (700, 2400, "I")), words((0, 1700, "Yes?"), (1700, 2400, "I"))):
        assert ends(runs, [], [said])[0].rule == "sentence"


def test_dots_that_trail_off_end_nothing() -> None:
    runs = [Run(0, 1000), Run(1500, 2500)]
    assert not ends(runs, [], [words((0, 990, "Um..."), (1500, 2400, "well."))])[0].border


def test_a_gap_between_words_is_that_of_one_pause() -> None:
    runs = [Run(0, 1000), Run(1300, 1450), Run(1700, 2700)]
    said = words((0, 1010, "Fine."), (1720, 2600, "But"))
    assert [end.border for end in ends(runs, [], [said])] == [True, False, True]


def test_a_breath_behind_the_last_word_leaves_the_sentence_its_end() -> None:
    runs = [Run(0, 1000), Run(1900, 2100)]
    assert ends(runs, [], [words((0, 500, "How"), (500, 980, "much?"))])[0].border


def test_the_other_takes_over() -> None:
    runs = [Run(0, 1000), Run(1900, 3000)]
    said = words((0, 900, "and"), (1900, 2900, "so"))
    assert ends(runs, [Run(900, 2000)], [said])[0] == End(1000, True, "turn")
    # An "okay" is no turn, and who has been speaking all along takes nothing over.
    assert ends(runs, [Run(1100, 1400)], [said])[0].rule == "pause"
    assert ends(runs, [Run(0, 5000)], [said])[0].rule == "pause"


def test_no_words_no_sentence() -> None:
    runs = [Run(0, 1000), Run(1500, 2500)]
    assert ends(runs, [], [[]])[0].rule == "pause"
