"""Reads glTF 2.0 files, binary or not, as parts of triangles in the pose and the colours that a viewer shows first.

Nothing in a file is believed: whatever is wrong is a ValueError, LookupError or TypeError of these readers, which `reader.read_mesh`
makes one message of. What is right and cannot be honoured is a notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..scene.notices import Notices, quoted
from ..scene.surfaces import Part, Scene, check_corners
from .accessors import Accessors
from .document import Document
from .extensions import check_extensions, decompressed
from .materials import BaseColor, Materials
from .node_names import undrawn
from .nodes import Nodes, instance_matrices
from .primitives import FAN, STRIP, TRIANGLES, Primitive, read_primitive


def read_glb(data: bytes, folder: Path) -> Scene:
    """The scene that is shown, in glTF's axes.

    folder : where the buffers and pictures are that it names; nothing outside of it is opened
    Errors: InputError for what is compressed, or needs an extension that is not read.
    """
    document, notices = Document(data, folder), Notices()
    check_extensions(document.root, notices)
    _notice_the_rest(document.root, notices)
    parts = list(_Reader(document, notices).parts())
    return Scene(parts, str(document.root.get("asset", {}).get("generator", "")), notices.messages(), tuple(document.sources))


def _notice_the_rest(root: dict[str, Any], notices: Notices) -> None:
    """What the whole file holds beside the scene that is shown."""
    if len(root.get("scenes", ())) > 1:
        notices.add(f"only the default one of {len(root['scenes'])} scenes is read")
    if root.get("animations"):
        notices.add("animations are not played: the mesh is read in its rest pose")


class _Reader:
    """Reads the nodes of a document; each mesh is read once for each set of weights of its morph targets."""

    def __init__(self, document: Document, notices: Notices) -> None:
        self.document, self.notices = document, notices
        self.accessors, self.nodes, self.materials = Accessors(document), Nodes(document), Materials(document, notices)
        self.roles = undrawn({str(node["name"]) for node in self.nodes.entries if "name" in node})
        self._read: dict[tuple[int, tuple[float, ...]], list[tuple[Primitive, BaseColor]]] = {}
        self._kept, self._placed = 0, 0  # corners of faces: of what was read, and of all its copies

    def parts(self) -> Iterator[Part]:
        """The parts of every mesh of the scene, in its axes."""
        for node, matrix in self.nodes.shown():
            if "mesh" not in node:
                continue
            if (role := self.roles.get(str(node.get("name")))) is not None:
                self.notices.add(f"{role} are left out", quoted(node["name"]))
                continue
            joints = self.nodes.joint_matrices(node["skin"], self.accessors) if "skin" in node else None
            instances = instance_matrices(node, self.accessors)
            for primitive, base in self._primitives(node):
                if joints is not None and primitive.joints is not None:
                    if len(instances) != 1:
                        self.notices.add("the instances of a skinned mesh are left out: it is shown once")
                    self._placed += primitive.faces.size
                    check_corners(self._placed)
                    yield _part(primitive.skinned(joints), base)
                else:
                    self._placed += primitive.faces.size * len(instances)
                    check_corners(self._placed)
                    yield _part(primitive.transformed(matrix @ instances), base)

    def _primitives(self, node: dict[str, Any]) -> list[tuple[Primitive, BaseColor]]:
        mesh = self.document.entry("meshes", node["mesh"])
        weights = tuple(float(weight) for weight in node.get("weights", mesh.get("weights", ())))
        key = node["mesh"], weights
        if key not in self._read:
            name = f"mesh {quoted(mesh.get('name', node['mesh']))}"
            found = [self._primitive(entry, weights, name) for entry in mesh["primitives"]]
            self._read[key] = [each for each in found if each is not None]
        return self._read[key]

    def _primitive(self, entry: dict[str, Any], weights: tuple[float, ...], mesh: str) -> tuple[Primitive, BaseColor] | None:
        extensions = entry.get("extensions", {})
        if entry.get("mode", TRIANGLES) not in (TRIANGLES, STRIP, FAN):
            self.notices.add("points and lines are left out", mesh)
            return None
        if "KHR_materials_variants" in extensions:
            self.notices.add("only the default variant of the materials is read", mesh)
        material = entry.get("material")
        base = self.materials.base_color(material)
        if not base.visible:
            return None
        pictured = base.material.picture is not None
        self.accessors.decompressed = decompressed(self.document, entry)
        primitive = read_primitive(self.accessors, entry, weights, base.texcoord)
        if primitive is None:
            return None
        if pictured and primitive.uvs is None:
            self.notices.add(f"a texture is left out: {mesh} has no texture coordinates for it", self.materials.name(material))
        if primitive.colors is not None and primitive.colors[:, 3:].min(initial=1) < base.min_alpha:
            self.notices.add("a transparent material is shown opaque", self.materials.name(material))
        self._kept += primitive.faces.size
        check_corners(self._kept)
        return primitive, base


def _part(primitive: Primitive, base: BaseColor) -> Part:
    uvs = None if primitive.uvs is None else primitive.uvs @ base.transform[:, :2].T + base.transform[:, 2]
    colors = primitive.colors[:, :3] if base.takes_vertex_colors and primitive.colors is not None else None
    return Part(_narrowed(primitive.positions), np.ascontiguousarray(primitive.faces, np.int32), base.material,
                _float32(primitive.normals), _float32(uvs), _float32(colors))


def _float32(values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else values.astype(np.float32)


def _narrowed(positions: np.ndarray) -> np.ndarray:
    """(n, 3) float32, where that keeps the shape; float64 where the place is far larger than it."""
    reach, size = np.abs(positions).max(), np.ptp(positions, axis=0).max()
    return positions if reach > 1e3 * size else positions.astype(np.float32)
