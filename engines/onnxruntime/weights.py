"""The weights of a model file, by name: read, and replaced by others of the same dtype and shape.

A replacement has as many bytes as what it replaces, so it takes its place in the file and nothing else moves. A weight in 8 bits is
replaced by a float32 one beside the model, because a small change of it would be lost in its steps. What runs a model with other
weights reads such a copy, and the file that it was made from stays as it is.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..errors import ModelFileError, TensorError
from .int8_weights import Dequantization, dequantizations, dequantized, with_plain_weights
from .onnx_wire import Initializer, initializers

Weights = Mapping[str, np.ndarray]
# Where float32 weights in place of those in 8 bits begin, so that a system can map each of them.
PAGE = 4096


@dataclass(frozen=True)
class StoredWeight:
    """Where a weight lies: its values from byte `offset` of `file`, in C order and little endian."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    file: Path
    offset: int

    @property
    def nbytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape)

    def read(self) -> np.ndarray:
        """A copy of its values. ModelFileError if the file is missing or cut short."""
        try:
            size = self.file.stat().st_size
            if self.offset + self.nbytes > size:
                raise ModelFileError(f"{self.file.name} ends before its weight {self.name!r} does", received=f"{size} bytes",
                                     expected=f"{self.offset + self.nbytes} bytes or more")
            stored = np.fromfile(self.file, self.dtype.newbyteorder("<"), math.prod(self.shape), offset=self.offset)
            return stored.reshape(self.shape).astype(self.dtype)
        except (OSError, ValueError) as error:  # the latter for a name that no file can have
            raise ModelFileError(f"the weights of {self.name!r} cannot be read", received=str(error)) from error


@dataclass(frozen=True)
class Int8Weight:
    """A weight in 8 bits with its scales, by the name of the float32 tensor that the model makes of it."""

    node: Dequantization
    values: StoredWeight
    scales: StoredWeight

    dtype: ClassVar[np.dtype] = np.dtype(np.float32)

    @property
    def name(self) -> str:
        return self.node.output

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def file(self) -> Path:
        return self.values.file

    @property
    def nbytes(self) -> int:
        """As float32."""
        return self.dtype.itemsize * math.prod(self.shape)

    def read(self) -> np.ndarray:
        """Its values as float32. ModelFileError as `StoredWeight.read`, or where the scales do not fit."""
        try:
            return dequantized(self.values.read(), self.scales.read(), self.node.axis, self.node.block)
        except (ValueError, IndexError) as error:
            raise ModelFileError(f"the weights of {self.name!r} cannot be read", received=str(error)) from error


