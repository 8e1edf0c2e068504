"""Every input of the corpus, and what hypothesis makes of media messages, against the checks that the fuzzer runs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway._native import frames_py, scanner_py
from gateway.calls import messages
from tests.fuzz import oracles
from tests.fuzz.oracles import CHECKS, check_frames, check_scanner, outcome
from tests.fuzz.reading import written
from tests.native.test_scanner import REAL, message

CORPUS = Path(__file__).with_name("corpus")


@pytest.mark.parametrize("target", CHECKS)
def test_the_corpus_holds(target: str) -> None:
    files = sorted((CORPUS / target).iterdir())
    assert len(files) > 1
    for file in files:
        try:
            CHECKS[target](file.read_bytes())
        except AssertionError as error:
            error.add_note(str(file))
            raise


# Messages that are nearly Twilio's: any fields, any order, keys twice, any values, any spelling of them.

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6), st.sampled_from(["inbound", "outbound", "media", "both", "0", "7", "007", "٣", "1" * 16]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)
PAYLOADS = st.one_of(
    st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode()),
    st.text("AQfw+/=_-\\ ", max_size=9),
)
NUMBERS = st.one_of(st.integers(0, 10**16).map(str), st.integers(-1, 10**16), VALUES)
WHITE = st.text(" \t\r\n", max_size=2)


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """A JSON string: characters as they are, or escaped."""
    escaped = draw(st.booleans())
    return '"' + "".join(f"\\u{ord(char):04x}" if escaped and ord(char) < 0xD800 else char for char in text) + '"'


@st.composite
def objects(draw: st.DrawFn, fields: list[tuple[str, st.SearchStrategy[Any]]]) -> str:
    """A JSON object of these fields, mostly each once and in order."""
    chosen = list(fields)
    for _ in range(draw(st.integers(0, 2))):
        match draw(st.sampled_from(["again", "none", "swap", "other"])):
            case "again":
                chosen.insert(draw(st.integers(0, len(chosen))), draw(st.sampled_from(fields)))
            case "none" if chosen:
                del chosen[draw(st.integers(0, len(chosen) - 1))]
            case "swap":
                chosen = draw(st.permutations(chosen))
            case _:
                chosen.append((draw(st.sampled_from(["x", "Event", "event ", ""])), VALUES))
    gap = draw(st.one_of(st.just(""), WHITE))
    parts = []
    for key, values in chosen:
        value = draw(values)
        written_value = value if isinstance(value, _Json) else json.dumps(value, ensure_ascii=draw(st.booleans()))
        name = draw(spelled(key)) if draw(st.integers(0, 9)) == 0 else json.dumps(key)
        parts.append(f"{name}{gap}:{gap}{written_value}")
    return _Json("{" + f",{gap}".join(parts) + "}")


class _Json(str):
    """Text that is JSON already."""


MEDIA = objects([
    ("track", st.one_of(st.sampled_from(["inbound", "outbound"]), VALUES)),
    ("chunk", NUMBERS),
    ("timestamp", NUMBERS),
    ("payload", PAYLOADS),
])  # fmt: skip
MESSAGES = objects([
    ("event", st.one_of(st.just("media"), st.just("media"), st.just("media"), VALUES)),
    ("sequenceNumber", NUMBERS),
    ("media", st.one_of(MEDIA, MEDIA, MEDIA, VALUES)),
    ("streamSid", st.one_of(st.just("MZ0"), st.text("MZ09é-", max_size=70), VALUES)),
])  # fmt: skip


@st.composite
def garbled(draw: st.DrawFn) -> bytes:
    """Such a message in bytes, perhaps with some of them changed."""
    text = bytearray(draw(MESSAGES).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(text)


@given(garbled())
@example(message().replace(b'"chunk"', b'"track":"inbound","chunk"'))
@example(message().replace(b'"streamSid"', b'"event":"stop","streamSid"'))
@example(b'{"event":"media","media":{"payload":"AAAA===="}}')
@example(b'{"event":"media","media":{"payload":"","payload":"/w=="}}')
@example(REAL + b"\xff")
def test_scanner_and_fallback_read_what_orjson_reads(text: bytes) -> None:
    check_scanner(text)


def test_of_keys_that_come_twice_the_last_counts() -> None:
    twice = message(track="outbound").replace(b'"chunk"', b'"track":"inbound","chunk"')
    event = outcome(messages.parse, twice)
    assert scanner_py.scan(twice) is None
    assert event == outcome(written, twice)
    assert isinstance(event, messages.Media)
    assert event.track == "inbound"


# The checks can fail.


@pytest.mark.parametrize(
    "reading",
    [
        lambda text: (media := scanner_py.scan(text)) and media._replace(chunk=0),
        lambda text: scanner_py.scan(text.strip()),
        lambda text: scanner_py.Media(0, 0, 0, 0, b"", b"MZ") if b"media" in text else None,
    ],
    ids=["field", "lenient", "wild"],
)
def test_a_scanner_that_reads_otherwise_is_found(monkeypatch: pytest.MonkeyPatch, reading: Any) -> None:
    monkeypatch.setattr(oracles, "scanner", SimpleNamespace(scan=reading))
    with pytest.raises(AssertionError):
        check_scanner(message() if reading(message()) != scanner_py.scan(message()) else message() + b" ")


def test_both_kernels_wrong_in_the_same_way_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    lenient = SimpleNamespace(scan=lambda text: scanner_py.scan(text.replace(b"====", b"=")))
    monkeypatch.setattr(oracles, "scanner", lenient)
    monkeypatch.setattr(oracles, "scanner_py", lenient)
    with pytest.raises(AssertionError):
        check_scanner(message(payload="AAA===="))


def test_a_parser_that_waits_for_the_payload_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(data: bytes, offset: int, limit: int) -> object:
        verdict = frames_py.parse(data, offset, limit)
        return frames_py.NEED if verdict == frames_py.BROKEN and len(data) < 40 else verdict

    late_kernel = SimpleNamespace(parse=late, NEED=frames_py.NEED, BROKEN=frames_py.BROKEN)
    monkeypatch.setattr(oracles, "frames", late_kernel)
    with pytest.raises(AssertionError):
        check_frames(b"\x00\xff\x81\x05" + bytes(60))
