"""Where the weights of an ONNX file lie, read from its protobuf encoding, and fields in that encoding: no package for it is needed at run
time.

Of the messages ModelProto, GraphProto, TensorProto and StringStringEntryProto (onnx.proto3) only what is needed is read.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import ModelFileError

Buffer = bytes | bytearray | mmap.mmap
# Types of values: how many bytes they take is known from the first byte of each.
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MODEL_GRAPH, GRAPH_INITIALIZER = 7, 5
DIMS, TYPE, NAME, RAW, BESIDE, PLACE = 1, 2, 8, 9, 13, 14
KEY, VALUE = 1, 2
FLOAT32 = 1
DTYPES = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
          11: "float64", 12: "uint32", 13: "uint64"}


@dataclass(frozen=True)
class Initializer:
    """One tensor that a graph holds.

    dtype : NumPy's name of it; None for a type that NumPy lacks
    raw : first byte and length of its values in the file; None where they are encoded one by one, or lie beside
    beside : what the file says of weights in another one: location, offset, length, all text; empty otherwise
    """

    name: str
    dtype: str | None
    shape: tuple[int, ...]
    raw: tuple[int, int] | None
    beside: dict[str, str]


def initializers(data: Buffer) -> Iterator[Initializer]:
    """Those of the main graph of an encoded ModelProto. ModelFileError where the encoding is broken off or wrong."""
    try:
        with memoryview(data) as view:  # given back at once: a mapped file could not be closed before
            for number, start, end in fields(view, 0, len(view)):
                if number == MODEL_GRAPH:
                    yield from (_initializer(view, *span) for inner, *span in fields(view, start, end) if inner == GRAPH_INITIALIZER)
    except ValueError as error:
        raise ModelFileError("the model file is not an ONNX file, or is damaged", received=str(error)) from error


def _initializer(view: memoryview, start: int, end: int) -> Initializer:
    name, kind, raw, shape, beside, outside = "", 0, None, [], {}, False
    for number, low, high in fields(view, start, end):
        if number == DIMS:  # one by one, or several in one value
            shape += varints(view, low, high)
        elif number == TYPE:
            kind = varint(view, low, high)[0]
        elif number == NAME:
            name = text(view, low, high)
        elif number == RAW:
            raw = (low, high - low)
        elif number == BESIDE:
            entry = {inner: text(view, *span) for inner, *span in fields(view, low, high)}
            beside[entry.get(KEY, "")] = entry.get(VALUE, "")
        elif number == PLACE:
            outside = varint(view, low, high)[0] & 0xFFFFFFFF == 1  # as protobuf's decoders cut an enumeration
    return Initializer(name, DTYPES.get(kind), tuple(shape), None if outside else raw, beside if outside else {})


def initializer_name(view: memoryview, start: int, end: int) -> str:
    """The name of an encoded TensorProto."""
    return next((text(view, *span) for number, *span in fields(view, start, end) if number == NAME), "")


def fields(view: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The number of each field of a message, and where its value lies."""
    at = start
    while at < end:
        tag, at = varint(view, at, end)
        kind = tag & 7
        if not 0 < tag >> 3 < 1 << 29:
            raise ValueError(f"a field of number {tag >> 3} at byte {at}")
        if kind == LENGTH:
            length, at = varint(view, at, end)
        elif kind == VARINT:
            length = varint(view, at, end)[1] - at
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"a value of type {kind} at byte {at}")
        if at + length > end:
            raise ValueError(f"a value at byte {at} that extends beyond byte {end}")
        yield tag >> 3, at, at + length
        at += length


def varints(view: memoryview, start: int, end: int) -> list[int]:
    """All numbers in a value."""
    values = []
    while start < end:
        value, start = varint(view, start, end)
        values.append(value)
    return values


def varint(view: memoryview, start: int, end: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    value = 0
    for i in range(10):
        if start + i >= end:
            raise ValueError(f"a truncated number at byte {start}")
        byte = view[start + i]
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, start + i + 1
    raise ValueError(f"an unterminated number at byte {start}")


def text(view: memoryview, start: int, end: int) -> str:
    """A value that is text."""
    return str(view[start:end], "utf-8")


def number_field(number: int, value: int) -> bytes:
    """An encoded field that holds a number from 0."""
    return _encoded(number << 3 | VARINT) + _encoded(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """An encoded field that holds text, a message or other bytes."""
    return _encoded(number << 3 | LENGTH) + _encoded(len(value)) + value


def _encoded(value: int) -> bytes:
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
