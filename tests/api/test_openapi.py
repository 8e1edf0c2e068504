"""``/openapi.json`` is valid, complete, and true of what the server answers."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

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
    assert params["redactionOutput"]["enum"] == ["redacted", "unredacted", "redacted_and_unredacted"]
    assert params["language"]["default"] == "en-US"
    assert set(schemas["StreamingResult"]["properties"]) == {"isOk", "errorMessage", "autotranscribeResponse"}
    assert set(schemas["ErrorDetail"]["required"]) == {"requestId", "message", "code"}
    message = schemas["Message"]
    assert set(message["required"]) == {"text", "sender", "messageId", "createdTimestamp", "clientTimestamp"}


async def test_operation_ids_are_unique() -> None:
    names = [endpoint.operation_id for endpoint in ENDPOINTS]
    assert len(set(names)) == len(names)
    assert {"getTwilioMediaStreams", "startStreaming", "stopStreaming", "getMessagesByExternalId"} <= set(names)
