"""Pictures of meshes by ray casting: the six coarse views, previews, and grids of views.

One plain shading formula serves the training renderer, the coarse views and the previews, so that
networks see the same kind of picture everywhere; a pack whose refiner learnt from views under another light
names that (`shading`). Meshes are in world axes (`cameras`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .cameras import Cameras, orbit, project, rays
from .mesh import Mesh, normalized
from .raycast import Hits, Scene
from .shading import Shading, product, to_linear, to_srgb
from .shading import shaded as apply_shading

LIGHT = np.array([0.35, 0.5, 0.8], np.float32) / np.float32(np.linalg.norm([0.35, 0.5, 0.8]))
AMBIENT, DIFFUSE = np.float32(0.55), np.float32(0.45)
PLAIN = np.float32(0.7)  # grey of a mesh that has neither texture nor colours


def brightness(normals: np.ndarray) -> np.ndarray:
    """(...,) float32 in [0.55, 1]: what a surface's sRGB colour is multiplied by in every view.

    normals : (..., 3) float, unit length, world axes
    """
    return AMBIENT + DIFFUSE * np.maximum(normals @ LIGHT, 0)


def render_views(
    mesh: Mesh, cameras: Cameras, size: int, *, supersample: int = 2, shaded: bool = True,
    background: float = 1.0, shading: Shading | None = None, threads: int | None = 1,
) -> np.ndarray:
    """(n, size, size, 3) float32 in [0, 1] sRGB: the mesh from each camera.

    Colour comes from the texture, the vertex colours, or both, else it is grey.
    supersample : rays per pixel along each side, averaged
    shaded : False leaves the light out and shows the bare colours
    shading : the light, where that is not `brightness`
    threads : views that are rendered at a time, each in memory of its own; None for as many as there are cores
    """
    if mesh.normals is None and shaded:
        mesh = mesh.with_normals()
    scene = Scene(mesh.vertices, mesh.faces)
    views = np.full((len(cameras), size, size, 3), background, np.float32)

    def render(k: int) -> None:
        camera = cameras.select(slice(k, k + 1))
        top, bottom, left, right = _outline(mesh, camera, size)
        window = np.s_[0, top * supersample:bottom * supersample, left * supersample:right * supersample]
        origins, directions = (each[window].reshape(-1, 3) for each in rays(camera, size * supersample))
        hits = scene.intersect(origins, directions)
        pixels = np.full((len(hits.face), 3), background, np.float32)
        seen = np.flatnonzero(hits.face >= 0)
        pixels[seen] = _surface_colors(mesh, hits.select(seen), shaded, shading)
        block = pixels.reshape((bottom - top) * supersample, (right - left) * supersample, 3)
        views[k, top:bottom, left:right] = _average_blocks(block, supersample)

    if threads == 1:
        for k in range(len(cameras)):
            render(k)
        return views
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:  # Embree and most of numpy let other threads run
        list(pool.map(render, range(len(cameras))))
    return views


def _outline(mesh: Mesh, camera: Cameras, size: int) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the pixels within which a mesh is seen, with one to spare; bottom and right are exclusive.

    The whole picture where a part of it lies beside or behind the camera.
    """
    uv, depth = (values[0] for values in project(camera, mesh.vertices))
    if not len(depth) or not (depth > 1e-3).all():
        return 0, size, 0, size
    low, high = (np.clip(edge * size, -1, size + 1).astype(np.int64) for edge in (uv.min(axis=0), uv.max(axis=0)))
    (left, top), (right, bottom) = np.clip(low - 1, 0, size), np.clip(high + 2, 0, size)
    return int(top), int(bottom), int(left), int(right)


def preview(mesh: Mesh, size: int = 512) -> np.ndarray:
    """(size, 2 * size, 3) float32 in [0, 1]: the mesh from its front and its back, framed to fit."""
    return grid(_around(mesh, (35.0, 215.0), size), rows=1, columns=2)


def turntable(mesh: Mesh, frames: int = 24, size: int = 256) -> np.ndarray:
    """(frames, size, size, 3) float32 in [0, 1]: the mesh as it turns around once, framed as in `preview`, which has the first frame."""
    return _around(mesh, [35.0 + 360.0 * k / frames for k in range(frames)], size)


def _around(mesh: Mesh, azimuths: Sequence[float], size: int) -> np.ndarray:
    """(n, size, size, 3) float32 in [0, 1]: the mesh from azimuths in degrees, from above by 20, framed to fit all of them."""
    low, high = mesh.bounds
    offset = mesh.vertices - (low + high) / 2
    reach = max(float(np.linalg.norm(offset, axis=1).max(initial=0.0)), 1e-6)
    cameras = orbit(azimuths, [20.0] * len(azimuths), radius=4.0, fov=30.0)
    # A sphere of radius 4 sin(15 degrees) = 1.035 fills the image; 0.98 of it leaves a margin.
    framed = mesh.replace(vertices=offset * np.float32(0.98 * 1.035 / reach))
    return render_views(framed, cameras, size)


