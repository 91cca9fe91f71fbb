"""A new texture for a mesh of the user's, whose vertices, faces and texture coordinates stay as they are."""

from __future__ import annotations

import numpy as np

from ..assets.lint_checks import uv_overlap
from ..events import Notice
from ..files.reader import MeshFile
from ..geometry.cameras import Cameras
from ..geometry.mesh import Mesh
from ..pack.manifest import Manifest
from ..request import Request
from ..texture.bake import Sight, bake_views
from ..texture.painter import enlarged
from ..texture.unwrap import unwrap
from .settings import texture_size
from .stages import Stage
from .texture import LARGEST, painted

MOST_OVERLAP = 0.01  # share of the used texels from which on overlapping texture coordinates are worth a notice
OVERLAP_SIDE = 1024  # texels along a side at which they are looked for


def own_surface(given: MeshFile) -> Mesh:
    """What stays of a mesh: its vertices, faces, normals and texture coordinates, in the place and units of its file."""
    return (given.mesh if given.original is None else given.original).replace(texture=None, colors=None)


def in_its_place(given: MeshFile) -> Mesh:
    """The mesh with its old look, as `own_surface` stands."""
    if given.original is None:
        return given.mesh
    return given.mesh.replace(vertices=given.original.vertices[given.original.faces.ravel()])


def painted_mesh(given: MeshFile, views: np.ndarray, cameras: Cameras, request: Request, pack: Manifest,
                 guide: np.ndarray | None = None) -> Stage[Mesh]:
    """`own_surface` with a texture: the views that see a texel, each by its angle; what no view sees is filled from what is near.

    Texture coordinates are made only where there are none; vertices are then repeated along the seams.
    views : (n, h, w, 3) float32 in [0, 1], as seen by `cameras`; guide : those of the mesh that they were redrawn from
    """
    size = texture_size(request, pack)
    baked_size = min(size, LARGEST)
    surface = own_surface(given)
    if surface.uvs is None:
        if given.mesh.uvs is not None:
            yield Notice("parts of the mesh have no texture coordinates: the whole mesh gets new ones")
        fitted = surface if given.placement is None else given.placement.fitted(surface)
        made = unwrap(fitted, baked_size)
        surface = surface.select_vertices(made.source, made.mesh.faces).replace(uvs=made.mesh.uvs)
    sheet = on_one_sheet(_corners(given.mesh), surface)
    overlap = uv_overlap(sheet, min(baked_size, OVERLAP_SIDE))
    if overlap > MOST_OVERLAP:
        yield Notice(f"{100 * overlap:.0f} % of the texture is shared by several faces, which get the same colours: "
                     "`meshwright finish` makes texture coordinates without overlap")
    plain = pack.views.lit and pack.views.background == 1.0
    sight = Sight.of(given.mesh, views, cameras, pack.views.background, guide if plain else None)
    texture = yield from painted(sheet, baked_size, lambda atlas: bake_views(atlas, sight, lit=pack.views.lit), all_seen=False)
    return surface.replace(texture=enlarged(texture, size))


def on_one_sheet(corners: Mesh, surface: Mesh) -> Mesh:
    """The corners of every face, with the texture coordinates that `surface` has for them, brought into [0, 1].

    A face beyond that square is moved by whole sides, as a texture repeats; one across its border is there once for each side.
    """
    assert surface.uvs is not None
    uvs = surface.uvs[surface.faces].astype(np.float64)
    uvs -= np.floor(uvs.min(axis=1, keepdims=True))
    rows, moved = [np.arange(len(uvs))], [uvs]
    for shift in ((1, 0), (0, 1), (1, 1)):
        across = np.flatnonzero((uvs.max(axis=1) > shift).all(axis=1))
        rows.append(across)
        moved.append(uvs[across] - shift)
    index = (3 * np.concatenate(rows)[:, None] + np.arange(3)).ravel()
    faces = np.arange(len(index), dtype=np.int32).reshape(-1, 3)
    return corners.select_vertices(index, faces).replace(uvs=np.concatenate(moved).reshape(-1, 2).astype(np.float32))


def _corners(mesh: Mesh) -> Mesh:
    """Three vertices a face, with normals."""
    mesh = (mesh if mesh.normals is not None else mesh.with_normals()).replace(texture=None, colors=None, uvs=None)
    rows = mesh.faces.ravel()
    return mesh.select_vertices(rows, np.arange(len(rows)).reshape(-1, 3))
