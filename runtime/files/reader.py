"""Meshes that a user gives, glTF or OBJ, brought to where the views of a pack look."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...engines.errors import InputError
from ...engines.files.regular_file import read_regular
from ..geometry.mesh import Mesh, area_vectors
from .collada import ENDINGS as COLLADA
from .collada import read_collada
from .gltf.reader import read_glb
from .obj.reader import read_obj
from .scene import GENERATOR
from .scene.join import indexed_surface, join_parts
from .scene.surfaces import Part, Scene
from .upright import ENDINGS as UPRIGHT
from .upright import read_upright

ENDINGS = (".glb", ".gltf", ".obj")
MAX_BYTES = 512 << 20
# Of the time that an OBJ file takes, what its text takes; the rest joins its parts.
OBJ_SHARE = 0.9
# What the objects that the bundled pack learnt from fill, of a sphere of radius 1.035 that the views show whole.
RADIUS = 0.97
# A file of ours is left where it is if the views show all of it.
SEEN = 1.035
# Lengths, in the file's units, with whose products float32 can still calculate.
MIN_LENGTH, MAX_LENGTH = 1e-12, 1e12


@dataclass(frozen=True, eq=False)
class MeshFile:
    """A mesh, and what is known of the file that it was read from.

    mesh : in world axes (z up, front +x), where the views of a pack look
    notices : what of the file could not be honoured, one sentence each
    sources : the files that were read: the mesh, its materials, pictures and buffers; none for a mesh that is no file
    placement : where it stood in the file; None for a mesh that is no file
    original : its faces in the same order, with the vertices, normals and texture coordinates of the file, in world axes but in the file's
        place and units, and without its colours; None for a mesh that is no file
    """

    mesh: Mesh
    notices: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()
    placement: Placement | None = None
    original: Mesh | None = None


def read_mesh(path: str | os.PathLike[str], progress: Callable[[float], None] = lambda done: None) -> MeshFile:
    """A mesh with normals, and a texture, vertex colours, or both.

    .glb, .gltf : glTF 2.0, triangles of the scene that is shown, in the pose and the base colours that it begins with
    .obj : with the materials beside it, if they are there: Kd and map_Kd
    .ply, .stl, .off, .3mf : through trimesh (the extra [formats]), z up and front -y, which become +Y and +Z
    .dae : through trimesh and pycollada (the same extra): up axis and unit as the file says, colours of materials, no pictures
    All have +Y up and the front towards +Z. A file that Meshwright wrote stays where it is, so that what was made from it lies
    over it; any other mesh is put in the middle and made as large as the views show whole. docs/files.md lists what is read.
    progress : called with the share of the file that is read, up to 1 at the end: a few times a second for .obj, which may take
        long. What it raises ends the reading.
    Errors: InputError for a file that cannot be read, is no such mesh, or holds no triangle.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (*ENDINGS, *UPRIGHT, *COLLADA):
        raise InputError(f"the mesh {path} has an unknown file extension", received=repr(path.suffix), expected=" or ".join(ENDINGS),
                         remedy="save it as GLB")
    data = _file_bytes(path)
    try:
        with np.errstate(all="ignore"):  # numbers beyond all measure are looked for afterwards
            if ending in UPRIGHT:
                scene = read_upright(data, ending)
            elif ending in COLLADA:
                scene = read_collada(data)
            elif ending == ".obj":
                scene = read_obj(data, path.parent, lambda done: progress(OBJ_SHARE * done))
            else:
                scene = read_glb(data, path.parent)
            parts, placement = _placed(scene, path)
            mesh, original = join_parts(parts), indexed_surface([part for part in scene.parts if len(part.faces)])
    # What broken files lead to is not one class.
    except (ValueError, LookupError, TypeError, OverflowError, AttributeError, RecursionError, OSError) as error:
        raise InputError(f"{path} is not a readable mesh", received=f"{len(data)} bytes, {error}",
                         expected=f"a whole {path.suffix.upper()[1:]} file") from error
    world, original = _in_world_axes(mesh), _in_world_axes(original)
    progress(1.0)
    return MeshFile(world, scene.notices, (path, *scene.sources), placement, original)


