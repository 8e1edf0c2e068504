"""``gateway transcribe``: its output, its mistakes, and (slow) the real models on the sample call."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from gateway.cli import transcribe as module
from gateway.cli.main import app
from gateway.cli.offline import Transcription, Utterance
from gateway.cli.transcribe import document, line, roles_of
from gateway.config import Settings
from gateway.errors import CallerError, ConfigError, UsageError
from gateway.participants import RedactionOutput, Role, Track
from gateway.peers.recording import Recording
from tests.cli.command import gateway

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "samples" / "support-call.wav"
MODELS = {"GATEWAY_MODELS_DIR": str(ROOT / "models" / "cache")}

ASKED = Utterance(Role.AGENT, 61_480, 63_020, "Your PIN number?", "Your PIN number?", 0.9)
ANSWERED = Utterance(Role.CUSTOMER, 63_500, 64_999, "It is 7392.", "It is ####.", 0.9)
DONE = Transcription(70_000, (ASKED, ANSWERED), 0)


def recording(*tracks: Track) -> Recording:
    return Recording({each: np.zeros(1600, np.int16) for each in tracks})


@pytest.fixture
def quiet_file(tmp_path: Path) -> Path:
    path = tmp_path / "quiet.wav"
    soundfile.write(path, np.zeros((1600, 2), np.int16), 8000)
    return path


def test_who_speaks_on_which_track() -> None:
    both = recording(Track.INBOUND, Track.OUTBOUND)
    assert roles_of(both, None) == {Track.INBOUND: Role.CUSTOMER, Track.OUTBOUND: Role.AGENT}
    assert roles_of(both, "inbound=agent,outbound=customer") == {
        Track.INBOUND: Role.AGENT,
        Track.OUTBOUND: Role.CUSTOMER,
    }
    assert roles_of(recording(Track.INBOUND), None) == {Track.INBOUND: Role.CUSTOMER}
    assert roles_of(recording(Track.INBOUND), "inbound=agent") == {Track.INBOUND: Role.AGENT}
    with pytest.raises(UsageError, match="both tracks are the agent's; give each its own role"):
        roles_of(both, "inbound=agent")
    with pytest.raises(UsageError, match="must be like"):
        roles_of(both, "left=agent")


def test_messages_are_what_the_webhook_would_get() -> None:
    made = document(Path("calls/one.wav"), DONE, RedactionOutput.REDACTED, {Role.AGENT: "RE22", Role.CUSTOMER: "TT98"})
    streams = [message.pop("streamId") for message in made["messages"]]
    assert made == {
        "file": "calls/one.wav",
        "durationMs": 70_000,
        "failed": 0,
        "messages": [
            {
                "type": "transcript",
                "externalConversationId": "one",
                "sender": {"externalId": external, "role": role},
                "autotranscribeResponse": {
                    "message": "transcript",
                    "start": start,
                    "end": end,
                    "utterance": [{"text": text}],
                },
            }
            for external, role, start, end, text in [
                ("RE22", "agent", 61_480, 63_020, "Your PIN number?"),
                ("TT98", "customer", 63_500, 64_999, "It is ####."),
            ]
        ],
    }
    assert len(set(streams)) == 2


@pytest.mark.parametrize(
    ("redaction", "utterance"),
    [
        (RedactionOutput.REDACTED, {"text": "It is ####."}),
        (RedactionOutput.UNREDACTED, {"text": "It is 7392."}),
        (RedactionOutput.BOTH, {"text": "It is ####.", "unredactedText": "It is 7392."}),
    ],
)
def test_which_texts_a_document_carries(redaction: RedactionOutput, utterance: dict[str, str]) -> None:
    _, answered = document(Path("one.wav"), DONE, redaction)["messages"]
    assert answered["autotranscribeResponse"]["utterance"] == [utterance]
    assert answered["sender"] == {"externalId": "customer", "role": "customer"}


def test_lines_say_when_who_and_what() -> None:
    assert line(ASKED, RedactionOutput.REDACTED).plain == " 1:01.4 –  1:03.0  agent     Your PIN number?"
    assert line(ANSWERED, RedactionOutput.REDACTED).plain.endswith("customer  It is ####.")
    assert line(ANSWERED, RedactionOutput.UNREDACTED).plain.endswith("customer  It is 7392.")
    both = line(ANSWERED, RedactionOutput.BOTH).plain.splitlines()
    assert [each[29:] for each in both] == ["It is ####.", "It is 7392."]
    assert len(line(ASKED, RedactionOutput.BOTH).plain.splitlines()) == 1
    styles = [{span.style for span in line(each, RedactionOutput.REDACTED).spans} for each in (ASKED, ANSWERED)]
    assert styles[0] != styles[1]


def test_what_could_not_be_recognised_is_told(quiet_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half_done(_settings: Settings, _call: Recording, _roles: Any) -> Transcription:
        return Transcription(200, (ANSWERED,), 2)

    monkeypatch.setattr(module, "_run", half_done)
    ended = CliRunner().invoke(app, ["transcribe", str(quiet_file)])
    assert ended.exit_code == 1
    assert "It is ####." in ended.output
    assert "2 utterances could not be recognised" in ended.output


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
    assert ended.err == "error: none.wav: no such file; name a WAV file, 8 kHz with one or two channels\n"


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
    arguments = ["--json", "--track-map", "inbound=agent,outbound=customer", "--agent-id", "RE22"]
    ended = await gateway("transcribe", str(SAMPLE), *arguments, cwd=tmp_path, **MODELS)
    assert (ended.code, ended.err) == (0, "")
    assert ended.json["durationMs"] == json.loads(SAMPLE.with_suffix(".json").read_text())["durationMs"]
    first = ended.json["messages"][0]
    assert first["sender"] == {"externalId": "customer", "role": "customer"}
    assert first["autotranscribeResponse"]["utterance"][0]["text"].startswith("Thank you for calling")
    assert {message["sender"]["externalId"] for message in ended.json["messages"]} == {"customer", "RE22"}


@pytest.mark.slow
async def test_one_channel_is_the_customer_and_silence_says_nothing(tmp_path: Path) -> None:
    call, _ = soundfile.read(SAMPLE, dtype="int16")
    soundfile.write(tmp_path / "mono.wav", call[: 8000 * 6, 1], 8000)
    soundfile.write(tmp_path / "quiet.wav", np.zeros(8000, np.int16), 8000)
    ended = await gateway("transcribe", "mono.wav", "--json", cwd=tmp_path, **MODELS)
    assert {message["sender"]["role"] for message in ended.json["messages"]} == {"customer"}
    ended = await gateway("transcribe", "quiet.wav", "--json", cwd=tmp_path, **MODELS)
    assert (ended.code, ended.json["messages"], ended.json["durationMs"]) == (0, [], 1000)
