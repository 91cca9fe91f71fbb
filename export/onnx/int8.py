"""Weights of layers in 8 bits: a quarter of FP32, dequantised by the graph itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import onnx_ir as ir

# Weights along the input axis that share a scale. One scale for each output channel is off by 1.1 to 2.4 times as much (measured on
# the bundled pack); blocks take a sixteenth more room.
BLOCK = 64
# Fewer inputs than this would need a scale every few weights: the first and last layers, which matter most anyway.
MIN_INPUTS = 16
LARGEST = 127
INT8, SCALE = ".int8", ".scale"


def store_int8(model: ir.Model, smallest: int, skip: Sequence[str] = ()) -> None:
    """Keep the weights of layers with `smallest` values or more as int8, each followed by a DequantizeLinear to FP32.

    Of the linear layers, convolutions and tables of a graph, symmetric, with one FP32 scale for each BLOCK weights along the inputs.
    They are called NAME.int8 and NAME.scale; what the node makes of them has the weight's own name. The values are made while they
    are written, one tensor at a time.

    skip : parts of the names of weights that stay as they are
    """
    graph = model.graph
    for name, value in list(graph.initializers.items()):
        weight = value.const_value
        if weight is None or value.dtype != ir.DataType.FLOAT or weight.size < smallest or any(part in name for part in skip):
            continue
        shape, axis = weight.shape.numpy(), _input_axis(value)
        if axis is None or shape[axis] < MIN_INPUTS:
            continue
        stored = ir.LazyTensor(partial(_quantized, weight, axis), ir.DataType.INT8, ir.Shape(shape), name=f"{name}{INT8}")
        scales = ir.tensor(block_scales(weight.numpy(), axis), name=f"{name}{SCALE}")
        inputs = {f"{name}{suffix}": ir.Value(name=f"{name}{suffix}", type=ir.TensorType(tensor.dtype), const_value=tensor,
                                              shape=ir.Shape(tensor.shape.numpy()))
                  for suffix, tensor in ((INT8, stored), (SCALE, scales))}
        node = ir.Node("", "DequantizeLinear", [*inputs.values()], [ir.AttrInt64("axis", axis), ir.AttrInt64("block_size", BLOCK)],
                       name=f"{name}.dequantize")
        node.outputs[0].type, node.outputs[0].shape = value.type, value.shape
        value.replace_all_uses_with(node.outputs[0])
        del graph.initializers[name]
        node.outputs[0].name = name
        graph.initializers.update(inputs)
        graph.insert_before(graph[0], node)


def block_scales(weights: np.ndarray, axis: int) -> np.ndarray:
    """float32, like `weights` but ceil(n / BLOCK) along the axis: what 1 stands for in each block."""
    starts = range(0, weights.shape[axis], BLOCK)
    largest = np.maximum.reduceat(np.abs(weights), list(starts), axis=axis)
    return np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)


def quantized(weights: np.ndarray, scales: np.ndarray, axis: int) -> np.ndarray:
    """int8 in [-127, 127], so rounded that errors cancel in each kernel of a convolution, and in each block of any other layer.

    What a layer sees is nearly even over the places of a kernel, and above zero on average after most activations, so errors of one
    sign would add up (Guo et al., SQuant, 2022: this is its kernel stage, which looks at no data).
    """
    exact = weights / scales.take(np.arange(weights.shape[axis]) // BLOCK, axis)
    if weights.ndim == 4 and weights.shape[2:] != (1, 1):
        whole = _rounded(exact.reshape(*weights.shape[:2], -1)).reshape(weights.shape)
    else:
        last = np.moveaxis(exact, axis, -1)
        blocks = [_rounded(last[..., start:start + BLOCK]) for start in range(0, last.shape[-1], BLOCK)]
        whole = np.moveaxis(np.concatenate(blocks, axis=-1), -1, axis)
    return np.clip(whole, -LARGEST, LARGEST).astype(np.int8)


def _rounded(exact: np.ndarray) -> np.ndarray:
    """Whole numbers for (..., n): the nearest ones, but as many go the other way as bring the sum within a half. Those that were
    nearest to it."""
    nearest = np.rint(exact)
    error = exact - nearest
    surplus = np.rint(error.sum(axis=-1, keepdims=True))
    rank = np.argsort(np.argsort(-error, axis=-1, kind="stable"), axis=-1, kind="stable")
    return nearest + (rank < surplus) - (rank >= exact.shape[-1] + surplus)


def _quantized(tensor: ir.TensorProtocol, axis: int) -> ir.TensorProtocol:
    weights = tensor.numpy()
    return ir.tensor(quantized(weights, block_scales(weights, axis), axis), name=f"{tensor.name}{INT8}")


def _input_axis(value: ir.Value) -> int | None:
    """The axis that a layer sums over, or along a table's rows; None for what is no layer's weight, or that of different layers."""
    axes: set[int | None] = {_axis(node, position) for node, position in value.uses()}
    return axes.pop() if len(axes) == 1 else None


def _axis(node: ir.Node, position: int) -> int | None:
    weight = node.inputs[position]
    if node.domain not in ("", "ai.onnx") or weight is None or weight.shape is None:
        return None
    if node.op_type == "MatMul" and len(weight.shape) == 2:
        return 1 - position
    if node.op_type == "Gemm" and position < 2:
        return 1 - position ^ node.attributes.get_int(("transA", "transB")[position], 0)
    if node.op_type == "Transpose" and len(weight.shape) == 2:  # of a layer that is called more than once
        axis = _input_axis(node.outputs[0])
        return axis if axis is None else 1 - axis
    if (node.op_type, position) == ("Gather", 0) and len(weight.shape) == 2:
        return 1
    return {("Conv", 1): 1, ("ConvTranspose", 1): 0}.get((node.op_type, position))
