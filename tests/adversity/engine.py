"""Recognizers for the real speech stage that go wrong on demand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from gateway.calls.registry import Registry
from gateway.config import EndpointSettings, VadSettings
from gateway.speech.engine import PLAIN, DecodeOptions, Hypothesis, Job, Pcm
from gateway.speech.recognizer import Recognizer
from gateway.speech.silero import Silero
from gateway.speech.stage import SpeechStage
from tests.harness import MODELS, Customer

SECRET = "a secret that an exception quotes"


@dataclass
class _Session:
    pcm: list[Pcm] = field(default_factory=list)

    def accept(self, pcm: Pcm) -> None:
        self.pcm.append(pcm)

    @property
    def duration_ms(self) -> int:
        return sum(map(len, self.pcm)) // 8


class FaultyEngine:
    """Says how long an utterance was; raises for those that ``bad`` names, and waits while ``gate`` is shut."""

    name = "faulty"
    languages = frozenset({"en"})

    def __init__(self) -> None:
        self.bad: Callable[[int], bool] = lambda _: False
        self.gate = threading.Event()
        self.gate.set()

    def open(self, options: DecodeOptions = PLAIN) -> _Session:
        return _Session()

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        assert self.gate.wait(30)
        return [self._one(job.session) for job in jobs]

    def _one(self, session: object) -> Hypothesis:
        assert isinstance(session, _Session)
        if self.bad(session.duration_ms):
            raise RuntimeError(SECRET)
        return Hypothesis(f"said in {session.duration_ms} ms", final=True)

    def warm_up(self) -> None:
        return None


@asynccontextmanager
async def hearing(customer: Customer, engine: FaultyEngine) -> AsyncIterator[SpeechStage]:
    """Give a gateway without models a speech stage whose recognizer is ``engine``; voice activity is the real one."""
    silero = await asyncio.to_thread(lambda: Silero(MODELS / "silero-vad" / "silero_vad.onnx"))
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        recognizer = Recognizer(engine, threads=1, max_batch=8, queue=64, loop=loop)
        recognizer.start()
        stack.push_async_callback(recognizer.close)
        stack.callback(engine.gate.set)
        vad, endpoint = VadSettings.model_validate({}), EndpointSettings.model_validate({})
        stage = SpeechStage(silero, engine, recognizer, vad, endpoint)
        stage.on_failure = customer.gateway._fail
        stage.start()
        stack.push_async_callback(stage.close)
        registry: Registry = customer.gateway.registry
        registry._speech = stage
        yield stage