def check_mesh(mesh: Mesh) -> None:
    """InputError unless the arrays of a mesh are as `Mesh` says, but for floats of any size, and something of it can be seen."""
    count = np.shape(mesh.vertices)[:1]
    columns = {"vertices": (count, 3, "f"), "faces": (np.shape(mesh.faces)[:1], 3, "iu"), "normals": (count, 3, "f"),
               "uvs": (count, 2, "f"), "colors": (count, 3, "u")}
    for name, (rows, width, kinds) in columns.items():
        values = getattr(mesh, name)
        if name not in ("vertices", "faces") and values is None:
            continue
        if not isinstance(values, np.ndarray) or values.shape != (*rows, width) or values.dtype.kind not in kinds:
            received = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
            raise InputError(f"the mesh has no usable {name}", received=received, expected="arrays as `Mesh` says")
    fault = _face_fault(mesh.faces, *count) or _fault(mesh.vertices[mesh.faces.ravel()])
    if fault:
        raise InputError("the mesh has no surface", received=fault, expected="triangles")


def _in_world_axes(mesh: Mesh) -> Mesh:
    assert mesh.normals is not None  # `join_parts` and `indexed_surface` make them
    return mesh.replace(vertices=_into_world(mesh.vertices), normals=_into_world(mesh.normals))


def _into_world(vectors: np.ndarray) -> np.ndarray:
    """(n, 3): glTF's (x, y, z) as the world's (z, x, y); the inverse of `gltf.to_gltf_axes`."""
    return np.ascontiguousarray(vectors[:, [2, 0, 1]])


def _placed(scene: Scene, path: Path) -> tuple[list[Part], Placement]:
    """The parts that have triangles, where the views look, and where they stood. InputError if none of them has an area."""
    parts = [part for part in scene.parts if len(part.faces)]
    corners = np.concatenate([part.vertices[part.faces.ravel()] for part in parts]) if parts else np.zeros((0, 3))
    fault = _fault(corners) if parts else "no triangles"
    if fault:
        raise InputError(f"the mesh {path} has no surface", received=fault, expected="triangles")
    if scene.generator.startswith(GENERATOR) and SEEN / 4 < _reach(corners) <= SEEN:
        return parts, Placement()
    middle = (corners.min(axis=0).astype(np.float64) + corners.max(axis=0)) / 2
    scale = _reach(corners - middle) / RADIUS
    parts = [replace(part, vertices=((part.vertices - middle) / scale).astype(np.float32)) for part in parts]
    return parts, Placement(tuple(_into_world(middle[None])[0].tolist()), scale)


def _reach(corners: np.ndarray) -> float:
    """The distance of the farthest of (n, 3) from the origin."""
    return float(np.linalg.norm(corners, axis=1).max())


def _face_fault(faces: np.ndarray, vertices: int) -> str | None:
    """What is wrong with faces (m, 3) of so many vertices."""
    if not len(faces):
        return "no triangles"
    return None if faces.min() >= 0 and faces.max() < vertices else "faces of nonexistent vertices"


def _fault(corners: np.ndarray) -> str | None:
    """What keeps faces with these corners (n, 3) from being seen."""
    if not np.isfinite(corners).all() or np.abs(corners).max() > MAX_LENGTH:
        return f"positions that are not finite, or beyond {MAX_LENGTH:g}"
    if float(np.ptp(corners, axis=0).max()) < MIN_LENGTH:
        return "a point"
    return None if area_vectors(corners.astype(np.float64), np.arange(len(corners)).reshape(-1, 3)).any() else "faces without area"


def _file_bytes(path: Path) -> bytes:
    return read_regular(path, f"the mesh {path}", InputError, max_bytes=MAX_BYTES)


@dataclass(frozen=True)
class Placement:
    """From the place and size at which the networks see a mesh to those that it has in its file: translation + scale * position.

    translation : in world axes (z up, front +x), in the file's units; scale : more than 0
    """

    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0

    def restored(self, mesh: Mesh) -> Mesh:
        """The mesh in the file's place and units, still in world axes; its vertices are float64, which a far place may need."""
        if self == Placement():  # to the bit, the sign of a zero as well
            return mesh.replace(vertices=mesh.vertices.astype(np.float64))
        return mesh.replace(vertices=mesh.vertices * np.float64(self.scale) + np.array(self.translation, np.float64))

    def fitted(self, mesh: Mesh) -> Mesh:
        """The inverse of `restored`, in float32."""
        return mesh.replace(vertices=((mesh.vertices - np.array(self.translation, np.float64)) / self.scale).astype(np.float32))

    def describe(self) -> dict[str, object]:
        """Plain JSON, in the axes of glTF and OBJ (+Y up, front +Z)."""
        x, y, z = self.translation
        return {"translation": [y, z, x], "scale": self.scale}
