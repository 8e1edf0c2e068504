"""A recording's transcript in the forms of the gateway: its records, JSON, messages, webhook posts, feeds, lines.

The same recording gives the same bytes: ids are made of the call and what was said when, not at random.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from gateway.api.schemas import Message, MessageList, Sender
from gateway.api.schemas.common import iso_utc
from gateway.delivery.payload import stored_body, tokens_json
from gateway.export.partitions import VERSION
from gateway.export.rows import Row, Terms, conversation_state_rows, utterance_rows, utterance_state_rows
from gateway.ids import first_ulid
from gateway.participants import RedactionOutput, Role
from gateway.peers.client import Json
from gateway.recordings.offline import Transcription, Utterance
from gateway.store.records import CallRecord, MessageRecord

__all__ = ["FIRST_FEED", "Transcript", "Who", "document", "feeds", "lines", "messages", "plain", "posts", "transcript"]

FIRST_FEED = "utterances"
"""The feed that every recording has a file of."""

_ACCOUNT = "recordings"
"""Stands for the account, which recordings have none."""

_TO_CROCKFORD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@dataclass(frozen=True, slots=True)
class Who:
    """What a start request would say of a call.

    Its participants' external ids, its language, which texts are told, and whether with their ``words``.
    """

    customer: str = Role.CUSTOMER.value
    agent: str = Role.AGENT.value
    language: str = "en-US"
    redaction: RedactionOutput = RedactionOutput.REDACTED
    words: bool = False


@dataclass(frozen=True, slots=True)
class Transcript:
    """A transcribed recording with the records that the gateway would have stored; a message an utterance."""

    file: Path
    who: Who
    done: Transcription
    call: CallRecord
    messages: tuple[MessageRecord, ...]

    @property
    def said(self) -> list[tuple[Utterance, MessageRecord]]:
        """Utterances with their messages, as the API sorts them."""
        pairs = zip(self.done.utterances, self.messages, strict=True)
        return sorted(pairs, key=lambda pair: (pair[1].start_ms, pair[1].sequence))


def transcript(file: Path, done: Transcription, who: Who, started_at: datetime) -> Transcript:
    """Put a transcription on the clock and give it its ids.

    Args:
        file: its name, without the suffix, stands for the call's.
        done: what was said.
        who: the participants.
        started_at: wall time of the first sample; aware.
    """
    started_at = started_at.astimezone(UTC)
    seed = f"{file.stem}\0{started_at.timestamp()}\0{done.duration_ms}"
    call = CallRecord(
        call_id=_ulid(started_at, seed),
        account_id=_ACCOUNT,
        guid=file.stem,
        language=who.language,
        customer_id=who.customer,
        agent_id=who.agent,
        started_at=started_at,
        completed_at=started_at + timedelta(milliseconds=done.duration_ms),
    )
    records = (_record(call, sequence, one, who, seed) for sequence, one in enumerate(done.utterances, 1))
    return Transcript(file, who, done, call, tuple(records))


def _record(call: CallRecord, sequence: int, one: Utterance, who: Who, seed: str) -> MessageRecord:
    created_at = call.started_at + timedelta(milliseconds=one.end_ms)
    shows = who.redaction is RedactionOutput.UNREDACTED
    return MessageRecord(
        message_id=_ulid(created_at, f"{seed}\0{sequence}"),
        call_id=call.call_id,
        sequence=sequence,
        stream_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed}\0{one.role}")),
        role=one.role.value,
        external_id=call.customer_id if one.role is Role.CUSTOMER else call.agent_id,
        start_ms=one.start_ms,
        end_ms=one.end_ms,
        text=one.redacted,
        client_timestamp=call.started_at + timedelta(milliseconds=one.start_ms),
        created_timestamp=created_at,
        unredacted=None if who.redaction is RedactionOutput.REDACTED else one.text,
        show_unredacted=shows,
        tokens=tokens_json(one.tokens) if shows and who.words else None,
    )


def _ulid(at: datetime, seed: str) -> str:
    """A ULID whose random part is a digest of ``seed``."""
    digest = hashlib.sha256(seed.encode()).digest()[:10]
    return first_ulid(at.timestamp())[:10] + base64.b32encode(digest).decode().translate(_TO_CROCKFORD)


def document(of: Transcript) -> Json:
    """All of it: the call, its participants, and each utterance with its place in ms from the recording's beginning."""
    call = of.call
    present = {message.role: message for message in of.messages}
    return {
        "file": str(of.file),
        "callId": call.call_id,
        "externalConversationId": call.guid,
        "language": call.language,
        "startedAt": iso_utc(call.started_at),
        "durationMs": of.done.duration_ms,
        "failed": of.done.failed,
        "participants": [
            {"role": role, "externalId": message.external_id, "streamId": message.stream_id}
            for role, message in sorted(present.items())
        ],
        "utterances": [_utterance(one, message) for one, message in of.said],
    }


