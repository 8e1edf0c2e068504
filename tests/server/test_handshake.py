from __future__ import annotations

import pytest
from websockets.datastructures import Headers
from websockets.protocol import State

from gateway.config import SignaturePolicy, TwilioSettings
from gateway.server.handshake import MAX_MESSAGE, Doorkeeper, RefusedError, open_protocol, upgrade_answer
from gateway.server.signature import sign
from gateway.server.tokens import StreamTokens
from gateway.store.records import Principal

PUBLIC = "wss://calls.example.com"
UPGRADE = {
    "Host": "calls.example.com",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def doorkeeper(policy: SignaturePolicy = SignaturePolicy.OFF, *, active: bool = True) -> Doorkeeper:
    async def key_active(key_id: str) -> bool:
        assert key_id == "key"
        return active

    twilio = TwilioSettings.model_validate({"auth_token": "12345", "signature": policy})
    return Doorkeeper(StreamTokens(bytes(32), 300), key_active, twilio, lambda: PUBLIC)


def path(door: Doorkeeper) -> str:
    return f"/twilio-media/{door.tokens.issue('account', 'key')}"


def test_the_answer_of_rfc_6455() -> None:
    """The key and its answer are those of RFC 6455 §1.3."""
    status, answer = upgrade_answer("/twilio-media/x", UPGRADE.items())
    assert status == 101
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert b"Sec-WebSocket-Extensions" not in answer


def test_compression_is_not_taken() -> None:
    offered = {**UPGRADE, "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    _, answer = upgrade_answer("/twilio-media/x", offered.items())
    assert b"permessage-deflate" not in answer


@pytest.mark.parametrize("missing", ["Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key"])
def test_what_is_no_handshake(missing: str) -> None:
    status, _ = upgrade_answer("/", [(name, value) for name, value in UPGRADE.items() if name != missing])
    assert status in (400, 426)


async def test_a_good_token_names_its_account() -> None:
    door = doorkeeper()
    assert await door.admit(path(door), "", []) == Principal("account", "key")


async def test_no_token_is_admitted_for_now_as_nobody() -> None:
    assert await doorkeeper().admit("/twilio-media", "", []) is None


@pytest.mark.parametrize(("active", "reason"), [(True, "token"), (False, "revoked")])
async def test_refusals_say_no_token(active: bool, reason: str) -> None:
    door = doorkeeper(active=active)
    target = path(door) if not active else "/twilio-media/abc.def.ghi"
    with pytest.raises(RefusedError) as caught:
        await door.admit(target, "", [])
    assert (caught.value.status, caught.value.reason) == (401, reason)
    assert target.rpartition("/")[2] not in str(caught.value)


@pytest.mark.parametrize("policy", list(SignaturePolicy))
@pytest.mark.parametrize("right", [True, False])
async def test_signatures(policy: SignaturePolicy, right: bool) -> None:
    door = doorkeeper(policy)
    target = path(door)
    signature = sign("12345", PUBLIC + target) if right else "AAAA"
    headers = Headers({"x-twilio-signature": signature})
    if right or policy is not SignaturePolicy.REQUIRE:
        assert await door.admit(target, "", headers.raw_items()) is not None
        return
    with pytest.raises(RefusedError) as caught:
        await door.admit(target, "", headers.raw_items())
    assert caught.value.reason == "signature"


def test_the_protocol_behind_the_upgrade_is_open_and_bounded() -> None:
    protocol = open_protocol()
    assert protocol.state is State.OPEN
    protocol.receive_data(b"\x81\xff" + (MAX_MESSAGE + 1).to_bytes(8, "big") + b"mask")
    assert protocol.close_sent is not None
    assert protocol.close_sent.code == 1009
