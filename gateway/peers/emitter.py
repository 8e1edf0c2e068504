"""Speaks Twilio's Media Streams wire, as a client: what a call sounds like to the gateway.

The words of the wire are a pure function, :func:`script`; :class:`TwilioEmitter` plays them in real time over one
socket, or over one a track. Facts are from Twilio's "Media Streams - WebSocket messages" and from captures: numbers
are strings, ``sequenceNumber`` counts all events of a connection from the ``start``, ``chunk`` those of a track, the
first timestamp is 100 to 170 ms, and timestamps keep to the 20 ms grid only to about 2 ms.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from gateway._native import mulaw
from gateway.errors import PeerError, UsageError
from gateway.participants import Track
from gateway.peers.recording import Recording
from gateway.speech.engine import Pcm

__all__ = [
    "Ending",
    "Form",
    "Identity",
    "Manner",
    "Pacing",
    "Planned",
    "TwilioEmitter",
    "closing",
    "opening",
    "script",
]

FRAME_MS = 20
"""Audio of one Twilio message."""
MINIMAL_FRAME_MS = 40
"""Audio of one message of pipecat's emulated client."""
JITTER_MS = 2
QUIET_DBFS = -55.0
"""Frames below this are silence, for a line that does not send it."""


class Form(StrEnum):
    """Which words are used."""

    TWILIO = "twilio"
    MINIMAL = "minimal"  # pipecat's serializer: no track, timestamp or numbers; 320 bytes a message; no stop


class Ending(StrEnum):
    """How a stream ends."""

    STOP = "stop"  # the message, then a close handshake: what Twilio does
    CLOSE = "close"  # a close handshake alone
    RESET = "reset"  # the connection is dropped


@dataclass(frozen=True, slots=True)
class Identity:
    """The SIDs of a call: ``CA``, ``AC`` and, one for each socket, ``MZ``, each with 32 hex digits."""

    call_sid: str
    account_sid: str
    stream_sids: tuple[str, str]

    @classmethod
    def random(cls, call_sid: str | None = None) -> Identity:
        """SIDs that no other call has."""

        def sid(kind: str) -> str:
            return kind + secrets.token_hex(16)

        return cls(call_sid or sid("CA"), sid("AC"), (sid("MZ"), sid("MZ")))


@dataclass(frozen=True, slots=True)
class Manner:
    """How a stream is spoken; the defaults are Twilio on a good day.

    Args:
        form: which words are used.
        first_timestamp_ms: of the first message of each track; None draws one from 100 to 170.
        jitter_ms: timestamps are this far off the grid at the most.
        drop: share of the frames that get lost on their way to Twilio, 0 to 1.
        send_silence: whether quiet frames are sent.
        stall_at_ms: nothing is sent from here …
        stall_ms: … for so long, then all of it at once.
        ending: how the stream ends.
        custom: ``customParameters`` of the start message.
        seed: of the jitter, the losses and the first timestamp.
    """

    form: Form = Form.TWILIO
    first_timestamp_ms: int | None = None
    jitter_ms: int = JITTER_MS
    drop: float = 0.0
    send_silence: bool = True
    stall_at_ms: int = 0
    stall_ms: int = 0
    ending: Ending = Ending.STOP
    custom: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0


