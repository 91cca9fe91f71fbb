"""Weights that a model file stores in 8 bits: a DequantizeLinear node makes float32 of them (ONNX, from opset 21 on).

Symmetric, one float32 scale for each block of `block` values along an axis; the last block may be shorter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

import numpy as np

from ..errors import ModelFileError
from .onnx_wire import FLOAT32, MODEL_GRAPH, Buffer, bytes_field, fields, initializer_name, number_field, text, varint

GRAPH_NODE, GRAPH_INITIALIZER = 1, 5
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_INT = 1, 3
OPERATOR = "DequantizeLinear"


@dataclass(frozen=True)
class Dequantization:
    """One node: `output` = the int8 tensor `values` times its `scales`. block : 0 for one scale along the whole axis."""

    output: str
    values: str
    scales: str
    axis: int
    block: int


def dequantizations(data: Buffer) -> Iterator[Dequantization]:
    """The symmetric DequantizeLinear nodes of the main graph of an encoded ModelProto. ModelFileError for a broken encoding."""
    try:
        with memoryview(data) as view:
            for outer, start, end in fields(view, 0, len(view)):
                if outer == MODEL_GRAPH:
                    found = (_dequantization(view, *span) for inner, *span in fields(view, start, end) if inner == GRAPH_NODE)
                    yield from (node for node in found if node is not None)
    except ValueError as error:
        raise ModelFileError("the model file is not an ONNX file, or is damaged", received=str(error)) from error


def _dequantization(view: memoryview, start: int, end: int) -> Dequantization | None:
    operator, attributes = "", {"axis": 1, "block_size": 0}
    inputs: list[str] = []
    outputs: list[str] = []
    for number, *span in fields(view, start, end):
        if number == NODE_INPUT:
            inputs.append(text(view, *span))
        elif number == NODE_OUTPUT:
            outputs.append(text(view, *span))
        elif number == NODE_OPERATOR:
            operator = text(view, *span)
        elif number == NODE_ATTRIBUTE:
            attributes |= _whole_number(view, *span)
    if operator != OPERATOR or len(inputs) != 2 or len(outputs) != 1:
        return None
    return Dequantization(outputs[0], inputs[0], inputs[1], attributes["axis"], attributes["block_size"])


def _whole_number(view: memoryview, start: int, end: int) -> dict[str, int]:
    name, value = "", None
    for number, *span in fields(view, start, end):
        if number == ATTRIBUTE_NAME:
            name = text(view, *span)
        elif number == ATTRIBUTE_INT:
            value = varint(view, *span)[0]
    return {} if value is None else {name: value - (1 << 64) if value >= 1 << 63 else value}


def dequantized(values: np.ndarray, scales: np.ndarray, axis: int, block: int) -> np.ndarray:
    """float32 of int8 `values`. scales : like `values`, but ceil(n / block) along the axis; one-dimensional where block is 0.

    ValueError where their shapes do not fit.
    """
    if block:
        index = np.arange(values.shape[axis]) // block
        if index.size and index[-1] + 1 != scales.shape[axis]:
            raise ValueError(f"scales {scales.shape} for values {values.shape} in blocks of {block} along axis {axis}")
        scales = scales.take(index, axis)
    else:
        scales = scales.reshape([-1 if i == axis % values.ndim else 1 for i in range(values.ndim)])
    result = np.multiply(values, scales, dtype=np.float32)
    if result.shape != values.shape:
        raise ValueError(f"scales {scales.shape} for values {values.shape}")
    return result


def with_plain_weights(data: bytes | bytearray, nodes: Mapping[str, Dequantization], places: Mapping[str, tuple[tuple[int, ...], int]],
                       file: str) -> bytes:
    """The encoded model with float32 weights in `file` in place of the outputs of `nodes`, by name.

    places : shape and first byte of each in that file
    """
    gone = {name for node in nodes.values() for name in (node.values, node.scales)}
    added = [bytes_field(GRAPH_INITIALIZER, _beside(name, *place, file)) for name, place in places.items()]
    with memoryview(data) as view:
        parts: list[bytes | memoryview] = []
        for number, field, start, end in _whole_fields(view, 0, len(view)):
            if number == MODEL_GRAPH:
                kept = [view[first:last] for inner, first, low, last in _whole_fields(view, start, end)
                        if not _is_gone(view, inner, low, last, nodes.keys(), gone)]
                parts.append(bytes_field(MODEL_GRAPH, b"".join([*kept, *added])))
            else:
                parts.append(view[field:end])
        return b"".join(parts)


def _whole_fields(view: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """As `fields`, with the first byte of the field itself before that of its value."""
    before = start
    for number, low, high in fields(view, start, end):
        yield number, before, low, high
        before = high


def _is_gone(view: memoryview, number: int, start: int, end: int, outputs: Set[str], initializers: Set[str]) -> bool:
    if number == GRAPH_NODE:
        node = _dequantization(view, start, end)
        return node is not None and node.output in outputs
    return number == GRAPH_INITIALIZER and initializer_name(view, start, end) in initializers


def _beside(name: str, shape: tuple[int, ...], offset: int, file: str) -> bytes:
    """An encoded TensorProto whose values lie in another file."""
    length = 4 * int(np.prod(shape, dtype=np.int64))
    entries = {"location": file, "offset": str(offset), "length": str(length)}
    told = (bytes_field(13, bytes_field(1, key.encode()) + bytes_field(2, value.encode())) for key, value in entries.items())
    return b"".join([*(number_field(1, axis) for axis in shape), number_field(2, FLOAT32), bytes_field(8, name.encode()), *told,
                     number_field(14, 1)])
