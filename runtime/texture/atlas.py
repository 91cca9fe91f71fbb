"""The texture atlas as a list of texels: which face each one lies on, and where on that face.

A large texture is worked on in strips of rows, so that memory grows with the strip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..geometry.mesh import Mesh, normalized

STRIP_TEXELS = 1 << 20  # a texture of 1024 x 1024 is one strip


@dataclass(frozen=True, eq=False)
class Atlas:
    """The texels of some rows of a square texture whose centres lie on a face, in ascending order.

    size : texels along a side; texel i is in row i // size (0 at the top) and column i % size
    rows : the first row, and the one behind the last
    texel : (k,) int64
    face : (k,) int32
    weights : (k, 3) float32, of the face's corners, not negative, sum 1
    position : (k, 3) float32, on the surface, in the axes and units of the mesh
    normal : (k, 3) float32, unit, from the mesh's vertex normals
    """

    size: int
    rows: tuple[int, int]
    texel: np.ndarray
    face: np.ndarray
    weights: np.ndarray
    position: np.ndarray
    normal: np.ndarray


def make_atlas(mesh: Mesh, size: int) -> Atlas:
    """All rows at once, as `atlas_strips`."""
    return next(atlas_strips(mesh, size, size))


def atlas_strips(mesh: Mesh, size: int, height: int) -> Iterator[Atlas]:
    """Rasterise the texture coordinates of a mesh with `uvs` and `normals` into a size x size texture, from the top.

    Where faces overlap in the texture, the face with the lower index has the texel.

    height : rows of a strip, a divisor of `size`
    """
    if mesh.uvs is None or mesh.normals is None:
        raise ValueError("the mesh needs uvs and normals")
    corners = mesh.uvs[mesh.faces].astype(np.float64)
    points = _sorted_points(corners, size)
    for first in range(0, size, height):
        yield _strip(mesh, corners, points, size, (first, first + height))


def strip_height(size: int) -> int:
    """Rows of a strip of a size x size texture, for a `size` that is a power of two."""
    return min(size, max(STRIP_TEXELS // size, 1))


def _strip(mesh: Mesh, corners: np.ndarray, points: np.ndarray, size: int, rows: tuple[int, int]) -> Atlas:
    inside = np.flatnonzero((points[:, 2, 1] >= rows[0]) & (points[:, 0, 1] <= rows[1]))
    covering, texel = _rasterized(points[inside], size, rows)
    owner = np.full((rows[1] - rows[0]) * size, -1, np.int64)
    owner[texel[::-1] - rows[0] * size] = inside[covering[::-1]]  # of several values for a place, the last one stays
    texel = np.flatnonzero(owner >= 0)
    face = owner[texel]
    texel += rows[0] * size
    weights = _barycentric(corners, face, texel, size)
    indices = mesh.faces[face]
    assert mesh.normals is not None  # `unwrap` gives them
    position = _blend(mesh.vertices, indices, weights)
    normal = normalized(_blend(mesh.normals, indices, weights))
    return Atlas(size, rows, texel, face.astype(np.int32), weights, position, normal)


def rasterize(triangles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Texels whose centre a triangle covers, row by row; neighbours share no texel.

    triangles : (m, 3, 2), x to the right and y down, [0, 1] over the image
    -> face (k,) int64 ascending, texel (k,) int64 = row * size + column
    """
    return _rasterized(_sorted_points(np.asarray(triangles, np.float64), size), size, (0, size))


def rasterize_rows(triangles: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """As `rasterize`, of height x width texels. triangles : (m, 3, 2) in texels"""
    return _rasterized(_sorted_points(triangles, 1), width, (0, height))


def _sorted_points(triangles: np.ndarray, size: int) -> np.ndarray:
    """(m, 3, 2): the corners in texels, centres at whole numbers, from the top one to the lowest."""
    points = triangles * size - 0.5
    return np.take_along_axis(points, points[..., 1].argsort(axis=1, kind="stable")[..., None], axis=1)


def _rasterized(points: np.ndarray, size: int, rows: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """As `rasterize`, of some rows. points : as `_sorted_points`"""
    y = points[..., 1]
    first = np.clip(np.ceil(y[:, 0]), *rows).astype(np.int64)
    last = np.clip(np.ceil(y[:, 2]), *rows).astype(np.int64)
    face, row = _expand(first, last)
    left, right = _spans(points, face, row)
    begin = np.clip(np.ceil(left), 0, size).astype(np.int64)
    end = np.clip(np.ceil(right), 0, size).astype(np.int64)
    count = np.maximum(end - begin, 0)
    starts = np.cumsum(count) - count
    return np.repeat(face, count), np.arange(int(count.sum())) + np.repeat(row * size + begin - starts, count)


def _expand(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All (i, j) with begin[i] <= j < end[i], in order, as two flat int64 arrays."""
    count = np.maximum(end - begin, 0)
    index = np.repeat(np.arange(len(count)), count)
    starts = np.cumsum(count) - count
    return index, np.arange(int(count.sum())) - np.repeat(starts - begin, count)


def _spans(points: np.ndarray, face: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where row y enters and leaves each triangle. points : (m, 3, 2), corners sorted by y."""
    low, middle, high = (points[face, k] for k in range(3))
    long_side = _crossing(low, high, row)
    upper = row < middle[:, 1]
    short_side = _crossing(np.where(upper[:, None], low, middle), np.where(upper[:, None], middle, high), row)
    return np.minimum(long_side, short_side), np.maximum(long_side, short_side)


def _crossing(start: np.ndarray, end: np.ndarray, row: np.ndarray) -> np.ndarray:
    """x where the line from `start` to `end` (k, 2) crosses y = row."""
    rise = end[:, 1] - start[:, 1]
    part = (row - start[:, 1]) / np.where(rise > 0, rise, 1.0)
    return start[:, 0] + part * (end[:, 0] - start[:, 0])


def _barycentric(corners: np.ndarray, face: np.ndarray, texel: np.ndarray, size: int) -> np.ndarray:
    """(k, 3) float32: the weights of the three corners at each texel centre, not negative, sum 1."""
    edge_b, edge_c = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = edge_b[:, 0] * edge_c[:, 1] - edge_b[:, 1] * edge_c[:, 0]
    scale = 1.0 / np.where(area != 0, area, 1.0)
    x = (texel % size + 0.5) / size - corners[face, 0, 0]
    y = (texel // size + 0.5) / size - corners[face, 0, 1]
    weight_b = (x * edge_c[face, 1] - y * edge_c[face, 0]) * scale[face]
    weight_c = (y * edge_b[face, 0] - x * edge_b[face, 1]) * scale[face]
    weights = np.stack([1 - weight_b - weight_c, weight_b, weight_c], axis=1).clip(0.0, 1.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _blend(values: np.ndarray, indices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(k, c) float32: values (n, c) at corner indices (k, 3), weighted by (k, 3)."""
    return sum(values[indices[:, k]] * weights[:, k, None] for k in range(3)).astype(np.float32)
