"""Moonshine's graphs at work: from the audio of several rows to one token of each at a time.

:class:`PreparedGraphs` runs the graphs of :mod:`models.prepare`: caches of fixed capacity that a step writes into in
place, everything bound once for a batch, no mask or shape arithmetic. :class:`ShippedGraphs` runs the files as they
came, for a model or a runtime that preparation does not know, and as what the prepared ones are held against.

Both quantise activations per tensor as they run, as the shipped graphs do, so rows of a batch share one scale and
would change each other's numbers. What weighs most is therefore done row by row: the encoder, which gains nothing
from a batch on one core, and the keys and values that every later step attends to. Only the steps are batched. What
is left of the coupling is the scale of single tokens' activations: on near-ties between two tokens a batch may still
decide otherwise than one row alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from gateway.errors import GatewayError, InternalError, ModelError
from models.prepare import Prepared, prepare

from .architecture import must_be_moonshine
from .attention import Attention, attention
from .tokenizer import START

__all__ = ["Audio", "Decoding", "Graphs", "PreparedGraphs", "ShippedGraphs", "load"]

# Not structlog: a command that has set up no logs keeps its standard output to itself.
log = logging.getLogger(__name__)

Audio = NDArray[np.float32]
"""16 kHz, −1…1, shape ``(samples,)``."""

Tokens = NDArray[np.int64]
Probabilities = NDArray[np.float32]
Caches = dict[str, NDArray[np.float32]]

# The encoder's convolutions have strides 64, 3 and 2: a frame of its output stands for 384 samples.
_STRIDE = 384


class Decoding(Protocol):
    """A batch of rows on their way through the decoder."""

    def step(self, tokens: Tokens) -> Probabilities:
        """Say ``tokens`` (rows,): probabilities (rows, vocabulary) of what follows, good until the next step."""

    def say(self, row: int, tokens: Tokens) -> Probabilities | None:
        """Say a row's first ``tokens`` (tokens,) in one go: probabilities (tokens, vocabulary) of what follows each.

        None if these graphs cannot; then nothing was said.
        """

    def unsay(self, row: int, left: int) -> None:
        """Of what was said in ``row``, the first ``left`` tokens stand."""

    def shrink(self, keep: Sequence[int]) -> None:
        """Go on with the rows ``keep`` alone, in that order."""

    def attend(self, row: int, tokens: Sequence[int]) -> Attention | None:
        """What was in the ear while a row that is done said ``tokens``, all that it said; it can say no more then.

        None if these graphs do not tell.
        """


class Graphs(Protocol):
    """A loaded model; thread-safe."""

    def begin(self, audio: Sequence[Audio], tokens: int) -> Decoding:
        """Encode rows, each by itself; at most ``tokens`` steps will be taken, the first says ``START``."""


def load(directory: Path) -> Graphs:
    """The graphs of the model in ``directory``: prepared, or as they came if they cannot be.

    Raises:
        ModelError: a file is missing or is not a model.
    """
    shipped = [directory / name for name in ("encoder_model.ort", "decoder_model_merged.ort")]
    try:
        graphs = PreparedGraphs(prepare(directory))
        _try(graphs)
    except Exception as error:
        # Preparation is an optimisation: whatever is wrong with it (a runtime without a kernel, another model), the
        # shipped files decide whether the gateway runs.
        reason = str(error) if isinstance(error, GatewayError) else type(error).__name__
        log.warning("the graphs in %s run as they came, at two to four times the cost: %s", directory, reason)
        return ShippedGraphs(*shipped)
    return graphs


def _try(graphs: Graphs) -> None:
    """Two steps on a second of faint noise: kernels complain about what they cannot do only when they run."""
    noise = np.random.default_rng(0).normal(0, 1e-3, 16_000).astype(np.float32)
    decoding = graphs.begin([noise, noise], 2)
    for _ in range(2):
        likely = decoding.step(np.full(2, START, np.int64))
        if not np.allclose(likely.sum(axis=-1), 1.0, atol=1e-2):
            msg = "the prepared graphs make no probabilities"
            raise ModelError(msg)


class PreparedGraphs:
    """The graphs of :mod:`models.prepare`.

    Args:
        prepared: the graphs.
        step: a session of the step's graph to run instead of one made here (one that profiles).

    Raises:
        ModelError: the runtime does not take them.
    """

    def __init__(self, prepared: Prepared, step: ort.InferenceSession | None = None) -> None:
        self._encoder = session(prepared.encoder, "the prepared encoder")
        self._step = step or session(prepared.step, "the prepared step")
        self._caches = [entry.name for entry in self._encoder.get_outputs()]

    def begin(self, audio: Sequence[Audio], tokens: int) -> Decoding:
        """See :class:`Graphs`."""
        heard = [self._encoder.run(self._caches, {"audio": row[None]}) for row in audio]
        return self.resume([dict(zip(self._caches, caches, strict=True)) for caches in heard], tokens)

    def resume(self, heard: Sequence[Caches], tokens: int) -> Decoding:
        """The same for rows encoded already: what the encoder's graph made of each, by the names of its outputs."""
        cross = {name: _padded([caches[name] for caches in heard]) for name in self._caches}
        return _Bound(self._step, cross, [caches[self._caches[0]].shape[2] for caches in heard], tokens)


