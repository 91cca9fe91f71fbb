"""What a glTF file's binary chunk holds: buffer views, and accessors into them (Khronos specification 2.0, section 3.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

BYTE, SHORT, USHORT, UINT, FLOAT = 5120, 5122, 5123, 5125, 5126  # component types
VERTICES, INDICES = 34962, 34963  # buffer view targets
MAX_SHORT_INDEX = 65534  # 65535 restarts a primitive
DTYPES = {FLOAT: "<f4", USHORT: "<u2", UINT: "<u4"}


@dataclass(frozen=True, eq=False)
class Column:
    """An attribute of vertices. values : (n, k) in the type of `component`; kind : "VEC2", "VEC3" or "VEC4" """

    values: np.ndarray
    component: int
    kind: str
    bounds: bool = False
    normalized: bool = False


class Buffers:
    """Collects buffer views and accessors."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []
        self._length = 0

    def primitive(self, columns: dict[str, Column], faces: np.ndarray) -> dict[str, Any]:
        """Attributes and indices as they are. faces : (m, 3)"""
        attributes = {name: self.accessor(column, self.view(column.values.tobytes(), VERTICES)) for name, column in columns.items()}
        indices, component = short_indices(faces, len(columns["POSITION"].values))
        entry = {"bufferView": self.view(indices.tobytes(), INDICES), "componentType": component, "count": len(indices), "type": "SCALAR"}
        return {"attributes": attributes, "indices": self.add(entry)}

    def accessor(self, column: Column, view: int | None) -> int:
        """Add an accessor of a column, whose bytes are in `view`, and return its index."""
        entry: dict[str, Any] = {} if view is None else {"bufferView": view}
        entry |= {"componentType": column.component, "count": len(column.values), "type": column.kind}
        if column.bounds:
            entry["min"], entry["max"] = column.values.min(axis=0).tolist(), column.values.max(axis=0).tolist()
        if column.normalized:
            entry["normalized"] = True
        return self.add(entry)

    def add(self, accessor: dict[str, Any]) -> int:
        """Add an accessor and return its index."""
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def view(self, data: bytes, target: int | None = None) -> int:
        """Add bytes, aligned to four, and return their buffer view's index."""
        view: dict[str, Any] = {"buffer": 0, **self.append(data)}
        if target is not None:
            view["target"] = target
        self.views.append(view)
        return len(self.views) - 1

    def append(self, data: bytes) -> dict[str, int]:
        """Add bytes, aligned to four: where they lie."""
        place = {"byteOffset": self._length, "byteLength": len(data)}
        self.chunks.append(data + bytes(-len(data) % 4))
        self._length += len(self.chunks[-1])
        return place

    @property
    def length(self) -> int:
        """Bytes of the chunk so far."""
        return self._length


def column(values: np.ndarray, component: int, kind: str, *, bounds: bool = False, normalized: bool = False) -> Column:
    """A column, its values in the type of the component."""
    return Column(np.ascontiguousarray(values, DTYPES[component]), component, kind, bounds, normalized)


def short_indices(faces: np.ndarray, vertices: int) -> tuple[np.ndarray, int]:
    """Faces (m, 3) of so many vertices as (3 m,) indices, short ones where they suffice, and their component type."""
    component = USHORT if vertices - 1 <= MAX_SHORT_INDEX else UINT
    return np.ascontiguousarray(faces.ravel(), DTYPES[component]), component
