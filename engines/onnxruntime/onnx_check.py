"""Whether a model file is made of nothing but what it should be: known operators, weights that are where it says, sizes in bounds.

Read from its encoding (onnx.proto3) before any backend opens it. Strict where decoders disagree: a field that may stand once and
stands twice is refused, so that nothing is seen here otherwise than there.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Collection
from pathlib import Path

import numpy as np

from ..errors import ModelFileError
from .onnx_operators import AXES, DOMAINS, MAX_AXIS, MAX_ELEMENTS, MAX_NUMBER, MAX_OPSET, NOT_NEGATIVE, OPERATORS, SIZES
from .onnx_spec import spec_in_file
from .onnx_wire import fields, text, varint, varints

# Numbers of fields, by message.
MODEL_IR, MODEL_GRAPH, MODEL_OPSET, MODEL_TRAINING, MODEL_FUNCTIONS = 1, 7, 8, 20, 25
OPSET_DOMAIN, OPSET_VERSION = 1, 2
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 1, 2, 4, 5, 7
ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_TENSOR, ATTRIBUTE_INTS, ATTRIBUTE_TENSORS = 1, 3, 5, 8, 10
ATTRIBUTE_OTHER = {6: "a graph", 11: "graphs", 14: "a type", 15: "types", 22: "a sparse tensor", 23: "sparse tensors",
                   21: "an attribute of a function"}
DIMS, TYPE, SEGMENT, FLOATS, INT32S, STRINGS, INT64S, NAME, RAW, DOUBLES, UINT64S, BESIDE, PLACE = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14
REPEATED = {"node": {NODE_INPUT, NODE_OUTPUT, NODE_ATTRIBUTE, 9}, "attribute": {7, 8, 9, 10, 11, 15, 23},
            "tensor": {DIMS, FLOATS, INT32S, STRINGS, INT64S, DOUBLES, UINT64S, BESIDE, 16}}
# Bytes of one value, by type; those of four bits are counted as one byte for two.
BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2, 17: 1, 18: 1, 19: 1, 20: 1, 21: 0.5, 22: 0.5}
PACKED = {FLOATS: 4, DOUBLES: 8, INT32S: 1, INT64S: 1, UINT64S: 1}  # fewest bytes of one value there
BESIDE_KEYS = {"location", "offset", "length", "checksum"}
MAX_RANK = 16
# Small constants are kept while a graph is read, as they may be sizes.
MAX_SIZE_INPUT = 64
Span = tuple[int, int]


def check_model(path: Path, files: Collection[str]) -> None:
    """ModelFileError unless the model is one that our exporter could have written.

    files : names beside the model that its weights may lie in; of these only `MODEL.data` is one that the rest of the program knows
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
            _Reader(path, view, files).model()
        spec_in_file(path)  # whose names must be text
    except (OSError, ValueError, struct.error) as error:  # ValueError also of an empty file, and of text that is none
        raise ModelFileError(f"{path.name} is not a usable model", received=str(error)) from error


