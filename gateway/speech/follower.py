"""Follows the open utterances of one track for who reads along: :mod:`gateway.speech.partials` on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway import metrics
from gateway.errors import GatewayError
from gateway.speech.engine import Hypothesis, Kind, Ulaw
from gateway.speech.guards import SpeechEvidence, judge
from gateway.speech.partials import Interim, Partial
from gateway.speech.recognizer import Recognizer
from gateway.speech.track import SpeechTrack

__all__ = ["Follower", "PartialListener", "Submit"]

Submit = Callable[[Ulaw, Kind], "asyncio.Future[Hypothesis]"]


class PartialListener(Protocol):
    """Who is told what an open utterance says so far; on the event loop."""

    @property
    def wants_partials(self) -> bool:
        """Whether somebody reads along. It is asked at every pass; while it is False nothing is decoded for it."""

    def on_partial(self, partial: Partial) -> None:
        """What the open utterance says so far."""


class Follower:
    """One track's interim texts: a decode when it is time, unless finals wait; a pause's decode as well.

    Args:
        speech: the track.
        listener: who reads along.
        recognizer: asked whether it has time.
        submit: begins a decode.
    """

    def __init__(self, speech: SpeechTrack, listener: PartialListener, recognizer: Recognizer, submit: Submit) -> None:
        self._speech = speech
        self._listener = listener
        self._recognizer = recognizer
        self._submit = submit
        self._interim = Interim()
        # The decode that is under way.
        self._own: asyncio.Future[Hypothesis] | None = None

    def look(self) -> None:
        """Some more was heard: decode the open utterance, if somebody reads along and it is time."""
        if not self._listener.wants_partials:
            return
        spoken = self._speech.spoken
        if spoken is None or not self._interim.due(*spoken):
            return
        future = None
        if not self._recognizer.behind:
            try:
                future = self._submit(self._speech.open_utterance(), Kind.PARTIAL)
            except GatewayError:
                future = None
        if future is None:
            metrics.PARTIALS.labels("skipped").inc()
            self._interim.postponed(spoken[1])
            return
        self._own = future
        self._interim.begun(spoken[1])
        self._await(future, *spoken)

    def at_pause(self, future: asyncio.Future[Hypothesis]) -> None:
        """The open utterance is decoded because the speaker pauses: its text is shown, too."""
        spoken = self._speech.spoken
        if spoken is not None and self._listener.wants_partials:
            self._await(future, *spoken)

    def stop(self) -> None:
        """The utterance is over; what is decoded for it is of no use any more."""
        if self._own is not None:
            self._own.cancel()

    def _await(self, future: asyncio.Future[Hypothesis], start: int, length_ms: int) -> None:
        evidence = self._speech.evidence()
        future.add_done_callback(lambda future: self._heard(start, length_ms, evidence, future))

    def _heard(self, start: int, length_ms: int, evidence: SpeechEvidence, future: asyncio.Future[Hypothesis]) -> None:
        """The decode of ``length_ms`` of the utterance that began at ``start`` is done, or was given up."""
        own = future is self._own
        if own:
            self._own = None
        result = "shed"
        spoken = self._speech.spoken
        if spoken is None or spoken[0] != start:
            result = "late"
        elif future.cancelled() or future.exception() is not None:
            if own:
                self._interim.failed(start)
        else:
            hypothesis = future.result()
            # What a final text would not be believed is not shown.
            text = "" if judge(hypothesis, length_ms, evidence) is not None else hypothesis.text
            partial = self._interim.answered(start, text) if own else self._interim.paused(start, length_ms, text)
            result = "same" if partial is None else "shown"
            if partial is not None:
                self._listener.on_partial(partial)
        if own:
            metrics.PARTIALS.labels(result).inc()