def _utterance(one: Utterance, message: MessageRecord) -> Json:
    told: Json = {
        "messageId": message.message_id,
        "sequence": message.sequence,
        "sender": {"role": message.role, "externalId": message.external_id},
        "start": one.start_ms,
        "end": one.end_ms,
        "confidence": round(one.confidence, 3),
        "text": message.shown,
    }
    if message.unredacted is not None and not message.show_unredacted:
        told["unredactedText"] = message.unredacted
    if message.tokens is not None:
        told["tokens"] = orjson.loads(message.tokens)
    return told


def messages(of: Transcript) -> Json:
    """What the messages API would answer, without its limit of 1,000."""
    items = [
        Message(
            text=message.shown,
            sender=Sender(role=message.role, external_id=message.external_id),
            message_id=message.message_id,
            created_timestamp=message.created_timestamp,
            client_timestamp=message.client_timestamp,
        )
        for _, message in of.said
    ]
    return MessageList(items=items).model_dump(mode="json", by_alias=True, exclude_none=True)


def posts(of: Transcript) -> bytes:
    """What the webhook would be sent, a line each, in the order of the utterances' ends."""
    return b"".join(stored_body(of.call.guid, message) + b"\n" for message in of.messages)


def feeds(of: Transcript, company_marker: str | None) -> Mapping[str, Sequence[Row]]:
    """The rows of each feed by their partition: ``utterances/version=1/format=jsonl/dt=2026-03-02/hr=14``.

    The hour in which the call began is there even if nothing was said in it.
    """
    terms = Terms(company_marker, unredacted=True)
    began = of.call.started_at
    rows = {
        FIRST_FEED: utterance_rows(of.call, of.messages, terms),
        "staging_utterance_state": utterance_state_rows(of.call, of.messages, terms),
        "staging_conversation_state": conversation_state_rows(of.call, of.messages, terms),
    }
    parted: dict[str, list[Row]] = {_partition(FIRST_FEED, f"{began:%Y-%m-%d}", f"{began:%H}"): []}
    for feed, made in rows.items():
        for row in made:
            parted.setdefault(_partition(feed, row["dt"], row["hr"]), []).append(row)
    return parted


def _partition(feed: str, day: object, hour: object) -> str:
    return f"{feed}/version={VERSION}/format=jsonl/dt={day}/hr={hour}"


def lines(of: Transcript) -> str:
    """A line an utterance, as it is shown on a terminal: when, who, what."""
    return "".join(f"{line}\n" for one in of.done.utterances for line in plain(one, of.who.redaction))


def plain(one: Utterance, redaction: RedactionOutput) -> list[str]:
    """The line of an utterance, and with both texts a second one, if they differ."""
    text = one.text if redaction is RedactionOutput.UNREDACTED else one.redacted
    shown = [f"{_clock(one.start_ms)} – {_clock(one.end_ms)}  {one.role:<8}  {text}"]
    if redaction is RedactionOutput.BOTH and one.text != one.redacted:
        shown.append(f"{'unredacted':>27}  {one.text}")
    return shown


def _clock(ms: int) -> str:
    minutes, rest = divmod(ms, 60_000)
    return f"{minutes:2}:{rest // 1000:02}.{rest % 1000 // 100}"
