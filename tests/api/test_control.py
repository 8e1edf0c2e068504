"""Stream URL, start, stop."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api.body import validated
from gateway.api.control import start_request
from gateway.api.schemas import StartStreamingRequest
from gateway.calls.model import StartRequest, Status
from gateway.errors import RequestError
from gateway.participants import RedactionOutput, Role, Track
from gateway.server.tokens import StreamTokens, extract
from gateway.store.records import NewKey
from tests.api.conftest import Client, Desk, error_of

URL = "/mg-autotranscribe/v1/twilio-media-stream-url"
START = "/mg-autotranscribe/v1/start-streaming"
STOP = "/mg-autotranscribe/v1/stop-streaming"

BODY: dict[str, Any] = {"namespace": "twilio", "guid": "CA1", "customerId": "c-1", "agentId": "a-1"}


@pytest.fixture
def connected(desk: Desk, key: NewKey) -> Desk:
    desk.connect(key.account_id, "CA1")
    return desk


def parse(body: dict[str, Any]) -> StartRequest:
    return start_request(validated(StartStreamingRequest, body))


def refusal(body: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(RequestError) as caught:
        parse(body)
    assert caught.value.status == 400
    return caught.value.code, caught.value.message


# --- stream URL


@pytest.mark.parametrize("slash", ["", "/"])
async def test_stream_url(client: Client, key: NewKey, tokens: StreamTokens, slash: str) -> None:
    response = await client.get(URL + slash)
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    body = await response.json()
    assert set(body) == {"streamingUrl"}
    base, url = "wss://gw.example.com", body["streamingUrl"]
    assert url.startswith(f"{base}/twilio-media/")
    token = extract(url.removeprefix(base), "")
    assert token is not None
    principal = tokens.verify(token)
    assert (principal.account_id, principal.key_id) == (key.account_id, key.api_id)


async def test_each_url_is_fresh(client: Client) -> None:
    first, second = [await (await client.get(URL)).json() for _ in range(2)]
    assert first != second


# --- start and stop


@pytest.mark.parametrize("slash", ["", "/"])
async def test_start_and_stop(client: Client, connected: Desk, slash: str) -> None:
    response = await client.post(START + slash, json=BODY)
    assert response.status == 200
    assert response.headers["X-Request-Id"]
    ok = {"code": 1000, "description": "OK"}
    assert await response.json() == {
        "isOk": True,
        "autotranscribeResponse": {
            "customer": {"streamId": "sid-customer", "status": ok},
            "agent": {"streamId": "sid-agent", "status": ok},
        },
    }
    response = await client.post(STOP + slash, json={"namespace": "twilio", "guid": "CA1"})
    assert response.status == 200
    summary = {"totalAudioBytes": 1334720, "audioDurationMs": 83420, "streamingSeconds": 84, "transcripts": 2}
    assert await response.json() == {
        "isOk": True,
        "autotranscribeResponse": {
            "customer": {"streamId": "sid-customer", "status": ok, "summary": summary},
            "agent": {"streamId": "sid-agent", "status": ok, "summary": summary},
        },
    }


async def test_a_refusal_inside_a_200(client: Client, connected: Desk) -> None:
    connected.refusal = Status.LANGUAGE_NOT_SUPPORTED
    response = await client.post(START, json=BODY)
    assert response.status == 200
    body = await response.json()
    assert body["isOk"] is False
    assert body["errorMessage"] == "nothing was started"
    status = body["autotranscribeResponse"]["agent"]["status"]
    assert status == {"code": 4050, "description": "Language not supported"}


async def test_unknown_call(client: Client) -> None:
    await error_of(await client.post(START, json=BODY), 400, "400-203")
    await error_of(await client.post(STOP, json=BODY), 400, "400-203")


async def test_another_accounts_call(client: Client, desk: Desk) -> None:
    desk.connect("another account", "CA1")
    await error_of(await client.post(START, json=BODY), 400, "400-203")


async def test_started_twice(client: Client, connected: Desk) -> None:
    await client.post(START, json=BODY)
    await error_of(await client.post(START, json=BODY), 409, "409-201")


async def test_our_bug_has_a_code_of_its_own(client: Client, desk: Desk) -> None:
    desk.failure = ZeroDivisionError("four one one one")
    message = await error_of(await client.post(START, json=BODY), 500, "500-201")
    assert "four one" not in message


async def test_content_type_does_not_matter(client: Client, connected: Desk) -> None:
    body = b'{"namespace":"twilio","guid":"CA1","customerId":"c","agentId":"a"}'
    response = await client.post(START, data=body, headers={"Content-Type": "text/plain"})
    assert response.status == 200


# --- what a start means


def test_defaults() -> None:
    assert parse(BODY) == StartRequest("CA1", "c-1", "a-1")


def test_everything_given() -> None:
    params = {
        "language": "en-us",
        "detailedToken": True,
        "audioRecordingAllowed": True,
        "redactionOutput": "unredacted",
    }
    tracks = {"inbound": "agent", "outbound": "customer"}
    body = {**BODY, "autotranscribeParams": params, "twilioParams": {"trackMap": tracks}}
    assert parse(body) == StartRequest(
        guid="CA1",
        customer_id="c-1",
        agent_id="a-1",
        language="en-US",
        detailed_token=True,
        recording_allowed=True,
        redaction=RedactionOutput.UNREDACTED,
        track_map={Track.INBOUND: Role.AGENT, Track.OUTBOUND: Role.CUSTOMER},
    )


def test_unknown_fields_and_other_namespaces_parameters_are_ignored() -> None:
    body = {**BODY, "siprecParams": {"mediaLineOrder": "AGENT_FIRST"}, "smartFormatting": 1}
    assert parse(body) == parse(BODY)


def test_null_is_absent() -> None:
    assert parse({**BODY, "autotranscribeParams": None, "twilioParams": {"trackMap": None}}) == parse(BODY)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [("en-us", "en-US"), ("EN-US", "en-US"), ("es-us", "es-US"), ("en", "en"), ("zh-hant-tw", "zh-Hant-TW")],
)
def test_language_is_canonical(given: str, canonical: str) -> None:
    assert parse({**BODY, "autotranscribeParams": {"language": given}}).language == canonical


@pytest.mark.parametrize("field", ["namespace", "guid", "customerId", "agentId"])
@pytest.mark.parametrize("value", ["absent", None, 7, True, ["x"], {"a": 1}, "", "x" * 256, "a\nb", "a\x00"])
def test_each_field_wants_a_short_plain_string(field: str, value: Any) -> None:
    body = {**BODY, field: value}
    if value == "absent":
        del body[field]
    code, message = refusal(body)
    assert code == "400-201"
    assert message.startswith(f"ERROR - [Path '/{field}'] ")
    if isinstance(value, str) and len(value) > 2 and value != "absent":
        assert value not in message


@pytest.mark.parametrize("field", ["guid", "customerId", "agentId"])
@pytest.mark.parametrize("value", ["x", "x" * 255, "Zoë 名前", "00002542391662063156"])
def test_what_an_id_may_be(field: str, value: str) -> None:
    parse({**BODY, field: value})


@pytest.mark.parametrize("namespace", ["siprec", "amazonconnect", "genesysaudiohook", "Twilio"])
def test_other_namespaces(namespace: str) -> None:
    assert refusal({**BODY, "namespace": namespace}) == (
        "400-201",
        "ERROR - [Path '/namespace'] must be 'twilio'",
    )


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"redactionOutput": "all"}, "/redactionOutput"),
        ({"redactionOutput": 1}, "/redactionOutput"),
        ({"detailedToken": "true"}, "/detailedToken"),
        ({"detailedToken": 1}, "/detailedToken"),
        ({"audioRecordingAllowed": "no"}, "/audioRecordingAllowed"),
        ({"language": 1}, "/language"),
        ({"language": ""}, "/language"),
        ({"language": "english please"}, "/language"),
        ({"language": "en_US"}, "/language"),
        ({"detailedToken": True}, ""),
        ({"detailedToken": True, "redactionOutput": "redacted"}, ""),
        ({"detailedToken": True, "redactionOutput": "redacted_and_unredacted"}, ""),
        ([], ""),
        ("en-US", ""),
    ],
)
def test_wrong_transcription_parameters(params: Any, path: str) -> None:
    code, message = refusal({**BODY, "autotranscribeParams": params})
    assert code == "400-202"
    assert message.startswith(f"ERROR - [Path '/autotranscribeParams{path}'] ")


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"trackMap": {"inbound": "agent", "outbound": "agent"}}, "/trackMap"),
        ({"trackMap": {"inbound": "customer", "outbound": "customer"}}, "/trackMap"),
        ({"trackMap": {"inbound": "agent"}}, "/trackMap"),
        ({"trackMap": {"inbound": "bot"}}, "/trackMap/inbound"),
        ({"trackMap": {"outbound": 1}}, "/trackMap/outbound"),
        ({"trackMap": "customer"}, "/trackMap"),
        (3, ""),
    ],
)
def test_wrong_track_maps(params: Any, path: str) -> None:
    code, message = refusal({**BODY, "twilioParams": params})
    assert code == "400-201"
    assert message.startswith(f"ERROR - [Path '/twilioParams{path}'] ")


async def test_a_stop_wants_guid_and_namespace(client: Client) -> None:
    message = await error_of(await client.post(STOP, json={"namespace": "twilio"}), 400, "400-201")
    assert message == "ERROR - [Path '/guid'] is missing"
    message = await error_of(await client.post(STOP, json={"guid": "CA1"}), 400, "400-201")
    assert message == "ERROR - [Path '/namespace'] is missing"


# --- any JSON at all

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_fields = st.sampled_from([*BODY, "autotranscribeParams", "twilioParams"])


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(_fields, _json, max_size=6))
def test_any_object_is_taken_or_refused_in_the_documented_style(changes: dict[str, Any]) -> None:
    with contextlib.suppress(RequestError):
        parse({**BODY, **changes})
        return
    code, message = refusal({**BODY, **changes})
    assert code in {"400-201", "400-202"}
    assert message.startswith("ERROR - [Path '/")
    assert "is not valid" not in message, "every kind of mistake has words of its own"
