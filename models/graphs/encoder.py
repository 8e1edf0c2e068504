"""Moonshine's encoder as a graph for one row without padding, ending in what the decoder's steps attend to.

Inputs:
    ``audio`` float (1, samples), 16 kHz.
Outputs (heads H of width D, frames F):
    a decoder layer's ``cross_key_L`` and ``cross_value_L``, float (1, H, F, D).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from .build import FLOAT, Builder
from .layout import Layout, rotary
from .source import Source
from .stem import stem

__all__ = ["encoder_graph"]

# Rows of the rotary table: at 41.7 frames a second 157 s.
POSITIONS = 6552


def encoder_graph(encoder: Source, decoder: Source, layout: Layout, *, signed: bool) -> onnx.ModelProto:
    """The graph from audio to the cross-attention caches; ``signed`` as :class:`~models.graphs.build.Builder` says.

    Raises:
        ModelError: the sources are not of this family.
    """
    build = Builder("moonshine-encoder", signed=signed)
    build.input("audio", FLOAT, [1, "samples"])
    state = stem(build, encoder)
    cos, sin = rotary(encoder, POSITIONS, layout.size)
    table = (build.weight(np.zeros(1, np.int64)), build.weight(cos, "cos"), build.weight(sin, "sin"))
    normed = build.norm(state, _gamma(encoder, "layers.0/input_layernorm"))
    for layer in range(encoder.layers):
        name = f"layers.{layer}"
        mixed = _attention(build, encoder, layout, f"{name}/self_attn", normed, table)
        normed, state = build.add_norm(state, mixed, _gamma(encoder, f"{name}/post_attention_layernorm"))
        wide = build.linear(normed, encoder.linear(f"{name}/mlp/fc1/Add_output_0"))
        thought = build.linear(build.fused("Gelu", wide), encoder.linear(f"{name}/mlp/fc2/Add_output_0"))
        last = layer == encoder.layers - 1
        # The shipped graph has the last norm fused with the sum before it.
        after = f"layers.{layer + 1}/input_layernorm"
        gamma = encoder.input("last_hidden_state", 2) if last else _gamma(encoder, after)
        normed, state = build.add_norm(state, thought, gamma)
    _caches(build, decoder, layout, normed)
    return build.model()


def _gamma(source: Source, name: str) -> NDArray[Any]:
    return source.input(f"{name}/LayerNormalization_output_0", 1)


def _attention(
    build: Builder, source: Source, layout: Layout, name: str, normed: str, table: tuple[str, str, str]
) -> str:
    """Every frame attends to all. Plain products: ONNX Runtime's fused attention takes half as long again here.

    They read the heads where they lie, (frames, heads, size): ``transBatch`` spares three transposes.
    """
    parts = [source.linear(f"{name}/{side}_proj/MatMul_output_0") for side in "qkv"]
    apart = build.weight(np.array([-1, layout.heads, layout.size], np.int64))
    query, key, value = build.linears(normed, parts)
    query, key = (build.fused("RotaryEmbedding", what, *table, interleaved=1) for what in (query, key))
    query, key, value = (build.one("Reshape", what, apart) for what in (query, key, value))
    scores = build.fused("FusedMatMul", query, key, transBatchA=1, transBatchB=1, transB=1, alpha=layout.scale)
    weights = build.one("Softmax", scores, axis=-1)
    mixed = build.one("Transpose", build.fused("FusedMatMul", weights, value, transBatchB=1), perm=[1, 0, 2])
    together = build.weight(np.array([1, -1, layout.heads * layout.size], np.int64))
    return build.linear(build.one("Reshape", mixed, together), source.linear(f"{name}/o_proj/MatMul_output_0"))


def _heads(build: Builder, flat: str, apart: str, to: str = "") -> str:
    return build.one("Transpose", build.one("Reshape", flat, apart), perm=[0, 2, 1, 3], to=to)


def _caches(build: Builder, decoder: Source, layout: Layout, hidden: str) -> None:
    """Keys and values of all the decoder's layers."""
    sides = [(layer, what) for layer in range(layout.layers) for what in ("key", "value")]
    parts = [decoder.linear(f"layers.{layer}/encoder_attn/{what[0]}_proj/MatMul_output_0") for layer, what in sides]
    apart = build.weight(np.array([1, -1, layout.heads, layout.size], np.int64))
    for (layer, what), flat in zip(sides, build.linears(hidden, parts), strict=True):
        name = build.output(f"cross_{what}_{layer}", FLOAT, [1, layout.heads, "frames", layout.size])
        _heads(build, flat, apart, to=name)
