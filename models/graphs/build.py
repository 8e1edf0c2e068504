"""Writing a graph node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .source import Linear

__all__ = ["EPSILON", "FLOAT", "INT32", "INT64", "UINT8", "Builder", "Shape"]

FLOAT, INT32, INT64, UINT8 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8
MICROSOFT = "com.microsoft"

# Of every layer norm in the model's graphs.
EPSILON = 1e-5

Shape = Sequence[int | str]

# The newest of both that ONNX Runtime 1.22, the oldest the gateway runs on, knows.
_OPSET = 18
_IR = 10


class Builder:
    """A graph in the making; every method adds a node and returns its output's name.

    Args:
        name: of the graph.
        signed: store weights as signed bytes. The numbers are the same (weights and zero points moved by 128), but on
            processors with dot products of bytes (VNNI) only unsigned by signed has a kernel that uses them: half the
            time. On older ones that kernel saturates: see :func:`models.prepare.signed_products_are_exact`.
    """

    def __init__(self, name: str, *, signed: bool) -> None:
        self._name = name
        self._signed = signed
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}
        self._count = 0

    def input(self, name: str, kind: int, shape: Shape) -> str:
        """An input of the graph."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: int, shape: Shape) -> str:
        """An output of the graph: the value of that name."""
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def weight(self, array: NDArray[Any], name: str = "") -> str:
        """A constant."""
        name = name or f"weight_{len(self._weights)}"
        self._weights[name] = numpy_helper.from_array(np.array(array, order="C"), name)
        return name

    def add(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str] | int = 1, *, domain: str = "", **attributes: Any
    ) -> list[str]:
        """A node; ``outputs`` are names, or how many."""
        if isinstance(outputs, int):
            self._count += 1
            outputs = [f"{kind}_{self._count}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **attributes))
        return list(outputs)

    def one(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        """A node of ONNX itself with one output."""
        return self.add(kind, inputs, [to] if to else 1, **attributes)[0]

    def fused(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        """A node of ONNX Runtime's own (``com.microsoft``) with one output."""
        return self.add(kind, inputs, [to] if to else 1, domain=MICROSOFT, **attributes)[0]

    def linear(self, what: str, linear: Linear, to: str = "") -> str:
        """``what`` quantised as it comes (per tensor), times 8-bit weights."""
        inputs = [what, *self._linear(linear)]
        if linear.bias is not None:
            inputs.append(self.weight(linear.bias))
        return self.fused("DynamicQuantizeMatMul", *inputs, to=to)

    def linears(self, what: str, linears: Sequence[Linear]) -> list[str]:
        """Several products of one input, which is quantised once."""
        quantized, scale, zero = self.add("DynamicQuantizeLinear", [what], 3)
        outputs = []
        for linear in linears:
            weight, weight_scale, weight_zero = self._linear(linear)
            inputs = [quantized, weight, scale, weight_scale, zero, weight_zero]
            outputs.append(self.fused("MatMulIntegerToFloat", *inputs))
        return outputs

    def product(self, what: str, linear: Linear, zero: int) -> str:
        """``what`` (unsigned bytes, ``zero`` stands for 0) times 8-bit weights, in units of its bytes."""
        one = self.weight(np.array(1, np.float32))
        weight, scale, weight_zero = self._linear(linear)
        inputs = [what, weight, one, scale, self.weight(np.array(zero, np.uint8)), weight_zero]
        return self.fused("MatMulIntegerToFloat", *inputs)

    def _linear(self, linear: Linear) -> tuple[str, str, str]:
        """Weight, scale and zero point; one number stands for all where all are the same."""
        one = linear.scale.min() == linear.scale.max() and linear.zero.min() == linear.zero.max()
        shape = () if one else (-1,)
        count = 1 if one else len(linear.scale)
        scale = linear.scale[:count].reshape(shape)
        weight, zero = (self._bytes(what) for what in (linear.weight, linear.zero[:count].reshape(shape)))
        return self.weight(weight), self.weight(scale), self.weight(zero)

    def _bytes(self, what: NDArray[np.uint8]) -> NDArray[Any]:
        return np.asarray(what ^ np.uint8(128)).view(np.int8) if self._signed else what

    def norm(self, what: str, gamma: NDArray[Any], to: str = "") -> str:
        """Layer norm without a bias."""
        return self.one("LayerNormalization", what, self.weight(gamma), axis=-1, epsilon=EPSILON, to=to)

    def add_norm(self, what: str, more: str, gamma: NDArray[Any]) -> tuple[str, str]:
        """``what + more``, and its layer norm: (norm, sum).

        SkipLayerNormalization does both at once, and takes twice as long (four times in the encoder).
        """
        both = self.one("Add", what, more)
        return self.norm(both, gamma), both

    def model(self) -> onnx.ModelProto:
        """The graph, done."""
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, initializer=list(self._weights.values())
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR, producer_name="callscribe-gateway")
