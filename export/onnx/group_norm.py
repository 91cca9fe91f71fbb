"""Group norms with exact statistics: ONNX Runtime has no CPU kernel for `GroupNormalization`.

It runs the operator's definition in its place, whose variance is mean(x^2) - mean(x)^2 over sums of up to millions of values. Where
most pixels are equal, as around a cut-out on white, nothing of that difference is left: answers are off by half, or NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

# A longer axis is cut in two where it can be, so that no sum has more terms than this by much.
MAX_SUM_LENGTH = 1024
CHANNEL_AXIS = 1


def split_group_norms(model: ir.Model) -> int:
    """Replace each `GroupNormalization` by elementary operators; returns how many were replaced.

    The variance is the mean of (x - mean)^2, and every mean is one of means along single axes, the last axis first: sums are short,
    and equal values keep their mean. Nodes of unknown rank or number of channels stay.
    """
    nodes = [node for node in model.graph if node.op_type == "GroupNormalization" and node.domain == "" and _channels(node)]
    for node in nodes:
        _Norm(model.graph, node).replace()
    return len(nodes)


def _channels(node: ir.Node) -> int:
    """How many channels a node with known rank normalises; 0 where either is open."""
    data, scale = node.inputs[:2]
    if data is None or data.shape is None or scale is None or scale.shape is None:
        return 0
    count = scale.shape[0]
    return count if isinstance(count, int) else 0


class _Norm:
    """One node on its way into elementary ones. Shapes in the comments: n pictures, c channels in g groups, then the pixels' axes."""

    def __init__(self, graph: ir.Graph, node: ir.Node) -> None:
        self._graph, self._node = graph, node
        self._made: list[ir.Node] = []
        self._name = node.outputs[0].name
        self._groups, self._count = node.attributes.get_int("num_groups"), _channels(node)

    def replace(self) -> None:
        data, scale, bias = self._node.inputs
        assert data is not None and data.shape is not None and scale is not None and bias is not None  # as `_channels` asks
        pixels: list[Any] = list(data.shape[CHANNEL_AXIS + 1:])  # numbers, or names of open axes
        cut = _cut(pixels)
        x = data if cut is None else self._op("Reshape", data, self._ints(0, 0, *cut))
        axes = range(CHANNEL_AXIS + len(pixels if cut is None else cut), CHANNEL_AXIS, -1)
        wide = self._ints(1, self._count, *(1 for _ in axes))
        away = self._op("Sub", x, self._each_channel(self._group_mean(x, axes), axes))
        variance = self._group_mean(self._op("Mul", away, away), axes)
        deviation = self._op("Sqrt", self._op("Add", variance, self._epsilon(data)))
        gain = self._op("Div", self._op("Reshape", scale, wide), self._each_channel(deviation, axes))
        y = self._op("Add", self._op("Mul", away, gain), self._op("Reshape", bias, wide))
        self._put(y if cut is None else self._op("Reshape", y, self._ints(0, 0, *pixels)))

    def _group_mean(self, x: ir.Value, axes: range) -> ir.Value:
        """(n, g, 1): along the pixels' axes one by one, then over the channels of each group."""
        for axis in axes:
            x = self._op("ReduceMean", x, self._ints(axis))
        return self._op("ReduceMean", self._op("Reshape", x, self._ints(0, self._groups, -1)), self._ints(2))

    def _each_channel(self, of_group: ir.Value, axes: range) -> ir.Value:
        """(n, g, 1) -> (n, c, 1, ...)"""
        repeated = self._op("Expand", of_group, self._ints(1, 1, self._count // self._groups))
        return self._op("Reshape", repeated, self._ints(0, self._count, *(1 for _ in axes)))

    def _op(self, kind: str, *inputs: ir.Value) -> ir.Value:
        node = ir.Node("", kind, inputs, name=f"{self._name}.norm.{len(self._made)}")
        node.outputs[0].name = node.name
        self._made.append(node)
        return node.outputs[0]

    def _ints(self, *values: int) -> ir.Value:
        return self._constant("ints." + ".".join(map(str, values)), np.array(values, np.int64))

    def _epsilon(self, data: ir.Value) -> ir.Value:
        assert data.dtype is not None
        epsilon = self._node.attributes.get_float("epsilon", 1e-5)
        return self._constant(f"epsilon.{epsilon:g}", np.array(epsilon, data.dtype.numpy()))

    def _constant(self, name: str, values: np.ndarray) -> ir.Value:
        """One for all norms of the graph that need it."""
        name = f"group_norm.{name}"
        if name not in self._graph.initializers:
            tensor = ir.tensor(values, name=name)
            self._graph.initializers[name] = ir.Value(name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(values.shape),
                                                      const_value=tensor)
        return self._graph.initializers[name]

    def _put(self, result: ir.Value) -> None:
        old = self._node.outputs[0]
        result.type, result.shape = old.type, old.shape
        self._graph.insert_before(self._node, self._made)
        old.replace_all_uses_with(result, replace_graph_outputs=True)
        self._graph.remove(self._node, safe=True)
        result.name = self._name


def _cut(pixels: list) -> list[int] | None:
    """The pixels' axes, each that is too long cut into two of about the same length; None where none is, or one is open."""
    if not all(isinstance(axis, int) for axis in pixels) or all(axis <= MAX_SUM_LENGTH for axis in pixels):
        return None
    lengths: list[int] = []
    for axis in pixels:
        short = next(n for n in range(math.isqrt(axis), 0, -1) if axis % n == 0) if axis > MAX_SUM_LENGTH else 1
        lengths += [axis] if short == 1 else [axis // short, short]
    return None if lengths == pixels else lengths
