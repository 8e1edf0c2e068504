"""The documented API as a table: every endpoint, field, status and code, and where it is held.

Taken from reference/asapp-api.md, §§ 1–3, 4.1–4.3 and 5; what this gateway does otherwise on purpose is in
docs/compatibility.md. ``held`` names the tests that hold more of a row than this table can say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.api.examples import CALL_SID, REQUESTS
from gateway.api.schemas import NewCustomVocabulary, RedactionEntityChange, StartStreamingRequest, StopStreamingRequest

__all__ = ["CODES", "STATUSES", "TABLE", "Field", "Row", "bodies"]

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request: its place with dots, its JSON type, and the code with which a wrong one is refused."""

    name: str
    kind: str = "string"
    required: bool = False
    default: Any = None
    values: tuple[str, ...] = ()
    code: str = "400-201"


@dataclass(frozen=True, slots=True)
class Row:
    """An endpoint.

    ``errors`` are the statuses that the original declares or its pages name, as far as they can occur here. ``answer``
    gives the JSON type of each field of a good answer, ``[]`` for the items of an array and ``?`` for a field that may
    be missing; None if the answer is no JSON object.
    """

    section: str
    operation: str
    method: str
    path: str
    answer: Mapping[str, str] | None
    errors: tuple[int, ...] = ()
    fields: tuple[Field, ...] = ()
    query: tuple[Field, ...] = ()
    body: Body | None = None
    status: int = 200
    open: bool = False
    held: tuple[str, ...] = field(default=())

    @property
    def target(self) -> str:
        """The path of the examples, with the query that it needs."""
        path = self.path.replace("{guid}", CALL_SID).replace("{entityId}", "EMAIL")
        given = [f"{one.name}={CALL_SID}" for one in self.query if one.required]
        return path + ("?" + "&".join(given) if given else "")


_NAMESPACE = Field("namespace", required=True, values=("twilio",))  # the others: docs/compatibility.md
_GUID = Field("guid", required=True)
_PARAMS = "autotranscribeParams"

_START = (
    _NAMESPACE,
    _GUID,
    Field("customerId", required=True),
    Field("agentId", required=True),
    Field(_PARAMS, "object", code="400-202"),
    Field(f"{_PARAMS}.language", default="en-US", code="400-202"),
    Field(f"{_PARAMS}.detailedToken", "boolean", default=False, code="400-202"),
    Field(f"{_PARAMS}.audioRecordingAllowed", "boolean", default=False, code="400-202"),
    Field(
        f"{_PARAMS}.redactionOutput",
        default="redacted",
        values=("redacted", "unredacted", "redacted_and_unredacted"),
        code="400-202",
    ),
    Field("twilioParams", "object"),
    Field("twilioParams.trackMap", "object"),
    Field("twilioParams.trackMap.inbound", default="customer", values=("customer", "agent")),
    Field("twilioParams.trackMap.outbound", default="agent", values=("customer", "agent")),
)


def _participants(*more: str) -> dict[str, str]:
    answer = {"isOk": "boolean", "errorMessage?": "string"}
    for role in ("customer", "agent"):
        at = f"autotranscribeResponse.{role}"
        answer |= {f"{at}.streamId": "string", f"{at}.status.code": "integer", f"{at}.status.description": "string"}
        answer |= {f"{at}.summary.{name}": "integer" for name in more}
    return answer


_SUMMARY = ("totalAudioBytes", "audioDurationMs", "streamingSeconds", "transcripts")

_MEDIA_GATEWAY = (
    Row(
        "1.1",
        "getTwilioMediaStreams",
        "GET",
        "/mg-autotranscribe/v1/twilio-media-stream-url",
        {"streamingUrl": "string"},
        errors=(401, 503),
        held=("tests/api/test_control.py", "tests/server/test_tokens.py", "tests/server/test_handshake.py"),
    ),
    Row(
        "1.2",
        "startStreaming",
        "POST",
        "/mg-autotranscribe/v1/start-streaming",
        _participants(),
        errors=(400, 401, 409, 413, 503),
        fields=_START,
        body=REQUESTS[StartStreamingRequest],
        held=("tests/api/test_control.py", "tests/calls/test_registry.py", "tests/e2e/test_worked_example.py"),
    ),
    Row(
        "1.3",
        "stopStreaming",
        "POST",
        "/mg-autotranscribe/v1/stop-streaming",
        _participants(*_SUMMARY),
        errors=(400, 401, 409, 413, 503),
        fields=(_NAMESPACE, _GUID),
        body=REQUESTS[StopStreamingRequest],
        held=("tests/api/test_control.py", "tests/calls/test_registry.py", "tests/e2e/test_worked_example.py"),
    ),
)

_MESSAGES = (
    Row(
        "2",
        "getMessagesByExternalId",
        "GET",
        "/conversation/v1/conversation/messages",
        {
            "items[].text": "string",
            "items[].sender.role": "string",
            "items[].sender.externalId": "string",
            "items[].messageId": "string",
            "items[].createdTimestamp": "string",
            "items[].clientTimestamp": "string",
        },
        errors=(400, 401, 404, 503),
        query=(Field("externalId", required=True, code="400-01"),),
        held=("tests/conformance/test_messages.py", "tests/api/test_messages.py", "tests/store/test_store.py"),
    ),
)

