"""The ways in which the wire misbehaves, as byte streams whose audio is known before they are sent."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from websockets.frames import Opcode

from gateway._native.track_py import Track as Twin
from tests.adversity.wire import TRACKS
from tests.harness import new_sid

__all__ = ["MISBEHAVIOURS", "Script", "written"]

MISBEHAVIOURS = (
    "late", "jitter", "gaps", "silence", "sizes", "overlaps", "untimed", "stall", "interleaved", "strangers",
)  # fmt: skip

_SIZES = (0, 1, 7, 33, 80, 159, 161, 320, 777, 2000)
_GARBAGE = (
    (b"{", "bad_json"), (b"[1]", "bad_json"), (b'{"event":"news"}', "unknown_event"),
    (b'{"event":"media","media":{"payload":"!"}}', "bad_base64"), (b'{"event":"media","media":[]}', "bad_media"),
)  # fmt: skip


@dataclass
class Script:
    """One stream after its start: its bytes, the frames and garbage in it, and what its tracks come to."""

    stream_sid: str
    data: bytearray = field(default_factory=bytearray)
    frames: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    tracks: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, opcode: int, payload: bytes, key: bytes, *, fin: bool = True) -> None:
        """One more frame."""
        size = len(payload)
        head = bytes((0x80 * fin | opcode, 0x80 | size)) if size < 126 else b"%c\xfe" % (0x80 * fin | opcode)
        if size >= 126:
            head += size.to_bytes(2, "big")
        mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
        self.data += head + key + (int.from_bytes(payload, "big") ^ mask).to_bytes(size, "big")
        self.frames += 1

    def skip(self, reason: str, payload: bytes, key: bytes, opcode: int = Opcode.TEXT) -> None:
        """One more message that must be skipped for this reason."""
        self.add(opcode, payload, key)
        self.skipped[reason] = self.skipped.get(reason, 0) + 1


@cache
def written(kind: str, seed: int, messages: int) -> Script:
    """``messages`` media messages of one misbehaviour, both tracks, and what lies between them."""
    dice = random.Random(f"{kind} {seed}")
    script = Script(new_sid("MZ"))
    twins = {track: Twin(checksum=True, keep_pcm=False) for track in TRACKS}
    for twin in twins.values():
        twin.open_gate()
    for number, (track, at, size) in enumerate(_plan(kind, dice, messages)):
        payload = dice.randbytes(size)
        twins[track].place(at, payload, 0)
        text = _media(track, at, payload, number, script.stream_sid)
        _send(script, kind, text, dice)
    script.tracks = {
        track: (twin.received_samples + twin.filled_samples, twin.checksum_hex()) for track, twin in twins.items()
    }
    return script


def _media(track: str, at: int, payload: bytes, number: int, sid: str) -> str:
    time = f'"timestamp":"{at}",' if at >= 0 else ""
    return (
        f'{{"event":"media","sequenceNumber":"{number + 2}","media":{{"track":"{track}","chunk":"{number // 2 + 1}",'
        f'{time}"payload":"{base64.b64encode(payload).decode()}"}},"streamSid":"{sid}"}}'
    )


def _plan(kind: str, dice: random.Random, messages: int) -> Iterator[tuple[str, int, int]]:
    """Track, timestamp (negative: none) and payload size of each message."""
    first = 90_000 if kind == "late" else dice.randrange(100, 171)
    at = {TRACKS[0]: first, TRACKS[1]: first + (7_000 if kind == "late" else 0)}
    for number in range(messages):
        track = TRACKS[number % 2]
        size = dice.choice(_SIZES) if kind == "sizes" else 160
        at[track] += _offset(kind, dice)
        jitter = dice.randrange(-25, 26) if kind == "jitter" else dice.randrange(-2, 3)
        untimed = kind == "untimed" and dice.random() < 0.5
        yield track, -1 if untimed else max(0, at[track] + jitter), size
        at[track] += size // 8


def _offset(kind: str, dice: random.Random) -> int:
    """By how much a message's time differs from its predecessor's end, ms."""
    chance = dice.random()
    if kind == "gaps" and chance < 0.03:
        return dice.choice((20, 40, 400, 1_980, 2_020, 30_000))
    if kind == "silence" and chance < 0.02:
        return 20 * dice.randrange(10, 500)
    if kind == "overlaps" and chance < 0.03:
        return -dice.choice((15, 20, 900, 1_100, 20_000))
    return 0


def _send(script: Script, kind: str, text: str, dice: random.Random) -> None:
    message, key = text.encode(), dice.randbytes(4)
    if kind == "interleaved":
        _interleave(script, message, key, dice)
        return
    if kind == "strangers" and dice.random() < 0.1:
        # Media of another stream, and noise: nothing of it may reach a track.
        script.skip("wrong_stream_sid", message.replace(b'"streamSid":"MZ', b'"streamSid":"XX'), key)
        garbage, reason = dice.choice(_GARBAGE)
        script.skip(reason, garbage, key)
    elif kind == "strangers" and dice.random() < 0.1:
        # The same words in a spelling that only the ordinary path knows.
        message = message.replace(b'":"', b'" : "')
    script.add(Opcode.TEXT, message, key)


def _interleave(script: Script, message: bytes, key: bytes, dice: random.Random) -> None:
    """Pings and pongs anywhere, messages in fragments, binary messages between them."""
    if dice.random() < 0.05:
        script.skip("binary", b"\x00" * 9, key, Opcode.BINARY)
    if dice.random() >= 0.1:
        script.add(Opcode.TEXT, message, key)
    else:
        cut, other = sorted((dice.randrange(len(message)), dice.randrange(len(message))))
        script.add(Opcode.TEXT, message[:cut], key, fin=False)
        script.add(Opcode.PING, dice.randbytes(dice.randrange(9)), key)
        script.add(Opcode.CONT, message[cut:other], key, fin=False)
        script.add(Opcode.CONT, message[other:], key)
    if dice.random() < 0.05:
        script.add(dice.choice((Opcode.PING, Opcode.PONG)), b"between", key)
