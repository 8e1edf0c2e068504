"""Fragmented messages put together (RFC 6455 §5.4); sans-I/O."""

from __future__ import annotations

from websockets.frames import Frame, Opcode

__all__ = ["Fragments"]


class Fragments:
    """The text message that comes in pieces; ``websockets`` has limited its size and checked its order."""

    def __init__(self) -> None:
        # None between messages, and while a binary one passes.
        self._text: bytearray | None = None

    def add(self, frame: Frame) -> bytes | None:
        """Take a data frame; the whole text message if it was its last piece."""
        if frame.opcode is Opcode.TEXT:
            self._text = bytearray()
        # A bytearray, so that fragments without end, empty ones too, take no memory beyond the message's limit.
        if self._text is not None:
            self._text += frame.data
        if not frame.fin or self._text is None:
            return None
        message, self._text = bytes(self._text), None
        return message
