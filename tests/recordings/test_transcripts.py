"""The forms of a transcript, beside what the gateway's own parts make of the same call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.api.schemas import MessageList
from gateway.delivery.payload import transcript_body
from gateway.export.rows import FEEDS
from gateway.participants import RedactionOutput, Role
from gateway.recordings.offline import Transcription, Utterance
from gateway.recordings.transcripts import Transcript, Who, document, feeds, lines, messages, posts, transcript
from gateway.speech.engine import Token

REDACTED, UNREDACTED, BOTH = RedactionOutput.REDACTED, RedactionOutput.UNREDACTED, RedactionOutput.BOTH
STARTED = datetime(2026, 3, 2, 13, 59, 30, tzinfo=UTC)
WORDS = (Token("It", 63_500, 63_700, 0.91239), Token("is", 63_700, 63_900, 0.8), Token("7392.", 64_000, 64_999, 0.7))
ASKED = Utterance(Role.AGENT, 28_480, 29_020, "Your PIN number?", "Your PIN number?", 0.9)
ANSWERED = Utterance(Role.CUSTOMER, 63_500, 64_999, "It is 7392.", "It is ####.", 0.87654, WORDS)
# It began first, and ended last.
WAITING = Utterance(Role.CUSTOMER, 28_000, 66_000, "Well.", "Well.", 0.9)
DONE = Transcription(70_000, (ASKED, ANSWERED, WAITING), 0)


def told(redaction: RedactionOutput = REDACTED, *, words: bool = False) -> Transcript:
    who = Who("TT98", "RE22", redaction=redaction, words=words)
    return transcript(Path("calls/one.wav"), DONE, who, STARTED)


def test_the_document_has_the_call_and_its_utterances() -> None:
    made = document(told())
    utterances = made.pop("utterances")
    streams = {one["role"]: one.pop("streamId") for one in made["participants"]}
    assert len(set(streams.values())) == 2
    assert made == {
        "file": "calls/one.wav",
        "callId": told().call.call_id,
        "externalConversationId": "one",
        "language": "en-US",
        "startedAt": "2026-03-02T13:59:30.000Z",
        "durationMs": 70_000,
        "failed": 0,
        "participants": [{"role": "agent", "externalId": "RE22"}, {"role": "customer", "externalId": "TT98"}],
    }
    # As they began; numbered as they ended.
    assert [(one["text"], one["sequence"]) for one in utterances] == [
        ("Well.", 3), ("Your PIN number?", 1), ("It is ####.", 2)
    ]  # fmt: skip
    assert {key: value for key, value in utterances[2].items() if key != "messageId"} == {
        "sequence": 2,
        "sender": {"role": "customer", "externalId": "TT98"},
        "start": 63_500,
        "end": 64_999,
        "confidence": 0.877,
        "text": "It is ####.",
    }


@pytest.mark.parametrize(
    ("redaction", "words", "texts"),
    [
        (REDACTED, True, {"text": "It is ####."}),
        (UNREDACTED, False, {"text": "It is 7392."}),
        (BOTH, True, {"text": "It is ####.", "unredactedText": "It is 7392."}),
    ],
)
def test_which_texts_a_document_carries(redaction: RedactionOutput, words: bool, texts: dict[str, str]) -> None:
    answered = document(told(redaction, words=words))["utterances"][2]
    assert {key: answered[key] for key in ("text", "unredactedText", "tokens") if key in answered} == texts


def test_words_go_with_unredacted_text() -> None:
    answered = document(told(UNREDACTED, words=True))["utterances"][2]
    assert answered["tokens"][0] == {"content": "It", "start": 63_500, "end": 63_700, "confidence": 0.912}
    assert [one["content"] for one in answered["tokens"]] == ["It", "is", "7392."]


def test_messages_are_the_apis() -> None:
    made = messages(told())
    read = MessageList.model_validate(made)
    assert made["items"][2] == {
        "text": "It is ####.",
        "sender": {"role": "customer", "externalId": "TT98"},
        "messageId": told().messages[1].message_id,
        "createdTimestamp": "2026-03-02T14:00:34.999Z",
        "clientTimestamp": "2026-03-02T14:00:33.500Z",
    }
    assert [item.text for item in read.items] == ["Well.", "Your PIN number?", "It is ####."]
    assert messages(told(BOTH)) == made
    assert messages(told(UNREDACTED))["items"][2]["text"] == "It is 7392."


@pytest.mark.parametrize("redaction", list(RedactionOutput))
def test_posts_are_the_webhooks(redaction: RedactionOutput) -> None:
    of = told(redaction, words=True)
    expected = [
        transcript_body(of.call, message, redaction, one.text, one.tokens)
        for one, message in zip(of.done.utterances, of.messages, strict=True)
    ]
    assert posts(of).splitlines() == expected


def test_feeds_are_parted_by_the_hour() -> None:
    made = feeds(told(), "harbor")
    part = "version=1/format=jsonl/dt=2026-03-02"
    counts = {place: len(rows) for place, rows in made.items()}
    assert counts == {
        f"utterances/{part}/hr=13": 1,
        f"utterances/{part}/hr=14": 2,
        f"staging_utterance_state/{part}/hr=13": 1,
        f"staging_utterance_state/{part}/hr=14": 2,
        f"staging_conversation_state/{part}/hr=13": 1,
        f"staging_conversation_state/{part}/hr=14": 1,
    }
    for place, rows in made.items():
        for row in rows:
            assert list(row) == [name for name, _ in FEEDS[place.partition("/")[0]]]
            assert row["company_marker"] == "harbor"
    assert {row["utterance"] for row in made[f"utterances/{part}/hr=14"]} == {"It is ####.", "Well."}
    unredacted = feeds(told(UNREDACTED), None)[f"utterances/{part}/hr=14"]
    assert {row["utterance"] for row in unredacted} == {"It is 7392.", "Well."}


def test_a_call_in_which_nothing_was_said_has_its_place_in_the_feeds() -> None:
    silent = transcript(Path("one.wav"), Transcription(1000, (), 0), Who(), STARTED)
    assert feeds(silent, None) == {"utterances/version=1/format=jsonl/dt=2026-03-02/hr=13": []}
    assert document(silent)["utterances"] == messages(silent)["items"] == []
    assert posts(silent) == b""
    assert lines(silent) == ""


def test_lines_are_those_of_the_terminal_in_the_order_of_delivery() -> None:
    assert lines(told()).splitlines() == [
        " 0:28.4 –  0:29.0  agent     Your PIN number?",
        " 1:03.5 –  1:04.9  customer  It is ####.",
        " 0:28.0 –  1:06.0  customer  Well.",
    ]
    assert lines(told(BOTH)).splitlines()[2] == f"{'unredacted':>27}  It is 7392."


def test_the_same_recording_has_the_same_ids_and_another_one_others() -> None:
    def ids(of: Transcript) -> list[Any]:
        return [of.call.call_id, *((message.message_id, message.stream_id) for message in of.messages)]

    elsewhere = transcript(
        Path("two/one.wav"), DONE, Who("TT98", "RE22"), STARTED.astimezone(timezone(timedelta(hours=2)))
    )
    assert ids(elsewhere) == ids(told())
    assert orjson.dumps(feeds(elsewhere, None)) == orjson.dumps(feeds(told(), None))
    later = transcript(Path("one.wav"), DONE, Who(), STARTED + timedelta(seconds=1))
    longer = transcript(Path("one.wav"), replace(DONE, duration_ms=70_001), Who(), STARTED)
    known = {told().call.call_id, *(message.message_id for message in told().messages)}
    for other in (later, longer, transcript(Path("two.wav"), DONE, Who(), STARTED)):
        assert not known & {other.call.call_id, *(message.message_id for message in other.messages)}
    # They sort by time, as those of a live call.
    assert [message.message_id for message in told().messages] == sorted(m.message_id for m in told().messages)
