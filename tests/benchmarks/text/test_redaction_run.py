"""The gateway's redactor at small dialogues, and what a peer answers."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.text import redaction_run
from benchmarks.text.redaction import FOLDER, Dialogue, Label, Line, read
from benchmarks.text.redaction_forms import written
from benchmarks.text.redaction_run import EVERYTHING, PRESIDIO, Run, gateway, presidio
from gateway.errors import PeerError
from gateway.participants import Role
from gateway.text.policy import DEFAULT, Entity, Policy
from gateway.text.redacted import Hidden, Redacted, Revised

SOURCE = """\
== card
C: My card number is [CREDIT_CARD_NUMBER 4111 1111 1111 1111], thanks.

C: Hello there.
"""


@pytest.fixture
def dialogues(tmp_path: Path) -> list[Dialogue]:
    path = tmp_path / "set.txt"
    path.write_text(SOURCE, encoding="utf-8")
    return read(path)


def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Lets the peer be a script for this Python."""
    (tmp_path / PRESIDIO.script).write_text(script, encoding="utf-8")
    monkeypatch.setattr(redaction_run, "RUNNERS", tmp_path)
    monkeypatch.setattr(redaction_run, "ensure", lambda _peer, _cache: Path(sys.executable))


@pytest.mark.parametrize("policy", [EVERYTHING, DEFAULT])
def test_the_gateway_hides_a_written_card(dialogues: list[Dialogue], policy: Policy) -> None:
    run = gateway(dialogues, policy, rounds=2)
    summary = run.summary()
    assert summary["entities"]["CREDIT_CARD_NUMBER"]["recall"] == 1
    assert summary["precision_characters"] == 1
    assert (summary["negatives"], summary["negatives_clear"]) == (1, 1)
    assert len(run.ms) == 2
    assert 0 < summary["ms"]["p50"] <= summary["ms"]["p99"]


def test_what_is_stored_is_what_later_utterances_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the third utterance hides of the first is hidden late; what it shows of the second is stored so."""

    class Late:
        def __init__(self, _policy: Policy) -> None:
            self.said: list[str] = []

        def redact(self, text: str, _role: Role) -> Redacted:
            self.said.append(text)
            again = (Revised(0, "It's ####"), Revised(1, self.said[1])) if len(self.said) == 3 else ()
            hidden = (Hidden(5, 9, Entity.PIN),) if len(self.said) == 2 else ()
            return Redacted(f"{text[:5]}####" if hidden else text, hidden, again)

    monkeypatch.setattr(redaction_run, "Redactor", Late)
    line = Line(1, Role.CUSTOMER, "It's 1234", (Label(5, 9, Entity.PIN),))
    run = gateway([Dialogue("any", (line, line, Line(2, Role.AGENT, "PIN?", ())))], EVERYTHING, rounds=1)
    found = run.summary()["entities"]["PIN"]
    assert (found["recall"], found["recall_stored"]) == (0.5, 0.5)
    assert [miss.kind for miss in run.score.misses] == ["late"]


def test_a_text_that_shows_what_its_spans_hide_is_reported(
    dialogues: list[Dialogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Liar:
        def __init__(self, _policy: Policy) -> None:
            pass

        def redact(self, text: str, _role: Role) -> Redacted:
            return Redacted(text, (Hidden(0, 5, Entity.PIN),))

    monkeypatch.setattr(redaction_run, "Redactor", Liar)
    run = gateway(dialogues[1:], EVERYTHING, rounds=1)
    assert "untrue" in {miss.kind for miss in run.score.misses}


def test_shares_of_nothing_are_none() -> None:
    run = Run(ms=[1.0])
    assert run.summary()["precision_characters"] is None
    assert run.summary()["negatives_clear"] is None


def test_a_peer_is_scored_by_our_names(
    dialogues: list[Dialogue], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = dialogues[0].lines[0].text
    start = text.index("4111")
    whole = {
        "text": [[0, 2, "PERSON"]],
        "ms": 2.0,
        "digits": [[start, start + 19, "CREDIT_CARD"], [0, 2, "DATE_TIME"]],
        "digits_ms": 1.0,
    }
    nothing = {"text": [], "ms": 4.0, "digits": [], "digits_ms": 3.0}
    answering(
        tmp_path,
        monkeypatch,
        f"import json, sys\nassert len(json.load(sys.stdin)) == 2\nprint({json.dumps(whole)!r})\n"
        f"print({json.dumps(nothing)!r})\n",
    )
    known: dict[str, Mapping[str, Any]] = {}
    runs = presidio(dialogues, tmp_path, known)
    plain, digits, undated = (run.summary() for run in runs.values())
    assert plain["entities"]["CREDIT_CARD_NUMBER"]["recall"] == 0
    assert plain["entities"]["NAME"]["precision"] == 0
    assert digits["entities"]["CREDIT_CARD_NUMBER"]["recall"] == 1
    assert digits["entities"]["CREDIT_CARD_NUMBER"]["precision"] == 1
    assert digits["entities"]["DOB"]["precision"] == 0
    assert "DOB" not in undated["entities"]
    assert (plain["ms"]["p99"], digits["ms"]["p99"]) == (4.0, 3.0)
    (tmp_path / PRESIDIO.script).write_text("import sys\nsys.exit('asked again')\n", encoding="utf-8")
    assert presidio(dialogues, tmp_path, known)["presidio"].summary() == plain


def test_a_peer_that_ends_early_is_named(
    dialogues: list[Dialogue], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(tmp_path, monkeypatch, "import sys\nprint('{}')\nsys.exit('out of luck')\n")
    with pytest.raises(PeerError, match="1 of 2 utterances and ended: out of luck"):
        presidio(dialogues, tmp_path, {})


@pytest.mark.parametrize("formatted", [False, True], ids=["spoken", "written"])
@pytest.mark.parametrize("policy", [EVERYTHING, DEFAULT], ids=["everything", "default"])
def test_the_marks_hold_on_the_whole_set(policy: Policy, formatted: bool) -> None:
    dialogues = [one for half in ("development", "heldout") for one in read(FOLDER / f"{half}.txt")]
    run = gateway(written(dialogues) if formatted else dialogues, policy, rounds=1)
    found = run.summary()
    for entity in (Entity.CREDIT_CARD_NUMBER, Entity.CVV, Entity.PIN, Entity.SSN, Entity.PASSWORD):
        assert found["entities"][entity]["recall"] >= 0.98, entity
        assert found["entities"][entity]["recall_stored"] >= 0.98, entity
    assert found["precision_characters"] >= 0.95
    assert not [miss for miss in run.score.misses if miss.kind == "untrue"]
