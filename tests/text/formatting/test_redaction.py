"""What redaction hides of a spoken text it hides of the written one as well."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given

from benchmarks.text.redaction import FOLDER, Dialogue, Label, align, read, tells_digit, units
from benchmarks.text.redaction_forms import moved
from gateway.participants import Role
from gateway.text.formatting import format_text
from gateway.text.policy import Entity, Policy
from gateway.text.redaction import Redactor
from tests.text.test_redaction import spelled

ALL = Policy(frozenset(Entity))
SETS = [FOLDER / "development.txt", FOLDER / "heldout.txt"]


def redacted(dialogue: Sequence[tuple[Role, str]]) -> list[str]:
    """The texts of a call as they are shown at its end."""
    redactor = Redactor(ALL)
    shown: list[str] = []
    for role, text in dialogue:
        result = redactor.redact(text, role)
        shown.append(result.text)
        for one in result.revised:
            shown[one.utterance] = one.text
    return shown


def hides(text: str, shown: str, label: Label) -> bool:
    """Whether nothing of a secret is shown."""
    spans = align(text, shown)
    assert spans is not None, (text, shown)
    return all(any(start <= first and last <= end for start, end in spans) for first, last in units(text, label))


def leaks(dialogue: Dialogue) -> list[str]:
    forms = [format_text(line.text) for line in dialogue.lines]
    roles = [line.role for line in dialogue.lines]
    before = redacted([(role, line.text) for role, line in zip(roles, dialogue.lines, strict=True)])
    after = redacted([(role, form.text) for role, form in zip(roles, forms, strict=True)])
    return [
        f"{line.text} | {spoken} | {shown}"
        for line, form, spoken, shown in zip(dialogue.lines, forms, before, after, strict=True)
        for label in line.labels
        if label.entity is not None
        and hides(line.text, spoken, label)
        and not hides(form.text, shown, moved(form, label))
    ]


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_every_labelled_secret_that_is_hidden_as_spoken_is_hidden_as_written(path: Path) -> None:
    dialogues = read(path)
    assert any(format_text(line.text).pieces for dialogue in dialogues for line in dialogue.lines)
    assert list(chain.from_iterable(map(leaks, dialogues))) == []


@given(spelled())
def test_a_string_of_digits_is_hidden_however_it_is_spelled(string: tuple[int, str]) -> None:
    _, text = string
    (spoken,) = redacted([(Role.CUSTOMER, text)])
    (shown,) = redacted([(Role.CUSTOMER, format_text(text).text)])
    if not any(map(str.isalnum, spoken)):
        assert not any(map(tells_digit, re.findall(r"\w+", shown)))
