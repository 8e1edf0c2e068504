"""What the command line sets in place of an account."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.cli.terms import policy_of, vocabulary_of
from gateway.errors import UsageError
from gateway.speech.vocabulary import Phrase
from gateway.text.policy import DEFAULT, Entity


def test_entities_are_added_to_the_defaults_and_taken_from_them() -> None:
    assert policy_of((), ()) == DEFAULT
    assert policy_of(["email", "NAME"], ["pin"]).active == DEFAULT.active - {Entity.PIN} | {Entity.EMAIL, Entity.NAME}


def test_what_cannot_be_set() -> None:
    with pytest.raises(UsageError, match="--show 'SHOES': must be one of CREDIT_CARD_NUMBER"):
        policy_of((), ["SHOES"])
    with pytest.raises(UsageError, match="--show CVV: is locked"):
        policy_of((), ["CVV"])
    with pytest.raises(UsageError, match="leave one out"):
        policy_of(["EMAIL"], ["EMAIL"])


def test_phrases_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text("Harbor  Broadband,harbour brought band\nQuonset\nharbor broadband\n")
    assert vocabulary_of(None) == ()
    assert vocabulary_of(file) == (Phrase("Harbor Broadband", ("harbour brought band",)), Phrase("Quonset"))


@pytest.mark.parametrize(
    ("content", "says", "taken"),
    [
        ("Quonset\n...\n", "entry 2 is left out: phrase: .*must hold a letter", 1),
        ("Quonset,a,b,c,d,e,f\nHarbor\n", "entry 1 is left out: soundsLike: .*at most 5", 1),
        ("Harbor\n" + "x" * 256, "entry 2 is left out: phrase: .*at most 255", 1),
        (
            "\n".join(f"word {number}" for number in range(201)) + "\nWord 7",
            "entry 201 is left out: there may be 200 phrases\n$",
            200,
        ),
    ],
)
def test_what_an_import_would_refuse_is_left_out(
    content: str, says: str, taken: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "words.csv"
    file.write_text(content)
    assert len(vocabulary_of(file)) == taken
    assert re.search(says, capsys.readouterr().err)


def test_a_file_of_which_nothing_can_be_taken(tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text("...\n")
    with pytest.raises(UsageError, match="holds no phrase that can be taken"):
        vocabulary_of(file)
