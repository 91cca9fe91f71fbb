"""Reads glTF 2.0 binary files (Khronos specification 2.0, sections 3.5 to 3.9 and 4.4) as parts of triangles.

Nothing in a file is believed: offsets are checked by numpy's own bounds, and whatever is wrong is a ValueError, LookupError
or TypeError of the reader, which `reader.read_mesh` makes one message of.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...engines.errors import InputError
from ..pictures import picture_of
from .surfaces import MOST_FACES, WHITE, Material, Part, Scene, check_corners

DTYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
TRIANGLES, STRIP, FAN = 4, 5, 6
# Extensions that a file may require: what they change is understood here, or does not matter to colour and shape.
KNOWN = {"KHR_materials_unlit", "KHR_mesh_quantization", "EXT_texture_webp", "KHR_materials_emissive_strength"}
MOST_NODES = 100_000


def read_glb(data: bytes) -> Scene:
    """The scene that is shown, in glTF's axes."""
    document, binary = _chunks(data)
    unknown = [name for name in document.get("extensionsRequired", []) if name not in KNOWN]
    if unknown:
        raise InputError("the mesh needs an extension of glTF that is not read here", received=", ".join(map(str, unknown)),
                         expected="plain glTF 2.0", remedy="save it again without compression")
    file = _File(document, binary)
    parts, corners = [], 0
    for node, matrix in _placed(document):
        for primitive in document["meshes"][node["mesh"]]["primitives"] if "mesh" in node else ():
            part = file.part(primitive, matrix)
            if part is not None:
                corners += part.faces.size
                check_corners(corners)
                parts.append(part)
    return Scene(parts, str(document.get("asset", {}).get("generator", "")))


def _chunks(data: bytes) -> tuple[dict, bytes]:
    """The JSON document and the binary chunk."""
    if len(data) < 20 or data[:4] != b"glTF":
        raise ValueError("it does not begin as a GLB file does")
    version, total = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise ValueError(f"glTF of version {version}, not 2")
    if total > len(data):
        raise ValueError(f"the file ends early, {total} bytes were announced")
    found: dict[bytes, bytes] = {}
    offset = 12
    while offset + 8 <= total:
        length, kind = struct.unpack_from("<I4s", data, offset)
        if offset + 8 + length > total:
            raise ValueError("a chunk is longer than the file")
        found.setdefault(kind, data[offset + 8:offset + 8 + length])
        offset += 8 + length
    document = json.loads(found[b"JSON"].decode("utf-8"))
    if not isinstance(document, dict):
        raise ValueError("its JSON is no object")
    return document, found.get(b"BIN\0", b"")


def _placed(document: dict) -> Iterator[tuple[dict, np.ndarray]]:
    """The nodes of the scene that is shown, each with its matrix (4, 4) into the scene."""
    nodes, scenes = document.get("nodes", []), document.get("scenes", [])
    children = {child for node in nodes for child in node.get("children", [])}
    roots = scenes[document.get("scene", 0)].get("nodes", []) if scenes else [i for i in range(len(nodes)) if i not in children]
    waiting, met = [(int(i), np.eye(4)) for i in reversed(roots)], 0
    while waiting:
        index, above = waiting.pop()
        met += 1
        if met > min(len(nodes), MOST_NODES):  # a tree reaches each node once
            raise ValueError(f"its nodes are no tree, or more than {MOST_NODES}")
        node = nodes[index]
        matrix = above @ _matrix(node)
        yield node, np.eye(4) if "skin" in node else matrix
        waiting += [(int(child), matrix) for child in reversed(node.get("children", []))]


