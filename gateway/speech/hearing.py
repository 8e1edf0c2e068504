"""One utterance's decode: heard once, and once more where that was doubtful and there is time.

The first text is there soon, and enough to tell whether the sentence is over; the second hearing goes on meanwhile.
"""

from __future__ import annotations

import asyncio

from gateway import metrics
from gateway.errors import GatewayError
from gateway.speech.engine import Hypothesis, Kind, Recalling, Session
from gateway.speech.recognizer import Recognizer

__all__ = ["Hearing"]


class Hearing:
    """A decode that may be followed by a second one; on the event loop.

    Args:
        recognizer: does the work.
        session: what is decoded.
        kind: what for.
        deadline: when the text is wanted, by ``time.monotonic()``.

    Raises:
        GatewayError: the recognizer cannot take it.
    """

    def __init__(self, recognizer: Recognizer, session: Session, kind: Kind, deadline: float) -> None:
        self._recognizer = recognizer
        self._session = session
        self._kind = kind
        self._deadline = deadline
        self.first = recognizer.submit(session, kind, deadline)
        """What was heard at first."""
        self.final: asyncio.Future[Hypothesis] = asyncio.get_running_loop().create_future()
        """What is told; fails as ``first`` does."""
        self._running = self.first
        self.first.add_done_callback(self._heard)

    def promote(self, deadline: float) -> None:
        """What was a guess is waited for now."""
        self._kind, self._deadline = Kind.FINAL, deadline
        self._recognizer.promote(self._running, deadline)

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self._running.cancel()
        self.final.cancel()

    def _heard(self, future: asyncio.Future[Hypothesis]) -> None:
        if self.final.done():
            return
        if future.cancelled():
            self.final.cancel()
        elif (error := future.exception()) is not None:
            self.final.set_exception(error)
            # Who waits for it looks; who no longer does must not make asyncio log it.
            self.final.exception()
        elif (again := self._again(future.result())) is None:
            self.final.set_result(future.result())
        else:
            self._running = again
            again.add_done_callback(self._heard_again)

    def _again(self, first: Hypothesis) -> asyncio.Future[Hypothesis] | None:
        if not isinstance(self._session, Recalling) or (session := self._session.again(first)) is None:
            return None
        if self._recognizer.behind or self._recognizer.busy:
            metrics.ASR_SECOND.labels("skipped").inc()
            return None
        try:
            future = self._recognizer.submit(session, self._kind, self._deadline)
        except GatewayError:
            return None
        metrics.ASR_SECOND.labels("heard").inc()
        return future

    def _heard_again(self, future: asyncio.Future[Hypothesis]) -> None:
        if not self.final.done():
            failed = future.cancelled() or future.exception() is not None
            self.final.set_result(self.first.result() if failed else future.result())
