"""Colours for the texels of an atlas: from views of the object, from a colour field, or from both.

All colours are unlit sRGB. Views carry the light of `render.brightness`, which is divided out here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..geometry.cameras import Cameras, project, rays
from ..geometry.masks import grown
from ..geometry.mesh import Mesh, normalized
from ..geometry.raycast import Scene
from ..geometry.render import brightness, sample_image
from .atlas import Atlas

ColorQuery = Callable[[np.ndarray], np.ndarray]

MIN_COSINE = 0.08  # views at a flatter angle than about 85 degrees are not used
ANGLE_POWER = 4.0  # high enough that one view dominates: averaging views that disagree blurs
RAY_START = 2e-3  # of the distance to the camera, so that a texel is not hidden by its own face
# Trust by distance to a silhouette, in pixels: 0 is background, the first pixel mixes in what is behind,
# and is used only where nothing better sees the texel (blades and rods are two pixels wide).
TRUST = np.array([0.0, 1e-4, 0.2, 1.0], np.float32)
JUMP_PIXELS = 4.0  # a step in depth between neighbours, in pixel widths, that makes an inner silhouette
NEAR_WHITE = 0.06  # a colour this close to the background may be background
BLEED_PIXELS = 6  # how far the background may reach into the mesh's silhouette where picture and mesh differ
# Of a white surface's light: a redrawn pixel as bright as that, where its guide was darker by so much, is on the way to a white background.
# If there are more of them than a share of the object, it was meant to be white.
PALE, BRIGHTER, MOST_GAPS = 0.6, 0.15, 0.05
SEEN_WELL = 0.02  # the weight at which `blend` gives half to the views
FIELD_CHUNK = 65_536  # points in one query


@dataclass(frozen=True, eq=False)
class Baked:
    """Colours of the texels of an atlas.

    colors : (k, 3) float32 sRGB in [0, 1]; without meaning where the weight is 0
    weight : (k,) float32 >= 0; how well the texel was seen, about 1 if one view sees it head-on
    """

    colors: np.ndarray
    weight: np.ndarray


def bake_field(atlas: Atlas, color_query: ColorQuery, rows: np.ndarray | None = None) -> Baked:
    """Ask the field for the colour at each texel's place on the surface.

    color_query : points (n, 3) float32 -> colours (n, 3) float32 in [0, 1], n at most 65,536
    rows : (r,) int, the texels to ask for; the others get weight 0. None = all
    """
    rows = np.arange(len(atlas.texel)) if rows is None else rows
    colors = np.zeros((len(atlas.texel), 3), np.float32)
    weight = np.zeros(len(atlas.texel), np.float32)
    for begin in range(0, len(rows), FIELD_CHUNK):
        part = rows[begin:begin + FIELD_CHUNK]
        colors[part] = np.clip(color_query(atlas.position[part]), 0.0, 1.0)
    weight[rows] = 1.0
    return Baked(colors, weight)


@dataclass(frozen=True, eq=False)
class Sight:
    """Views of a mesh, ready to be projected onto it.

    scene : the mesh, which hides parts of itself
    views : (n, size, size, 3) float in [0, 1], sRGB
    trust : (n, size, size) float32, as `view_trust`
    """

    scene: Scene
    views: np.ndarray
    cameras: Cameras
    trust: np.ndarray

    @classmethod
    def of(cls, mesh: Mesh, views: np.ndarray, cameras: Cameras, background: float = 1.0, guide: np.ndarray | None = None) -> Sight:
        """views : as above, on a plain `background`

        guide : lit views on white, as `views`, of which those are redrawn, so that their outlines may differ from those of the mesh; None
            where they do not
        """
        scene = Scene(mesh.vertices, mesh.faces)
        gaps = None if guide is None else _gaps(views, guide, _white_surface(mesh, scene, cameras, views.shape[1]))
        return cls(scene, views, cameras, view_trust(scene, views, cameras, background, gaps))


def bake_views(atlas: Atlas, sight: Sight, *, lit: bool = True) -> Baked:
    """Project views onto the texels that they see.

    A view counts by the fourth power of the cosine of its angle, and by its distance to the next
    silhouette. A ray from the texel to the camera tells whether anything is in between.

    lit : the views carry the shading of `render.brightness`, and it is taken out
    """
    scene, cameras = sight.scene, sight.cameras
    total = np.zeros((len(atlas.texel), 3), np.float32)
    weight = np.zeros(len(atlas.texel), np.float32)
    for view in range(len(cameras)):
        camera = Cameras(cameras.c2w[view:view + 1], cameras.fov)
        rows, uv, share = _facing(atlas, camera)
        # Trust weighs the four pixels of a sample too, so that the outermost ones do not tint the next.
        trust = sight.trust[view, ..., None]
        sample = sample_image(np.concatenate([sight.views[view] * trust, trust], axis=-1), uv) * share[:, None]
        useful = np.flatnonzero(sample[:, 3] > 0)
        useful = useful[~_hidden(scene, atlas.position[rows[useful]], camera.positions[0])]
        total[rows[useful]] += sample[useful, :3]
        weight[rows[useful]] += sample[useful, 3]
    colors = total / np.maximum(weight, 1e-12)[:, None]
    if lit:
        colors /= brightness(atlas.normal)[:, None]
    return Baked(np.clip(colors, 0.0, 1.0), weight)


def blend(views: Baked, field: Baked) -> Baked:
    """The views where they see a texel well, the field elsewhere, with a soft change between them."""
    share = (views.weight / (views.weight + SEEN_WELL))[:, None]
    share = np.where(field.weight[:, None] > 0, share, 1.0)
    colors = share * views.colors + (1 - share) * field.colors
    return Baked(colors.astype(np.float32), np.maximum(views.weight, field.weight))


def poorly_seen(views: Baked) -> np.ndarray:
    """(r,) int: the texels for which `blend` needs the field; elsewhere it would count less than a tenth."""
    return np.flatnonzero(views.weight < 9 * SEEN_WELL)


def view_trust(scene: Scene, views: np.ndarray, cameras: Cameras, background: float = 1.0, gaps: np.ndarray | None = None) -> np.ndarray:
    """(n, size, size) float32 in [0, 1]: how far each pixel may be trusted to show the surface behind it.

    Low next to the mesh's silhouettes, inner ones too, and zero where the picture's background
    reaches into the mesh's outline.

    gaps : (n, size, size) bool, where that background shows through the mesh
    """
    count, size = views.shape[:2]
    depth = _depth(scene, cameras, size)
    step = JUMP_PIXELS / (cameras.focal * size)
    edge = _edges(depth, step)
    plain = np.abs(views - background).max(axis=-1) < NEAR_WHITE
    bleed = ~np.isfinite(depth)
    if gaps is not None:
        bleed |= grown(gaps)
    for _ in range(BLEED_PIXELS):
        bleed |= grown(bleed) & plain
    level = np.where(bleed, 0, 1)
    inside = ~(bleed | grown(bleed) | edge)
    for _ in range(len(TRUST) - 2):
        level += inside
        inside &= ~grown(~inside)
    return TRUST[level]


def _facing(atlas: Atlas, camera: Cameras) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texels that look towards the camera and fall into its picture: rows (c,), uv (c, 2), share (c,) > 0."""
    towards = normalized(camera.positions[0].astype(np.float32) - atlas.position)
    cosine = np.einsum("ij,ij->i", atlas.normal, towards)
    rows = np.flatnonzero(cosine > MIN_COSINE)
    uv, depth = (values[0] for values in project(camera, atlas.position[rows]))
    inside = (depth > 0) & (uv >= 0).all(axis=1) & (uv < 1).all(axis=1)
    rows = rows[inside]
    return rows, uv[inside], cosine[rows] ** np.float32(ANGLE_POWER)


