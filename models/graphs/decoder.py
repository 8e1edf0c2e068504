"""One step of Moonshine's decoder as a graph of its own: the shipped one's numbers by a sixth of its nodes.

The shipped graph works out shapes, masks and rotary angles for every token, pads each head from 36 to 40 numbers,
and appends to its caches by copying them. Here the rotary table is a constant, and attention over what was said is
one node that writes into a cache of fixed capacity in place (it wants heads of a multiple of 16: zero weights fill
them up). Queries come out of their product multiplied by attention's scale already: with a factor of 1, ONNX Runtime
takes its kernel for a matrix and a vector, which copies nothing (3.1 ms a step of 8 rows of 4 s became 2.5).

Inputs (rows B, tokens' capacity C, frames F, heads H of width D or W):
    ``token`` int64 (B, 1), or (1, N): the first N tokens of a row at once; ``past`` int32 (B,): tokens each row has in
    its caches, or N - 1; ``total`` int32 (): the most of them plus one; ``frames`` int32 (B,): each row's frames of
    audio; a layer L's ``own_key_L`` and ``own_value_L`` float (B, H, C, W), ``cross_key_L`` and ``cross_value_L``
    float (B, H, F, D).
Outputs:
    ``probabilities`` float (B, 1 or N, vocabulary) of the token after each; ``new_key_L`` and ``new_value_L``: to be
    bound to the memory of the own caches, else they are copied; of the upper half of the layers ``query_L`` float
    (B, 1 or N, H · D): what each token asks of the cross keys, scaled, so that their product with the keys is what
    attention's softmax takes. They are there anyway, and cost next to nothing where nobody fetches them (a hundredth
    of a step; those of all layers were four). The lower layers attend to sounds wherever they are, and would tell less
    of a word's place. The likeliest token is left to the caller: numpy finds it ten times faster than the runtime's
    TopK.
"""

from __future__ import annotations

from typing import Any

import onnx
from numpy.typing import NDArray

from .build import FLOAT, INT32, INT64, Builder, Shape
from .layout import Layout, rotary
from .source import Linear, Source

__all__ = ["step_graph"]

# Rows of the rotary table: 1024 tokens are 157 s of speech at the family's bound of 6.5 tokens a second.
CAPACITY = 1024


def step_graph(source: Source, layout: Layout, *, signed: bool) -> onnx.ModelProto:
    """The graph of one step; ``signed`` as :class:`~models.graphs.build.Builder` says.

    Raises:
        ModelError: ``source`` is not a decoder of this family.
    """
    build = Builder("moonshine-step", signed=signed)
    token = build.input("token", INT64, ["rows", "tokens"])
    past = build.input("past", INT32, ["rows"])
    total = build.input("total", INT32, [])
    frames = build.input("frames", INT32, ["rows"])
    cos, sin = rotary(source, CAPACITY, layout.width)
    table = (build.weight(cos, "cos"), build.weight(sin, "sin"))
    state = _embed(build, source, token)
    normed = build.norm(state, _gamma(source, "layers.0/input_layernorm"))
    for layer in range(layout.layers):
        name = f"layers.{layer}"
        said = _own(build, source, layout, layer, normed, past, total, table)
        normed, state = build.add_norm(state, said, _gamma(source, f"{name}/post_attention_layernorm"))
        heard = _cross(build, source, layout, layer, normed, frames)
        normed, state = build.add_norm(state, heard, _gamma(source, f"{name}/final_layernorm"))
        thought = _feed_forward(build, source, name, normed)
        last = layer == layout.layers - 1
        after = "decoder/norm" if last else f"layers.{layer + 1}/input_layernorm"
        normed, state = build.add_norm(state, thought, _gamma(source, after))
    _choose(build, source, normed)
    return build.model()


def _gamma(source: Source, name: str) -> NDArray[Any]:
    return source.input(f"{name}/LayerNormalization_output_0", 1)


