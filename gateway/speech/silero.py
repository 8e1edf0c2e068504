"""Silero VAD on ONNX Runtime: one batched run judges a frame of every open track.

The model is recurrent. Each track owns a *slot*: a row of the model's state and the last samples of its
previous frame. One worker thread judges; the event loop acquires, resets and releases slots meanwhile and
never waits for a run. The graph is that of :mod:`models.voice`.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from gateway.errors import InternalError, ModelError
from models.voice import HOP, UNITS, WINDOW, WINDOWS, voice_graph

__all__ = ["CONTEXT", "FRAME", "RATE", "Silero"]

RATE = 8000
"""Samples a second; the model also has a 16 kHz head, which phone audio does not need."""
FRAME = 256
"""Samples of a frame, 32 ms: the only size the 8 kHz head takes."""
CONTEXT = 32
"""Samples of the previous frame that go before each frame."""
_MIRROR = 32
"""Samples that the model reads again, backwards, behind each frame."""
_LINE = CONTEXT + FRAME + _MIRROR
_FIRST_CAPACITY = 64


class Silero:
    """A loaded voice-activity model with the state of all tracks.

    Args:
        path: the ONNX file as shipped (silero-vad 6.x, both heads).
        conditioned: with what :mod:`models.voice` puts in front of the model for bad lines; without it the
            probabilities are the shipped model's.

    Raises:
        ModelError: the file is missing, or is not that model.
    """

    def __init__(self, path: Path, *, conditioned: bool = True) -> None:
        self._session = _load(voice_graph(path, conditioned=conditioned), path)
        # Only the thread that judges touches the arrays; the lock keeps the bookkeeping below, never a run.
        self._state: NDArray[np.float32] = np.zeros((2, _FIRST_CAPACITY, UNITS), dtype=np.float32)
        # Samples are whole numbers on the scale of 16 bits here; the graph scales them.
        self._context: NDArray[np.float32] = np.zeros((_FIRST_CAPACITY, CONTEXT), dtype=np.float32)
        # What a run reads: memory that is kept, because fresh pages cost more than the copying.
        self._lines: NDArray[np.float32] = np.zeros((_FIRST_CAPACITY, _LINE), dtype=np.float32)
        self._windows: NDArray[np.float32] = np.zeros((_FIRST_CAPACITY, WINDOWS, WINDOW), dtype=np.float32)
        self._lock = threading.Lock()
        self._capacity = _FIRST_CAPACITY
        self._free = list(range(_FIRST_CAPACITY - 1, -1, -1))
        self._used: set[int] = set()
        self._fresh: set[int] = set()  # to be zeroed before the next run
        self._released: list[int] = []  # during a run, which may still write their rows
        self._judging = False

    @property
    def capacity(self) -> int:
        """Slots there are now, used or not; grows by doubling."""
        return self._capacity

    @property
    def used(self) -> int:
        """Slots that are acquired."""
        return len(self._used)

    def acquire(self) -> int:
        """A slot with fresh state. Any thread; never waits for a run."""
        with self._lock:
            if not self._free:
                self._free.extend(range(self._capacity * 2 - 1, self._capacity - 1, -1))
                self._capacity *= 2
            slot = self._free.pop()
            self._used.add(slot)
            self._fresh.add(slot)
            return slot

    def release(self, slot: int) -> None:
        """Give a slot back; it is used again only after the run that may hold it.

        Raises:
            InternalError: the slot is not acquired.
        """
        with self._lock:
            self._check_used(slot)
            self._used.remove(slot)
            if self._judging:
                self._released.append(slot)
            else:
                self._free.append(slot)

    def reset(self, slot: int) -> None:
        """Forget what the slot has heard, from the next run on.

        Raises:
            InternalError: the slot is not acquired.
        """
        with self._lock:
            self._check_used(slot)
            self._fresh.add(slot)

    def judge(self, slots: NDArray[np.int64], frames: NDArray[np.int16]) -> NDArray[np.float32]:
        """Probability of speech in the next frame of each slot; blocking, on the worker thread.

        A slot that is released before or during the run is judged all the same, without effect on its next
        owner.

        Args:
            slots: shape ``(batch,)``, each slot once.
            frames: PCM at 8 kHz, shape ``(batch, 256)``.

        Returns:
            Probabilities in 0…1, shape ``(batch,)``.

        Raises:
            ValueError: wrong shapes or types, a slot that does not exist or occurs twice.
            InternalError: another run is under way.
            ModelError: the runtime refused the run.
        """
        self._check_batch(slots, frames)
        if not len(slots):
            return np.empty(0, dtype=np.float32)
        self._begin()
        try:
            return self._run(slots, frames)
        finally:
            self._end()

    def _run(self, slots: NDArray[np.int64], frames: NDArray[np.int16]) -> NDArray[np.float32]:
        windows = self._fill(slots, frames)
        feed = {"windows": windows, "hidden": self._state[0, slots], "cell": self._state[1, slots]}
        try:
            probabilities, hidden, cell = self._session.run(("probability", "new_hidden", "new_cell"), feed)
        except Exception as error:  # the runtime's exceptions share no base of their own
            msg = f"the voice-activity model refused a batch of {len(slots)}: {error}"
            raise ModelError(msg) from error
        self._state[0, slots] = hidden
        self._state[1, slots] = cell
        self._context[slots] = frames[:, FRAME - CONTEXT :]
        result: NDArray[np.float32] = probabilities[:, 0]
        return result

    def _fill(self, slots: NDArray[np.int64], frames: NDArray[np.int16]) -> NDArray[np.float32]:
        """The windows of each row's line: context, frame, and the frame's end mirrored at its last sample."""
        lines = self._lines[: len(slots)]
        lines[:, :CONTEXT] = self._context[slots]
        lines[:, CONTEXT:-_MIRROR] = frames
        lines[:, -_MIRROR:] = frames[:, -2 : -_MIRROR - 2 : -1]
        windows = self._windows[: len(slots)]
        for index in range(WINDOWS):
            windows[:, index] = lines[:, index * HOP : index * HOP + WINDOW]
        return windows

    def _begin(self) -> None:
        with self._lock:
            if self._judging:
                msg = "Silero.judge is under way in another thread; it runs on one worker thread"
                raise InternalError(msg)
            self._judging = True
            capacity = self._capacity
            fresh = np.fromiter(self._fresh, dtype=np.int64, count=len(self._fresh))
            self._fresh.clear()
        missing = capacity - len(self._context)
        if missing > 0:
            self._state = np.concatenate((self._state, np.zeros((2, missing, UNITS), np.float32)), axis=1)
            self._context = np.concatenate((self._context, np.zeros((missing, CONTEXT), np.float32)))
            self._lines = np.zeros((capacity, _LINE), np.float32)
            self._windows = np.zeros((capacity, WINDOWS, WINDOW), np.float32)
        self._state[:, fresh] = 0.0
        self._context[fresh] = 0.0

    def _end(self) -> None:
        with self._lock:
            self._judging = False
            self._free.extend(self._released)
            self._released.clear()

    def _check_used(self, slot: int) -> None:
        if slot not in self._used:
            msg = f"slot {slot} is not acquired"
            raise InternalError(msg)

    def _check_batch(self, slots: NDArray[np.int64], frames: NDArray[np.int16]) -> None:
        if slots.ndim != 1 or slots.dtype != np.int64:
            msg = f"slots must be int64 of shape (batch,), not {slots.dtype} {slots.shape}"
            raise ValueError(msg)
        if frames.shape != (len(slots), FRAME) or frames.dtype != np.int16:
            msg = f"frames must be int16 of shape ({len(slots)}, {FRAME}), not {frames.dtype} {frames.shape}"
            raise ValueError(msg)
        if len(slots) and not (slots.min() >= 0 and slots.max() < self._capacity):
            msg = f"slots must lie in 0…{self._capacity - 1}"
            raise ValueError(msg)
        if len(np.unique(slots)) != len(slots):
            msg = "each slot may occur once in a batch: its state can only go one way"
            raise ValueError(msg)


def _load(graph: bytes, path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # A spinning thread would take the core from the event loop between two runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions share no base of their own
        msg = f"{path}: ONNX Runtime refuses the graph made of it ({error})"
        raise ModelError(msg) from error