class _Bound:
    """Arrays of a batch, bound to the step graph's inputs and outputs: a step moves no memory but its results'."""

    def __init__(self, step: ort.InferenceSession, cross: Caches, frames: Sequence[int], tokens: int) -> None:
        self._session = step
        self._cross = cross
        self._frames = np.array(frames, np.int32)
        rows = len(frames)
        self._own: Caches = {}
        for entry in step.get_inputs():
            if entry.name.startswith("own_"):
                _, heads, _, width = entry.shape
                self._own[entry.name] = np.zeros((rows, heads, tokens, width), np.float32)
        self._asks = [entry.name for entry in step.get_outputs() if entry.name.startswith("query_")]
        (self._vocabulary,) = (entry.shape[-1] for entry in step.get_outputs() if entry.name == "probabilities")
        self._tokens = tokens
        self._past = np.zeros(rows, np.int32)
        self._bind()

    def _bind(self) -> None:
        rows = len(self._frames)
        self._token = np.zeros((rows, 1), np.int64)
        self._total = np.array(0, np.int32)
        self._likely = np.zeros((rows, 1, self._vocabulary), np.float32)
        inputs: dict[str, NDArray[Any]] = {
            "token": self._token,
            "past": self._past,
            "total": self._total,
            "frames": self._frames,
        }
        self._binding = _bound(self._session, inputs | self._cross, self._own, {"probabilities": self._likely})

    def step(self, tokens: Tokens) -> Probabilities:
        self._token[:, 0] = tokens
        self._total[...] = self._past.max() + 1
        self._session.run_with_iobinding(self._binding)
        # A row that is done goes on beside the others, and has no more room in its caches than they.
        np.minimum(self._past + 1, self._tokens - 1, out=self._past)
        return self._likely[:, 0]

    def say(self, row: int, tokens: Tokens) -> Probabilities | None:
        likely = self._say(row, tokens, {})
        self._past[row] = len(tokens)
        return likely

    def _say(self, row: int, tokens: Tokens, asked: Caches) -> Probabilities:
        """Say a row's first tokens; what they ask of the audio is put into the arrays ``asked``, by output."""
        count = len(tokens)
        likely: Probabilities = np.zeros((1, count, self._vocabulary), np.float32)
        inputs: dict[str, NDArray[Any]] = {
            "token": tokens[None],
            "past": np.array([count - 1], np.int32),
            "total": np.array(count, np.int32),
            "frames": self._frames[row : row + 1],
        }
        cross, own = ({name: array[row : row + 1] for name, array in of.items()} for of in (self._cross, self._own))
        if count > self._tokens:
            # More than was decoded: a vocabulary's phrase may be longer than what was heard in its place.
            own = {name: np.zeros((*array.shape[:2], count, array.shape[3]), np.float32) for name, array in own.items()}
        binding = _bound(self._session, inputs | cross, own, asked | {"probabilities": likely})
        self._session.run_with_iobinding(binding)
        result: Probabilities = likely[0]
        return result

    def attend(self, row: int, tokens: Sequence[int]) -> Attention | None:
        """By the layers whose queries the graph puts out: see :mod:`models.graphs.decoder`."""
        count, frames = len(tokens), int(self._frames[row])
        _, heads, _, size = self._cross["cross_key_0"].shape
        asked: Caches = {name: np.zeros((1, count, heads * size), np.float32) for name in self._asks}
        self._say(row, np.array([START, *tokens[:-1]], np.int64), asked)
        keys = [self._cross[name.replace("query_", "cross_key_")][row, :, :frames] for name in self._asks]
        return attention(zip((query[0] for query in asked.values()), keys, strict=True))

    def unsay(self, row: int, left: int) -> None:
        self._past[row] = left

    def shrink(self, keep: Sequence[int]) -> None:
        """Rows that move are copied, those that stay lie where they lay: the batch is the beginning of its arrays."""
        moved = [row for row, was in enumerate(keep) if row != was]
        came = [keep[row] for row in moved]
        for arrays in (self._own, self._cross):
            for name, array in arrays.items():
                array[moved] = array[came]
                arrays[name] = array[: len(keep)]
        self._frames, self._past = self._frames[list(keep)], self._past[list(keep)]
        self._bind()