_FEED = tuple(Field(name, required=True, code="400-03") for name in ("feed", "version", "format", "date", "fileName"))
_INTERVAL = Field("interval", code="400-03")
_ASKED = {"feed": "utterances", "version": "1", "format": "jsonl", "date": "2026-03-02"}


def _static(name: str, operation: str, takes: tuple[Field, ...], gives: str, **more: str) -> Row:
    """One of the seven: an answer has what was sent, and one thing more."""
    body = {one.name: {**_ASKED, **more}[one.name] for one in takes if one.required}
    return Row(
        "3",
        operation,
        "POST",
        f"/fileexporter/v1/static/{name}",
        {**dict.fromkeys(body, "string"), gives: "string"},
        errors=(400, 401, 404, 413, 503) if takes else (401, 503),
        fields=takes,
        body=body,
        held=("tests/api/test_exporter.py", "tests/export/test_links.py"),
    )


_EXPORTER = (
    _static("listfeeds", "listFeeds", (), "feeds[]"),
    _static("listfeedversions", "listFeedVersions", _FEED[:1], "versions[]"),
    _static("listfeedformats", "listFeedFormats", _FEED[:2], "formats[]"),
    _static("listfeeddates", "listFeedDates", _FEED[:3], "dates[]"),
    _static("listfeedintervals", "listFeedIntervals", _FEED[:4], "intervals[]"),
    _static("listfeedfiles", "listFeedFiles", (*_FEED[:4], _INTERVAL), "files[]"),
    _static("getfeedfile", "listFeedFile", (*_FEED, _INTERVAL), "url", fileName="hr=09/utterances.jsonl"),
)

_ENTITY = {"id": "string", "description": "string", "policies.autoTranscribe": "boolean"}
_PHRASE = {"id": "string", "phrase": "string", "soundsLike[]": "string"}
_CURSORS = {"nextCursor": "null", "prevCursor": "null"}
_PAGES = (Field("cursor", code="400-01"), Field("limit", "integer", default=20, code="400-01"))
_ENTITIES = "/configuration/v1/redaction-entities"
_PHRASES = "/configuration/v1/custom-vocabularies"
_POLICIES = ("customerImmediate", "customerDelayed", "agentImmediate", "autoTranscribe", "voice")
_HELD = ("tests/api/test_configuration.py", "tests/api/test_paging.py")

_CONFIGURATION = (
    Row(
        "4.2",
        "getRedactionEntities",
        "GET",
        _ENTITIES,
        {**{f"redactionEntities[].{name}": kind for name, kind in _ENTITY.items()}, **_CURSORS},
        errors=(400, 401, 503),
        query=_PAGES,
        held=_HELD,
    ),
    Row("4.2", "getRedactionEntity", "GET", f"{_ENTITIES}/{{entityId}}", _ENTITY, errors=(401, 404, 503), held=_HELD),
    Row(
        "4.2",
        "updateRedactionEntity",
        "PATCH",
        f"{_ENTITIES}/{{entityId}}",
        _ENTITY,
        errors=(400, 401, 403, 404, 413, 503),
        fields=(
            Field("policies", "object", required=True, code="400-01"),
            *(Field(f"policies.{name}", "boolean", code="400-01") for name in _POLICIES),
        ),
        body=REQUESTS[RedactionEntityChange],
        held=(*_HELD, "tests/e2e/test_configuration.py"),
    ),
    Row(
        "4.3",
        "getCustomVocabularies",
        "GET",
        _PHRASES,
        {**{f"customVocabularies[].{name}": kind for name, kind in _PHRASE.items()}, **_CURSORS},
        errors=(400, 401, 503),
        query=_PAGES,
        held=_HELD,
    ),
    Row(
        "4.3",
        "createCustomVocabulary",
        "POST",
        _PHRASES,
        _PHRASE,
        errors=(400, 401, 409, 413, 422, 503),
        fields=(
            Field("phrase", required=True, code="400-01"),
            Field("soundsLike", "array", required=True, code="400-01"),
        ),
        body=REQUESTS[NewCustomVocabulary],
        status=201,
        held=(*_HELD, "tests/e2e/test_configuration.py"),
    ),
    Row(
        "4.3", "getCustomVocabulary", "GET", f"{_PHRASES}/{{customVocabularyId}}", _PHRASE, (401, 404, 503), held=_HELD
    ),
    Row(
        "4.3",
        "deleteCustomVocabulary",
        "DELETE",
        f"{_PHRASES}/{{customVocabularyId}}",
        _PHRASE,
        (401, 404, 503),
        held=_HELD,
    ),
)

_STORED = {
    **{f"stored.{name}": "string" for name in ("callId", "language", "customerId", "agentId", "startedAt")},
    "stored.completedAt": "string",
    "stored.completedReason": "string",
}
_CALL = {"guid": "string", "state": "string", **_STORED}
_FAILURE = {"messageId": "string", "sequence": "integer", "outcome": "string", "reason": "string", "at": "string"}

