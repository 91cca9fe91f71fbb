"""Typed arrays of a glTF file (Khronos specification 2.0, section 3.6.2). Offsets and counts are checked before anything is read."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..scene.surfaces import MAX_FACES
from .document import Document

DTYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
Rows = slice | np.ndarray
ALL = slice(None)


class Accessors:
    """Reads accessors. Arrays are views of the file's bytes, so that those who share a long list need not copy all of it.

    decompressed : (n, k) each, by number: what stands in the place of accessors that have no bytes of their own
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.decompressed: dict[int, np.ndarray] = {}

    def count(self, index: Any) -> int:
        """How many elements an accessor has. ValueError for more than are read."""
        count = int(self.document.entry("accessors", index)["count"])
        if not 0 <= count <= 3 * MAX_FACES:
            raise ValueError(f"an accessor of {count} elements")
        return count

    def stored(self, index: Any) -> np.ndarray:
        """(n, k), read-only: an accessor as it is stored. ValueError if it does not lie within its buffer."""
        entry, count = self.document.entry("accessors", index), self.count(index)
        dtype, width = np.dtype(DTYPES[entry["componentType"]]), WIDTHS[entry["type"]]
        if index in self.decompressed:
            values = self.decompressed[index]
            if values.shape != (count, width):
                raise ValueError(f"an accessor of {count} elements has {len(values)}")
            return values.astype(dtype, copy=False)  # decoders give wider types than a file has
        values = np.broadcast_to(np.zeros(1, dtype), (count, width))
        if "bufferView" in entry:
            values = self._elements(entry, dtype, width, count)
        return self._replaced(values, entry["sparse"]) if "sparse" in entry else values

    def floats(self, index: Any, rows: Rows = ALL) -> np.ndarray:
        """(n, k) float32: rows of an accessor, whole numbers brought to [0, 1] or [-1, 1] where it says so."""
        values = self.stored(index)[rows]
        if values.dtype.kind == "f" or not self.document.entry("accessors", index).get("normalized", False):
            return values.astype(np.float32)
        return np.maximum(values.astype(np.float32) / np.iinfo(values.dtype).max, -1)

    def whole(self, index: Any, rows: Rows = ALL) -> np.ndarray:
        """(n, k) int64: rows of an accessor of unsigned numbers."""
        values = self.stored(index)[rows]
        if values.dtype.kind != "u":
            raise ValueError("its indices are not integers")
        return values.astype(np.int64)

    def _replaced(self, values: np.ndarray, sparse: dict[str, Any]) -> np.ndarray:
        """A copy of `values` with the elements that a sparse accessor puts into the places of others."""
        count = int(sparse["count"])
        if not 0 <= count <= len(values):
            raise ValueError(f"a sparse accessor replaces {count} of {len(values)} elements")
        places = self._elements(sparse["indices"], np.dtype(DTYPES[sparse["indices"]["componentType"]]), 1, count)[:, 0]
        if places.dtype.kind != "u" or (count and places.max() >= len(values)):
            raise ValueError("a sparse accessor replaces nonexistent elements")
        replaced = values.copy()
        replaced[places] = self._elements(sparse["values"], values.dtype, values.shape[1], count)
        return replaced

    def _elements(self, entry: dict[str, Any], dtype: np.dtype, width: int, count: int) -> np.ndarray:
        data, stride = self.document.view(entry["bufferView"])
        offset, size = int(entry.get("byteOffset", 0)), dtype.itemsize * width
        stride = stride or size
        if offset < 0 or stride < size or (count and offset + stride * (count - 1) + size > len(data)):
            raise ValueError("an accessor reaches beyond its buffer")
        if not count:
            return np.zeros((0, width), dtype)
        return np.ndarray((count, width), dtype, data, offset, (stride, dtype.itemsize))
