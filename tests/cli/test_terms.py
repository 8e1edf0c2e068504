"""What the command line sets in place of an account."""

from __future__ import annotations

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
    with pytest.raises(UsageError, match="--show CVV: is always hidden"):
        policy_of((), ["CVV"])
    with pytest.raises(UsageError, match="leave one out"):
        policy_of(["EMAIL"], ["EMAIL"])


def test_phrases_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text("Harbor  Broadband,harbour brought band\nQuonset\nharbor broadband\n")
    assert vocabulary_of(None) == ()
    assert vocabulary_of(file) == (Phrase("Harbor Broadband", ("harbour brought band",)), Phrase("Quonset"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("Quonset\n...\n", "entry 2: phrase: .*must hold a letter"),
        ("Quonset,a,b,c,d,e,f\n", "entry 1: soundsLike: .*at most 5"),
        ("x" * 256, "entry 1: phrase: .*at most 255"),
        ("\n".join(f"word {number}" for number in range(201)), "holds 201 phrases; there may be 200"),
    ],
)
def test_the_limits_are_those_of_the_api(content: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text(content)
    with pytest.raises(UsageError, match=says):
        vocabulary_of(file)