def _bound(step: ort.InferenceSession, inputs: dict[str, NDArray[Any]], own: Caches, fetched: Caches) -> ort.IOBinding:
    """The step bound to arrays, which must outlive it; the own caches are read and written in place."""
    binding = step.io_binding()
    for name, array in (inputs | own).items():
        binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    outputs = {name.replace("own_", "new_"): array for name, array in own.items()}
    for name, array in (outputs | fetched).items():
        binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    return binding


class ShippedGraphs:
    """The files as they came.

    Args:
        encoder: ``encoder_model.ort``.
        decoder: ``decoder_model_merged.ort``.

    Raises:
        ModelError: a file is missing or is not a model.
    """

    def __init__(self, encoder: Path, decoder: Path) -> None:
        self._encoder = session(encoder, str(encoder))
        self._decoder = session(decoder, str(decoder))
        must_be_moonshine(self._encoder, self._decoder, decoder.parent)
        names = [entry.name for entry in self._decoder.get_outputs()][1:]
        self._own = [name for name in names if ".decoder." in name]
        self._cross = [name for name in names if ".encoder." in name]
        (shape,) = (
            entry.shape for entry in self._decoder.get_inputs() if entry.name == "past_key_values.0.decoder.key"
        )
        self._heads, self._size = shape[1], shape[3]

    def begin(self, audio: Sequence[Audio], tokens: int) -> Decoding:
        """See :class:`Graphs`; the caches grow as need be."""
        firsts = [self._first(row) for row in audio]
        return _Growing(self._decoder, self._own, self._cross, firsts)

    def caches(self, audio: Audio) -> dict[tuple[int, str], NDArray[np.float32]]:
        """What the decoder attends to of ``audio``, by layer and ``key`` or ``value``: (1, heads, frames, size)."""
        first = self._first(audio)
        return {(int(name.split(".")[1]), name.split(".")[3]): first[name] for name in self._cross}

    def _first(self, samples: Audio) -> Caches:
        """Encode one row and take its first step: logits and caches by the decoder's output names."""
        mask = np.ones((1, len(samples)), np.int64)
        (hidden,) = self._encoder.run(None, {"input_values": samples[None], "attention_mask": mask})
        empty = np.zeros((1, self._heads, 0, self._size), np.float32)
        feeds: dict[str, NDArray[Any]] = {_past(name): empty for name in self._own + self._cross}
        feeds |= {
            "encoder_attention_mask": mask,
            "encoder_hidden_states": hidden,
            "input_ids": np.array([[START]], np.int64),
            "use_cache_branch": np.array([False]),
        }
        names = ["logits", *self._own, *self._cross]
        return dict(zip(names, self._decoder.run(names, feeds), strict=True))


