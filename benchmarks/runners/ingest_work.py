"""What every server of ``bench_ingest`` does with a media message, and how it is asked what it has done.

The work is that of a straightforward server: JSON, base64, μ-law by table to 16-bit PCM, placed behind what its track
has. A second of a track is summed when it is full. Of the ways that numpy and base64 offer, the fastest here.

A script prints ``{"port": N}`` when it listens, and answers each line of standard input with a line of JSON: ``count``
with ``messages`` and ``bytes`` so far, ``sum`` with ``samples`` and ``checksum`` too.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import os
import ssl
import sys
import zlib
from collections.abc import Awaitable, Callable

import numpy as np
import orjson
from numpy.typing import NDArray

__all__ = ["SECOND", "Stream", "announce", "context", "serve_until_closed", "table"]

SECOND = 8000
"""Samples."""


def table() -> NDArray[np.int16]:
    """16-bit PCM of each μ-law byte (ITU-T G.711)."""
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = ((((code & 15).astype(np.int32) << 3) + 0x84) << (code >> 4 & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


TABLE = table()


class Track:
    """PCM of one track; only what is not summed yet is kept."""

    __slots__ = ("at", "pcm", "samples", "sum")

    def __init__(self) -> None:
        self.pcm = np.zeros(SECOND, np.int16)
        self.at = self.samples = self.sum = 0

    def put(self, ulaw: bytes) -> None:
        """Decode and place."""
        at = self.at
        end = at + len(ulaw)
        if end <= SECOND:
            TABLE.take(np.frombuffer(ulaw, np.uint8), out=self.pcm[at:end], mode="clip")
            self.at = end
        else:
            room = SECOND - at
            self.pcm[at:] = TABLE.take(np.frombuffer(ulaw[:room], np.uint8))
            self.at = SECOND
        if self.at == SECOND:
            self.sum = zlib.crc32(self.pcm.data, self.sum)
            self.samples += SECOND
            self.at = 0
            if end > SECOND:
                self.put(ulaw[SECOND - at :])

    @property
    def checksum(self) -> int:
        """CRC-32 of all PCM, little-endian."""
        return zlib.crc32(self.pcm[: self.at].data, self.sum)


class Stream:
    """A media socket's messages."""

    __slots__ = ("media", "tracks")

    def __init__(self) -> None:
        self.media = 0
        self.tracks: dict[str, Track] = {}
        ALL.append(self)

    def take(self, text: bytes) -> None:
        """One message, a JSON text."""
        message = orjson.loads(text)
        event = message["event"]
        if event == "media":
            media = message["media"]
            self.tracks[media["track"]].put(binascii.a2b_base64(media["payload"]))
            self.media += 1
        elif event == "start":
            self.tracks = {name: Track() for name in message["start"]["tracks"]}


ALL: list[Stream] = []


def told(question: str) -> dict[str, int]:
    """The answer to a line of standard input."""
    answer = {"messages": sum(stream.media for stream in ALL), "bytes": 0}
    if question == "sum":
        tracks = [track for stream in ALL for track in stream.tracks.values()]
        answer["samples"] = sum(track.samples + track.at for track in tracks)
        answer["checksum"] = sum(track.checksum for track in tracks)
    return answer


def context() -> ssl.SSLContext | None:
    """For TLS, where the command line names a certificate and its key."""
    if len(sys.argv) < 3:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(sys.argv[1], sys.argv[2])
    return made


def announce(port: int) -> None:
    """Tell whoever started this where it listens."""
    print(json.dumps({"port": port}), flush=True)


async def serve_until_closed(
    listen: Callable[[], Awaitable[int]], answer: Callable[[str], dict[str, int]] = told
) -> None:
    """Listen, announce the port, and answer questions until standard input is closed."""
    loop, closed, rest = asyncio.get_running_loop(), asyncio.Event(), bytearray()

    def asked() -> None:
        data = os.read(0, 4096)
        rest.extend(data)
        while b"\n" in rest:
            line, _, after = rest.partition(b"\n")
            rest[:] = after
            print(json.dumps(answer(line.decode())), flush=True)
        if not data:
            closed.set()

    announce(await listen())
    loop.add_reader(0, asked)
    await closed.wait()
    loop.remove_reader(0)
