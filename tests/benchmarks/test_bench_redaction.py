"""The benchmark's report at a small labelled set."""

import json
from pathlib import Path

import pytest

from benchmarks import bench_redaction
from benchmarks.bench_redaction import HALVES, main
from benchmarks.text.redaction_run import Run
from gateway.errors import PeerError

SOURCE = """\
== card
C: My card is [CREDIT_CARD_NUMBER 4111 1111 1111 1111].

C: One moment.

C: [PROFANITY Zyx] he said.
"""


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    for half in HALVES:
        (tmp_path / f"{half}.txt").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def test_both_halves_and_their_sum_are_told(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--labels", str(labels), "--peers", "--no-speech", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {name: part["utterances"] for name, part in result["parts"].items()} == {
        "development": 3,
        "heldout": 3,
        "whole": 6,
    }
    assert result["parts"]["whole"]["labels"]["CREDIT_CARD_NUMBER"] == 2
    assert set(result["parts"]["whole"]["redactors"]) == {
        "gateway",
        "gateway, default policy",
        "gateway, written",
        "gateway, written, default",
    }
    assert result["speech"] is None


def test_misses_are_told_of_the_development_half_only(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--labels", str(labels), "--peers", "--no-speech", "--misses"]) == 0
    out = capsys.readouterr().out
    assert "development.txt:6 (card) [Zyx] he said." in out
    assert "heldout.txt" not in out


def test_speech_and_a_peer_that_are_not_there_are_said(
    labels: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_given: object) -> dict[str, Run]:
        raise PeerError("no registry")

    monkeypatch.setattr(bench_redaction, "presidio", away)
    assert main(["--labels", str(labels), "--speech", str(labels), "--half", "heldout"]) == 0
    errors = capsys.readouterr().err
    assert "without presidio: no registry" in errors
    assert f"there are none in {labels / 'digits'}" in errors


def test_a_figure_is_kept_where_it_is_asked_for(labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = labels / "results" / "redaction.json"
    monkeypatch.setattr(bench_redaction, "RESULTS", kept)
    assert main(["--labels", str(labels), "--peers", "--no-speech", "--keep"]) == 0
    assert json.loads(kept.read_text(encoding="utf-8"))["parts"]["heldout"]["negatives"] == 1


def test_labels_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--labels", str(tmp_path), "--peers", "--no-speech"]) == 2
    assert str(tmp_path / "development.txt") in capsys.readouterr().err