class _Growing:
    """A batch whose own caches grow by copying; kept inside the runtime from step to step."""

    def __init__(
        self,
        decoder: ort.InferenceSession,
        own: Sequence[str],
        cross: Sequence[str],
        firsts: Sequence[Caches],
    ) -> None:
        self._decoder = decoder
        self._own = own
        self._first: NDArray[np.float32] | None = np.concatenate([first["logits"] for first in firsts])
        self._frames = [first[cross[0]].shape[2] for first in firsts]
        self._hidden = firsts[0][cross[0]].shape[1] * firsts[0][cross[0]].shape[3]
        self._feeds: dict[str, ort.OrtValue] = {"use_cache_branch": _value(np.array([True]))}
        for name in own:
            self._feeds[_past(name)] = _value(np.concatenate([first[name] for first in firsts]))
        for name in cross:
            self._feeds[_past(name)] = _value(_padded([first[name] for first in firsts]))
        self._mask()

    def step(self, tokens: Tokens) -> Probabilities:
        if self._first is not None:
            logits, self._first = self._first, None
        else:
            feeds = self._feeds | {"input_ids": _value(tokens.astype(np.int64)[:, None])}
            value, *own = self._decoder.run_with_ort_values(["logits", *self._own], feeds)
            self._feeds |= {_past(name): cache for name, cache in zip(self._own, own, strict=True)}
            logits = value.numpy()
        return _softmax(logits[:, -1])

    def say(self, row: int, tokens: Tokens) -> Probabilities | None:
        """The caches of a row cannot run ahead of the others here."""
        return None

    def attend(self, row: int, tokens: Sequence[int]) -> Attention | None:
        """The files as they came do not put their attention out."""
        return None

    def unsay(self, row: int, left: int) -> None:
        msg = f"nothing was said ahead in row {row} of graphs as they came, so {left} tokens of it cannot be left"
        raise InternalError(msg)

    def shrink(self, keep: Sequence[int]) -> None:
        self._frames = [self._frames[index] for index in keep]
        longest = max(self._frames)
        for name, value in self._feeds.items():
            if name.startswith("past_key_values."):
                rows = value.numpy()[list(keep)]
                self._feeds[name] = _value(rows[:, :, :longest] if ".encoder." in name else rows)
        self._mask()

    def _mask(self) -> None:
        """Masks are of samples and read every 384th inside; hidden states only say how many frames there are."""
        longest = max(self._frames)
        mask = np.zeros((len(self._frames), longest * _STRIDE), np.int64)
        for row, frames in enumerate(self._frames):
            mask[row, : frames * _STRIDE] = 1
        self._feeds["encoder_attention_mask"] = _value(mask)
        self._feeds["encoder_hidden_states"] = _value(np.zeros((len(self._frames), longest, self._hidden), np.float32))


def session(model: Path | bytes, what: str) -> ort.InferenceSession:
    """A model loaded for one thread.

    Raises:
        ModelError: it cannot be.
    """
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
        return ort.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        # ONNX Runtime raises a dozen unrelated types; any of them means this file is of no use.
        msg = f"{what} cannot be loaded; run `gateway models verify`, then `gateway models fetch`"
        raise ModelError(msg) from error


def _past(name: str) -> str:
    return name.replace("present.", "past_key_values.")


def _value(array: NDArray[Any]) -> ort.OrtValue:
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))


def _padded(caches: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Caches of shape (1, heads, frames, size) as one batch, padded with zeros to the most frames."""
    if len(caches) == 1:
        return np.ascontiguousarray(caches[0])
    _, heads, _, size = caches[0].shape
    longest = max(cache.shape[2] for cache in caches)
    batch = np.zeros((len(caches), heads, longest, size), np.float32)
    for row, cache in enumerate(caches):
        batch[row, :, : cache.shape[2]] = cache[0]
    return batch


def _softmax(logits: NDArray[np.float32]) -> Probabilities:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Probabilities = raised / raised.sum(axis=-1, keepdims=True)
    return result