class _Reader:
    def __init__(self, path: Path, view: memoryview, files: Collection[str]) -> None:
        self._path, self._view, self._files = path, view, files
        self._beside: int | None = None
        self._constants: dict[str, np.ndarray] = {}

    def model(self) -> None:
        graphs = 0
        for number, *span in fields(self._view, 0, len(self._view)):
            if number == MODEL_GRAPH:
                graphs += 1
                self._graph(*span)
            elif number == MODEL_OPSET:
                self._opset(*span)
            elif number in (MODEL_TRAINING, MODEL_FUNCTIONS):
                raise self._wrong("functions or training steps beside the graph", "one graph")
        if graphs != 1:
            raise self._wrong(f"{graphs} graphs", "one graph")

    def _opset(self, start: int, end: int) -> None:
        domain, version = "", 0
        for number, *span in fields(self._view, start, end):
            if number == OPSET_DOMAIN:
                domain = text(self._view, *span)
            elif number == OPSET_VERSION:
                version = varint(self._view, *span)[0]
        if domain not in DOMAINS or not 1 <= version <= MAX_OPSET:
            raise self._wrong(f"operators of {domain or 'ai.onnx'!r}, version {version}", f"ONNX's own, version 1 to {MAX_OPSET}")

    def _graph(self, start: int, end: int) -> None:
        nodes = []
        for number, *span in fields(self._view, start, end):
            if number == GRAPH_INITIALIZER:
                self._tensor(*span, where=f"weight {{}} of {self._path.name}")
            elif number == GRAPH_NODE:
                nodes.append(span)
            elif number == GRAPH_SPARSE:
                raise self._wrong("sparse weights", "dense ones")
        for span in nodes:
            self._node(*span)

    def _node(self, start: int, end: int) -> None:
        operator, domain, inputs, outputs, attributes = "", "", [], [], []
        for number, *span in self._once("node", start, end):
            if number == NODE_INPUT:
                inputs.append(text(self._view, *span))
            elif number == NODE_OUTPUT:
                outputs.append(text(self._view, *span))
            elif number == NODE_OPERATOR:
                operator = text(self._view, *span)
            elif number == NODE_DOMAIN:
                domain = text(self._view, *span)
            elif number == NODE_ATTRIBUTE:
                attributes.append(span)
        if domain not in DOMAINS or operator not in OPERATORS:
            name = f"{domain}:{operator}" if domain else operator
            raise self._wrong(f"operator {name}", "those that our exporter writes")
        for span in attributes:
            name, numbers, value = self._attribute(operator, *span)
            if operator == "Constant" and len(outputs) == 1:
                value = np.array(numbers, np.int64) if numbers else value
                if value is not None:
                    self._constants[outputs[0]] = value
            elif operator == "Split" and (name == "num_outputs" and numbers != [len(outputs)] or
                                          name == "split" and len(numbers) != len(outputs)):
                raise self._wrong(f"Split with {name} {numbers} and {len(outputs)} outputs", "as many as it says")
        if operator == "Split" and len(inputs) > 1 and inputs[1] in self._constants:
            if self._constants[inputs[1]].size != len(outputs):
                raise self._wrong(f"Split into {self._constants[inputs[1]].size} with {len(outputs)} outputs", "as many as it says")
        for position in SIZES.get(operator, ()):
            if position < len(inputs) and inputs[position] in self._constants:
                self._size(operator, self._constants[inputs[position]])

    def _attribute(self, operator: str, start: int, end: int) -> tuple[str, list[int], np.ndarray | None]:
        """The attribute's name, its whole numbers, checked, and its tensor if that is small."""
        name, numbers, value = "", [], None
        for number, *span in self._once("attribute", start, end):
            if number == ATTRIBUTE_NAME:
                name = text(self._view, *span)
            elif number in (ATTRIBUTE_INT, ATTRIBUTE_INTS):
                numbers += [_signed(each) for each in varints(self._view, *span)]
            elif number in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
                value = self._tensor(*span, where=f"a constant {{}} in {self._path.name}", attribute=True)
            elif number in ATTRIBUTE_OTHER:
                raise self._wrong(f"{ATTRIBUTE_OTHER[number]} in operator {operator}", "numbers, texts and tensors")
        if operator == "Constant":
            return name, numbers, value
        high = MAX_AXIS if name in AXES else MAX_NUMBER
        low = 0 if name in NOT_NEGATIVE else -high
        wrong = next((each for each in numbers if not low <= each <= high), None)
        if wrong is not None:
            raise self._wrong(f"{operator} with {name} {wrong}", f"{low} to {high}")
        return name, numbers, value

    def _size(self, operator: str, value: np.ndarray) -> None:
        sizes = np.abs(value.astype(np.float64))
        # A range counts from its start to its limit; the others multiply. Zero and -1 stand for lengths of the input.
        count = float(sizes.max(initial=0.0)) if operator in ("Range", "Pad", "OneHot") else float(np.prod(np.maximum(sizes, 1.0)))
        if not count <= MAX_ELEMENTS:
            raise self._wrong(f"{operator} to {value.tolist()}", f"at most {MAX_ELEMENTS} values")

    def _tensor(self, start: int, end: int, *, where: str, attribute: bool = False) -> np.ndarray | None:
        """Check that a tensor holds as many values as it says; the values, where they are few and may be a size."""
        name, kind, shape, raw, typed, beside, outside = "", 0, [], None, [], [], False
        for number, *span in self._once("tensor", start, end):
            if number == DIMS:
                shape += varints(self._view, *span)
            elif number == TYPE:
                kind = varint(self._view, *span)[0]
            elif number == NAME:
                name = text(self._view, *span)
            elif number == RAW:
                raw = (span[0], span[1])
            elif number in PACKED:
                typed.append((number, (span[0], span[1])))
            elif number == BESIDE:
                beside.append(self._entry(*span))
            elif number == PLACE:
                outside = varint(self._view, *span)[0] & 0xFFFFFFFF != 0
            elif number in (SEGMENT, STRINGS):
                raise self._wrong(where.format(repr(name)) + ", in pieces or of text", "numbers in one piece")
        where = where.format(repr(name))
        if kind not in BYTES or len(shape) > MAX_RANK:
            raise self._wrong(f"{where}, of type {kind} and rank {len(shape)}", "a type of numbers")
        count = math.prod(shape)
        needed = math.ceil(count * BYTES[kind])
        if outside:
            if attribute:
                raise self._wrong(f"{where} in another file", "its values")
            self._check_beside(where, dict(beside), len(beside), needed)
        elif raw is not None:
            if raw[1] - raw[0] != needed:
                raise self._wrong(f"{where}, {raw[1] - raw[0]} bytes for {count} values", f"{needed} bytes")
        elif count > sum((span[1] - span[0]) // PACKED[number] for number, span in typed):
            raise self._wrong(f"{where}, too few values for its shape {shape}", f"{count} values")
        return self._small(name, kind, count, raw, typed, attribute) if not outside and count <= MAX_SIZE_INPUT else None

    def _small(self, name: str, kind: int, count: int, raw: Span | None, typed: list[tuple[int, Span]],
               attribute: bool) -> np.ndarray | None:
        value = None
        if raw is not None and kind in (1, 6, 7):
            value = np.frombuffer(bytes(self._view[slice(*raw)]), {1: "<f4", 6: "<i4", 7: "<i8"}[kind])
        elif kind == 7 and typed:
            value = np.array([_signed(each) for number, span in typed if number == INT64S for each in varints(self._view, *span)], np.int64)
        if value is not None and not attribute:
            self._constants[name] = value
        return value

    def _entry(self, start: int, end: int) -> tuple[str, str]:
        entry = {number: text(self._view, *span) for number, *span in fields(self._view, start, end)}
        return entry.get(1, ""), entry.get(2, "")

    def _check_beside(self, where: str, entry: dict[str, str], entries: int, needed: int) -> None:
        """Weights beside the model lie in `MODEL.data`, which is listed, no link, and long enough."""
        expected = f"{self._path.name}.data"
        if len(entry) != entries or not entry.keys() <= BESIDE_KEYS:
            raise self._wrong(f"{where}, whose place is told by {', '.join(sorted(entry))}", "location, offset and length, each once")
        if entry.get("location") != expected or expected not in self._files:
            raise self._wrong(f"{where} in the file {entry.get('location', '')!r}", f"{expected!r}, listed with its hash")
        if any(not (value.isascii() and value.isdigit()) or len(value) > 18 for key, value in entry.items() if key in ("offset", "length")):
            raise self._wrong(f"{where} at {entry.get('offset')!r}, {entry.get('length')!r}", "numbers of bytes")
        offset, length = int(entry.get("offset", "0")), int(entry.get("length", str(needed)))
        if length != needed or offset + length > self._beside_bytes(expected):
            raise self._wrong(f"{where}, bytes {offset} to {offset + length} of {self._beside_bytes(expected)}",
                              f"{needed} bytes inside the file")

    def _beside_bytes(self, name: str) -> int:
        if self._beside is None:
            path = self._path.with_name(name)
            if path.is_symlink() or not path.is_file():
                raise self._wrong(f"{name}, which is a link or no file", "a file in the same folder")
            self._beside = path.stat().st_size
        return self._beside

    def _once(self, message: str, start: int, end: int) -> list[tuple[int, int, int]]:
        found = list(fields(self._view, start, end))
        single = [number for number, _, _ in found if number not in REPEATED[message]]
        if len(single) != len(set(single)):
            raise ValueError(f"a duplicate field in the {message} at byte {start}")
        return found

    def _wrong(self, received: str, expected: str) -> ModelFileError:
        return ModelFileError(f"{self._path.name} contains what a pack's model must not contain", received=received, expected=expected)


def _signed(value: int) -> int:
    """Of 64 bits, in two's complement."""
    return value - (1 << 64) if value >= 1 << 63 else value