def _matrix(node: dict) -> np.ndarray:
    """(4, 4) float64: of the node into its parent."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = (float(each) for each in node.get("rotation", (0, 0, 0, 1)))
    turn = np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                     [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                     [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.array(node.get("scale", (1, 1, 1)), np.float64).reshape(3)
    matrix[:3, 3] = np.array(node.get("translation", (0, 0, 0)), np.float64).reshape(3)
    return matrix


class _File:
    """Reads accessors and materials; each picture is decoded once."""

    def __init__(self, document: dict, binary: bytes) -> None:
        self.document, self.binary = document, binary
        self._materials: dict[int, Material] = {}
        self._pictures: dict[int, np.ndarray] = {}

    def part(self, primitive: dict, matrix: np.ndarray) -> Part | None:
        """The triangles of a primitive in the scene's axes; None where there are none, as in points and lines."""
        mode = primitive.get("mode", TRIANGLES)
        if mode not in (TRIANGLES, STRIP, FAN):
            return None
        attributes = primitive["attributes"]
        positions = self.floats(attributes["POSITION"])[:, :3] @ matrix[:3, :3].T + matrix[:3, 3]
        order = self._indices(primitive["indices"]) if "indices" in primitive else np.arange(len(positions))
        faces = _triangles(order, mode)
        if not len(faces):
            return None
        if faces.max() >= len(positions):
            raise IndexError(f"a face asks for vertex {faces.max()} of {len(positions)}")
        if np.linalg.det(matrix[:3, :3]) < 0:  # a mirror turns the faces' fronts to the back
            faces = faces[:, ::-1]
        texcoord = self._material_entry(primitive).get("baseColorTexture", {}).get("texCoord", 0)
        part = Part(positions.astype(np.float32), np.ascontiguousarray(faces, np.int32), self.material(primitive),
                    self._normals(attributes, matrix, len(positions)), self._rows(attributes, f"TEXCOORD_{texcoord}", 2, len(positions)),
                    self._rows(attributes, "COLOR_0", 3, len(positions)))
        # Many primitives may share one long list of vertices, of which each needs few.
        return part if len(positions) <= faces.size else part.expanded()

    def material(self, primitive: dict) -> Material:
        """The primitive's base colour."""
        index = primitive.get("material")
        if index is None:
            return WHITE
        if index not in self._materials:
            entry = self._material_entry(primitive)
            color = np.array(entry.get("baseColorFactor", (1, 1, 1, 1)), np.float32).reshape(4)[:3].clip(0, 1)
            picture = self._picture(entry["baseColorTexture"]["index"]) if "baseColorTexture" in entry else None
            self._materials[index] = Material(color, picture)
        return self._materials[index]

    def floats(self, index: int) -> np.ndarray:
        """(n, k) float32: an accessor, whole numbers brought to [0, 1] or [-1, 1] where it says so."""
        values, entry = self.raw(index), self.document["accessors"][index]
        if values.dtype.kind == "f" or not entry.get("normalized", False):
            return values.astype(np.float32)
        return np.maximum(values.astype(np.float32) / np.iinfo(values.dtype).max, -1)

    def _indices(self, accessor: int) -> np.ndarray:
        values = self.raw(accessor)
        if values.dtype.kind != "u":
            raise ValueError("its indices are no whole numbers")
        return values[:, 0].astype(np.int64)

    def raw(self, index: int) -> np.ndarray:
        """(n, k): an accessor as it is stored. ValueError if it does not lie within its buffer."""
        entry = self.document["accessors"][index]
        if "sparse" in entry:
            raise ValueError("its accessors are sparse, which is not read here")
        dtype, width, count = np.dtype(DTYPES[entry["componentType"]]), WIDTHS[entry["type"]], int(entry["count"])
        if count < 0 or count > 3 * MOST_FACES:
            raise ValueError(f"an accessor of {count} elements")
        if "bufferView" not in entry:
            return np.zeros((count, width), dtype)
        data, stride = self._view(entry["bufferView"])
        offset, size = int(entry.get("byteOffset", 0)), dtype.itemsize * width
        stride = stride or size
        if offset < 0 or stride < size or (count and offset + stride * (count - 1) + size > len(data)):
            raise ValueError("an accessor reaches beyond its buffer")
        return np.ndarray((count, width), dtype, data, offset, (stride, dtype.itemsize)).copy()

    def _view(self, index: int) -> tuple[bytes, int]:
        """The bytes of a buffer view and its stride, 0 for none."""
        view = self.document["bufferViews"][index]
        if view.get("buffer", 0) != 0 or "uri" in self.document["buffers"][0]:
            raise ValueError("it keeps data outside of the file")
        offset, length = int(view.get("byteOffset", 0)), int(view["byteLength"])
        if offset < 0 or length < 0 or offset + length > len(self.binary):
            raise ValueError("a buffer view reaches beyond its buffer")
        return self.binary[offset:offset + length], int(view.get("byteStride", 0))

    def _rows(self, attributes: dict, name: str, width: int, count: int) -> np.ndarray | None:
        """(count, width) float32, or None if the primitive has none."""
        if name not in attributes:
            return None
        values = self.floats(attributes[name])[:, :width]
        if values.shape != (count, width):
            raise ValueError(f"{name} does not fit its positions")
        return values

    def _normals(self, attributes: dict, matrix: np.ndarray, count: int) -> np.ndarray | None:
        normals = self._rows(attributes, "NORMAL", 3, count)
        if normals is None or abs(np.linalg.det(matrix[:3, :3])) < 1e-30:
            return None
        return (normals @ np.linalg.inv(matrix[:3, :3])).astype(np.float32)

    def _material_entry(self, primitive: dict) -> dict[str, Any]:
        index = primitive.get("material")
        return {} if index is None else self.document["materials"][index].get("pbrMetallicRoughness", {})

    def _picture(self, texture: int) -> np.ndarray | None:
        """(h, w, 3) uint8 sRGB of a texture; None where its picture is not in the file."""
        entry = self.document["textures"][texture]
        source = entry.get("extensions", {}).get("EXT_texture_webp", entry).get("source")
        if source is None or "bufferView" not in self.document["images"][source]:
            return None
        if source not in self._pictures:
            data, _ = self._view(self.document["images"][source]["bufferView"])
            self._pictures[source] = np.ascontiguousarray(picture_of(data, f"picture {source} of the mesh").pixels[..., :3])
        return self._pictures[source]


def _triangles(order: np.ndarray, mode: int) -> np.ndarray:
    """(m, 3) int64: the faces that a list of vertices stands for."""
    if mode == TRIANGLES:
        return order[:len(order) // 3 * 3].reshape(-1, 3)
    if len(order) < 3:
        return np.zeros((0, 3), np.int64)
    if mode == FAN:
        return np.stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]], axis=1)
    faces = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    faces[1::2] = faces[1::2, ::-1]
    return faces
