"""The compiled kernels, each beside its Python twin and what a user would take instead: what is called, with what.

Every side of a contest gives the same for the same input, which :func:`differing` checks; nothing is timed here. Inputs
are of the size that a call has them in, and seeded.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.kernels import peers
from benchmarks.load.voice import Script, Sound, Voice
from gateway._native import (
    endpoint,
    endpoint_py,
    frames,
    frames_py,
    level,
    level_py,
    mulaw,
    mulaw_py,
    reader,
    reader_py,
    scanner,
    scanner_py,
    track,
    track_py,
)
from gateway.config import EndpointSettings, VadSettings
from gateway.speech.patience import FRAME_MS

__all__ = ["LIBRARY", "OURS", "TWIN", "Contest", "Side", "contests", "differing"]

OURS, TWIN, LIBRARY = "gateway", "twin", "library"
"""Kinds of sides; each contest has one of the first two, and any number of the third."""

SEED = 5
MESSAGE_BYTES = 160
"""μ-law in a message: 20 ms."""
FRAME = 256
"""Samples that voice activity judges: 32 ms."""
SECOND = 50
"""Messages of a track in a second."""
SID = b"MZ0123456789abcdef0123456789abcdef"
NOW_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Side:
    """One way to do it: ``run(*arguments)``, again and again with the same outcome."""

    kind: str
    name: str
    run: Callable[..., object]
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Contest:
    """One kernel. A call of a side does ``items`` of ``what``, and takes in ``size`` bytes."""

    kernel: str
    what: str
    items: int
    size: int
    sides: tuple[Side, ...]
    same: Callable[[Any, Any], bool]


def contests() -> tuple[Contest, ...]:
    """All of them; the first side is ours, the second the twin."""
    return (*_audio(), *_wire(), *_speech())


def differing(contest: Contest) -> list[str]:
    """Names of the sides that do not give what the twin gives."""
    twin = next(side for side in contest.sides if side.kind == TWIN)
    expected = twin.run(*twin.arguments)
    return [side.name for side in contest.sides if not contest.same(side.run(*side.arguments), expected)]


def _contest(
    kernel: str,
    what: str,
    arguments: tuple[object, ...],
    ours: Callable[..., object],
    twin: Callable[..., object],
    *libraries: tuple[str, Callable[..., object]],
    size: int,
    items: int = 1,
    same: Callable[[Any, Any], bool] = lambda one, other: bool(one == other),
) -> Contest:
    sides = [Side(OURS, "gateway", ours, arguments), Side(TWIN, "Python twin", twin, arguments)]
    sides += [Side(LIBRARY, name, run, arguments) for name, run in libraries]
    return Contest(kernel, what, items, size, tuple(sides), same)


def _audio() -> list[Contest]:
    dice = random.Random(SEED)
    found = []
    for kernel, what, count in (
        ("mulaw", "a message, 20 ms", MESSAGE_BYTES),
        ("mulaw-20s", "an utterance, 20 s", 160_000),
    ):
        sides = mulaw.decode, mulaw_py.decode, ("audioop", peers.audioop_decode)
        found.append(_contest(kernel, what, (dice.randbytes(count),), *sides, size=count, same=np.array_equal))
    text = base64.b64encode(dice.randbytes(MESSAGE_BYTES))
    found.append(
        _contest(
            "base64",
            "a message's payload",
            (text,),
            scanner.decoded,
            scanner_py.decoded,
            ("base64.b64decode", peers.python_base64),
            ("binascii", peers.strict_binascii),
            ("pybase64", peers.pybase64_strict),
            ("pybase64, lenient", peers.pybase64_lenient),
            size=len(text),
        )
    )
    return found


def _voice(messages: int) -> list[bytes]:
    """Masked frames of one track, as they come from Twilio."""
    sound = Sound.of(("inbound",), [random.Random(SEED).randbytes(MESSAGE_BYTES * SECOND)])
    voice = Voice(Script(sound, SID, 0, messages, seed=SEED))
    return [voice.next()[0] for _ in range(messages)]


def _wire() -> list[Contest]:
    whole = _voice(SECOND)
    one = whole[-1]
    payload = frames_py.parse(one, 0, peers.MAX_MESSAGE)
    assert isinstance(payload, frames_py.Frame)
    message, key, masked = payload.payload, one[4:8], one[8:]
    stream = b"".join(whole)
    placed = [scanner_py.scan(_payload(each)) for each in whole]
    media = [(each.timestamp_ms, each.payload) for each in placed if each is not None]
    return [
        _contest(
            "unmask",
            "a message",
            (masked, key),
            frames.unmasked,
            frames_py.unmasked,
            ("websockets, C", peers.apply_mask),
            ("numpy XOR", peers.numpy_mask),
            size=len(masked),
        ),
        _contest(
            "frame",
            "header and unmask",
            (one, 0, peers.MAX_MESSAGE),
            frames.parse,
            frames_py.parse,
            ("websockets", peers.websockets_frame),
            size=len(one),
            same=lambda mine, other: (
                (mine.opcode, mine.fin, bytes(getattr(mine, "payload", getattr(mine, "data", b""))))
                == (other.opcode, other.fin, other.payload)
            ),
        ),
        _contest(
            "scan",
            "a message's fields",
            (message,),
            scanner.scan,
            scanner_py.scan,
            ("msgspec, typed", peers.by_msgspec),
            ("orjson + base64", peers.by_orjson),
            ("json + base64", peers.by_json),
            size=len(message),
        ),
        _contest(
            "clock",
            "a message placed, and read",
            (media,),
            _placing(track),
            _placing(track_py),
            items=SECOND,
            size=SECOND * MESSAGE_BYTES,
        ),
        _contest(
            "reader",
            "bytes to PCM on the clock",
            (stream,),
            _reading(reader, track),
            _reading(reader_py, track_py),
            ("websockets + orjson + numpy", peers.by_libraries),
            items=SECOND,
            size=len(stream),
            same=np.array_equal,
        ),
    ]


def _payload(frame: bytes) -> bytes:
    return frames_py.unmasked(frame[8:], frame[4:8])


def _placing(module: ModuleType) -> Callable[[list[tuple[int, bytes]]], tuple[int, bytes]]:
    """A second of one track: placed as it comes, read as voice activity reads it."""

    def run(media: list[tuple[int, bytes]]) -> tuple[int, bytes]:
        line = module.Track()
        line.open_gate()
        place = line.place
        for timestamp, ulaw in media:
            place(timestamp, ulaw, NOW_MS)
        return line.position, line.read(line.available()).tobytes()

    return run


def _reading(module: ModuleType, clocks: ModuleType) -> Callable[[bytes], NDArray[np.int16]]:
    """A second of one socket, in one piece, onto its track."""

    def run(stream: bytes) -> NDArray[np.int16]:
        line = clocks.Track()
        line.open_gate()
        reader = module.Reader()
        reader.bind(SID, line, None)
        reader.feed(stream, NOW_MS)
        assert reader.next_event() is None
        pcm: NDArray[np.int16] = line.read(line.available())
        return pcm

    return run


def _speech() -> list[Contest]:
    dice = np.random.default_rng(SEED)
    second = dice.normal(0, 1000, (31, FRAME)).astype(np.int16)
    frame = np.ascontiguousarray(second[0])
    probabilities = _probabilities()
    levels = [-30.0 if probability > 0.5 else -60.0 for probability in probabilities]
    vad = VadSettings.model_validate({})
    return [
        _contest(
            "level",
            "a frame, 32 ms",
            (frame,),
            level.frame_level_db,
            level_py.frame_level_db,
            ("numpy", peers.numpy_level),
            ("audioop.rms", peers.audioop_level),
            size=frame.nbytes,
            same=lambda one, other: abs(one - other) < 0.1,
        ),
        _contest(
            "gate",
            "a frame's level, and whether the model is asked",
            (second,),
            _gating(level, vad.gate_dbfs),
            _gating(level_py, vad.gate_dbfs),
            items=len(second),
            size=second.nbytes,
        ),
        _contest(
            "endpoint",
            "a frame judged",
            (probabilities, levels),
            _endpointing(endpoint, vad),
            _endpointing(endpoint_py, vad),
            items=len(probabilities),
            size=16 * len(probabilities),
        ),
    ]


def _gating(module: ModuleType, gate_db: float) -> Callable[[NDArray[np.int16]], tuple[list[int], list[bool]]]:
    """A second of one track, two frames at a time, as ticks have them."""

    def run(second: NDArray[np.int16]) -> tuple[list[int], list[bool]]:
        gate = module.LevelGate(gate_db, 31)
        levels: list[float] = []
        asked: list[bool] = []
        for first in range(0, len(second), 2):
            found, admitted = gate.look(second[first : first + 2])
            levels += found
            asked += admitted
        return [round(1000 * value) for value in levels], asked

    return run


def _probabilities() -> list[float]:
    """32 s of a talk: utterances of 0.5 to 3 s, pauses of 0.1 to 1.5 s."""
    dice = random.Random(SEED)
    found: list[float] = []
    while len(found) < 1000:
        found += [dice.uniform(0.6, 1.0) for _ in range(dice.randrange(16, 94))]
        found += [dice.uniform(0.0, 0.2) for _ in range(dice.randrange(3, 47))]
    return found[:1000]


def _endpointing(module: ModuleType, vad: VadSettings) -> Callable[[list[float], list[float]], list[int]]:
    settings = EndpointSettings.model_validate({})
    lengths = (
        settings.min_speech_ms,
        settings.pause_ms,
        settings.silence_ms,
        settings.pre_roll_ms,
        settings.post_roll_ms,
        settings.max_utterance_ms,
    )
    machine = module.Endpointer(vad.threshold, vad.release, *(each // FRAME_MS for each in lengths))

    def run(probabilities: list[float], levels: list[float]) -> list[int]:
        machine.reset(0)
        return list(map(machine.push, probabilities, levels))

    return run
