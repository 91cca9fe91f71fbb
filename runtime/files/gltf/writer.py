"""glTF 2.0 binary files: one mesh, one unlit-ready PBR material, the texture inside.

Follows the Khronos specification 2.0, sections 3.4 (axes and units), 3.6 (buffers), 3.7 (geometry),
3.9 (materials) and 4.4 (GLB). The same mesh and extras give the same bytes.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from ....engines.errors import OutputError
from ...geometry.creases import never_zero
from ...geometry.mesh import Mesh, normalized
from ...geometry.shading import to_linear
from ..scene.surfaces import GENERATOR

ROUGHNESS = 0.9  # props are mostly wood, paint and stone; metal is never guessed

FLOAT, USHORT, UINT = 5126, 5123, 5125  # component types
VERTICES, INDICES = 34962, 34963  # buffer view targets
LINEAR, MIPMAPS, CLAMP = 9729, 9987, 33071  # sampler settings
FAR = 1e3  # sizes of the mesh
MAX_SHORT_INDEX = 65534  # 65535 restarts a primitive


def glb_bytes(
    mesh: Mesh, extras: Mapping[str, Any] | None = None, *, metres_per_unit: float = 1.0, name: str = "mesh",
) -> bytes:
    """The whole file. World axes (z up, front +x) become glTF's (+Y up, front +Z), units become metres.

    A mesh with `uvs` and `texture` gets a baseColor texture (PNG), one with `colors` gets vertex colours, one
    with neither is white. Normals are the mesh's, or computed.

    extras : what goes into `asset.extras`; plain JSON values, no NaN
    Raises OutputError for a mesh without faces, with positions that are not finite, or bad extras.
    """
    mesh = _checked(mesh)
    document, chunks = _Builder(mesh, metres_per_unit, name).build()
    if extras is not None:
        document["asset"]["extras"] = dict(extras)
    try:
        text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise OutputError(subject="extras", received=str(error), expected="plain JSON values",
                          remedy="pass strings, finite numbers, lists and dicts") from error
    return _container(text.encode("ascii"), b"".join(chunks))


def to_gltf_axes(vectors: np.ndarray) -> np.ndarray:
    """(n, 3): world (x, y, z) as glTF's (y, z, x): up z -> +Y, front +x -> +Z; a rotation, no mirror."""
    return vectors[:, [1, 2, 0]]


