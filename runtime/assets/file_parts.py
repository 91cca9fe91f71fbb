"""A mesh file as `lint` looks at it: nodes with their names and their own vertices, textures, and what it says of itself."""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...engines.errors import InputError
from ...engines.files.regular_file import read_regular
from ..files.gltf.accessors import Accessors
from ..files.gltf.document import Document
from ..files.gltf.extensions import decompressed
from ..files.gltf.materials import OTHER_FORMATS
from ..files.gltf.nodes import Nodes, local_matrix
from ..files.gltf.primitives import FAN, STRIP, TRIANGLES, read_primitive
from ..files.reader import MAX_BYTES, read_mesh
from ..geometry.mesh import Mesh

KTX2_HEADER = 80
SIGNATURES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp", b"\xabKTX": "ktx2", b"DDS ": "dds"}


@dataclass(frozen=True)
class TextureFile:
    """A texture. kind : "png", "jpeg", "webp", "ktx2", "dds" or "unknown"; size : width and height, zeros where they cannot be told"""

    name: str
    kind: str
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class NodePart:
    """A node with a mesh. mesh : in the axes and units of world space (z up, front +x), as the scene shows it; scale : of its own node"""

    name: str
    mesh: Mesh = field(repr=False)
    texture: TextureFile | None = None
    scaled: bool = False


@dataclass(frozen=True, eq=False)
class MeshParts:
    """What a mesh file holds. extensions : those that it cannot be read without; extras : of its `asset`; names : of all its nodes"""

    path: Path
    parts: tuple[NodePart, ...] = field(repr=False)
    textures: tuple[TextureFile, ...] = ()
    extensions: tuple[str, ...] = ()
    extras: dict[str, Any] = field(default_factory=dict, repr=False)
    names: tuple[str, ...] = ()


def read_parts(path: Path) -> MeshParts:
    """GLB and glTF node by node; other formats that `read_mesh` knows as one. InputError if it cannot be read."""
    if path.suffix.lower() not in (".glb", ".gltf"):
        read = read_mesh(path)
        mesh = read.mesh if read.placement is None else read.placement.restored(read.mesh)
        return MeshParts(path, (NodePart(path.stem, mesh),), names=(path.stem,))
    data = read_regular(path, f"the mesh {path}", InputError, max_bytes=MAX_BYTES)
    try:
        with np.errstate(all="ignore"):
            return _gltf_parts(path, Document(data, path.parent))
    # What broken files lead to is not one class.
    except (ValueError, LookupError, TypeError, OverflowError, AttributeError, RecursionError, OSError) as error:
        raise InputError(f"{path} is not a readable mesh", received=f"{len(data)} bytes, {error}",
                         expected="a whole glTF file") from error


def _gltf_parts(path: Path, document: Document) -> MeshParts:
    root, accessors = document.root, Accessors(document)
    textures = tuple(_texture(document, index) for index in range(len(root.get("images", ()))))
    parts = []
    for node, matrix in Nodes(document).shown():
        if "mesh" not in node:
            continue
        scaled = not np.allclose(np.linalg.norm(local_matrix(node)[:3, :3], axis=0), 1.0, atol=1e-5)
        for entry in document.entry("meshes", node["mesh"])["primitives"]:
            if entry.get("mode", TRIANGLES) not in (TRIANGLES, STRIP, FAN):
                continue
            accessors.decompressed = decompressed(document, entry)
            primitive = read_primitive(accessors, entry, (), 0)
            if primitive is not None:
                placed = primitive.transformed(matrix[None])
                mesh = Mesh(np.ascontiguousarray(placed.positions[:, [2, 0, 1]], np.float32), placed.faces.astype(np.int32),
                            uvs=None if placed.uvs is None else placed.uvs.astype(np.float32))
                parts.append(NodePart(str(node.get("name", "")), mesh, _base_color(document, entry, textures), scaled))
    asset = root.get("asset", {})
    extras = asset.get("extras") if isinstance(asset.get("extras"), dict) else {}
    names = tuple(str(node.get("name", "")) for node in root.get("nodes", ()))
    return MeshParts(path, tuple(parts), textures, tuple(map(str, root.get("extensionsRequired", ()))), extras, names)


def _base_color(document: Document, primitive: dict[str, Any], textures: tuple[TextureFile, ...]) -> TextureFile | None:
    if "material" not in primitive:
        return None
    surface = document.entry("materials", primitive["material"]).get("pbrMetallicRoughness", {})
    if "baseColorTexture" not in surface:
        return None
    entry = document.entry("textures", surface["baseColorTexture"]["index"])
    others = (entry.get("extensions", {}).get(name, {}).get("source") for name in OTHER_FORMATS)
    source = next((each for each in (*others, entry.get("source")) if each is not None), None)
    return textures[source] if isinstance(source, int) and 0 <= source < len(textures) else None


def _texture(document: Document, index: int) -> TextureFile:
    entry = document.entry("images", index)
    data = bytes(document.view(entry["bufferView"])[0]) if "bufferView" in entry else document.uri_bytes(entry["uri"])
    kind = next((kind for start, kind in SIGNATURES.items() if data.startswith(start)), "unknown")
    found = TextureFile(str(entry.get("name", f"image {index}")), kind, (0, 0))
    if kind == "ktx2" and len(data) >= KTX2_HEADER:
        return replace(found, size=struct.unpack_from("<II", data, 20))
    if kind not in ("png", "jpeg", "webp"):
        return found
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes that are only looked at
            with Image.open(io.BytesIO(data), formats=[kind.upper()]) as picture:
                return replace(found, size=picture.size)
    except (OSError, ValueError, Image.DecompressionBombError):
        return found
