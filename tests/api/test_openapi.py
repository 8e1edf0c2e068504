"""``/openapi.json`` is valid, complete, and true of what the server answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.api.examples import ANSWERS, ANSWERS_OF, REQUESTS
from gateway.api.routes import ENDPOINTS, routes
from tests.api.conftest import Client


@pytest.fixture
async def document(client: Client) -> dict[str, Any]:
    response = await client.get("/openapi.json")
    assert response.content_type == "application/json"
    body: dict[str, Any] = await response.json()
    return body


async def test_valid(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


async def test_every_route_is_described(document: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    routed = {(route.method, route.path.rstrip("/")) for route in routes()}
    assert described == routed


async def test_operations(document: dict[str, Any]) -> None:
    for endpoint in ENDPOINTS:
        operation = document["paths"][endpoint.path][endpoint.method.lower()]
        both: list[dict[str, list[str]]] = [{"API-ID": [], "API-Secret": []}]
        assert operation["security"] == (both if endpoint.protected else [])
        statuses = set(operation["responses"])
        assert str(endpoint.status) in statuses
        if endpoint.protected:
            assert statuses >= {"401", "500", "503"}
        if endpoint.method in ("POST", "PATCH") and endpoint.operation_id != "listFeeds":
            assert statuses >= {"400", "413"}
            assert operation["requestBody"]["required"] is True
    schemes = document["components"]["securitySchemes"]
    assert {scheme["name"] for scheme in schemes.values()} == {"asapp-api-id", "asapp-api-secret"}


async def test_names_are_the_wires(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    start = schemas["StartStreamingRequest"]
    assert set(start["required"]) == {"namespace", "guid", "customerId", "agentId"}
    assert set(start["properties"]) == {*start["required"], "autotranscribeParams", "twilioParams"}
    params = schemas["AutotranscribeParams"]["properties"]
    assert params["redactionOutput"]["anyOf"][1] == {"type": "null"}, "null is absent"
    assert params["redactionOutput"]["anyOf"][0]["enum"] == ["redacted", "unredacted", "redacted_and_unredacted"]
    assert params["language"]["default"] == "en-US"
    assert set(schemas["StreamingResult"]["properties"]) == {"isOk", "errorMessage", "autotranscribeResponse"}
    assert set(schemas["ErrorDetail"]["required"]) == {"requestId", "message", "code"}
    message = schemas["Message"]
    assert set(message["required"]) == {"text", "sender", "messageId", "createdTimestamp", "clientTimestamp"}


def parts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in a JSON value, with its place."""
    yield path, value
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from parts(inner, f"{path}/{key}")


async def test_examples_are_what_the_schemas_take(document: dict[str, Any]) -> None:
    shown = 0
    for path, media in parts(document):
        if not (isinstance(media, dict) and "schema" in media):
            continue
        examples = (
            [media["example"]] if "example" in media else [e["value"] for e in media.get("examples", {}).values()]
        )
        validator = OAS31Validator({**media["schema"], "components": document["components"]})
        for example in examples:
            assert list(validator.iter_errors(example)) == [], path
            shown += 1
    assert shown > 50


async def test_every_json_body_has_an_example(document: dict[str, Any]) -> None:
    for path, media in parts(document):
        if path.endswith("/content/application~1json".replace("~1", "/")) and not path.endswith("openapi.json"):
            assert "/openapi.json/" in path or "example" in media or "examples" in media, path


def test_examples_are_what_the_models_take() -> None:
    for model, example in REQUESTS.items():
        model.model_validate(example)
    for endpoint in ENDPOINTS:
        if endpoint.response is not None:
            example = ANSWERS_OF.get(endpoint.operation_id) or ANSWERS[endpoint.response]
            dumped = endpoint.response.model_validate(example).model_dump(by_alias=True, mode="json", exclude_none=True)
            assert dumped == {key: value for key, value in example.items() if value is not None}


async def test_every_error_has_its_codes(document: dict[str, Any]) -> None:
    for name, response in document["components"]["responses"].items():
        media = response["content"]["application/json"]
        assert media["schema"] == {"$ref": "#/components/schemas/ErrorEnvelope"}
        codes = {example["value"]["error"]["code"] for example in media["examples"].values()}
        assert codes == set(re.findall(r"\b\d{3}-\d{2,3}\b", response["description"]))
        assert codes
        assert all(code.startswith(name.removeprefix("Error")) for code in codes)


async def test_the_documents_examples_hold_no_secret(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert not re.search(r"eyJ[A-Za-z0-9_-]{8,}", text), "a token"
    assert not re.search(r"signature=(?!SIGNATURE)", text), "a signature"


async def test_operation_ids_are_unique() -> None:
    names = [endpoint.operation_id for endpoint in ENDPOINTS]
    assert len(set(names)) == len(names)
    assert {"getTwilioMediaStreams", "startStreaming", "stopStreaming", "getMessagesByExternalId"} <= set(names)
