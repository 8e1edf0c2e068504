"""What the webhook is sent: the ``transcript`` message of reference/asapp-api.md §4.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.participants import RedactionOutput
from gateway.speech.engine import Token
from gateway.store.records import CallRecord, MessageRecord

__all__ = ["revised_body", "stored_body", "tokens_json", "transcript_body"]


def transcript_body(
    call: CallRecord, message: MessageRecord, redaction: RedactionOutput, unredacted: str, tokens: Sequence[Token]
) -> bytes:
    """The JSON of one utterance.

    Which texts it carries is ``redaction``'s to say. Words with their times go only with the unredacted text: they
    would give away what the redacted one hides.
    """
    alternative: dict[str, Any]
    match redaction:
        case RedactionOutput.REDACTED:
            alternative = {"text": message.text}
        case RedactionOutput.BOTH:
            alternative = {"text": message.text, "unredactedText": unredacted}
        case RedactionOutput.UNREDACTED:
            alternative = {"text": unredacted}
            if words := tokens_json(tokens):
                alternative["tokens"] = orjson.Fragment(words)
    return _body(call.guid, message, alternative)


def stored_body(guid: str, message: MessageRecord) -> bytes:
    """The same JSON once more, from what the store keeps of a message of the call ``guid``.

    Redacted text is as it stands now: what later utterances showed to be sensitive is hidden in it, too.
    """
    alternative: dict[str, Any]
    if message.unredacted is None:
        alternative = {"text": message.text}
    elif not message.show_unredacted:
        alternative = {"text": message.text, "unredactedText": message.unredacted}
    else:
        alternative = {"text": message.unredacted}
        if message.tokens is not None:
            alternative["tokens"] = orjson.Fragment(message.tokens)
    return _body(guid, message, alternative)


def revised_body(body: bytes, text: str) -> bytes:
    """A body that has redacted text, with that text redacted anew."""
    message = orjson.loads(body)
    message["autotranscribeResponse"]["utterance"][0]["text"] = text
    return orjson.dumps(message)


def _body(guid: str, message: MessageRecord, alternative: dict[str, Any]) -> bytes:
    body = {
        "type": "transcript",
        "externalConversationId": guid,
        "streamId": message.stream_id,
        "sender": {"externalId": message.external_id, "role": message.role},
        "autotranscribeResponse": {
            "message": "transcript",
            "start": message.start_ms,
            "end": message.end_ms,
            "utterance": [alternative],
        },
    }
    return orjson.dumps(body)


def tokens_json(tokens: Sequence[Token]) -> str | None:
    """The words with their times as they are posted; None without any."""
    return orjson.dumps([_token(token) for token in tokens]).decode() if tokens else None


def _token(token: Token) -> dict[str, str | int | float]:
    return {
        "content": token.content,
        "start": token.start_ms,
        "end": token.end_ms,
        "confidence": round(token.confidence, 3),
    }
