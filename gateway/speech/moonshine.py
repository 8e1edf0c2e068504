"""Moonshine (encoder-decoder) on ONNX Runtime, behind :class:`~gateway.speech.engine.Engine`.

The shipped graphs quantise activations per tensor as they run (DynamicQuantizeLinear), so rows of a batch share one
scale and would change each other's numbers. What weighs most is therefore done row by row: the encoder, which gains
nothing from a batch on one core (8 × 7 s: 0.26 s alone, 0.29 s batched), and the decoder's first step, which makes the
keys and values that every later step attends to. Only the later steps are batched; there a batch of 8 costs about
twice what one row does. What is left of the coupling is the scale of single tokens' activations: on near-ties between
two tokens a batch may still decide otherwise than one row alone.

Decoding is greedy. Two guards keep a decoder that has lost its way from running on: a bound on tokens a second of
audio, and a stop when the last tokens go round in a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import soxr
from numpy.typing import NDArray

from gateway.errors import InternalError, ModelError
from gateway.speech.engine import Hypothesis, Job, Kind, Pcm, Session
from gateway.speech.tokenizer import END, START, Tokenizer

__all__ = ["Moonshine", "MoonshineSession", "loop", "prepare", "token_limit"]

Audio = NDArray[np.float32]

_TELEPHONE_RATE = 8000
_RATE = 16_000

# Shape of the decoder's caches in the tiny model (config.json of UsefulSensors/moonshine-tiny).
_LAYERS = 6
_HEADS = 8
_HEAD_SIZE = 36

# The encoder's convolutions have strides 64, 3 and 2: a frame of its output stands for 384 samples.
_STRIDE = 384

# Digital silence put after the audio. The model reads a segment that ends within a word's ring worse than one that
# ends in silence: measured over five levels on 366 words of telephone speech, 80 word errors without, 78, 75, 69
# and 69 with 0.1, 0.2, 0.3 and 0.5 s. It also makes any segment long enough for the encoder (895 samples).
_TAIL = _RATE * 3 // 10

# A line this quiet (peak below −30 dBFS) is lifted to a peak of −12 dBFS, by 24 dB at the most; the rest is left as it
# came. Measured on the same words at −30 dB: 26 errors become 18; lifting every line to one level helps none of them.
_QUIET_PEAK = 0.03
_LIFTED_PEAK = 0.25
_MAX_LIFT = 16.0

# A model of this family is trained to stop by 6.5 tokens a second (Moonshine's own decoding limit); the margin is
# for short segments, in which one word is many tokens.
_TOKENS_PER_SECOND = 6.5
_TOKENS_MARGIN = 8

_Cache = dict[str, NDArray[np.float32]]


class MoonshineSession:
    """One utterance's audio; implements :class:`~gateway.speech.engine.Session`."""

    def __init__(self) -> None:
        self._chunks: list[Pcm] = []
        self._samples = 0

    def accept(self, pcm: Pcm) -> None:
        """Keep a copy of ``pcm``.

        Raises:
            InternalError: it is not one-dimensional 16-bit PCM.
        """
        if pcm.ndim != 1 or pcm.dtype != np.int16:
            msg = f"PCM must be int16 of shape (samples,), not {pcm.dtype} of shape {pcm.shape}"
            raise InternalError(msg)
        self._chunks.append(pcm.copy())
        self._samples += len(pcm)

    @property
    def duration_ms(self) -> int:
        """Audio taken so far."""
        return self._samples * 1000 // _TELEPHONE_RATE

    def pcm(self) -> Pcm:
        """All audio taken so far; a worker may ask while more is being accepted."""
        chunks = self._chunks[:]
        return np.concatenate(chunks) if chunks else np.zeros(0, np.int16)


@dataclass(slots=True)
class _Row:
    """One utterance on its way through the decoder."""

    limit: int
    ids: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    done: bool = False

    def take(self, token: int, probability: float) -> None:
        """Add the next token, or end the row."""
        if token == END:
            self.done = True
            return
        self.ids.append(token)
        self.probabilities.append(probability)
        if repeated := loop(self.ids):
            del self.ids[-repeated:]
            del self.probabilities[-repeated:]
            self.done = True
        elif len(self.ids) >= self.limit:
            self.done = True


