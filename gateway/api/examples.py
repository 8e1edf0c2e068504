"""One call, one account: an example of every request, answer and error, for ``/openapi.json``."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from gateway.api import schemas
from gateway.api.schemas import exporter as feeds

__all__ = ["ANSWERS", "ANSWERS_OF", "CALL_SID", "ERRORS", "REQUESTS", "error"]

Example = dict[str, Any]

CALL_SID: Final = "CA5b040e075515c424391012acc5a870cf"
"""The call of all examples."""

_CUSTOMER, _AGENT = "TT9833237", "RE223444211993"
_CUSTOMER_STREAM, _AGENT_STREAM = "5ce2b755-3f38-11ed-b755-7aed4b5c38d5", "cf311160-3f38-11ed-9116-7a0a36c763f1"
_ACCOUNT, _CONVERSATION, _MESSAGE = (
    "01KJR2ZY6P3TRPJTBVAQMN4Z7Q",
    "01KJR30ZVTC3EWYCPZ3K2WHRDK",
    "01KJR318E4GTE5JBTG3VMGGYHZ",
)
_PHRASE: Example = {"phrase": "IEEE", "soundsLike": ["I triple E"]}
_FEED: Example = {"feed": "utterances"}
_VERSION: Example = {**_FEED, "version": "1"}
_FORMAT: Example = {**_VERSION, "format": "jsonl"}
_DATE: Example = {**_FORMAT, "date": "2026-03-02"}
_FILE: Example = {**_DATE, "fileName": "hr=09/utterances.jsonl"}
_OK: Example = {"code": 1000, "description": "OK"}

REQUESTS: Final[dict[type[BaseModel], Example]] = {
    schemas.StartStreamingRequest: {
        "namespace": "twilio",
        "guid": CALL_SID,
        "customerId": _CUSTOMER,
        "agentId": _AGENT,
        "autotranscribeParams": {"language": "en-US", "redactionOutput": "redacted"},
        "twilioParams": {"trackMap": {"inbound": "customer", "outbound": "agent"}},
    },
    schemas.StopStreamingRequest: {"namespace": "twilio", "guid": CALL_SID},
    schemas.RedactionEntityChange: {"policies": {"autoTranscribe": True}},
    schemas.NewCustomVocabulary: _PHRASE,
    feeds.FeedVersionsRequest: _FEED,
    feeds.FeedFormatsRequest: _VERSION,
    feeds.FeedDatesRequest: _FORMAT,
    feeds.FeedIntervalsRequest: _DATE,
    feeds.FeedFilesRequest: _DATE,
    feeds.FeedFileRequest: _FILE,
}
"""A body of each request."""

_ENTITY: Example = {
    "id": "EMAIL",
    "description": "E-mail addresses, spoken or written",
    "policies": {"autoTranscribe": True},
}
_STORED: Example = {
    "callId": _CONVERSATION,
    "language": "en-US",
    "customerId": _CUSTOMER,
    "agentId": _AGENT,
    "startedAt": "2026-03-02T09:15:20.104Z",
    "completedAt": "2026-03-02T09:22:41.380Z",
    "completedReason": "hangup",
}
_COMPLETED: Example = {"guid": CALL_SID, "state": "completed", "stored": _STORED}

ANSWERS: Final[dict[type[BaseModel], Example]] = {
    schemas.StreamUrl: {"streamingUrl": "wss://calls.example.com/twilio-media/TOKEN"},
    schemas.StreamingResult: {
        "isOk": True,
        "autotranscribeResponse": {
            "customer": {"streamId": _CUSTOMER_STREAM, "status": _OK},
            "agent": {"streamId": _AGENT_STREAM, "status": _OK},
        },
    },
    schemas.MessageList: {
        "items": [
            {
                "text": "I need help with my account, my PIN is ####.",
                "sender": {"role": "customer", "externalId": _CUSTOMER},
                "messageId": _MESSAGE,
                "createdTimestamp": "2026-03-02T09:15:30.250Z",
                "clientTimestamp": "2026-03-02T09:15:26.715Z",
            }
        ]
    },
    schemas.CallList: {"items": [_COMPLETED]},
    schemas.CallDetail: {
        **_COMPLETED,
        "deliveryFailures": [
            {
                "messageId": _MESSAGE,
                "sequence": 3,
                "outcome": "failed",
                "reason": "timeout",
                "at": "2026-03-02T09:15:35.300Z",
            }
        ],
    },
    schemas.RedactionEntityList: {"redactionEntities": [_ENTITY], "nextCursor": None, "prevCursor": None},
    schemas.RedactionEntity: _ENTITY,
    schemas.CustomVocabularyList: {
        "customVocabularies": [{"id": "01GMXE90AEV7H3J4DPBDKB1R79", **_PHRASE}],
        "nextCursor": None,
        "prevCursor": None,
    },
    schemas.CustomVocabulary: {"id": "01GMXE90AEV7H3J4DPBDKB1R79", **_PHRASE},
    feeds.Feeds: {"feeds": ["utterances", "staging_utterance_state", "staging_conversation_state"]},
    feeds.FeedVersions: {**_FEED, "versions": ["1"]},
    feeds.FeedFormats: {**_VERSION, "formats": ["jsonl", "csv"]},
    feeds.FeedDates: {**_FORMAT, "dates": ["2026-03-01", "2026-03-02"]},
    feeds.FeedIntervals: {**_DATE, "intervals": ["hr=09"]},
    feeds.FeedFiles: {**_DATE, "files": ["hr=09/utterances.jsonl"]},
    feeds.FeedFile: {
        **_FILE,
        "url": f"https://calls.example.com/fileexporter/v1/files/{_ACCOUNT}/utterances/version=1/format=jsonl"
        "/dt=2026-03-02/hr=09/utterances.jsonl?expires=1772532900&signature=SIGNATURE",
    },
    schemas.HealthCheck: {"healthCheck": "SUCCESS"},
    schemas.Liveness: {"status": "ok"},
    schemas.Readiness: {"ready": True, "checks": {"store": "ok", "recognizer": "ok", "lifecycle": "ok"}},
}
"""A body of each answer."""

_SUMMARY: Example = {"totalAudioBytes": 1334720, "audioDurationMs": 83420, "streamingSeconds": 84, "transcripts": 2}

ANSWERS_OF: Final[dict[str, Example]] = {
    "stopStreaming": {
        "isOk": True,
        "autotranscribeResponse": {
            "customer": {"streamId": _CUSTOMER_STREAM, "status": _OK, "summary": _SUMMARY},
            "agent": {"streamId": _AGENT_STREAM, "status": _OK, "summary": _SUMMARY},
        },
    },
}
"""Those of operations whose answers differ from others of their model."""

ERRORS: Final[dict[str, str]] = {
    "400-01": "Bad request: the body must be JSON: it is empty",
    "400-03": "ERROR - [Path '/date'] must be a day such as 2026-03-02",
    "400-201": "ERROR - [Path '/guid'] is missing",
    "400-202": "ERROR - [Path '/autotranscribeParams'] "
    "detailedToken true needs redactionOutput 'unredacted' (the default is 'redacted')",
    "400-203": f"No call with guid '{CALL_SID}' was found; its media stream must be connected before the start.",
    "401-01": "Unauthorized: send both headers asapp-api-id and asapp-api-secret",
    "403-01": "Forbidden: CVV is locked, it is always redacted; autoTranscribe must stay true",
    "404-01": "Not found: this account has no such call",
    "408-01": "Request timeout: the body did not arrive in 10 s",
    "409-01": "Conflict: the account has this phrase already (case does not count); delete it to change how it sounds",
    "409-201": f"Transcription of call '{CALL_SID}' has already been started.",
    "409-202": f"Another request for call '{CALL_SID}' is pending; retry when it is answered.",
    "413-01": "Request entity too large: a body may have 1 MiB",
    "422-01": "Unprocessable entity: the account has 200 phrases, which is all it may have; delete one first",
    "429-01": "Too many requests: 256 live views are open; close one first",
    "500-01": "Internal server error: the log has more under this requestId",
    "500-201": "Internal server error: the log has more under this requestId",
    "503-01": "Service unavailable: the store does not answer; try again",
}
"""A message of every code that the API answers with."""


def error(code: str) -> Example:
    """The envelope with ``code``."""
    return {
        "error": {"requestId": "8c259fea-8764-4a92-adc4-73572e9cf016", "message": ERRORS[code], "code": code},
    }
