"""glTF 2.0 binary files: one mesh or several, each with a PBR material, the textures inside.

Follows the Khronos specification 2.0, sections 3.4 (axes and units), 3.6 (buffers), 3.7 (geometry),
3.9 (materials) and 4.4 (GLB). The same mesh and extras give the same bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ....engines.errors import OutputError
from ...geometry.creases import never_zero
from ...geometry.mesh import Mesh, normalized
from ...geometry.shading import to_linear
from ..scene import GENERATOR
from .buffers import FLOAT, USHORT, column
from .compress import new_buffers
from .encoding import PLAIN, TEXTURE_EXTENSIONS, Encoding, color_bytes, png_bytes

ROUGHNESS = 0.9  # props are mostly wood, paint and stone; metal is never guessed

LINEAR, MIPMAPS, CLAMP, REPEAT = 9729, 9987, 33071, 10497  # sampler settings
FAR = 1e3  # sizes of the mesh


@dataclass(frozen=True, eq=False)
class Model:
    """A mesh of a file, and what its material has besides the colours.

    normal_map : (h, w, 3) uint8, tangent space, Y+ as glTF has it; needs uvs and tangents
    tangents : (n, 4) float32, world axes, w the sign of the bitangent (MikkTSpace)
    occlusion : (h, w) uint8, 255 where all light of the surroundings comes in; needs uvs
    plain : without a material, as collision shapes are
    """

    name: str
    mesh: Mesh
    normal_map: np.ndarray | None = None
    tangents: np.ndarray | None = None
    occlusion: np.ndarray | None = None
    plain: bool = False


def glb_bytes(
    mesh: Mesh, extras: Mapping[str, object] | None = None, *, metres_per_unit: float = 1.0, name: str = "mesh",
) -> bytes:
    """The whole file. World axes (z up, front +x) become glTF's (+Y up, front +Z), units become metres.

    A mesh with `uvs` and `texture` gets a baseColor texture (PNG), one with `colors` gets vertex colours, one
    with neither is white. Normals are the mesh's, or computed.

    extras : what goes into `asset.extras`; plain JSON values, no NaN
    Raises OutputError for a mesh without faces, with positions that are not finite, or bad extras.
    """
    return models_bytes([Model(name, mesh)], extras, metres_per_unit=metres_per_unit)


def models_bytes(
    models: Sequence[Model], extras: Mapping[str, object] | None = None, *, metres_per_unit: float = 1.0, group: str | None = None,
    encoding: Encoding = PLAIN,
) -> bytes:
    """As `glb_bytes`, with a node for each model.

    group : name of a node above them; None puts them into the scene itself
    encoding : of colours and geometry. BackendUnavailable where its package is not installed
    """
    document, chunks = _Builder(metres_per_unit, encoding).build([replace(model, mesh=_checked(model.mesh)) for model in models], group)
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


class _Builder:
    """Collects buffers and materials, and writes the document around them."""

    def __init__(self, metres_per_unit: float, encoding: Encoding) -> None:
        self.scale, self.encoding = metres_per_unit, encoding
        self.buffers = new_buffers(encoding.geometry)
        self.materials: list[dict] = []
        self.images: list[dict] = []
        self.textures: list[dict] = []
        self.extensions: set[str] = set()

    def build(self, models: Sequence[Model], group: str | None) -> tuple[dict, list[bytes]]:
        """The JSON document, but for the extras, and the binary chunks it points into."""
        nodes: list[dict[str, Any]] = []
        meshes = [{"primitives": [self.primitive(model, nodes)], "name": model.name} for model in models]
        roots = list(range(len(nodes)))
        if group is not None:
            nodes.append({"name": group, "children": roots})
            roots = [len(nodes) - 1]
        document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": GENERATOR}, "scene": 0, "scenes": [{"nodes": roots}],
            "nodes": nodes, "meshes": meshes, "accessors": self.buffers.accessors, "bufferViews": self.buffers.views,
            "buffers": self.buffers.entries(),
        }
        extensions = sorted(self.extensions | self.buffers.extensions)
        if extensions:
            document["extensionsUsed"] = document["extensionsRequired"] = extensions
        if self.materials:
            document["materials"] = self.materials
        if self.images:
            document["textures"] = self.textures
            document["images"] = self.images
            # Coordinates beyond the texture are a user's own, of a texture that repeats.
            beyond = any(model.mesh.uvs is not None and not ((model.mesh.uvs >= 0) & (model.mesh.uvs <= 1)).all() for model in models)
            wrap = REPEAT if beyond else CLAMP
            document["samplers"] = [{"magFilter": LINEAR, "minFilter": MIPMAPS, "wrapS": wrap, "wrapT": wrap}]
        return document, self.buffers.chunks

    def primitive(self, model: Model, nodes: list[dict[str, Any]]) -> dict[str, Any]:
        """The primitive of a model, whose node is added to `nodes`."""
        mesh = model.mesh
        assert mesh.normals is not None  # `_checked` makes them
        positions = to_gltf_axes(mesh.vertices) * mesh.vertices.dtype.type(self.scale)
        origin = _far_middle(positions)
        place = {"translation": origin.tolist()} if origin.any() else {}
        nodes.append({"mesh": len(nodes), "name": model.name, **place})
        columns = {"POSITION": column(positions - origin, FLOAT, "VEC3", bounds=True),
                   "NORMAL": column(to_gltf_axes(mesh.normals), FLOAT, "VEC3")}
        if model.tangents is not None and model.normal_map is not None:
            turned = np.concatenate([to_gltf_axes(model.tangents[:, :3]), model.tangents[:, 3:]], axis=1)
            columns["TANGENT"] = column(turned, FLOAT, "VEC4")
        if mesh.uvs is not None and (mesh.texture is not None or model.normal_map is not None or model.occlusion is not None):
            columns["TEXCOORD_0"] = column(mesh.uvs, FLOAT, "VEC2")
        if mesh.colors is not None:
            columns["COLOR_0"] = column(linear_rgba(mesh.colors), USHORT, "VEC4", normalized=True)
        primitive = self.buffers.primitive(columns, mesh.faces)
        return primitive if model.plain else {**primitive, "material": self.material(model)}

    def material(self, model: Model) -> int:
        """Add the material of a model and return its index."""
        surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": ROUGHNESS}
        material: dict[str, Any] = {"pbrMetallicRoughness": surface, "name": model.name}
        if model.mesh.uvs is not None:
            if model.mesh.texture is not None:
                surface["baseColorTexture"] = self.texture(
                    color_bytes(model.mesh.texture, self.encoding.texture), self.encoding.texture, "baseColor")
            if model.normal_map is not None:
                material["normalTexture"] = self.texture(png_bytes(model.normal_map), "png", "normal")
            if model.occlusion is not None:
                material["occlusionTexture"] = self.texture(png_bytes(model.occlusion), "png", "occlusion")
        self.materials.append(material)
        return len(self.materials) - 1

    def texture(self, data: bytes, kind: str, name: str) -> dict[str, int]:
        """Add a picture and say which it is."""
        image = len(self.images)
        self.images.append({"bufferView": self.buffers.view(data), "mimeType": f"image/{kind}", "name": name})
        extension = TEXTURE_EXTENSIONS.get(kind)
        if extension is None:
            self.textures.append({"source": image, "sampler": 0})
        else:
            self.textures.append({"sampler": 0, "extensions": {extension: {"source": image}}})
            self.extensions.add(extension)
        return {"index": image}


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
