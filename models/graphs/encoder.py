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
    state = _stem(build, encoder)
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


def _stem(build: Builder, source: Source) -> str:
    """Three convolutions: 384 samples a frame; result (1, frames, hidden)."""
    axis = build.weight(np.array([1], np.int64))
    sound = build.one("Unsqueeze", "audio", axis)
    first = source.input("Tanh_output_0", 1)
    waves = build.one("Tanh", build.one("Conv", sound, build.weight(first), kernel_shape=[127], strides=[64]))
    # One group: the mean and variance of everything there is.
    flat = build.one("Reshape", waves, build.weight(np.array([0, 1, -1], np.int64)))
    ones, zeros = np.ones(1, np.float32), np.zeros(1, np.float32)
    flat = build.one("InstanceNormalization", flat, build.weight(ones), build.weight(zeros), epsilon=1e-5)
    waves = build.one("Reshape", flat, build.weight(np.array([0, len(first), -1], np.int64)))
    for kind in ("Mul", "Add"):
        waves = build.one(kind, waves, build.weight(source.input(f"groupnorm/{kind}_output_0", 1)))
    for name, size, stride in (("conv2", 7, 3), ("conv3", 3, 2)):
        weight, bias = (source.input(f"{name}/Conv_output_0", index) for index in (1, 2))
        waves = build.one(
            "Conv", waves, build.weight(weight), build.weight(bias), kernel_shape=[size], strides=[stride]
        )
        waves = build.fused("Gelu", waves)
    return build.one("Transpose", waves, perm=[0, 2, 1])


def _attention(
    build: Builder, source: Source, layout: Layout, name: str, normed: str, table: tuple[str, str, str]
) -> str:
    """Every frame attends to all. Plain products: ONNX Runtime's fused attention takes half as long again here."""
    parts = [source.linear(f"{name}/{side}_proj/MatMul_output_0") for side in "qkv"]
    apart = build.weight(np.array([1, -1, layout.heads, layout.size], np.int64))
    query, key, value = (_heads(build, flat, apart) for flat in build.linears(normed, parts))
    query, key = (build.fused("RotaryEmbedding", what, *table, interleaved=1) for what in (query, key))
    weights = build.one("Softmax", build.fused("FusedMatMul", query, key, transB=1, alpha=layout.scale), axis=-1)
    mixed = build.one("Transpose", build.one("MatMul", weights, value), perm=[0, 2, 1, 3])
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
