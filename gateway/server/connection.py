"""One media socket: frames to events, events to its call, and all the ways in which it may end.

The reader (:mod:`gateway._native.reader`) has placed plain media on the tracks already; what reaches this class is
everything else, in order. The bytes come from the tick, or from the transport where there are no kernels.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

import structlog
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from gateway._native import reader as reader_kernel
from gateway.calls import messages
from gateway.calls.call import Call, Stream
from gateway.clock import monotonic_ms
from gateway.errors import PeerError, StoreError, WireError
from gateway.participants import Track
from gateway.server.counts import Counts, count_close
from gateway.server.fragments import Fragments
from gateway.server.handshake import MAX_MESSAGE, open_protocol
from gateway.server.life import Life, Verdict
from gateway.server.services import ConnectionServices
from gateway.server.tls import SealedSocket
from gateway.store.records import Principal

__all__ = ["MediaConnection"]

log = structlog.get_logger(__name__)

UNAUTHENTICATED_BYTES = 64 * 1024

MAX_EVENTS = 256
"""Events of one socket that are handled in a turn; the rest wait, and the socket is not read meanwhile."""

MAX_WRITE_BUFFER = 64 * 1024
"""A peer that sends pings and does not read the pongs is cut off here."""


class MediaConnection(asyncio.Protocol):
    """A media socket from the 101 to its end.

    Args:
        services: shared by all sockets.
        principal: who opened it; None until its ``start`` brings a token.
        direct: whether the tick reads the descriptor; else bytes come through the transport.
        under: the transport that lies under TLS, if the socket is under TLS.
    """

    def __init__(
        self,
        services: ConnectionServices,
        principal: Principal | None,
        *,
        direct: bool,
        under: asyncio.Transport | None = None,
    ) -> None:
        self._services = services
        self.principal = principal
        self._direct = direct
        self._under = under
        self._protocol: ServerProtocol = open_protocol()
        self._reader = reader_kernel.Reader(MAX_MESSAGE)
        self._reader.owner = self
        self._transport: asyncio.Transport | None = None
        self._call: Call | None = None
        self._stream: Stream | None = None
        self._fragments = Fragments()
        self._life = Life()
        self._authenticating = False
        self._counts = Counts(self._reader)
        self._task: asyncio.Task[None] | None = None
        # Whom the store knows by the token of this start; it is handled before all that follows it.
        self._admitted: tuple[Principal, messages.Start] | None = None
        # How the transport ended; events of its may still be to be handled.
        self._ended: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport; the tick reads its descriptor from now on."""
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        self._services.plane.add(self)
        if self._direct and self._under is not None:
            self._services.plane.register_sealed(SealedSocket(self._transport, self._under, self._reader, self))
        elif self._direct:
            self._transport.pause_reading()
            fd = transport.get_extra_info("socket").fileno()
            self._services.plane.register(fd, self._reader)

    def data_received(self, data: bytes) -> None:
        """Bytes of a socket that the tick does not read."""
        self._reader.feed(data, monotonic_ms())
        self.drain()

    def eof_received(self) -> bool:
        """The peer will send no more."""
        self._reader.set_eof(0)
        self.drain()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone; whatever was said on it is still transcribed."""
        # DANGER: the descriptor is still valid here and may be reused right after.
        self._services.plane.unregister(self._reader)
        self._transport = None
        self._ended = "reset" if exc is not None else "closed"
        self._finish()

    def _finish(self) -> None:
        """Handle what is left when no more can come (under TLS: as a rule), in turns as before; then end."""
        if self._reader.pending and not (self._reader.dead or self._life.closing):
            if not self._authenticating:
                try:
                    self.drain()
                finally:
                    asyncio.get_running_loop().call_soon(self._finish)
            return
        if self not in self._services.plane:
            return
        self._services.plane.remove(self)
        self._counts.carry()
        self._leave(self._ended or "closed")
        self._reader.close()
        # What lies in circles of references is left to the collector: thousands at once when thousands hang up.
        self._reader.owner = None
        self._protocol.parser.close()
        self._protocol.parser_exc = None
        if self._task is not None:
            self._task.cancel()

    def read_now(self) -> None:
        """Take all that has come up to now."""
        self._services.plane.catch_up(self._reader)

    def displace(self) -> None:
        """Close normally: a newer stream has taken this one's tracks."""
        self._stream = None
        self.fail(CloseCode.NORMAL_CLOSURE, "replaced by a newer stream")

    # Events

    def drain(self) -> None:
        """Handle every event that the reader holds; this socket's trouble stays this socket's."""
        try:
            more = self._handle_some()
        except WireError as error:
            self.fail(error.close_code, error.reason)
            more = False
        except Exception:
            log.exception("media socket failed")
            self.fail(CloseCode.INTERNAL_ERROR, "internal error")
            more = False
        if not self._direct:
            self._hold_back(more)
        if self.principal is None and self._reader.bytes > UNAUTHENTICATED_BYTES:
            self.fail(CloseCode.POLICY_VIOLATION, "no token in the first 64 KiB")

    def _handle_some(self) -> bool:
        """Handle a turn's worth of events; whether there may be more."""
        if self._admitted is not None:
            (principal, start), self._admitted = self._admitted, None
            # A stream that has ended meanwhile takes no track of one that has not.
            if self._ended is None or not self._services.registry.carries(principal.account_id, start):
                self._attach(principal, start)
        for _ in range(MAX_EVENTS):
            if self._authenticating:
                return True
            event = self._reader.next_event()
            if event is None:
                return False
            self._handle(*event)
        return True

    def _hold_back(self, more: bool) -> None:
        """Do for a socket that the tick does not read what the tick does: read no more while events wait."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not more:
            if not transport.is_reading():
                transport.resume_reading()
            return
        if transport.is_reading():
            transport.pause_reading()
        if not self._authenticating:
            asyncio.get_running_loop().call_soon(self.drain)

    def _handle(self, kind: int, data: bytes) -> None:
        if kind == reader_kernel.TEXT:
            self._text(data)
        elif kind == reader_kernel.EOF:
            self._end_of_input(data)
        else:
            self._protocol_bytes(data)
            if kind == reader_kernel.BROKEN and self._protocol.state is State.OPEN:
                # What `websockets` would only see behind the payload, or lets pass (RFC 6455 §5.2, minimal lengths).
                raise WireError(CloseCode.PROTOCOL_ERROR, "malformed frame header")

    def _protocol_bytes(self, data: bytes) -> None:
        """A frame that is not a plain text message: ``websockets`` answers pings and closes and judges errors."""
        protocol = self._protocol
        protocol.receive_data(data)
        self._flush()
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event)
        if protocol.close_expected() and not self._life.closing:
            if protocol.close_sent is not None and protocol.close_rcvd is None:
                count_close(protocol.close_sent.code, protocol.close_sent.reason)
            self._closing()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._life.answer()
        elif frame.opcode is Opcode.CLOSE:
            self._leave("close frame")
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if frame.opcode is Opcode.BINARY:
                self._skip("binary")
            self._reader.fragmented = not frame.fin
            message = self._fragments.add(frame)
            if message is not None:
                self._text(message)

    def _end_of_input(self, data: bytes) -> None:
        self._protocol.receive_eof()
        self._leave(os.strerror(int(data)) if data.isdigit() else "eof")
        self._abort()

    def _text(self, message: bytes) -> None:
        if self._life.closing:
            # What follows our own close frame is not read (RFC 6455 §7.1.7 for a failed connection).
            return
        try:
            event = messages.parse(message)
        except messages.SkippedError as error:
            self._skip(error.reason)
            return
        if isinstance(event, messages.Media):
            self._media(event)
        elif isinstance(event, messages.Start):
            self._start(event)
        elif isinstance(event, messages.Stop):
            self._stop(event)

    def _media(self, media: messages.Media) -> None:
        stream = self._stream
        if stream is None:
            self._skip("media_before_start" if self._call is None else "media_after_stop")
        elif media.stream_sid is not None and media.stream_sid != stream.stream_sid:
            self._skip("wrong_stream_sid")
        elif (track := stream.tracks.get(media.track)) is None:
            self._skip("undeclared_track")
        else:
            track.place(media.timestamp_ms, media.payload, monotonic_ms())

    def _stop(self, stop: messages.Stop) -> None:
        if self._stream is not None and stop.stream_sid not in (None, self._stream.stream_sid):
            self._skip("wrong_stream_sid")
        else:
            self._leave("stop")

    def _start(self, start: messages.Start) -> None:
        if self._call is not None:
            raise WireError(CloseCode.POLICY_VIOLATION, "a second start message")
        if self.principal is not None:
            self._attach(self.principal, start)
            return
        token = start.custom.get("token")
        if token is None:
            raise WireError(CloseCode.POLICY_VIOLATION, "no stream token in the URL or the start message")
        # What follows the start waits in the reader until the store has said whether the key is active.
        self._authenticating = True
        self._task = asyncio.ensure_future(self._authenticate(token, start))

    async def _authenticate(self, token: str, start: messages.Start) -> None:
        try:
            principal = await self._services.authenticate(token)
        except StoreError:
            self.fail(CloseCode.INTERNAL_ERROR, "the token cannot be checked now; connect again")
        except PeerError:
            self.fail(CloseCode.POLICY_VIOLATION, "stream token refused")
        except Exception:
            log.exception("media socket failed")
            self.fail(CloseCode.INTERNAL_ERROR, "internal error")
        else:
            self.principal = principal
            if not self._life.closing:
                self._admitted = principal, start
        finally:
            self._authenticating = False
        try:
            self.drain()
        finally:
            if self._ended is not None:
                self._finish()

    def _attach(self, principal: Principal, start: messages.Start) -> None:
        self._call, self._stream = self._services.registry.attach(principal.account_id, start, self)
        inbound, outbound = (self._stream.tracks.get(track) for track in Track)
        if start.stream_sid.isascii():
            self._reader.bind(start.stream_sid.encode(), inbound, outbound)
        self._services.plane.known(self._reader)

    def _skip(self, reason: str) -> None:
        self._counts.skip(reason, self._call.guid if self._call else None)

    # Endings

    def _leave(self, how: str) -> None:
        """The stream has ended; the socket may live on for its closing handshake."""
        stream, self._stream = self._stream, None
        self._reader.unbind()
        if self._call is not None and stream is not None:
            self._life.leave()
            log.info("stream ended", call=self._call.guid, stream=stream.stream_sid, how=how)
            self._services.registry.detach(self._call, stream)

    def fail(self, code: int, reason: str) -> None:
        """Close the socket from our side; its stream ends now."""
        if self._life.closing:
            return
        count_close(code, reason)
        self._leave("closed by the gateway")
        self._closing()
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
        self._flush()
        if self._ended is not None:
            asyncio.get_running_loop().call_soon(self._finish)

    def _closing(self) -> None:
        self._leave("close")
        self._life.close()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
            else:
                # The closing handshake is done: the server ends the TCP connection (RFC 6455 §7.1.1).
                self._abort(flush=True)
                return
        if transport.get_write_buffer_size() > MAX_WRITE_BUFFER:
            self._abort()

    def _abort(self, *, flush: bool = False) -> None:
        """End the transport; ``flush`` lets written bytes go out first."""
        if self._transport is None:
            return
        self._services.plane.unregister(self._reader)
        if flush:
            self._transport.close()
        else:
            self._transport.abort()

    def check(self, now: float) -> None:
        """Judge the socket's life; called about once a second.

        Args:
            now: ``time.monotonic()``.
        """
        self._counts.carry()
        known = self.principal is not None
        verdict = self._life.judge(now, known=known, called=self._call is not None, last_media=self._last_media())
        if verdict is Verdict.NO_START:
            self.fail(CloseCode.POLICY_VIOLATION, "no start message")
        elif verdict is Verdict.OVER:
            self.fail(CloseCode.NORMAL_CLOSURE, "the stream has ended")
        elif verdict is Verdict.UNANSWERED:
            self._abort()
        elif verdict is Verdict.SILENT:
            log.warning("media socket does not answer", call=self._call.guid if self._call else None)
            self._leave("no pong")
            self._abort()
        elif verdict is Verdict.ASK:
            self._protocol.send_ping(b"")
            self._flush()

    def _last_media(self) -> float | None:
        """When media came last, seconds of the monotonic clock; 0 if none did, None without a stream."""
        if self._stream is None:
            return None
        return max((track.last_media_ms for track in self._stream.tracks.values()), default=0) / 1000