class Planned(NamedTuple):
    """A media message, and when it is due in ms from the first one."""

    due_ms: int
    text: str


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def opening(identity: Identity, tracks: Sequence[Track], manner: Manner, stream_sid: str) -> tuple[str, str]:
    """The ``connected`` and ``start`` messages."""
    connected = _compact({"event": "connected", "protocol": "Call", "version": "1.0.0"})
    if manner.form is Form.MINIMAL:
        sids = {"streamSid": stream_sid, "callSid": identity.call_sid}
        return connected, _compact({"event": "start", "start": sids, **sids})
    start = {
        "accountSid": identity.account_sid,
        "streamSid": stream_sid,
        "callSid": identity.call_sid,
        "tracks": [str(track) for track in tracks],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": dict(manner.custom),
    }
    return connected, _compact({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": stream_sid})


def script(
    recording: Recording, identity: Identity, tracks: Sequence[Track], manner: Manner, stream_sid: str
) -> Iterator[Planned]:
    """The media messages of one socket in the order of their sending.

    Tracks that the recording does not have are left out; the last frame is filled up with silence.
    """
    if manner.form is Form.MINIMAL:
        yield from _minimal(recording, manner, stream_sid)
        return
    dice = random.Random(manner.seed)
    first = manner.first_timestamp_ms if manner.first_timestamp_ms is not None else dice.randint(100, 170)
    audio = {track: recording.tracks[track] for track in tracks if track in recording.tracks}
    coded = {track: _encoded(pcm, FRAME_MS) for track, pcm in audio.items()}
    quiet = {} if manner.send_silence else {track: _quiet(pcm) for track, pcm in audio.items()}
    sequence, chunks = 1, dict.fromkeys(coded, 0)
    frames = max((len(payloads) for payloads in coded.values()), default=0)
    for index in range(frames):
        for track, payloads in coded.items():
            jitter = dice.randint(-manner.jitter_ms, manner.jitter_ms) if index else 0
            lost = dice.random() < manner.drop
            if index >= len(payloads) or lost or (quiet and quiet[track][index]):
                continue
            sequence += 1
            chunks[track] += 1
            media = (
                f'{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"{track}",'
                f'"chunk":"{chunks[track]}","timestamp":"{first + FRAME_MS * index + jitter}",'
                f'"payload":"{payloads[index]}"}},"streamSid":"{stream_sid}"}}'
            )
            yield Planned(_due(FRAME_MS * index, manner), media)


def closing(identity: Identity, sequence: int, stream_sid: str) -> str:
    """The ``stop`` message."""
    sids = {"accountSid": identity.account_sid, "callSid": identity.call_sid}
    return _compact({"event": "stop", "sequenceNumber": str(sequence), "streamSid": stream_sid, "stop": sids})


def _minimal(recording: Recording, manner: Manner, stream_sid: str) -> Iterator[Planned]:
    for index, payload in enumerate(_encoded(recording.tracks[Track.INBOUND], MINIMAL_FRAME_MS)):
        media = {"event": "media", "streamSid": stream_sid, "media": {"payload": payload}}
        yield Planned(_due(MINIMAL_FRAME_MS * index, manner), _compact(media))


def _due(at_ms: int, manner: Manner) -> int:
    stalled = manner.stall_at_ms <= at_ms < manner.stall_at_ms + manner.stall_ms
    return manner.stall_at_ms + manner.stall_ms if stalled else at_ms


def _encoded(pcm: Pcm, frame_ms: int) -> list[str]:
    size = 8 * frame_ms
    data = mulaw.encode(pcm)
    data += b"\xff" * (-len(data) % size)
    return [base64.b64encode(data[at : at + size]).decode() for at in range(0, len(data), size)]


def _quiet(pcm: Pcm) -> list[bool]:
    size = 8 * FRAME_MS
    frames = np.pad(pcm.astype(np.float64), (0, -len(pcm) % size)).reshape(-1, size)
    power = np.mean((frames / 32768) ** 2, axis=1)
    return [bool(value < 10 ** (QUIET_DBFS / 10)) for value in power]


@dataclass(frozen=True, slots=True)
class Pacing:
    """How late messages left, in ms after they were due, and how many did."""

    messages: int
    p50_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, late_ms: Sequence[float]) -> Pacing:
        """From the lateness of every message; all zeros if there are none."""
        if not late_ms:
            return cls(0, 0.0, 0.0, 0.0)
        p50, p99, most = (float(value) for value in np.percentile(late_ms, (50, 99, 100)))
        return cls(len(late_ms), round(p50, 3), round(p99, 3), round(most, 3))


class TwilioEmitter:
    """One call, played in real time.

    Args:
        url: ``ws://`` or ``wss://`` stream URL, as the gateway gave it.
        recording: what is said.
        identity: the SIDs.
        sockets: 1 for both tracks on one socket, 2 for one each.
        manner: how the wire is spoken.
        context: TLS settings; None for the system's.
        on_progress: told now and then how many ms have been played.
    """

    def __init__(
        self,
        url: str,
        recording: Recording,
        identity: Identity,
        *,
        sockets: int = 1,
        manner: Manner | None = None,
        context: ssl.SSLContext | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        self.url = url
        self.recording = recording
        self.identity = identity
        self.manner = manner or Manner()
        self._context = context
        self._on_progress = on_progress
        self._late_ms: list[float] = []
        tracks = tuple(recording.tracks)
        sockets_tracks = [(track,) for track in tracks] if sockets == 2 else [tracks]
        self._lines = [_Line(*line) for line in zip(sockets_tracks, identity.stream_sids, strict=False)]

    @property
    def pacing(self) -> Pacing:
        """How well the messages sent so far kept to their times."""
        return Pacing.of(self._late_ms)

    async def connect(self) -> None:
        """Open the sockets and send ``connected`` and ``start`` on each.

        Raises:
            UsageError: the URL is no WebSocket URL.
            PeerError: the gateway cannot be reached or refuses the stream.
        """
        for line in self._lines:
            line.connection = await self._open()
            for message in opening(self.identity, line.tracks, self.manner, line.stream_sid):
                await self._send(line, message)

    async def _open(self) -> ClientConnection:
        context = self._context if self.url.startswith("wss:") else None
        try:
            # Twilio neither compresses nor, as far as is known, pings.
            return await connect(self.url, ssl=context, compression=None, ping_interval=None, proxy=None)
        except InvalidURI as error:
            raise UsageError(f"{_masked(self.url)} is no ws:// or wss:// URL") from error
        except InvalidStatus as error:
            status = error.response.status_code
            raise PeerError(f"the gateway refused the media stream with HTTP {status}") from error
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise PeerError(f"no media stream to {_masked(self.url)}: {error or type(error).__name__}") from error

    async def play(self) -> None:
        """Send all media in real time, from now on.

        Raises:
            PeerError: the gateway closed a socket, or the connection broke.
        """
        begin = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                for line in self._lines:
                    group.create_task(self._play_line(line, begin))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _play_line(self, line: _Line, begin: float) -> None:
        for due_ms, text in script(self.recording, self.identity, line.tracks, self.manner, line.stream_sid):
            due = begin + due_ms / 1000
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            self._late_ms.append((time.monotonic() - due) * 1000)
            await self._send(line, text)
            line.sequence += 1
            if line is self._lines[0] and self._on_progress is not None:
                self._on_progress(due_ms)

    async def _send(self, line: _Line, message: str) -> None:
        if line.connection is None:
            raise PeerError("the media stream is not open")
        try:
            await line.connection.send(message)
        except ConnectionClosed as error:
            close = error.rcvd
            why = f"closed the media stream: {close.code} {close.reason}".rstrip() if close else "dropped the stream"
            raise PeerError(f"the gateway {why}") from error

    async def close(self) -> None:
        """End the sockets as the manner says: may be called at any time, and again; raises nothing."""
        for line in self._lines:
            connection, line.connection = line.connection, None
            if connection is None:
                continue
            if self.manner.ending is Ending.RESET:
                connection.transport.abort()
                continue
            if self.manner.ending is Ending.STOP and self.manner.form is Form.TWILIO:
                with contextlib.suppress(ConnectionClosed):
                    await connection.send(closing(self.identity, line.sequence + 1, line.stream_sid))
            await connection.close()


@dataclass(slots=True)
class _Line:
    """One socket: what it carries, and the ``sequenceNumber`` sent last."""

    tracks: tuple[Track, ...]
    stream_sid: str
    connection: ClientConnection | None = None
    sequence: int = 1


def _masked(url: str) -> str:
    # The token is the last path segment or the query: neither is shown.
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/…"