class ModelWeights:
    """The weights of one ONNX file that can be replaced, by name. ModelFileError for a file that is none.

    stored : not those whose values are encoded one by one, or are of a type that NumPy lacks. Of one in 8 bits neither its values nor
        its scales can be replaced, but the whole
    """

    def __init__(self, model: Path) -> None:
        self.model = model
        try:
            with model.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                found, nodes = list(initializers(data)), list(dequantizations(data))
        except (OSError, ValueError) as error:  # the latter of an empty file
            raise ModelFileError(f"{model.name} cannot be read", received=str(error)) from error
        placed = (self._place(each) for each in found)
        self.stored: dict[str, StoredWeight | Int8Weight] = {weight.name: weight for weight in placed if weight is not None}
        for node in nodes:
            values, scales = self.stored.get(node.values), self.stored.get(node.scales)
            if isinstance(values, StoredWeight) and isinstance(scales, StoredWeight) and values.dtype == np.int8 \
                    and scales.dtype == np.float32:
                self.stored[node.output] = Int8Weight(node, values, scales)
                del self.stored[node.values], self.stored[node.scales]

    def check(self, weights: Weights) -> None:
        """TensorError unless each of `weights` is a weight of the file, of the same dtype and shape."""
        for name, value in weights.items():
            stored = self.stored.get(name)
            if stored is None:
                raise TensorError(f"{self.model.name} has no weight {name!r} that can be replaced")
            if (value.dtype, value.shape) != (stored.dtype, stored.shape):
                raise TensorError(f"weight {name!r} of {self.model.name}", received=f"{value.dtype} {value.shape}",
                                  expected=f"{stored.dtype} {stored.shape}")

    @property
    def in_8_bits(self) -> list[str]:
        """The names of those that are stored in 8 bits."""
        return [name for name, weight in self.stored.items() if isinstance(weight, Int8Weight)]

    def beside(self, weights: Weights) -> dict[str, np.ndarray]:
        """Those of `weights` whose place is in a file beside the model that `graph` makes."""
        return {name: value for name, value in weights.items() if not self._is_inside(name)}

    def graph(self, weights: Weights) -> bytes:
        """The bytes of the model file with those of `weights` that lie in it. TensorError as `check`."""
        self.check(weights)
        return self._graph(weights, self._places(weights.keys()))

    def write(self, weights: Weights, folder: Path, *, widen: bool = False) -> Path:
        """A copy of the model and of what lies beside it in `folder`, with `weights` in their place. TensorError as `check`.

        widen : whether the other weights in 8 bits become float32 as well
        """
        self.check(weights)
        copy, places = folder / self.model.name, self._places([*weights, *(self.in_8_bits if widen else ())])
        copy.write_bytes(self._graph(weights, places))
        for file in {stored.file for stored in self.stored.values()} - {self.model}:
            shutil.copyfile(file, folder / file.name)
        for name, value in self.beside(weights).items():
            stored = self.stored[name]
            if isinstance(stored, StoredWeight):
                _write_at(folder / stored.file.name, stored.offset, value)
        for name, offset in places.items():
            _write_at(folder / self._file_beside, offset, weights[name] if name in weights else self.stored[name].read())
        return copy

    def _is_inside(self, name: str) -> bool:
        stored = self.stored[name]
        return isinstance(stored, StoredWeight) and stored.file == self.model

    @property
    def _file_beside(self) -> str:
        return f"{self.model.name}.data"

    def _places(self, names: Iterable[str]) -> dict[str, int]:
        """Where in the file beside the model those of the weights that are in 8 bits begin as float32: behind what it holds."""
        file = self.model.with_name(self._file_beside)
        places, end = {}, file.stat().st_size if file.is_file() else 0
        for name in dict.fromkeys(names):
            if isinstance(self.stored[name], Int8Weight):
                places[name] = -(-end // PAGE) * PAGE
                end = places[name] + self.stored[name].nbytes
        return places

    def _graph(self, weights: Weights, places: Mapping[str, int]) -> bytes:
        data = bytearray(self.model.read_bytes())
        for name, value in weights.items():
            stored = self.stored[name]
            if isinstance(stored, StoredWeight) and self._is_inside(name):
                data[stored.offset:stored.offset + stored.nbytes] = _bytes(value)
        if not places:
            return bytes(data)
        nodes = {name: stored.node for name in places if isinstance(stored := self.stored[name], Int8Weight)}
        shaped = {name: (self.stored[name].shape, offset) for name, offset in places.items()}
        return with_plain_weights(data, nodes, shaped, self._file_beside)

    def _place(self, found: Initializer) -> StoredWeight | None:
        if found.dtype is None:
            return None
        dtype = np.dtype(found.dtype)
        if found.raw is not None:
            weight = StoredWeight(found.name, dtype, found.shape, self.model, found.raw[0])
            return weight if weight.nbytes == found.raw[1] else None
        location = found.beside.get("location", "")
        if not location or Path(location).name != location:  # a file beside the model, never one elsewhere
            return None
        return StoredWeight(found.name, dtype, found.shape, self.model.with_name(location), _offset(found))


def file_bytes(model: Path) -> int:
    """Of a model file and of its weights in `MODEL.data`, where there are any."""
    return sum(path.stat().st_size for path in (model, model.with_name(f"{model.name}.data")) if path.is_file())


def weights_hash(weights: Weights) -> str:
    """Hexadecimal SHA-256 of names, dtypes, shapes and values, in any order."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(f"{name}\0{value.dtype}{value.shape}".encode())
        digest.update(_bytes(value))
    return digest.hexdigest()


def _offset(found: Initializer) -> int:
    offset = found.beside.get("offset", "0")
    if not (offset.isascii() and offset.isdigit()):
        raise ModelFileError(f"the place of weight {found.name!r} is not a number", received=repr(offset))
    return int(offset)


def _write_at(file: Path, offset: int, value: np.ndarray) -> None:
    with file.open("r+b" if file.exists() else "w+b") as stream:
        stream.seek(offset)
        stream.write(_bytes(value))


def _bytes(value: np.ndarray) -> memoryview:
    little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data