def _hidden(scene: Scene, points: np.ndarray, position: np.ndarray) -> np.ndarray:
    """(k,) bool: whether the mesh lies between the points and the camera."""
    offsets = position.astype(np.float32) - points
    start = points + np.float32(RAY_START) * offsets
    return scene.occluded(start, offsets, np.ones(len(points), np.float32))


def _gaps(views: np.ndarray, guide: np.ndarray, light: np.ndarray) -> np.ndarray:
    """(n, size, size) bool: where views that were redrawn from `guide` show the white background, although there is a surface.

    light : as `_white_surface`
    """
    drawn, was = views.min(axis=-1) / light, guide.min(axis=-1) / light
    found = (drawn > PALE) & (was < drawn - BRIGHTER) & (light < 1)
    inner = found & ~grown(light == 1)  # what is next to the outline is mixed with the background anyway
    return found if inner.sum() <= MOST_GAPS * (light < 1).sum() else np.zeros_like(found)


def _white_surface(mesh: Mesh, scene: Scene, cameras: Cameras, size: int) -> np.ndarray:
    """(n, size, size) float32: the sRGB value of a white surface in each pixel of lit views, 1 for background."""
    origins, directions = rays(cameras, size)
    hits = scene.intersect(origins.reshape(-1, 3), directions.reshape(-1, 3))
    light, seen = np.ones(len(hits.face), np.float32), np.flatnonzero(hits.face >= 0)
    normals = mesh.vertex_normals() if mesh.normals is None else mesh.normals
    corners, weights = mesh.faces[hits.face[seen]], hits.select(seen).weights()
    light[seen] = brightness(normalized(sum(normals[corners[:, k]] * weights[:, k, None] for k in range(3))))
    return light.reshape(len(cameras), size, size)


def _depth(scene: Scene, cameras: Cameras, size: int) -> np.ndarray:
    """(n, size, size) float32: distance to the surface along each pixel's ray, infinite for background."""
    origins, directions = rays(cameras, size)
    hits = scene.intersect(origins.reshape(-1, 3), directions.reshape(-1, 3))
    return hits.distance.reshape(len(cameras), size, size)


def _edges(depth: np.ndarray, step: float) -> np.ndarray:
    """(n, h, w) bool: pixels beside a jump in depth of more than `step` times the depth, or at the border."""
    edge = np.zeros(depth.shape, bool)
    for axis in (1, 2):
        one, two = [slice(None)] * 3, [slice(None)] * 3
        one[axis], two[axis] = slice(None, -1), slice(1, None)
        near = np.minimum(depth[tuple(one)], depth[tuple(two)])
        far = np.maximum(depth[tuple(one)], depth[tuple(two)])
        with np.errstate(invalid="ignore"):  # background beside background: inf - inf, compares as no jump
            jump = far - near > step * near
        edge[tuple(one)] |= jump
        edge[tuple(two)] |= jump
    return edge