def grid(views: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(rows * h, columns * w, c): n = rows * columns views (n, h, w, c) laid out row by row."""
    _, height, width, channels = views.shape
    tiles = views.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return tiles.reshape(rows * height, columns * width, channels)


def split_grid(picture: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(rows * columns, h, w, c): the views of a grid picture (rows * h, columns * w, c)."""
    height, width, channels = picture.shape
    tiles = picture.reshape(rows, height // rows, columns, width // columns, channels)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(
        rows * columns, height // rows, width // columns, channels)


def sample_texture(texture: np.ndarray, uvs: np.ndarray) -> np.ndarray:
    """(n, 3) float32 in [0, 1]: bilinear samples, clamped at the border.

    texture : (height, width, 3) uint8, row 0 at the top
    uvs : (n, 2) float, origin at the top left
    """
    return sample_image(texture, uvs) * np.float32(1 / 255)


def sample_image(image: np.ndarray, uvs: np.ndarray) -> np.ndarray:
    """(n, c) float32: bilinear samples, clamped at the border, in the image's own range.

    image : (height, width, c) uint8 or float32, row 0 at the top
    uvs : (n, 2) float, origin at the top left
    """
    height, width = image.shape[:2]
    x = np.clip(uvs[:, 0] * width - 0.5, 0, width - 1)
    y = np.clip(uvs[:, 1] * height - 0.5, 0, height - 1)
    right, below = min(1, width - 1), min(1, height - 1) * width  # to the neighbours, in pixels of `flat`
    left, top = np.minimum(x.astype(np.int64), max(width - 2, 0)), np.minimum(y.astype(np.int64), max(height - 2, 0))
    across, down = (x - left)[:, None].astype(np.float32), (y - top)[:, None].astype(np.float32)
    flat, first = image.reshape(height * width, -1), top * width + left
    upper = flat[first] * (1 - across) + flat[first + right] * across
    lower = flat[first + below] * (1 - across) + flat[first + below + right] * across
    return upper * (1 - down) + lower * down


def unlit_colors(mesh: Mesh, hits: Hits) -> np.ndarray:
    """(n, 3) float32 in [0, 1] sRGB: the colour of the surface at each hit, of which none may be a miss."""
    return _surface_colors(mesh, hits, False, None)


def _average_blocks(picture: np.ndarray, side: int) -> np.ndarray:
    """(h / side, w / side, c): the mean of each side x side block of a picture (h, w, c)."""
    parts = [picture[i::side, j::side] for i in range(side) for j in range(side)]
    return sum(parts[1:], parts[0]) * np.float32(1 / len(parts))


def _surface_colors(mesh: Mesh, hits: Hits, shaded: bool, shading: Shading | None) -> np.ndarray:
    """(n, 3) float32: the colour that each hit shows; a shaded mesh has normals."""
    corners, weights = mesh.faces[hits.face], hits.weights()
    if mesh.texture is not None and mesh.uvs is not None:
        colors = sample_texture(mesh.texture, _interpolate(mesh.uvs, corners, weights))
        if mesh.colors is not None:
            colors = product(colors, _vertex_colors(mesh.colors, corners, weights, shading is not None and shading.linear))
    elif mesh.colors is not None:
        colors = _vertex_colors(mesh.colors, corners, weights, shading is not None and shading.linear)
    else:
        colors = np.full((len(corners), 3), PLAIN)
    if not shaded:
        return colors
    assert mesh.normals is not None
    normals = normalized(_interpolate(mesh.normals, corners, weights))
    return colors * brightness(normals)[:, None] if shading is None else apply_shading(colors, normals, shading)


def _vertex_colors(colors: np.ndarray, corners: np.ndarray, weights: np.ndarray, linear: bool) -> np.ndarray:
    """(n, 3) float32 sRGB in [0, 1], mixed in linear light where the renderer that a pack follows does so."""
    if not linear:
        return _interpolate(colors, corners, weights) * np.float32(1 / 255)
    return to_srgb(_interpolate(to_linear(colors * np.float32(1 / 255)), corners, weights).clip(0, 1))


def _interpolate(values: np.ndarray, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(n, k) float32: vertex values at points given by their face's corners and their weights."""
    return sum(
        values[corners[:, k]].astype(np.float32) * weights[:, k:k + 1] for k in range(3))