_SERVICE = (
    Row(
        "5",
        "getHealth",
        "GET",
        "/v1/health",
        {"healthCheck": "string"},
        (401, 503),
        held=("tests/api/test_service.py",),
    ),
    Row(
        "ours",
        "listCalls",
        "GET",
        "/gateway/v1/calls",
        {f"items[].{name}": kind for name, kind in _CALL.items()},
        errors=(400, 401, 503),
        query=(Field("limit", "integer", default=100, code="400-01"),),
        held=("tests/api/test_messages.py",),
    ),
    Row(
        "ours",
        "getCall",
        "GET",
        "/gateway/v1/calls/{guid}",
        {**_CALL, **{f"deliveryFailures[].{name}": kind for name, kind in _FAILURE.items()}},
        errors=(401, 404, 503),
        held=("tests/api/test_messages.py",),
    ),
    Row(
        "ours",
        "followCall",
        "GET",
        "/gateway/v1/calls/{guid}/live",
        None,
        errors=(401, 404, 429, 503),
        held=("tests/api/test_live.py", "tests/e2e/test_live.py"),
    ),
    Row(
        "ours",
        "getFeedFileContent",
        "GET",
        "/fileexporter/v1/files/{account}/{feed}/{version}/{format}/{date}/{hour}/{name}",
        None,
        errors=(403, 404),
        open=True,
        held=("tests/api/test_exporter.py", "tests/export/test_links.py"),
    ),
    Row("ours", "getLiveness", "GET", "/healthz", {"status": "string"}, open=True, held=("tests/api/test_service.py",)),
    Row(
        "ours",
        "getReadiness",
        "GET",
        "/readyz",
        {"ready": "boolean", "checks.store": "string", "checks.recognizer": "string", "checks.lifecycle": "string"},
        open=True,
        held=("tests/api/test_service.py",),
    ),
    Row("ours", "getMetrics", "GET", "/metrics", None, open=True, held=("tests/api/test_service.py",)),
    Row("ours", "getOpenApi", "GET", "/openapi.json", None, open=True, held=("tests/api/test_openapi.py",)),
)

TABLE: Final = (*_MEDIA_GATEWAY, *_MESSAGES, *_EXPORTER, *_CONFIGURATION, *_SERVICE)
"""Every endpoint."""

CODES: Final = {
    "400-01": "tests/conformance/test_errors.py",
    "400-03": "tests/conformance/test_errors.py",
    "400-201": "tests/conformance/test_errors.py",
    "400-202": "tests/conformance/test_errors.py",
    "400-203": "tests/conformance/test_errors.py",
    "401-01": "tests/conformance/test_errors.py",
    "403-01": "tests/conformance/test_errors.py",
    "404-01": "tests/conformance/test_errors.py",
    "405-01": "tests/conformance/test_errors.py",
    "408-01": "tests/api/test_envelope.py",
    "409-01": "tests/conformance/test_errors.py",
    "409-201": "tests/conformance/test_errors.py",
    "409-202": "tests/conformance/test_errors.py",
    "413-01": "tests/conformance/test_contract.py",
    "422-01": "tests/conformance/test_errors.py",
    "429-01": "tests/api/test_live.py",
    "500-01": "tests/api/test_envelope.py",
    "500-201": "tests/api/test_control.py",
    "503-01": "tests/api/test_envelope.py",
}
"""Every error code (§§ 1.4, 6.2), and the test that brings it about."""

STATUSES: Final = {
    1000: "tests/conformance/test_contract.py",
    4050: "tests/e2e/test_models.py",
    4094: "tests/conformance/test_errors.py",
    5001: "tests/conformance/test_errors.py",
    5002: "tests/conformance/test_errors.py",
}
"""The application statuses (§ 1.5) that a start can answer with, and the test that brings each about."""


def bodies(row: Row) -> list[tuple[str, Body, str]]:
    """Wrong bodies of ``row``: what is wrong, the body, and the code to expect."""
    wrong = []
    for one in row.fields:
        strange = [7, ["x"], {"x": 1}] if one.kind == "string" else ["x", 7]
        strange += [] if one.kind == "boolean" else [True]
        strange += ["none of these"] if one.values else []
        if one.required:
            wrong.append((f"no {one.name}", with_field(row.body or {}, one.name, ...), one.code))
            wrong.append((f"{one.name} null", with_field(row.body or {}, one.name, None), one.code))
        wrong += [(f"{one.name} {value!r}", with_field(row.body or {}, one.name, value), one.code) for value in strange]
    return wrong


def with_field(body: Body, name: str, value: Any) -> Body:
    """``body`` with another value at a place with dots; without it for ``...``."""
    first, _, rest = name.partition(".")
    changed = dict(body)
    if rest:
        changed[first] = with_field(changed.get(first, {}), rest, value)
    elif value is ...:
        changed.pop(first, None)
    else:
        changed[first] = value
    return changed
