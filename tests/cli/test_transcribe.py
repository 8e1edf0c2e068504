"""``gateway transcribe``: its output, its mistakes, and (slow) the real models on the sample call."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.cli.transcribe import line, roles_of
from gateway.errors import CallerError, ConfigError, UsageError
from gateway.participants import RedactionOutput, Role, Track
from gateway.recordings.offline import Utterance
from tests.cli.command import gateway
from tests.recordings.test_offline import POISON, Loudness, PitchEngine, say

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "samples" / "support-call.wav"
HOLD = ROOT / "samples" / "hold-call.wav"
MODELS = {"GATEWAY_MODELS_DIR": str(ROOT / "models" / "cache")}

ASKED = Utterance(Role.AGENT, 61_480, 63_020, "Your PIN number?", "Your PIN number?", 0.9)
ANSWERED = Utterance(Role.CUSTOMER, 63_500, 64_999, "It is 7392.", "It is ####.", 0.9)
BOTH = (Track.INBOUND, Track.OUTBOUND)


@pytest.fixture
def quiet_file(tmp_path: Path) -> Path:
    path = tmp_path / "quiet.wav"
    soundfile.write(path, np.zeros((1600, 2), np.int16), 8000)
    return path


def test_who_speaks_on_which_track() -> None:
    customer_first = {Track.INBOUND: Role.CUSTOMER, Track.OUTBOUND: Role.AGENT}
    agent_first = {Track.INBOUND: Role.AGENT, Track.OUTBOUND: Role.CUSTOMER}
    assert roles_of(BOTH) == roles_of(BOTH, mono=Role.AGENT) == customer_first
    assert roles_of(BOTH, "inbound=agent,outbound=customer") == roles_of(BOTH, swapped=True) == agent_first
    alone = (Track.INBOUND,)
    assert roles_of(alone) == roles_of(alone, swapped=True) == {Track.INBOUND: Role.CUSTOMER}
    assert roles_of(alone, "inbound=agent") == roles_of(alone, mono=Role.AGENT) == {Track.INBOUND: Role.AGENT}
    with pytest.raises(UsageError, match="both tracks are the agent's; give each its own role"):
        roles_of(BOTH, "inbound=agent")
    with pytest.raises(UsageError, match="must be like"):
        roles_of(BOTH, "left=agent")


def test_lines_say_when_who_and_what() -> None:
    assert line(ASKED, RedactionOutput.REDACTED).plain == " 1:01.4 –  1:03.0  agent     Your PIN number?"
    assert line(ANSWERED, RedactionOutput.REDACTED).plain.endswith("customer  It is ####.")
    assert line(ANSWERED, RedactionOutput.UNREDACTED).plain.endswith("customer  It is 7392.")
    both = line(ANSWERED, RedactionOutput.BOTH).plain.splitlines()
    assert [each[29:] for each in both] == ["It is ####.", "It is 7392."]
    assert len(line(ASKED, RedactionOutput.BOTH).plain.splitlines()) == 1
    styles = [{span.style for span in line(each, RedactionOutput.REDACTED).spans} for each in (ASKED, ANSWERED)]
    assert styles[0] != styles[1]


@pytest.fixture
def pitches(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that reads pitch, and fails where no real one does."""
    monkeypatch.setattr("gateway.server.speech.load_engine", lambda _settings: PitchEngine())
    monkeypatch.setattr("gateway.speech.silero.Silero", lambda _path: Loudness())
    monkeypatch.setattr("models.store.locate", lambda folder, _name: folder)