def png_bytes(texture: np.ndarray) -> bytes:
    """A PNG file of (h, w, 3) uint8 sRGB, (h, w, 4) with alpha, or (h, w) grey."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(texture)).save(out, "PNG", compress_level=6)
    return out.getvalue()


class _Builder:
    """Collects buffer views and accessors, and writes the document around them."""

    def __init__(self, mesh: Mesh, metres_per_unit: float, name: str) -> None:
        self.mesh, self.scale, self.name = mesh, metres_per_unit, name
        self.chunks: list[bytes] = []
        self.views: list[dict] = []
        self.accessors: list[dict] = []

    def build(self) -> tuple[dict, list[bytes]]:
        """The JSON document and the binary chunks it points into."""
        mesh = self.mesh
        assert mesh.normals is not None  # `_checked` makes them
        positions = to_gltf_axes(mesh.vertices) * mesh.vertices.dtype.type(self.scale)
        self.origin = _far_middle(positions)
        attributes = {"POSITION": self.accessor(positions - self.origin, FLOAT, "VEC3", bounds=True),
                      "NORMAL": self.accessor(to_gltf_axes(mesh.normals), FLOAT, "VEC3")}
        texture = None
        if mesh.uvs is not None and mesh.texture is not None:
            texture = mesh.texture
            attributes["TEXCOORD_0"] = self.accessor(mesh.uvs, FLOAT, "VEC2")
        if mesh.colors is not None:
            attributes["COLOR_0"] = self.accessor(linear_rgba(mesh.colors), USHORT, "VEC4", normalized=True)
        indices = self.indices()
        primitive = {"attributes": attributes, "indices": indices, "material": 0}
        image = None if texture is None else self.view(png_bytes(texture))
        return self.document(primitive, image), self.chunks

    def document(self, primitive: dict, image: int | None) -> dict:
        """Everything but the extras."""
        surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": ROUGHNESS}
        document = {
            "asset": {"version": "2.0", "generator": GENERATOR},
            "scene": 0, "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0, "name": self.name, **({"translation": self.origin.tolist()} if self.origin.any() else {})}],
            "meshes": [{"primitives": [primitive], "name": self.name}],
            "materials": [{"pbrMetallicRoughness": surface, "name": self.name}],
            "accessors": self.accessors, "bufferViews": self.views,
            "buffers": [{"byteLength": sum(map(len, self.chunks))}],
        }
        if image is not None:
            surface["baseColorTexture"] = {"index": 0}
            document["textures"] = [{"source": 0, "sampler": 0}]
            document["images"] = [{"bufferView": image, "mimeType": "image/png", "name": "baseColor"}]
            document["samplers"] = [{"magFilter": LINEAR, "minFilter": MIPMAPS, "wrapS": CLAMP, "wrapT": CLAMP}]
        return document

    def indices(self) -> int:
        """The accessor of the faces, with short indices where they suffice."""
        short = len(self.mesh.vertices) - 1 <= MAX_SHORT_INDEX
        flat = self.mesh.faces.ravel()
        return self.accessor(flat, USHORT if short else UINT, "SCALAR", target=INDICES)

    def accessor(
        self, values: np.ndarray, component: int, kind: str, *, target: int = VERTICES, bounds: bool = False,
        normalized: bool = False,
    ) -> int:
        """Add an array and return its accessor's index."""
        dtype = {FLOAT: "<f4", USHORT: "<u2", UINT: "<u4"}[component]
        values = np.ascontiguousarray(values, dtype)
        entry = {"bufferView": self.view(values.tobytes(), target), "componentType": component,
                 "count": len(values), "type": kind}
        if bounds:
            entry["min"], entry["max"] = values.min(axis=0).tolist(), values.max(axis=0).tolist()
        if normalized:
            entry["normalized"] = True
        self.accessors.append(entry)
        return len(self.accessors) - 1

    def view(self, data: bytes, target: int | None = None) -> int:
        """Add bytes, aligned to four, and return their buffer view's index."""
        view = {"buffer": 0, "byteOffset": sum(map(len, self.chunks)), "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self.chunks.append(data + bytes(-len(data) % 4))
        self.views.append(view)
        return len(self.views) - 1


def linear_rgba(colors: np.ndarray) -> np.ndarray:
    """(n, 4) uint16: sRGB uint8 (n, 3) as glTF wants vertex colours, linear light, with alpha 1.

    Sixteen bits, because eight would lose the dark tones; four channels, to keep rows aligned to four bytes.
    """
    linear = to_linear(colors.astype(np.float64) / 255)
    opaque = np.concatenate([linear, np.ones((len(colors), 1))], axis=1)
    return np.rint(opaque * 65535).astype(np.uint16)


def _far_middle(positions: np.ndarray) -> np.ndarray:
    """(3,): the middle of positions (n, 3) that lie so far out that float32 would spoil their shape; else zeros.

    The file keeps positions from there, and the node puts them in their place.
    """
    low, high = positions.min(axis=0), positions.max(axis=0)
    is_far = np.abs(positions).max() > FAR * (high - low).max()
    return (low + high) / 2 if is_far else np.zeros(3, positions.dtype)


def _checked(mesh: Mesh) -> Mesh:
    """The mesh ready to be written: no stray vertices, unit normals."""
    mesh = mesh.compacted()
    if len(mesh.faces) == 0 or not np.isfinite(mesh.vertices).all():
        fault = "positions that are not finite" if len(mesh.faces) else "no faces"
        raise OutputError(
            subject="mesh", received=fault,
            expected="at least one face and finite positions", remedy="try another seed or prompt")
    normals = mesh.vertex_normals() if mesh.normals is None else mesh.normals
    return mesh.replace(normals=never_zero(normalized(normals)).astype(np.float32))


def _container(text: bytes, binary: bytes) -> bytes:
    """Header, JSON chunk padded with spaces, binary chunk padded with zeros."""
    text += b" " * (-len(text) % 4)
    binary += bytes(-len(binary) % 4)
    total = 12 + 8 + len(text) + 8 + len(binary)
    return b"".join([
        struct.pack("<4sII", b"glTF", 2, total),
        struct.pack("<I4s", len(text), b"JSON"), text,
        struct.pack("<I4s", len(binary), b"BIN\0"), binary,
    ])
