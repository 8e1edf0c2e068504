"""What a text is taken to say about its sentence."""

import pytest

from gateway.speech.engine import Hypothesis
from gateway.speech.sentence import CONFIDENT, CONFIDENT_IN_NOISE, Verdict, judge, read


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("I have got a car from there.", Verdict.COMPLETE),
        ("Could you spell that?", Verdict.COMPLETE),
        ("Please tell me your pin number.", Verdict.COMPLETE),
        ("It is all I can help you with.", Verdict.COMPLETE),
        ("It says version 4 here, and 5.", Verdict.COMPLETE),
        ("Yes.", Verdict.OPEN),
        ("And?", Verdict.OPEN),
        ("Good morning Mr.", Verdict.OPEN),
        ("", Verdict.OPEN),
        ("sure it is 312 555 0178", Verdict.OPEN),
        ("the card number is 5105 1051 0510 5100.", Verdict.OPEN),
        ("i wanted to give you guys a call", Verdict.OPEN),
        ("sure it is 312 555", Verdict.INCOMPLETE),
        ("It is 312-55.", Verdict.INCOMPLETE),
        ("My pin number is.", Verdict.INCOMPLETE),
        ("You know a lot of your um.", Verdict.INCOMPLETE),
        ("But.", Verdict.OPEN),
        ("Um, but.", Verdict.INCOMPLETE),
        ("We have some options. We can...", Verdict.INCOMPLETE),
        ("I would like to go to", Verdict.INCOMPLETE),
        ("T. I.", Verdict.INCOMPLETE),
        ("It is Martin Dot Lane.", Verdict.INCOMPLETE),
        ("It is martin dot", Verdict.INCOMPLETE),
        ("martin underscore.", Verdict.INCOMPLETE),
        ("It is martin dot lane at example dot com.", Verdict.COMPLETE),
        ("Put it next to the dot on the wall.", Verdict.COMPLETE),
        ("My last name is Spatilli, S P", Verdict.INCOMPLETE),
    ],
)
def test_a_text_says_whether_its_sentence_is_over(text: str, verdict: Verdict) -> None:
    assert judge(text) is verdict


@pytest.mark.parametrize(("quiet", "sure"), [(True, CONFIDENT), (False, CONFIDENT_IN_NOISE)])
def test_a_text_that_is_not_sure_is_not_complete(*, quiet: bool, sure: float) -> None:
    assert read(Hypothesis("That is all.", final=False, confidence=sure), quiet=quiet) is Verdict.COMPLETE
    assert read(Hypothesis("That is all.", final=False, confidence=sure - 0.01), quiet=quiet) is Verdict.OPEN
    assert read(Hypothesis("My name is", final=False, confidence=0.1), quiet=quiet) is Verdict.INCOMPLETE
