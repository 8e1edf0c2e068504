"""The shipped graphs as a source of weights: found by what a node computes, not by the exporter's numbering.

Moonshine ships ONNX Runtime's own format (``.ort``); the runtime saves it again as ONNX, which can be read here.
The decoder is one graph with an ``If``: its branches (first step, later steps) share most weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import numpy_helper

from gateway.errors import ModelError

__all__ = ["Linear", "Source"]


@dataclass(frozen=True, slots=True)
class Linear:
    """An 8-bit product: ``weight`` (inputs, outputs), with a ``scale`` and a ``zero`` of each output (outputs,)."""

    weight: NDArray[np.uint8]
    scale: NDArray[np.float32]
    zero: NDArray[np.uint8]
    bias: NDArray[np.float32] | None = None

    def times(self, factor: float) -> Linear:
        """The product, multiplied by a positive ``factor``; only without a bias."""
        return Linear(self.weight, self.scale * np.float32(factor), self.zero)

    @classmethod
    def rounded(cls, matrix: NDArray[np.float32]) -> Linear:
        """A float ``matrix`` (inputs, outputs) in 8 bits, symmetrically, with a scale of each output."""
        scale = np.maximum(np.abs(matrix).max(axis=0), np.finfo(np.float32).tiny) / np.float32(127)
        weight = (np.round(matrix / scale) + 128).astype(np.uint8)
        return cls(weight, scale.astype(np.float32), np.full(len(scale), 128, np.uint8))

    @classmethod
    def beside(cls, parts: list[Linear]) -> Linear:
        """Products of one input, made one; the same numbers come out, side by side."""
        return cls(
            np.concatenate([part.weight for part in parts], axis=1),
            np.concatenate([part.scale for part in parts]),
            np.concatenate([part.zero for part in parts]),
        )

    def wider_outputs(self, heads: int, to: int) -> Linear:
        """Every head's outputs filled up with zeros, to ``to`` of them."""
        inputs, outputs = self.weight.shape
        more = to - outputs // heads
        if more == 0:
            return self
        per_head = self.weight.reshape(inputs, heads, -1)
        # What equals the zero point stands for 0.
        fill = np.broadcast_to(self.zero.reshape(heads, -1)[None, :, :1], (inputs, heads, more))
        scale = np.repeat(self.scale.reshape(heads, -1)[:, :1], to, axis=1)
        zero = np.repeat(self.zero.reshape(heads, -1)[:, :1], to, axis=1)
        return Linear(
            np.concatenate([per_head, fill], axis=2).reshape(inputs, heads * to), scale.reshape(-1), zero.reshape(-1)
        )

    def wider_inputs(self, heads: int, to: int) -> Linear:
        """The same for the inputs: what a wider head adds counts for nothing."""
        inputs, outputs = self.weight.shape
        more = to - inputs // heads
        fill = np.broadcast_to(self.zero, (heads, more, outputs))
        weight = np.concatenate([self.weight.reshape(heads, -1, outputs), fill], axis=1)
        return Linear(weight.reshape(heads * to, outputs), self.scale, self.zero, self.bias)


class Source:
    """The nodes and weights of one shipped graph.

    Args:
        path: the ``.ort`` file.

    Raises:
        ModelError: it is not a graph that can be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._nodes: dict[str, onnx.NodeProto] = {}
        self._arrays: dict[str, onnx.TensorProto] = {}
        whole = _as_onnx(path).graph
        self._inputs = {entry.name: entry.type.tensor_type.shape for entry in whole.input}
        for graph in _graphs(whole):
            for tensor in graph.initializer:
                self._arrays.setdefault(tensor.name, tensor)
            for node in graph.node:
                # An `If` has the names of what its branches make.
                for output in node.output if node.op_type != "If" else ():
                    self._nodes.setdefault(output, node)

    def node(self, output: str) -> onnx.NodeProto:
        """The node whose output's name ends with ``output``; of the later steps' branch if both have it.

        Raises:
            ModelError: there is none: this is another kind of model.
        """
        for name, node in self._nodes.items():
            if name.endswith(output):
                return node
        msg = f"{self._path.name} has no node that makes {output}: the model is built otherwise than those known"
        raise ModelError(msg)

    def sizes(self, name: str) -> list[int]:
        """The shape of an input of the graph; 0 for what may differ from run to run.

        Raises:
            ModelError: there is no such input.
        """
        if name not in self._inputs:
            msg = f"{self._path.name} has no input {name}: the model is built otherwise than those known"
            raise ModelError(msg)
        return [dimension.dim_value for dimension in self._inputs[name].dim]

    def has(self, output: str) -> bool:
        """Whether there is such a node."""
        return any(name.endswith(output) for name in self._nodes)

    def array(self, name: str) -> NDArray[Any]:
        """The weight of that name.

        Raises:
            ModelError: there is none.
        """
        try:
            return np.asarray(numpy_helper.to_array(self._arrays[name]))
        except KeyError:
            msg = f"{self._path.name} has no weight {name}: the model is built otherwise than those known"
            raise ModelError(msg) from None

    def input(self, output: str, index: int) -> NDArray[Any]:
        """The weight that is input ``index`` of the node that makes ``output``."""
        return self.array(self.node(output).input[index])

    @property
    def layers(self) -> int:
        """How many transformer layers there are."""
        layers = 0
        while self.has(f"layers.{layers}/self_attn/q_proj/MatMul_output_0"):
            layers += 1
        return layers

    def linear(self, output: str) -> Linear:
        """The 8-bit product that makes ``output``.

        Raises:
            ModelError: it is made otherwise.
        """
        node = self.node(output)
        inputs = list(node.input)
        if node.op_type == "DynamicQuantizeMatMul":
            weight, scale, zero = inputs[1:4]
        elif node.op_type == "MatMulIntegerToFloat":
            weight, scale, zero = inputs[1], inputs[3], inputs[5]
        else:
            msg = f"{self._path.name}: {output} is made by {node.op_type}, not by an 8-bit product"
            raise ModelError(msg)
        matrix = self.array(weight)
        bias = self.array(inputs[-1]) if len(inputs) in (5, 7) and inputs[-1] else None
        columns = matrix.shape[1]
        return Linear(
            matrix,
            np.broadcast_to(self.array(scale), (columns,)).astype(np.float32),
            np.broadcast_to(self.array(zero), (columns,)).astype(np.uint8),
            bias,
        )


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and the branches in it, the branch taken (``then``) before the other."""
    yield graph
    for node in graph.node:
        for attribute in sorted(node.attribute, key=lambda attribute: attribute.name, reverse=True):
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def _as_onnx(path: Path) -> onnx.ModelProto:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.add_session_config_entry("session.save_model_format", "ONNX")
    with tempfile.TemporaryDirectory(prefix="graphs-") as folder:
        saved = Path(folder) / "model.onnx"
        options.optimized_model_filepath = str(saved)
        try:
            ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            return onnx.load(saved)
        except Exception as error:
            # Both raise a dozen unrelated types; any of them means that this file is of no use.
            msg = f"{path} cannot be read as a graph ({type(error).__name__}); run `gateway models verify`"
            raise ModelError(msg) from error
