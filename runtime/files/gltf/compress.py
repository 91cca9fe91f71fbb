"""Buffers whose geometry is compressed, by meshoptimizer (EXT_meshopt_compression) or by Draco (KHR_draco_mesh_compression).

Both lose a little: positions keep about a 30,000th of the longest side, texture coordinates a 16,000th of the texture, directions a tenth
of a degree or so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .buffers import FLOAT, INDICES, SHORT, VERTICES, Buffers, Column, short_indices
from .encoding import GEOMETRY_EXTENSIONS

MESHOPT, QUANTIZATION = GEOMETRY_EXTENSIONS["meshopt"]
DRACO = GEOMETRY_EXTENSIONS["draco"][0]
POSITION_BITS, UV_BITS, DIRECTION_BITS = 16, 15, 12
DRACO_LEVEL = 7  # of 10; what is above takes longer for little
# The numbers in Draco's data of attributes that it has no kind for.
GENERIC = {"TANGENT": 20, "COLOR_0": 21}


class PlainBuffers(Buffers):
    """Nothing is compressed."""

    extensions: frozenset[str] = frozenset()

    def entries(self) -> list[dict[str, Any]]:
        """The `buffers` of the document."""
        return [{"byteLength": self.length}]


class MeshoptBuffers(PlainBuffers):
    """Each buffer view of geometry is compressed; a second buffer, which has no bytes, stands for what they are uncompressed."""

    extensions = frozenset(GEOMETRY_EXTENSIONS["meshopt"])

    def __init__(self) -> None:
        super().__init__()
        self._uncompressed = 0

    def entries(self) -> list[dict[str, Any]]:
        """The `buffers` of the document."""
        return [*super().entries(), {"byteLength": self._uncompressed, "extensions": {MESHOPT: {"fallback": True}}}]

    def primitive(self, columns: dict[str, Column], faces: np.ndarray) -> dict[str, Any]:
        """As of `Buffers`, in the order that compresses best."""
        import meshopt

        indices, places, count = meshopt.reorder_mesh(np.ascontiguousarray(faces, np.uint32), True, True)
        order = np.argsort(places, kind="stable")[:count]
        attributes = {name: self._attribute(name, replace(column, values=column.values[order])) for name, column in columns.items()}
        indices, component = short_indices(indices, count)
        view = self._compressed(indices, meshopt.encode_gltf_buffer(indices, "TRIANGLES"), indices.itemsize, INDICES, mode="TRIANGLES")
        entry = {"bufferView": view, "componentType": component, "count": len(indices), "type": "SCALAR"}
        return {"attributes": attributes, "indices": self.add(entry)}

    def _attribute(self, name: str, column: Column) -> int:
        import meshopt

        more: dict[str, str] = {}
        rows = column.values
        if name in ("POSITION", "TEXCOORD_0"):
            bits = POSITION_BITS if name == "POSITION" else UV_BITS
            rows, more = meshopt.encode_filter_exp(rows, bits, "SharedComponent"), {"filter": "EXPONENTIAL"}
        elif column.component == FLOAT:
            padded = np.zeros((len(rows), 4), np.float32)
            padded[:, :rows.shape[1]] = rows
            rows, more = meshopt.encode_filter_oct(padded, 8, DIRECTION_BITS), {"filter": "OCTAHEDRAL"}
            column = replace(column, component=SHORT, normalized=True)
        data = meshopt.encode_gltf_buffer(rows, "ATTRIBUTES")
        size = rows.nbytes // len(rows)
        if column.bounds:
            decoded = meshopt.decode_gltf_buffer(data, len(rows), size, "ATTRIBUTES", more["filter"])
            column = replace(column, values=decoded.view(np.float32))
        return self.accessor(column, self._compressed(rows, data, size, VERTICES, mode="ATTRIBUTES", **more))

    def _compressed(self, rows: np.ndarray, data: bytes, size: int, target: int, **more: str) -> int:
        """Add a view of rows of `size` bytes, which `data` stands for, and return its index."""
        stride = {"byteStride": size} if target == VERTICES else {}
        said = {"buffer": 0, **self.append(data), "byteStride": size, "count": len(rows), **more}
        self.views.append({"buffer": 1, "byteOffset": self._uncompressed, "byteLength": rows.nbytes, **stride, "target": target,
                           "extensions": {MESHOPT: said}})
        self._uncompressed += rows.nbytes + -rows.nbytes % 4
        return len(self.views) - 1


class DracoBuffers(PlainBuffers):
    """Each primitive is one piece of Draco's data; its accessors have no bytes of their own."""

    extensions = frozenset(GEOMETRY_EXTENSIONS["draco"])

    def primitive(self, columns: dict[str, Column], faces: np.ndarray) -> dict[str, Any]:
        """As of `Buffers`; Draco gives vertices and faces an order of its own."""
        import DracoPy

        values = {name: column.values for name, column in columns.items()}
        doubles = {name: value.astype(np.float64) for name, value in values.items() if name in ("NORMAL", "TEXCOORD_0")}  # as it wants them
        more = {"tex_coord": doubles["TEXCOORD_0"], "tex_coord_quantization_bits": UV_BITS - 1} if "TEXCOORD_0" in values else {}
        data = bytes(DracoPy.encode(
            values["POSITION"], np.ascontiguousarray(faces, np.uint32), quantization_bits=POSITION_BITS - 1,
            compression_level=DRACO_LEVEL, normals=doubles["NORMAL"], normal_quantization_bits=DIRECTION_BITS,
            generic_attributes={number: values[name] for name, number in GENERIC.items() if name in values} or None, **more))
        made = DracoPy.decode(data)
        kinds = {0: "POSITION", 1: "NORMAL", 3: "TEXCOORD_0"}
        numbers = {kinds[each["attribute_type"]]: each["unique_id"] for each in made.attributes if each["attribute_type"] in kinds}
        numbers |= {name: number for name, number in GENERIC.items() if name in columns}
        count, corners = len(made.points), len(made.faces) * 3
        attributes = {}
        for name, column in columns.items():
            decoded = np.asarray(made.points, np.float32) if column.bounds else np.broadcast_to(column.values[:1], (
                count, column.values.shape[1]))
            attributes[name] = self.accessor(replace(column, values=decoded), None)
        _, component = short_indices(np.zeros((0, 3)), count)
        indices = self.add({"componentType": component, "count": corners, "type": "SCALAR"})
        said = {"bufferView": self.view(data), "attributes": numbers}
        return {"attributes": attributes, "indices": indices, "extensions": {DRACO: said}}


def new_buffers(geometry: str) -> PlainBuffers:
    """Empty ones. geometry : one of `encoding.GEOMETRIES`"""
    return {"none": PlainBuffers, "meshopt": MeshoptBuffers, "draco": DracoBuffers}[geometry]()
