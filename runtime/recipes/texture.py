"""The last stage of a recipe: a dense surface becomes a light mesh with a texture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..events import Step
from ..geometry.cameras import Cameras
from ..geometry.creases import split_at_creases
from ..geometry.decimate import decimate
from ..geometry.mesh import Mesh
from ..geometry.shading import to_uint8
from ..pack.manifest import Manifest
from ..request import Request
from ..texture.atlas import Atlas, atlas_strips, strip_height
from ..texture.bake import FIELD_CHUNK, Baked, Sight, bake_field, bake_views, blend, poorly_seen
from ..texture.fill import Surroundings
from ..texture.painter import Painter, enlarged
from ..texture.unwrap import unwrap
from .settings import texture_size, texture_source
from .stages import Stage

ColorQuery = Callable[[np.ndarray], np.ndarray]

# Sides of the textures that are baked; larger ones are enlarged from them. A texel is then a fifth of a cell of the triplanes, or less,
# and much smaller than a pixel of the views: there is nothing in between that could be asked for.
FIELD_SMALLEST, LARGEST = 256, 2048


def textured(surface: Mesh, color: ColorQuery, views: np.ndarray, cameras: Cameras, request: Request, pack: Manifest,
             route: str = "") -> Stage[Mesh]:
    """Decimate, sharpen the creases, unwrap, and bake.

    surface : vertices and faces, world axes
    color : points (n, 3) float32 -> colour (n, 3) in [0, 1], the reconstructed field
    views : (n, h, w, 3) float32 in [0, 1], as seen by `cameras`
    route : that the request takes
    Returns a mesh with normals, uvs and texture. Decimating comes first: unwrapping a dense mesh is what
    takes most of the time elsewhere.
    """
    faces, size = request.faces or pack.finish.faces, texture_size(request, pack)
    light = split_at_creases(decimate(surface, faces))
    source = texture_source(request, pack, route)
    baked_size = min(max(size // 2, min(size, FIELD_SMALLEST)) if source == "field" else size, LARGEST)
    mesh = unwrap(light, min(size, 2 * baked_size)).mesh  # two of its texels between charts, at least
    sight = None if source == "field" else Sight.of(mesh, views, cameras, pack.views.background)
    texture = yield from painted(mesh, baked_size, lambda atlas: _bake(source, atlas, color, sight, pack.views.lit),
                                 all_seen=source != "views")
    return mesh.replace(texture=enlarged(texture, size))


def untextured(surface: Mesh, color: ColorQuery, request: Request, pack: Manifest) -> Mesh:
    """Decimate, sharpen the creases, and ask the field for the colours of the vertices. Arguments as of `textured`."""
    light = split_at_creases(decimate(surface, request.faces or pack.finish.faces))
    vertices = light.vertices
    colors = [color(vertices[begin:begin + FIELD_CHUNK]) for begin in range(0, len(vertices), FIELD_CHUNK)]
    return light.replace(colors=to_uint8(np.concatenate(colors)))


def painted(mesh: Mesh, size: int, bake: Callable[[Atlas], Baked], *, all_seen: bool, height: int | None = None) -> Stage[np.ndarray]:
    """(size, size, 3) uint8: the texture of a mesh with uvs and normals, strip by strip.

    bake : the colours of a strip
    all_seen : `bake` gives a colour to every texel; else the colours of all strips are kept until the last one is there,
        because those of any may fill what was not seen in another
    height : rows of a strip
    """
    height = strip_height(size) if height is None else height
    painter, count = Painter(size), size // height
    surroundings, kept = Surroundings(mesh), []
    for index, atlas in enumerate(atlas_strips(mesh, size, height), 1):
        baked = bake(atlas)
        if all_seen:
            painter.add(atlas, baked.colors)
        else:
            surroundings.gather(atlas, baked)
            kept.append(baked)
        if count > 1:
            yield Step("texture", index, count)
    if not all_seen:
        for atlas in atlas_strips(mesh, size, height):
            painter.add(atlas, surroundings.fill(atlas, kept.pop(0)))
    return painter.finish()


def _bake(source: str, atlas: Atlas, color: ColorQuery, sight: Sight | None, lit: bool) -> Baked:
    if sight is None:
        return bake_field(atlas, color)
    seen = bake_views(atlas, sight, lit=lit)
    return seen if source == "views" else blend(seen, bake_field(atlas, color, poorly_seen(seen)))
