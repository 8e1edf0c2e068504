from __future__ import annotations

import pytest

from gateway.text.digits.numbers import elements, tokenize
from gateway.text.mask import Edit, apply, mask_characters, mask_run


def masked(text: str) -> str:
    """``text`` with all its numbers as one run."""
    return apply(text, [mask_run(text, elements(text, tokenize(text)))])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1234", "####"),
        ("one two three four", "####"),
        ("nineteen eighty four", "####"),
        ("4111 1111", "#### ####"),
        ("4111-1111", "####-####"),
        ("4 1 1 1", "####"),
        ("4-1-1-1", "####"),
        ("4, 1, 1, 1", "####"),
        ("4-1-1-1 2-2-2-2", "#### ####"),
        ("one two, three four, five six", "##, ##, ##"),
        ("one two, three, four, five", "#####"),
        ("one um two", "##"),
        ("12 um 34", "## ##"),
        ("12, um, 34", "##, ##"),
        ("12 and then 34", "## and then ##"),
        ("12 and um 34", "## and ##"),
    ],
)
def test_groups_stay_visible_and_digits_do_not(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_what_stands_around_a_run_is_left_alone() -> None:
    assert masked("my PIN is: one two, okay?") == "my PIN is: ##, okay?"


def test_characters_are_masked_one_by_one_and_spaces_stay() -> None:
    assert mask_characters("a.b @ c\n") == "### # #\n"


def test_edits_are_made_in_any_order() -> None:
    assert apply("abcdef", [Edit(4, 5, "X"), Edit(0, 2, "")]) == "cdXf"
