"""The weights of a model file, by name: read, and replaced by others of the same dtype and shape.

A replacement has as many bytes as what it replaces, so it takes its place in the file and nothing else moves. What runs
a model with other weights reads such a copy, and the file that it was made from stays as it is.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ModelFileError, TensorError
from .onnx_wire import Initializer, initializers

Weights = Mapping[str, np.ndarray]


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


class ModelWeights:
    """The weights of one ONNX file that can be replaced, by name. ModelFileError for a file that is none.

    Not those whose values are encoded one by one, or are of a type that NumPy lacks.
    """

    def __init__(self, model: Path) -> None:
        self.model = model
        try:
            with model.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                found = list(initializers(data))
        except (OSError, ValueError) as error:  # the latter of an empty file
            raise ModelFileError(f"{model.name} cannot be read", received=str(error)) from error
        placed = (self._place(each) for each in found)
        self.stored = {weight.name: weight for weight in placed if weight is not None}

    def check(self, weights: Weights) -> None:
        """TensorError unless each of `weights` is a weight of the file, of the same dtype and shape."""
        for name, value in weights.items():
            stored = self.stored.get(name)
            if stored is None:
                raise TensorError(f"{self.model.name} has no weight {name!r} that can be replaced")
            if (value.dtype, value.shape) != (stored.dtype, stored.shape):
                raise TensorError(f"weight {name!r} of {self.model.name}", received=f"{value.dtype} {value.shape}",
                                  expected=f"{stored.dtype} {stored.shape}")

    def inside(self, weights: Weights) -> dict[str, np.ndarray]:
        """Those of `weights` whose place is in the model file itself."""
        return {name: value for name, value in weights.items() if self.stored[name].file == self.model}

    def beside(self, weights: Weights) -> dict[str, np.ndarray]:
        """Those of `weights` whose place is in a file beside it."""
        return {name: value for name, value in weights.items() if self.stored[name].file != self.model}

    def graph(self, weights: Weights) -> bytes:
        """The bytes of the model file with those of `weights` that lie in it. TensorError as `check`."""
        self.check(weights)
        data = bytearray(self.model.read_bytes())
        for name, value in self.inside(weights).items():
            stored = self.stored[name]
            data[stored.offset:stored.offset + stored.nbytes] = _bytes(value)
        return bytes(data)

    def write(self, weights: Weights, folder: Path) -> Path:
        """A copy of the model and of what lies beside it in `folder`, with `weights` in their place. TensorError as `check`."""
        copy = folder / self.model.name
        copy.write_bytes(self.graph(weights))
        for file in {stored.file for stored in self.stored.values()} - {self.model}:
            shutil.copyfile(file, folder / file.name)
        for name, value in self.beside(weights).items():
            stored = self.stored[name]
            with (folder / stored.file.name).open("r+b") as stream:
                stream.seek(stored.offset)
                stream.write(_bytes(value))
        return copy

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
        raise ModelFileError(f"the place of weight {found.name!r} is no number", received=repr(offset))
    return int(offset)


def _bytes(value: np.ndarray) -> memoryview:
    little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data
