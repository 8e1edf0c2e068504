"""Prepared graphs: made of a model's shipped ones when it is first loaded, kept beside them, made again when need be.

They lie in ``MODEL/prepared-KEY/``; the key is of the shipped files, of what this processor asks for and of the code
that makes them. The folder is put there whole by a rename, under a lock, so that of several processes one does the
work. Where it cannot be written the graphs are made in memory, each time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import helper, numpy_helper

from gateway.errors import ModelError

from .graphs.build import INT32, UINT8
from .graphs.decoder import step_graph
from .graphs.encoder import encoder_graph
from .graphs.layout import layout
from .graphs.source import Source

__all__ = ["Prepared", "can_prepare", "make", "prepare", "signed_products_are_exact"]

log = logging.getLogger(__name__)

_SOURCES = ("encoder_model.ort", "decoder_model_merged.ort")
_FILES = ("encoder.onnx", "step.onnx")
_SUMS = "sha256.json"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Two serialized ONNX models: see :mod:`models.graphs.encoder` and :mod:`models.graphs.decoder`."""

    encoder: bytes
    step: bytes


def can_prepare(directory: Path) -> bool:
    """Whether the model in ``directory`` is of the kind that is prepared."""
    return all((directory / name).is_file() for name in _SOURCES)


def prepare(directory: Path) -> Prepared:
    """The prepared graphs of the model in ``directory``: those kept there, or new ones (about a second), then kept.

    Raises:
        ModelError: the model is not of the family that can be prepared, or cannot be read.
    """
    try:
        key = _key(directory)
    except OSError as error:
        msg = f"{directory} cannot be read ({error.strerror}); run `gateway models fetch`"
        raise ModelError(msg) from error
    place = directory / f"prepared-{key}"
    if kept := _kept(place):
        return kept
    try:
        with _locked(directory / ".prepared.lock"):
            # Whoever held the lock before us may have made them.
            if kept := _kept(place):
                return kept
            made = _make_logged(directory)
            _keep(made, place)
            return made
    except OSError as error:
        reason = error.strerror or type(error).__name__
        log.warning("prepared graphs cannot be kept in %s (%s): they are made at every start", directory, reason)
    return _make_logged(directory)


def make(directory: Path) -> Prepared:
    """Make the prepared graphs of the model in ``directory``.

    Raises:
        ModelError: the model is not of the family that can be prepared, or cannot be read.
    """
    encoder, decoder = (Source(directory / name) for name in _SOURCES)
    signed = signed_products_are_exact()
    try:
        sizes = layout(decoder)
        return Prepared(
            encoder=encoder_graph(encoder, decoder, sizes, signed=signed).SerializeToString(),
            step=step_graph(decoder, sizes, signed=signed).SerializeToString(),
        )
    except (LookupError, ValueError) as error:
        msg = f"{directory}: the model is built otherwise than those known ({error})"
        raise ModelError(msg) from error


@cache
def signed_products_are_exact() -> bool:
    """Whether ONNX Runtime multiplies unsigned by signed bytes exactly on this processor.

    On x86 without VNNI it adds two products at a time in 16 bits, and saturates: 2 × 255 × 127 does not fit.
    """
    weights = numpy_helper.from_array(np.full((64, 16), 127, np.int8), "weights")
    node = helper.make_node("MatMulInteger", ["bytes", "weights"], ["products"])
    graph = helper.make_graph(
        [node],
        "probe",
        [helper.make_tensor_value_info("bytes", UINT8, [4, 64])],
        [helper.make_tensor_value_info("products", INT32, [4, 16])],
        initializer=[weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (products,) = session.run(None, {"bytes": np.full((4, 64), 255, np.uint8)})
    return bool((products == 255 * 127 * 64).all())


def _key(directory: Path) -> str:
    digest = hashlib.sha256(b"signed" if signed_products_are_exact() else b"unsigned")
    code = sorted(Path(__file__).with_name("graphs").glob("*.py"))
    for path in [*code, *(directory / name for name in _SOURCES)]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _make_logged(directory: Path) -> Prepared:
    start = time.perf_counter()
    made = make(directory)
    log.info("graphs of %s prepared in %.1f s", directory.name, time.perf_counter() - start)
    return made


def _kept(place: Path) -> Prepared | None:
    """What is kept in ``place``, if it is there and whole."""
    try:
        sums = json.loads((place / _SUMS).read_text(encoding="ascii"))
        encoder, step = ((place / name).read_bytes() for name in _FILES)
    except (OSError, ValueError):
        return None
    if sums != {name: hashlib.sha256(data).hexdigest() for name, data in zip(_FILES, (encoder, step), strict=True)}:
        log.warning("the prepared graphs in %s are damaged and will be made again", place)
        return None
    return Prepared(encoder, step)


def _keep(made: Prepared, place: Path) -> None:
    """Put ``made`` into ``place``, whole or not at all; those of other versions go."""
    for stale in [*place.parent.glob("prepared-*"), *place.parent.glob(".prepared-*.part")]:
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".prepared-", suffix=".part", dir=place.parent) as name:
        new = Path(name) / "new"
        new.mkdir()
        sums = {}
        for file, data in zip(_FILES, (made.encoder, made.step), strict=True):
            _write(new / file, data)
            sums[file] = hashlib.sha256(data).hexdigest()
        _write(new / _SUMS, json.dumps(sums).encode("ascii"))
        new.rename(place)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