def _embed(build: Builder, source: Source, token: str) -> str:
    """In 8 bits or, as the sizes of the family's other models tell, in full precision."""
    if not source.has("embed_tokens/Gather_output_0_quantized"):
        table = source.input("embed_tokens/Gather_output_0", 0)
        return build.one("Gather", build.weight(table, "embedding"), token, axis=0)
    table, scale, zero = (
        source.input("embed_tokens/Gather_output_0_quantized", 0),
        source.input("embed_tokens/Gather_output_0", 1),
        source.input("embed_tokens/Gather_output_0", 2),
    )
    row = build.one("Gather", build.weight(table, "embedding"), token, axis=0)
    return build.one("DequantizeLinear", row, build.weight(scale), build.weight(zero))


def _own(
    build: Builder,
    source: Source,
    layout: Layout,
    layer: int,
    normed: str,
    past: str,
    total: str,
    table: tuple[str, str],
) -> str:
    """Attention over what was said so far, rotary and cache included."""
    name = f"layers.{layer}/self_attn"
    parts = [source.linear(f"{name}/{side}_proj/MatMul_output_0") for side in "qkv"]
    parts[0] = parts[0].times(layout.scale)
    packed = build.linear(normed, Linear.beside([part.wider_outputs(layout.heads, layout.width) for part in parts]))
    cache: Shape = ["rows", layout.heads, "capacity", layout.width]
    keys, values = (build.input(f"own_{what}_{layer}", FLOAT, cache) for what in ("key", "value"))
    new = [build.output(f"new_{what}_{layer}", FLOAT, cache) for what in ("key", "value")]
    said, *_ = build.add(
        "GroupQueryAttention",
        [packed, "", "", keys, values, past, total, *table],
        [f"said_{layer}", *new],
        domain="com.microsoft",
        num_heads=layout.heads,
        kv_num_heads=layout.heads,
        do_rotary=1,
        rotary_interleaved=1,
        scale=1.0,
    )
    return build.linear(said, source.linear(f"{name}/o_proj/MatMul_output_0").wider_inputs(layout.heads, layout.width))


def _cross(build: Builder, source: Source, layout: Layout, layer: int, normed: str, frames: str) -> str:
    """Attention over the audio; its keys and values come from the encoder's graph."""
    name = f"layers.{layer}/encoder_attn"
    query = source.linear(f"{name}/q_proj/MatMul_output_0").times(layout.scale)
    cache: Shape = ["rows", layout.heads, "frames", layout.size]
    keys, values = (build.input(f"cross_{what}_{layer}", FLOAT, cache) for what in ("key", "value"))
    asked = ""
    if layer >= layout.layers // 2:
        asked = build.output(f"query_{layer}", FLOAT, ["rows", "tokens", layout.heads * layout.size])
    heard = build.fused(
        "MultiHeadAttention",
        build.linear(normed, query, to=asked),
        keys,
        values,
        "",
        frames,
        num_heads=layout.heads,
        scale=1.0,
    )
    return build.linear(heard, source.linear(f"{name}/o_proj/MatMul_output_0"))


def _feed_forward(build: Builder, source: Source, name: str, normed: str) -> str:
    """SwiGLU; the first half of the wide layer is the value, the second its gate."""
    wide = build.linear(normed, source.linear(f"{name}/mlp/fc1/Add_output_0"))
    value, gate = build.add("Split", [wide], 2, axis=-1, num_outputs=2)
    gated = build.one("Mul", build.fused("QuickGelu", gate, alpha=1.0), value)
    return build.linear(gated, source.linear(f"{name}/mlp/fc2/Add_output_0"))


def _choose(build: Builder, source: Source, normed: str) -> None:
    vocabulary = source.linear("logits")
    name = build.output("probabilities", FLOAT, ["rows", "tokens", vocabulary.weight.shape[1]])
    build.one("Softmax", build.linear(normed, vocabulary), axis=-1, to=name)
