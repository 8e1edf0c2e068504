"""``/openapi.json``: OpenAPI 3.1, built from the endpoint table and the pydantic models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway._version import __version__
from gateway.api.auth import ID_HEADER, SECRET_HEADER
from gateway.api.endpoints import Endpoint, Parameter
from gateway.api.envelope import REQUEST_ID_HEADER
from gateway.api.examples import ANSWERS, ANSWERS_OF, ERRORS, REQUESTS, error
from gateway.api.schemas import ErrorEnvelope

__all__ = ["document"]

_REF = "#/components/schemas/{model}"

_ERRORS = {
    400: "A parameter is wrong or missing. 400-01: body or query; 400-03: request for feeds; "
    "400-201: media gateway parameter; 400-202: transcription parameter or combination; 400-203: no such call",
    401: "The key is missing, unknown or revoked (401-01)",
    403: "The key may not do this (403-01): the entity is locked, or a link to a file is altered or has expired",
    404: "The account has none of that name or id (404-01)",
    408: "The body did not arrive in time (408-01)",
    409: "409-01: the account has it already; 409-201: already started or already stopped; "
    "409-202: another request for the call is pending",
    413: "The body is larger than 1 MiB (413-01)",
    422: "It is well formed, and there is no room for it (422-01)",
    429: "Too many live views are open (429-01)",
    500: "Internal error (500-01; 500-201 on the media gateway's endpoints)",
    503: "The store does not answer (503-01)",
}

_KEYS = "Both headers on every call; `gateway keys create` makes a pair. A key sees its account's calls only."

_REQUEST_ID = {REQUEST_ID_HEADER: {"$ref": "#/components/headers/RequestId"}}


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The whole document."""
    table = tuple(endpoints)
    refs, schemas = _schemas(table)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in table:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gateway API",
            "version": __version__,
            "description": "Transcribes Twilio calls; compatible with ASAPP AutoTranscribe for Twilio. "
            "A trailing slash on a path is tolerated, and HEAD wherever there is GET. In requests unknown fields are "
            "ignored, and null stands for a field that is not given. Every error has the same envelope.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": {"RequestId": {"description": "names the request in the log", "schema": {"type": "string"}}},
            "responses": {f"Error{status}": _error(status, text, refs) for status, text in _ERRORS.items()},
            "securitySchemes": {
                "API-ID": {"type": "apiKey", "in": "header", "name": ID_HEADER, "description": _KEYS},
                "API-Secret": {"type": "apiKey", "in": "header", "name": SECRET_HEADER, "description": _KEYS},
            },
        },
    }


_Refs = dict[type[BaseModel], dict[str, Any]]


def _schemas(endpoints: tuple[Endpoint, ...]) -> tuple[_Refs, dict[str, Any]]:
    wanted: dict[type[BaseModel], JsonSchemaMode] = {ErrorEnvelope: "serialization"}
    for endpoint in endpoints:
        if endpoint.request is not None:
            wanted[endpoint.request] = "validation"
        if endpoint.response is not None:
            wanted[endpoint.response] = "serialization"
    _, definitions = models_json_schema(list(wanted.items()), ref_template=_REF)
    schemas: dict[str, Any] = definitions["$defs"]
    for schema in schemas.values():
        # Docstrings are the descriptions; titles made from names say nothing more.
        schema.pop("title", None)
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
    return {model: {"$ref": _REF.format(model=model.__name__)} for model in wanted}, schemas


def _operation(endpoint: Endpoint, refs: _Refs) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.operation_id,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "security": [{"API-ID": [], "API-Secret": []}] if endpoint.protected else [],
        "responses": _responses(endpoint, refs),
    }
    if endpoint.parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in endpoint.parameters]
    if endpoint.request is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": _with_example(refs[endpoint.request], REQUESTS.get(endpoint.request))},
        }
    return operation


def _responses(endpoint: Endpoint, refs: _Refs) -> dict[str, Any]:
    schema = {"type": "string"} if endpoint.response is None else refs[endpoint.response]
    if endpoint.response is None and endpoint.media_type == "application/json":
        schema = {"type": "object"}
    example = ANSWERS_OF.get(endpoint.operation_id)
    if example is None and endpoint.response is not None:
        example = ANSWERS.get(endpoint.response)
    content = {endpoint.media_type: _with_example(schema, example)}
    good = ((endpoint.status, endpoint.description), *endpoint.also)
    answers: dict[str, Any] = {
        str(status): {"description": text, "headers": _REQUEST_ID, "content": content} for status, text in good
    }
    for status in endpoint.statuses:
        answers[str(status)] = {"$ref": f"#/components/responses/Error{status}"}
    return answers


def _with_example(schema: dict[str, Any], example: object) -> dict[str, Any]:
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.description,
        **_with_example(parameter.schema, parameter.example),
    }


def _error(status: int, text: str, refs: _Refs) -> dict[str, Any]:
    codes = {code: {"value": error(code)} for code in ERRORS if code.startswith(f"{status}-")}
    return {
        "description": text,
        "headers": _REQUEST_ID,
        "content": {"application/json": {"schema": refs[ErrorEnvelope], "examples": codes}},
    }
