"""The speech stage made from the settings: which models, how many threads."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from gateway.config import Settings
from gateway.errors import ConfigError, ModelError
from gateway.speech.engine import Engine
from gateway.speech.moonshine import Moonshine
from gateway.speech.recognizer import Recognizer
from gateway.speech.silero import Silero
from gateway.speech.stage import SpeechStage
from models import manifest
from models.manifest import Model
from models.store import locate

__all__ = ["load_engine", "open_speech"]

log = structlog.get_logger(__name__)

VAD_MODEL = "silero-vad"
VAD_FILE = "silero_vad.onnx"
NO_MODEL = "none"


def load_engine(settings: Settings) -> Engine:
    """Load the recognizer that the settings name; takes a second or two, so never on the event loop.

    Raises:
        ConfigError: no such model, or it is not on this machine, or cannot be run.
    """
    entry = _recognizer(settings, settings.asr.model)
    folder = _locate(settings, entry.name)
    try:
        engine = Moonshine(folder, entry)
    except ModelError as error:
        # Its files are the right ones, so it is no model that runs here: trying again would not help.
        msg = f"GATEWAY_ASR__MODEL: {error}"
        raise ConfigError(msg) from error
    engine.warm_up()
    return engine


def _recognizer(settings: Settings, name: str) -> Model:
    """The manifest's entry of that name."""
    known = manifest.catalogue(settings.models_dir)
    recognizers = [entry.name for entry in known.values() if entry.family == "moonshine"]
    if name not in recognizers:
        what = "is no recognizer" if name in known else "is not known"
        msg = (
            f"GATEWAY_ASR__MODEL: '{name}' {what}; it may be {', '.join(recognizers)}, or none to run without. "
            "Other architectures (streaming Moonshine, Whisper) do not run"
        )
        raise ConfigError(msg)
    return known[name]


def _locate(settings: Settings, name: str) -> Path:
    """The model's folder; one that is missing is the owner's to fetch, so a service manager must not try again."""
    try:
        return locate(settings.models_dir, name)
    except ModelError as error:
        msg = f"GATEWAY_MODELS_DIR: {error}; `gateway models fetch` fetches all that are needed"
        raise ConfigError(msg) from error


async def open_speech(settings: Settings, stack: AsyncExitStack) -> SpeechStage | None:
    """The speech stage, started; closed by ``stack``. None with ``GATEWAY_ASR__MODEL=none``."""
    if settings.asr.model == NO_MODEL:
        return None
    engine = await asyncio.to_thread(load_engine, settings)
    silero = await asyncio.to_thread(lambda: Silero(_locate(settings, VAD_MODEL) / VAD_FILE))
    threads = settings.asr.threads or max(1, len(os.sched_getaffinity(0)) - 1)
    recognizer = Recognizer(
        engine,
        threads=threads,
        max_batch=settings.asr.max_batch,
        queue=settings.asr.queue,
        loop=asyncio.get_running_loop(),
    )
    recognizer.start()
    stack.push_async_callback(recognizer.close)
    stage = SpeechStage(silero, engine, recognizer, settings.vad, settings.endpoint)
    stage.start()
    stack.push_async_callback(stage.close)
    log.info("models loaded", asr=engine.name, languages=",".join(sorted(engine.languages)), threads=threads)
    if engine.languages != {"en"}:
        log.warning("redaction knows English words only: numbers spoken in another language are not hidden")
    return stage
