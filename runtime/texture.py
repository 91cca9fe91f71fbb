"""The last stage of a recipe: a dense surface becomes a light mesh with a texture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .cameras import Cameras
from .events import Notice
from .manifest import Manifest, Views
from .meshes.atlas import Atlas, make_atlas
from .meshes.bake import Baked, bake_field, bake_views, blend, poorly_seen
from .meshes.creases import split_at_creases
from .meshes.decimate import decimate
from .meshes.fill import fill_unseen, to_texture
from .meshes.mesh import Mesh
from .meshes.unwrap import unwrap
from .request import Request
from .stages import Stage

ColorQuery = Callable[[np.ndarray], np.ndarray]


def textured(surface: Mesh, color: ColorQuery, views: np.ndarray, cameras: Cameras, request: Request,
             pack: Manifest) -> Stage[Mesh]:
    """Decimate, sharpen the creases, unwrap, and bake.

    surface : vertices and faces, world axes
    color : points (n, 3) float32 -> colour (n, 3) in [0, 1], the reconstructed field
    views : (n, h, w, 3) float32 in [0, 1], as seen by `cameras`
    Returns a mesh with normals, uvs and texture. Decimating comes first: unwrapping a dense mesh is what
    takes most of the time elsewhere.
    """
    faces, size = request.faces or pack.finish.faces, request.texture or pack.finish.texture
    light = split_at_creases(decimate(surface, faces))
    unwrapped = unwrap(light, size)
    if unwrapped.reason:
        yield Notice(f"unwrapped with a box map: {unwrapped.reason}")
    mesh = unwrapped.mesh
    atlas = make_atlas(mesh, size)
    source = request.texture_from or pack.texture_from
    baked = _bake(source, atlas, mesh, color, views, cameras, pack.views)
    return mesh.replace(texture=to_texture(atlas, fill_unseen(atlas, mesh, baked)))


def _bake(source: str, atlas: Atlas, mesh: Mesh, color: ColorQuery, views: np.ndarray, cameras: Cameras,
          look: Views) -> Baked:
    if source == "field":
        return bake_field(atlas, color)
    seen = bake_views(atlas, mesh, views, cameras, lit=look.lit, background=look.background)
    if source == "views":
        return seen
    return blend(seen, bake_field(atlas, color, poorly_seen(seen)))
