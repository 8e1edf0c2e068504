"""A recording's files: where they lie, and which of them are there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from gateway.participants import RedactionOutput, Role
from gateway.recordings import subtitles, transcripts
from gateway.recordings.forms import Form, Shelf, render
from gateway.recordings.offline import Transcription, Utterance
from gateway.recordings.transcripts import Transcript, Who, transcript
from gateway.speech.engine import Token

STARTED = datetime(2026, 3, 2, 13, 59, 59, tzinfo=UTC)
WORDS = (Token("Good", 100, 300, 0.9), Token("morning.", 400, 900, 0.9))
SAID = Utterance(Role.AGENT, 100, 1900, "Good morning.", "Good morning.", 0.9, WORDS)
RELATIVE = Path("may/call.v2")


def told(*, words: bool = False, started_at: datetime = STARTED, silent: bool = False) -> Transcript:
    done = Transcription(2000, () if silent else (SAID,), 0)
    who = Who(redaction=RedactionOutput.UNREDACTED, words=words)
    return transcript(Path("calls/may/call.v2.wav"), done, who, started_at)


def files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def test_each_form_is_what_makes_it() -> None:
    of = told()
    cues = subtitles.cues(of.done.utterances, RedactionOutput.UNREDACTED)
    assert render(Form.TEXT, of).decode() == transcripts.lines(of)
    assert orjson.loads(render(Form.JSON, of)) == transcripts.document(of)
    assert orjson.loads(render(Form.MESSAGES, of)) == transcripts.messages(of)
    assert render(Form.WEBHOOK, of) == transcripts.posts(of)
    assert render(Form.SRT, of).decode() == subtitles.srt(cues)
    assert render(Form.VTT, of).decode() == subtitles.vtt(cues)
    assert render(Form.VTT, told(words=True)).decode() == subtitles.vtt(cues, word_times=True) != subtitles.vtt(cues)


def test_files_lie_as_the_recordings_lay(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "out", [Form.JSON, Form.SRT])
    assert shelf.missing(RELATIVE) == [Form.JSON, Form.SRT]
    assert not shelf.folder.exists()
    shelf.save(told(), RELATIVE, [Form.JSON])
    assert files(shelf.folder) == ["may/call.v2.json"]
    assert shelf.missing(RELATIVE) == [Form.SRT]
    shelf.save(told(), RELATIVE, [Form.SRT])
    assert shelf.missing(RELATIVE) == []
    assert shelf.missing(Path("may/call")) == [Form.JSON, Form.SRT]


@pytest.mark.parametrize("silent", [False, True])
def test_a_recording_has_its_own_files_in_the_feeds(tmp_path: Path, silent: bool) -> None:
    shelf = Shelf(tmp_path, [Form.FEEDS], "harbor")
    assert shelf.missing(RELATIVE) == [Form.FEEDS]
    shelf.save(told(silent=silent), RELATIVE, shelf.forms)
    assert Shelf(tmp_path, [Form.FEEDS]).missing(RELATIVE) == []
    assert Shelf(tmp_path, [Form.FEEDS]).missing(Path("call.v2")) == [Form.FEEDS]
    part = "version=1/format=jsonl/dt=2026-03-02"
    name = "may%2Fcall.v2.jsonl"
    spoken = [] if silent else [
        f"staging_conversation_state/{part}/hr=14/{name}",
        f"staging_utterance_state/{part}/hr=14/{name}",
        f"utterances/{part}/hr=14/{name}",
    ]  # fmt: skip
    assert files(tmp_path) == sorted([f"utterances/{part}/hr=13/{name}", *spoken])
    rows = [orjson.loads(row) for each in spoken for row in (tmp_path / each).read_bytes().splitlines()]
    assert len(rows) == len(spoken)
    assert all(row["company_marker"] == "harbor" for row in rows)


def test_a_feed_that_is_made_anew_leaves_nothing_behind(tmp_path: Path) -> None:
    Shelf(tmp_path, [Form.FEEDS]).save(told(), RELATIVE, [Form.FEEDS])
    Shelf(tmp_path, [Form.FEEDS]).save(told(), Path("other"), [Form.FEEDS])
    moved = told(started_at=STARTED + timedelta(days=1))
    Shelf(tmp_path, [Form.FEEDS]).save(moved, RELATIVE, [Form.FEEDS])
    mine = [each for each in files(tmp_path) if "call" in each]
    assert len(mine) == 4
    assert all("dt=2026-03-03" in each for each in mine)
    assert len(files(tmp_path)) == 8