class Moonshine:
    """The tiny English model; thread-safe, as :class:`~gateway.speech.engine.Engine` asks.

    Args:
        directory: folder of ``encoder_model.ort``, ``decoder_model_merged.ort`` and ``tokenizer.bin``.

    Raises:
        ModelError: a file is missing or is not a model.
    """

    name = "moonshine-tiny-en"
    languages = frozenset({"en"})

    def __init__(self, directory: Path) -> None:
        self._tokenizer = Tokenizer.read(directory / "tokenizer.bin")
        self._encoder = _load(directory / "encoder_model.ort")
        self._decoder = _load(directory / "decoder_model_merged.ort")
        caches = [f"{layer}.{side}" for layer in range(_LAYERS) for side in ("decoder", "encoder")]
        names = [f"{cache}.{what}" for cache in caches for what in ("key", "value")]
        self._own = [name for name in names if "decoder" in name]
        self._cross = [name for name in names if "encoder" in name]

    def open(self) -> Session:
        """A new utterance."""
        return MoonshineSession()

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        """Decode every job's segment whole; the batch is padded to its longest.

        Raises:
            InternalError: a session is not this engine's.
        """
        audio = [prepare(_session(job).pcm()) for job in jobs]
        spoken = [samples for samples in audio if samples.any()]
        rows = iter(self._decode(spoken) if spoken else ())
        # Digital silence has nothing to decode, and the model would invent something.
        return [
            self._hypothesis(next(rows) if samples.any() else _Row(0), job.kind)
            for samples, job in zip(audio, jobs, strict=True)
        ]

    def warm_up(self) -> None:
        """Decode a second of faint noise, alone and as a batch."""
        noise = np.random.default_rng(0).normal(0, 1e-3, _RATE).astype(np.float32)
        self._decode([noise])
        self._decode([noise, noise])

    def _hypothesis(self, row: _Row, kind: Kind) -> Hypothesis:
        text = self._tokenizer.decode(row.ids)
        # What it hears in hold music and noise is often a mere "♪": nothing was said.
        if not any(map(str.isalnum, text)):
            return Hypothesis(text="", final=kind is Kind.FINAL)
        confidence = float(np.mean(row.probabilities))
        return Hypothesis(text=text, final=kind is Kind.FINAL, confidence=confidence)

    def _decode(self, audio: Sequence[Audio]) -> list[_Row]:
        rows = [_Row(token_limit(len(samples))) for samples in audio]
        firsts = [self._first(samples) for samples in audio]
        logits = np.concatenate([first[0] for first in firsts])
        batch = _Batch(rows, [first[1] for first in firsts], [first[2] for first in firsts])
        while True:
            tokens = logits.argmax(axis=-1)
            for row, token, probability in zip(batch.rows, tokens, _probabilities(logits, tokens), strict=True):
                if not row.done:
                    row.take(int(token), float(probability))
            keep = [index for index, row in enumerate(batch.rows) if not row.done]
            if not keep:
                return rows
            # A finished row costs a column of every product; shrinking costs a copy of the caches.
            if 2 * len(keep) <= len(batch.rows):
                batch.shrink(keep)
                tokens = tokens[keep]
            logits = self._next(batch, tokens)

    def _first(self, samples: Audio) -> tuple[NDArray[np.float32], _Cache, _Cache]:
        """Encode one row and take its first step: logits (1, vocabulary), its own and its cross-attention cache."""
        mask = np.ones((1, len(samples)), np.int64)
        (hidden,) = self._encoder.run(None, {"input_values": samples[None], "attention_mask": mask})
        empty = np.zeros((1, _HEADS, 0, _HEAD_SIZE), np.float32)
        feeds: dict[str, NDArray[Any]] = {f"past_key_values.{name}": empty for name in self._own + self._cross}
        feeds |= {
            "encoder_attention_mask": mask,
            "encoder_hidden_states": hidden,
            "input_ids": np.array([[START]], np.int64),
            "use_cache_branch": np.array([False]),
        }
        names = [f"present.{name}" for name in self._own + self._cross]
        logits, *caches = self._decoder.run(["logits", *names], feeds)
        own = dict(zip(self._own, caches, strict=False))
        cross = dict(zip(self._cross, caches[len(self._own) :], strict=True))
        return logits[:, -1], own, cross

    def _next(self, batch: _Batch, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """One step of all rows: logits (rows, vocabulary); the rows' own caches grow by one."""
        feeds = batch.feeds | {"input_ids": _value(tokens.astype(np.int64)[:, None])}
        names = [f"present.{name}" for name in self._own]
        logits, *own = self._decoder.run_with_ort_values(["logits", *names], feeds)
        batch.feeds |= {f"past_key_values.{name}": value for name, value in zip(self._own, own, strict=True)}
        result: NDArray[np.float32] = logits.numpy()[:, -1]
        return result


class _Batch:
    """The rows being decoded and what the next step reads, kept inside the runtime from step to step."""

    def __init__(self, rows: Sequence[_Row], own: Sequence[_Cache], cross: Sequence[_Cache]) -> None:
        self.rows = list(rows)
        self._frames = [next(iter(cache.values())).shape[2] for cache in cross]
        self.feeds: dict[str, ort.OrtValue] = {"use_cache_branch": _value(np.array([True]))}
        for name in own[0]:
            self.feeds[f"past_key_values.{name}"] = _value(np.concatenate([cache[name] for cache in own]))
        for name in cross[0]:
            self.feeds[f"past_key_values.{name}"] = _value(_padded([cache[name] for cache in cross]))
        self._mask()

    def shrink(self, keep: Sequence[int]) -> None:
        """Go on with the rows ``keep`` alone."""
        self.rows = [self.rows[index] for index in keep]
        self._frames = [self._frames[index] for index in keep]
        longest = max(self._frames)
        for name, value in self.feeds.items():
            if name.startswith("past_key_values."):
                rows = value.numpy()[list(keep)]
                self.feeds[name] = _value(rows[:, :, :longest] if ".encoder." in name else rows)
        self._mask()

    def _mask(self) -> None:
        """Masks are of samples and read every 384th inside; hidden states only say how many frames there are."""
        longest = max(self._frames)
        mask = np.zeros((len(self.rows), longest * _STRIDE), np.int64)
        for row, frames in enumerate(self._frames):
            mask[row, : frames * _STRIDE] = 1
        self.feeds["encoder_attention_mask"] = _value(mask)
        hidden = np.zeros((len(self.rows), longest, _HEADS * _HEAD_SIZE), np.float32)
        self.feeds["encoder_hidden_states"] = _value(hidden)


def prepare(pcm: Pcm) -> Audio:
    """Telephone PCM, shape ``(samples,)``, as what the model hears: 16 kHz, −1…1, silence at its end.

    A very quiet line is lifted.
    """
    audio = soxr.resample(pcm.astype(np.float32) / 32768.0, _TELEPHONE_RATE, _RATE, quality="HQ")
    peak = float(np.abs(audio).max(initial=0.0))
    if 0.0 < peak < _QUIET_PEAK:
        audio = audio * np.float32(min(_LIFTED_PEAK / peak, _MAX_LIFT))
    return np.concatenate([audio, np.zeros(_TAIL, np.float32)])


def token_limit(samples: int) -> int:
    """Most tokens that ``samples`` of 16 kHz audio may give."""
    return int(samples / _RATE * _TOKENS_PER_SECOND) + _TOKENS_MARGIN


def loop(ids: Sequence[int]) -> int:
    """How many of the last tokens are a loop's repetitions, 0 without one.

    A loop is a run of one to eight tokens said over and over: ten times one token (callers do spell out long runs of
    zeros), and less often the longer it is, but never fewer than four times. What a loop says once stays.
    """
    for length in range(1, 9):
        times = max(4, 12 // length) if length > 1 else 10
        if len(ids) >= length * times:
            tail = ids[-length * times :]
            if all(tail[at] == tail[at % length] for at in range(length, len(tail))):
                return length * (times - 1)
    return 0


def _session(job: Job) -> MoonshineSession:
    if not isinstance(job.session, MoonshineSession):
        msg = f"a {type(job.session).__name__} is not a session of this engine; use what open() returned"
        raise InternalError(msg)
    return job.session


def _load(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # One core a worker: the workers are the parallelism, and a spinning pool would starve the event loop.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Shapes differ from run to run, so remembered allocation patterns would only hold memory.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # ONNX Runtime raises a dozen unrelated types; any of them means this file is of no use.
        msg = f"{path} cannot be loaded; run `gateway models verify`, then `gateway models fetch`"
        raise ModelError(msg) from error


def _value(array: NDArray[Any]) -> ort.OrtValue:
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))


def _padded(caches: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Caches of shape (1, heads, frames, size) as one batch, padded with zeros to the most frames."""
    longest = max(cache.shape[2] for cache in caches)
    batch = np.zeros((len(caches), _HEADS, longest, _HEAD_SIZE), np.float32)
    for row, cache in enumerate(caches):
        batch[row, :, : cache.shape[2]] = cache[0]
    return batch


def _probabilities(logits: NDArray[np.float32], tokens: NDArray[np.intp]) -> NDArray[np.float32]:
    """Softmax probability of each row's ``tokens``."""
    chosen = logits[np.arange(len(tokens)), tokens]
    result: NDArray[np.float32] = 1.0 / np.exp(logits - chosen[:, None]).sum(axis=-1)
    return result
