"""The reader of one media socket: the twin and specification of ``gateway._native.reader``."""

from __future__ import annotations

from gateway._native.frames_py import BROKEN as FRAME_BROKEN
from gateway._native.frames_py import TEXT as OPCODE_TEXT
from gateway._native.frames_py import Frame, parse
from gateway._native.scanner_py import INBOUND, scan
from gateway._native.track_py import Track

__all__ = ["BROKEN", "EOF", "FRAME", "MAX_MESSAGE", "TEXT", "Reader"]

MAX_MESSAGE = 1 << 24
"""The greatest ``max_message`` of a reader."""

TEXT = 1
"""A whole text message that the scanner left over; the payload, unmasked."""
FRAME = 2
"""A frame for the WebSocket protocol (control, binary, part of a fragmented message), header and all."""
BROKEN = 3
"""Bytes that no client may send, from the bad header on; the reader is dead."""
EOF = 4
"""The peer is gone: the payload is empty, or the errno in ASCII; the reader is dead."""


class Reader:
    """Turns the bytes of one socket into audio on its tracks, and into events for all the rest.

    Sans-I/O: :meth:`feed` takes bytes, :meth:`next_event` parses on, in order, until something is for Python.

    Args:
        max_message: most bytes of payload in a frame.

    Raises:
        ValueError: ``max_message`` is not in 1..:data:`MAX_MESSAGE`.
    """

    def __init__(self, max_message: int = 65536) -> None:
        if not 1 <= max_message <= MAX_MESSAGE:
            raise ValueError(f"max_message must lie in 1..{MAX_MESSAGE}, not {max_message}")
        self._max_message = max_message
        self._buffer = b""
        self._offset = 0
        self._sid: bytes | None = None
        self._tracks: tuple[Track | None, Track | None] = (None, None)
        self._errno = -1
        self._dead = False
        self.owner: object = None
        self.fragmented = False
        self.messages = 0
        self.media = 0
        self.bytes = 0
        self.last_bytes_ms = 0
        self._pending = False

    @property
    def buffered(self) -> int:
        """Bytes not parsed yet."""
        return len(self._buffer) - self._offset

    @property
    def dead(self) -> bool:
        """Whether the reader came to its end (broken, end of file, closed)."""
        return self._dead

    @property
    def pending(self) -> bool:
        """Whether an event waits, or may wait."""
        return self._pending

    def bind(self, stream_sid: bytes, inbound: Track | None, outbound: Track | None) -> None:
        """Place media of this stream on these tracks; media of a track that is None are events."""
        self._sid = stream_sid
        self._tracks = (inbound, outbound)

    def unbind(self) -> None:
        """From now on all media are events."""
        self._sid = None
        self._tracks = (None, None)

    def feed(self, data: bytes, now_ms: int) -> None:
        """Append bytes that arrived at ``now_ms`` (monotonic); the owner drains the events first."""
        if self._dead:
            return
        self._buffer = self._buffer[self._offset :] + data
        self._offset = 0
        self.bytes += len(data)
        self.last_bytes_ms = now_ms
        self._pending = True

    def set_eof(self, errno: int) -> None:
        """The peer sends no more: ``errno`` of a failing read, 0 for an orderly end."""
        if self._errno < 0:
            self._errno = errno
            self._pending = not self._dead

    def close(self) -> None:
        """Free the buffer; the reader is dead."""
        self._dead = True
        self._pending = False
        self._buffer = b""
        self._offset = 0
        self.unbind()

    def next_event(self) -> tuple[int, bytes] | None:
        """The next thing for Python, or None when what is buffered gives none."""
        while not self._dead:
            frame = parse(self._buffer, self._offset, self._max_message)
            if frame == FRAME_BROKEN:
                raw = self._buffer[self._offset :]
                self.close()
                return BROKEN, raw
            if not isinstance(frame, Frame):
                return self._end()
            self.messages += 1
            self._offset = frame.end
            if self.fragmented or not frame.fin or frame.opcode != OPCODE_TEXT:
                return FRAME, self._buffer[frame.start : frame.end]
            if not self._place(frame.payload):
                return TEXT, frame.payload
            self.media += 1
        return None

    def _end(self) -> tuple[int, bytes] | None:
        if self._errno < 0:
            self._pending = False
            return None
        self.close()
        return EOF, str(self._errno).encode() if self._errno else b""

    def _place(self, message: bytes) -> bool:
        """Whether the message was media of the bound stream, now on its track."""
        if self._sid is None:
            return False
        media = scan(message)
        if media is None or media.stream_sid != self._sid:
            return False
        track = self._tracks[0 if media.track == INBOUND else 1]
        if track is None:
            return False
        track.place(media.timestamp_ms, media.payload, self.last_bytes_ms)
        return True
