"""What the webhook is sent: the ``transcript`` message of reference/asapp-api.md §4.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.participants import RedactionOutput
from gateway.speech.engine import Token
from gateway.store.records import CallRecord, MessageRecord

__all__ = ["transcript_body"]


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
            if tokens:
                alternative["tokens"] = [_token(token) for token in tokens]
    body = {
        "type": "transcript",
        "externalConversationId": call.guid,
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


def _token(token: Token) -> dict[str, str | int | float]:
    return {
        "content": token.content,
        "start": token.start_ms,
        "end": token.end_ms,
        "confidence": round(token.confidence, 3),
    }
