"""A model's inputs and outputs, read from its file in milliseconds: no session is opened, no weight is read."""

from __future__ import annotations

import mmap
from pathlib import Path

from ..errors import ModelFileError
from ..spec import EngineSpec, TensorSpec
from .onnx_wire import DTYPES, MODEL_GRAPH, fields, initializers, text, varint

# Numbers of fields of GraphProto, ValueInfoProto, TypeProto, TypeProto.Tensor, TensorShapeProto and its Dimension (onnx.proto3).
GRAPH_INPUT, GRAPH_OUTPUT = 11, 12
INFO_NAME, INFO_TYPE = 1, 2
TYPE_TENSOR, TENSOR_TYPE, TENSOR_SHAPE, SHAPE_DIM, DIM_VALUE, DIM_NAME = 1, 1, 2, 1, 1, 2


def spec_in_file(path: Path) -> EngineSpec | None:
    """What `onnxruntime.read_spec` gives; None where the file leaves something of it to be inferred.

    ModelFileError for a file that is missing or no model.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            weights = {found.name for found in initializers(data)}
            with memoryview(data) as view:
                tensors = [(number, _tensor(view, *span)) for outer, *graph in fields(view, 0, len(view)) if outer == MODEL_GRAPH
                           for number, *span in fields(view, *graph) if number in (GRAPH_INPUT, GRAPH_OUTPUT)]
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path.name} cannot be read", received=str(error)) from error
    known = [(number, tensor) for number, tensor in tensors if tensor is not None]
    if len(known) < len(tensors):
        return None
    inputs, outputs = (tuple(tensor for number, tensor in known if number == kind) for kind in (GRAPH_INPUT, GRAPH_OUTPUT))
    return EngineSpec(tuple(tensor for tensor in inputs if tensor.name not in weights), outputs)


def _tensor(view: memoryview, start: int, end: int) -> TensorSpec | None:
    name, dtype, shape = "", None, None
    for number, *span in fields(view, start, end):
        if number == INFO_NAME:
            name = text(view, *span)
        elif number == INFO_TYPE:
            for inner, *tensor in fields(view, *span):
                if inner == TYPE_TENSOR:
                    dtype, shape = _type(view, *tensor)
    if dtype is None or shape is None:
        return None
    return TensorSpec(name, dtype, tuple(axis if axis is not None else f"{name}_{i}" for i, axis in enumerate(shape)))


def _type(view: memoryview, start: int, end: int) -> tuple[str | None, list[int | str | None] | None]:
    dtype, shape = None, None
    for number, *span in fields(view, start, end):
        if number == TENSOR_TYPE:
            dtype = DTYPES.get(varint(view, *span)[0])
        elif number == TENSOR_SHAPE:
            shape = [_axis(view, *axis) for inner, *axis in fields(view, *span) if inner == SHAPE_DIM]
    return dtype, shape


def _axis(view: memoryview, start: int, end: int) -> int | str | None:
    """A length, a name, or None for an axis without either."""
    for number, *span in fields(view, start, end):
        if number == DIM_VALUE:
            length = varint(view, *span)[0]
            return length if length < 1 << 63 else None  # -1 in two's complement, as some write for any length
        if number == DIM_NAME:
            return text(view, *span) or None
    return None
