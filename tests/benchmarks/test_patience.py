"""What a text is taken to say about its sentence, and how long that is waited for."""

import pytest

from benchmarks.patience import POLICIES, Policy, Verdict, judge

TODAY, TOLD = POLICIES[0], Policy("", {Verdict.COMPLETE: 8, Verdict.OPEN: 15, Verdict.INCOMPLETE: 25}, 8, 1.5)


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
        ("But.", Verdict.INCOMPLETE),
        ("We have some options. We can...", Verdict.INCOMPLETE),
        ("I would like to go to", Verdict.INCOMPLETE),
        ("T. I.", Verdict.INCOMPLETE),
        ("My last name is Spatilli, S P", Verdict.INCOMPLETE),
    ],
)
def test_a_text_says_whether_its_sentence_is_over(text: str, verdict: Verdict) -> None:
    assert judge(text) is verdict


def test_a_long_utterance_ends_sooner_but_not_before_its_text_is_there() -> None:
    assert [TOLD.patience(verdict, 100, 312) for verdict in Verdict] == [8, 25, 15]
    assert [TOLD.patience(verdict, 312, 312) for verdict in Verdict] == [8, 12, 8]
    assert [TOLD.patience(verdict, 468, 312) for verdict in Verdict] == [5, 8, 5]
    assert [TODAY.patience(verdict, 312, 312) for verdict in Verdict] == [7, 7, 7]