@pytest.mark.usefixtures("pitches")
def test_what_could_not_be_recognised_is_told(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    soundfile.write(path, say((200, 960), (0, 960), (POISON, 960), (0, 960), (POISON, 960), (0, 960)), 8000)
    ended = CliRunner().invoke(app, ["transcribe", str(path)])
    assert ended.exit_code == 1
    assert ended.stdout.endswith("customer  Good morning.\n")
    assert ended.stderr == f"error: {path}: 2 utterances could not be recognised and are missing\n"


@pytest.mark.usefixtures("pitches")
def test_a_call_began_when_it_is_said_or_so_long_before_its_file_was_ended(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    soundfile.write(path, say((0, 640), (200, 960), (0, 960)), 8000)
    os.utime(path, (1_772_460_000, 1_772_460_000))
    began = []
    for more in ([], ["--started-at", "2026-03-02T14:05"], ["--started-at", "2026-03-02T14:05:00+02:00"]):
        ended = CliRunner().invoke(app, ["transcribe", str(path), "--json", *more])
        began.append(json.loads(ended.stdout)["startedAt"])
    assert began == ["2026-03-02T13:59:57.440Z", "2026-03-02T14:05:00.000Z", "2026-03-02T12:05:00.000Z"]


@pytest.mark.usefixtures("pitches")
def test_redaction_is_as_the_options_say(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    soundfile.write(path, say((400, 960), (0, 960), (600, 960), (0, 960)), 8000)
    asked = ["transcribe", str(path), "--mono-role", "agent"]
    texts = [CliRunner().invoke(app, [*asked, *more]).stdout.splitlines()[-1] for more in ([], ["--show", "pin"])]
    assert "agent     ##." in texts[0]
    assert "#" not in texts[1]
    both = CliRunner().invoke(app, [*asked, "--json", "--redaction-output", "redacted_and_unredacted"])
    assert json.loads(both.stdout)["utterances"][1]["unredactedText"] == "Seven three."


@pytest.mark.parametrize(
    ("content", "arguments", "says"),
    [
        (None, [], "no such file"),
        (b"RIFF, but no more than that", [], "no sound file that can be read"),
        (np.zeros((800, 3), np.int16), [], "3 channels"),
        (np.zeros((0, 2), np.int16), [], "holds no audio"),
        (np.zeros((800, 2), np.int16), ["--track-map", "inbound=boss"], "must be like"),
        (np.zeros((800, 2), np.int16), ["--track-map", "inbound=agent,outbound=agent"], "give each its own role"),
        (np.zeros((800, 2), np.int16), ["--config", "none.toml"], "cannot be read"),
        (b"", [], "is empty"),
        (np.zeros((800, 2), np.int16), ["--detailed-token"], "add --redaction-output unredacted"),
        (np.zeros((800, 2), np.int16), ["--started-at", "noon"], "must be like 2026-"),
        (np.zeros((800, 2), np.int16), ["--hide", "SHOES"], "must be one of CREDIT_CARD_NUMBER"),
        (np.zeros((800, 2), np.int16), ["--format", "srt", "--format", "vtt"], "--output DIR is needed"),
        (np.zeros((800, 2), np.int16), ["--format", "feeds"], "--output DIR is needed"),
        (np.zeros((800, 2), np.int16), ["--force"], "give --output DIR"),
        (np.zeros((800, 2), np.int16), ["call.wav", "other.wav"], "--output DIR is needed"),
        (np.zeros((800, 2), np.int16), ["other.wav", "--output", "x", "--started-at", "2026-03-02"], "is one call's"),
    ],
)  # fmt: skip
def test_the_callers_mistakes(content: Any, arguments: list[str], says: str, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        soundfile.write(path, content, 8000)
    ended = CliRunner().invoke(app, ["transcribe", str(path), *arguments])
    assert isinstance(ended.exception, CallerError)
    assert says in str(ended.exception)
    assert ended.stdout == ""


def test_where_unredacted_text_is_forbidden_there_is_none(quiet_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_REDACTION__ALWAYS", "true")
    ended = CliRunner().invoke(app, ["transcribe", str(quiet_file), "--redaction-output", "unredacted"])
    assert isinstance(ended.exception, UsageError)
    assert "GATEWAY_REDACTION__ALWAYS is set" in str(ended.exception)


def test_nothing_is_overwritten_unasked(quiet_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "quiet.srt").write_text("mine")
    asked = ["transcribe", str(quiet_file), "--output", str(out), "--format", "srt"]
    ended = CliRunner().invoke(app, [*asked, "--format", "json"])
    assert isinstance(ended.exception, UsageError)
    assert "--skip-existing goes on, --force overwrites" in str(ended.exception)
    # All of it is there: no model is needed to see that nothing is to be done.
    ended = CliRunner().invoke(app, [*asked, "--skip-existing"])
    assert (ended.exit_code, ended.output) == (0, "")
    assert (out / "quiet.srt").read_text() == "mine"


async def test_missing_models_are_named_with_their_cure(quiet_file: Path, tmp_path: Path) -> None:
    ended = await gateway("transcribe", str(quiet_file), cwd=tmp_path, GATEWAY_MODELS_DIR=str(tmp_path / "none"))
    assert (ended.code, ended.out) == (1, "")
    assert "run `gateway models fetch silero-vad`" in " ".join(ended.err.split())
    assert len(ended.err.splitlines()) == 1


def test_without_a_recognizer_there_is_nothing_to_do(quiet_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_ASR__MODEL", "none")
    ended = CliRunner().invoke(app, ["transcribe", str(quiet_file)])
    assert isinstance(ended.exception, ConfigError)
    assert "GATEWAY_ASR__MODEL: 'none' transcribes nothing" in str(ended.exception)


async def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    ended = await gateway("transcribe", "none.wav", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "error: none.wav: no such file; name a recording with one or two channels (WAV, FLAC, MP3 …)\n"


# --- the real models --------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_the_sample_is_printed_line_by_line(tmp_path: Path) -> None:
    ended = await gateway("transcribe", str(SAMPLE), cwd=tmp_path, **MODELS)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert all(re.match(r" \d:\d\d\.\d –  \d:\d\d\.\d  (agent   |customer)  \S", each) for each in lines)
    assert len(lines) >= 16
    assert re.search(r"agent +Thank you for calling Harbor", lines[0])
    assert "#### #### #### ####" in ended.out


@pytest.mark.slow
async def test_the_sample_as_json_with_the_roles_changed(tmp_path: Path) -> None:
    arguments = ["--json", "--swap-channels", "--agent-id", "RE22", "--hide", "email"]
    ended = await gateway("transcribe", str(SAMPLE), *arguments, cwd=tmp_path, **MODELS)
    assert (ended.code, ended.err) == (0, "")
    assert ended.json["durationMs"] == json.loads(SAMPLE.with_suffix(".json").read_text())["durationMs"]
    first = ended.json["utterances"][0]
    assert first["sender"] == {"externalId": "customer", "role": "customer"}
    assert first["text"].startswith("Thank you for calling")
    assert {one["externalId"] for one in ended.json["participants"]} == {"customer", "RE22"}
    assert "example.com" not in ended.out


@pytest.mark.slow
async def test_a_folder_in_several_forms_where_one_file_is_no_recording(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    (calls / "may").mkdir(parents=True)
    audio, _ = soundfile.read(HOLD, dtype="int16")
    soundfile.write(calls / "may" / "hold.flac", audio, 8000)
    soundfile.write(calls / "hold.ulaw", audio[:, 0], 8000, format="RAW", subtype="ULAW")
    soundfile.write(calls / "quiet.wav", np.zeros(8000, np.int16), 8000)
    (calls / "broken.wav").write_bytes(b"RIFF, but no more than that")
    forms = [each for form in ("text", "json", "messages", "webhook", "srt", "vtt", "feeds") for each in ("-f", form)]
    asked = ["transcribe", "calls", "-o", "out", "--redaction-output", "unredacted", "--detailed-token", *forms]
    ended = await gateway(*asked, cwd=tmp_path, **MODELS)
    assert (ended.code, ended.out) == (1, "")
    first, last = ended.err.splitlines()
    assert first.startswith("error: calls/broken.wav: no sound file that can be read")
    assert last.startswith("3 of 4 recordings transcribed, 1 failed, ")
    out = tmp_path / "out"
    suffixes = (".json", ".messages.json", ".srt", ".txt", ".vtt", ".webhook.jsonl")
    names = {f"{name}{suffix}" for name in ("hold", "quiet", "may/hold") for suffix in suffixes}
    assert {
        str(each.relative_to(out)) for each in out.rglob("*") if "version=1" not in str(each) and each.is_file()
    } == names
    both = json.loads((out / "may/hold.json").read_text())
    assert {one["sender"]["role"] for one in both["utterances"]} == {"customer", "agent"}
    assert all(one["tokens"] for one in both["utterances"])
    said = [one["text"] for one in both["utterances"]]
    assert [one["text"] for one in json.loads((out / "may/hold.messages.json").read_text())["items"]] == said
    assert len(list((out / "utterances").rglob("may%2Fhold.jsonl"))) >= 1
    before = {each: each.stat().st_mtime_ns for each in out.rglob("*") if each.is_file()}
    (out / "may/hold.srt").unlink()
    (calls / "broken.wav").unlink()
    ended = await gateway(*asked, "--skip-existing", cwd=tmp_path, **MODELS)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    after = {each: each.stat().st_mtime_ns for each in out.rglob("*") if each.is_file()}
    assert [str(each.name) for each in after if after[each] != before[each]] == ["hold.srt"]
    assert after.keys() == before.keys()


@pytest.mark.slow
async def test_one_channel_is_the_customer_and_languages_are_the_models(tmp_path: Path) -> None:
    call, _ = soundfile.read(SAMPLE, dtype="int16")
    soundfile.write(tmp_path / "mono.wav", call[: 8000 * 6, 1], 8000)
    ended = await gateway("transcribe", "mono.wav", "--json", "--language", "en-GB", cwd=tmp_path, **MODELS)
    assert {one["sender"]["role"] for one in ended.json["utterances"]} == {"customer"}
    assert ended.json["language"] == "en-GB"
    ended = await gateway("transcribe", "mono.wav", "--language", "de-DE", cwd=tmp_path, **MODELS)
    assert ended.code == 2
    assert "--language de-DE: moonshine-tiny-en reads en;" in ended.err
