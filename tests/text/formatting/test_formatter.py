from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metrics import FORMATTING_FAILED
from gateway.speech.engine import Token
from gateway.text.digits.numbers import vocabulary
from gateway.text.formatting import PLAIN, Formatted, Formatter, Piece, format_text, format_tokens, formatter

LABELLED = Path(__file__).parents[3] / "benchmarks" / "labelled" / "formatting"
PAIRS = [
    (pair["spoken"], pair["written"])
    for path in sorted(LABELLED.glob("*.tsv"))
    for pair in csv.DictReader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
]

VOCABULARY = sorted(
    vocabulary(
        "one two three four nine ten eleven nineteen twenty forty eighty twenty-two zero oh o double triple hundred "
        "thousand million a an and point dot at dash percent dollars dollar cents a.m. pm o'clock May may first "
        "second third twentieth of the in by to between press room 4 1 12 3:30 $5 1-0-0 john gmail com example is "
        "my pin people something nineties for ball um I mean "
    )
)


def phrases() -> st.SearchStrategy[str]:
    gaps = st.sampled_from([" ", " ", " ", " ", ", ", "-", ". ", "  ", "... "])
    return st.lists(st.tuples(st.sampled_from(VOCABULARY), gaps), max_size=14).map(
        lambda parts: "".join(word + gap for word, gap in parts)
    )


def said(*words: str, step: int = 100) -> list[Token]:
    """Words one after the other, each surer than the one before."""
    return [Token(word, at * step, at * step + step, 0.5 + at / 100) for at, word in enumerate(words)]


@pytest.mark.parametrize(("spoken", "written"), PAIRS, ids=[spoken for spoken, _ in PAIRS])
def test_the_labelled_pairs(spoken: str, written: str) -> None:
    assert format_text(spoken).text == written


@pytest.mark.parametrize(("_", "written"), PAIRS, ids=[spoken for spoken, _ in PAIRS])
def test_what_is_written_stays(_: str, written: str) -> None:
    assert format_text(written) == Formatted(written)


def test_the_labelled_set_is_large_enough_and_holds_no_sentence_twice() -> None:
    assert len(PAIRS) >= 200
    assert len({spoken for spoken, _ in PAIRS}) == len(PAIRS)
    assert sum(spoken == written for spoken, written in PAIRS) >= 60


def test_pieces_say_where_the_written_words_come_from() -> None:
    spoken = "It costs twenty two dollars at three thirty."
    assert format_text(spoken) == Formatted("It costs $22 at 3:30.", (Piece(9, 27, 9, 12), Piece(31, 43, 16, 20)))


@given(st.one_of(phrases(), st.text(max_size=60)))
def test_all_but_the_pieces_is_unchanged(spoken: str) -> None:
    formatted = format_text(spoken)
    at = out = 0
    for piece in formatted.pieces:
        assert at <= piece.start < piece.end
        assert spoken[at : piece.start] == formatted.text[out : piece.out_start]
        assert " " not in formatted.text[piece.out_start : piece.out_end] != ""
        at, out = piece.end, piece.out_end
    assert spoken[at:] == formatted.text[out:]


@given(phrases())
def test_nothing_fails(spoken: str) -> None:
    before = FORMATTING_FAILED._value.get()
    format_text(spoken)
    assert FORMATTING_FAILED._value.get() == before


def test_a_failure_is_counted_and_the_text_passes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(text: str, tokens: object) -> list[object]:
        raise LookupError(text)

    monkeypatch.setattr(formatter, "find_edits", fail)
    before = FORMATTING_FAILED._value.get()
    tokens = said("twenty", "two")
    assert format_text("twenty two") == Formatted("twenty two")
    assert format_tokens(tokens) == tuple(tokens)
    assert FORMATTING_FAILED._value.get() == before + 2
    assert "LookupError" in caplog.text
    assert "twenty" not in caplog.text


def test_the_words_of_a_number_become_one_token() -> None:
    tokens = said("It", "costs", "twenty", "two", "dollars.", "One", "moment.")
    assert format_tokens(tokens) == (
        tokens[0],
        tokens[1],
        Token("$22.", 200, 500, 0.52),
        tokens[5],
        tokens[6],
    )


def test_a_scale_word_keeps_its_own_token() -> None:
    merged = format_tokens(said("two", "million", "dollars", "at", "three", "p.m."))
    assert [(token.content, token.start_ms, token.end_ms) for token in merged] == [
        ("$2", 0, 100),
        ("million", 100, 300),
        ("at", 300, 400),
        ("3", 400, 500),
        ("p.m.", 500, 600),
    ]


def test_digits_that_commas_part_become_one_token() -> None:
    merged = format_tokens(said("Five,", "five,", "five,", "five."))
    assert merged == (Token("5555.", 0, 400, 0.5),)


def test_tokens_that_hold_no_number_are_the_same() -> None:
    tokens = said("One", "moment,", "please.")
    assert format_tokens(tokens) == tuple(tokens)
    assert format_tokens([]) == ()


@given(phrases())
def test_tokens_follow_the_text(spoken: str) -> None:
    words = spoken.split()
    tokens = said(*words)
    written = format_tokens(tokens)
    assert [token.content for token in written] == format_text(" ".join(words)).text.split()
    assert all(left.end_ms == right.start_ms for left, right in pairwise(written))
    assert sum(token.end_ms - token.start_ms for token in written) == 100 * len(words)


@pytest.mark.parametrize("language", ["en", "en-US", "EN-gb", "en_US"])
def test_english_is_formatted(language: str) -> None:
    formatter = Formatter(language=language)
    assert formatter.text("twenty two").text == "22"
    assert [token.content for token in formatter.tokens(said("twenty", "two"))] == ["22"]


@pytest.mark.parametrize("formatter", [PLAIN, Formatter(enabled=False), Formatter(language="es-US")])
def test_other_languages_and_formatting_turned_off_pass_unchanged(formatter: Formatter) -> None:
    assert formatter.text("twenty two") == Formatted("twenty two")
    assert formatter.tokens(said("twenty", "two")) == tuple(said("twenty", "two"))
