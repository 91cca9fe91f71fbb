"""Unwrapping without a library: charts seen along the six axis directions, packed on shelves.

The fallback of `unwrap`. Every step is vectorised and its time grows linearly with the mesh; the
stretch of a triangle is bounded because a face goes to an axis that it faces. More charts and more
lost space than xatlas.
"""

from __future__ import annotations

import numpy as np

from ..geometry.creases import shared_edges
from ..geometry.mesh import Mesh
from ..geometry.topology import connected, weld
from .atlas import rasterize

SMOOTHING_ROUNDS = 4
FACING_BONUS = 0.15  # how much each neighbour pulls a face towards its own axis, in units of a cosine
MIN_FACING = 0.35  # cosine to the axis below which a face is not pulled over: stretch stays below 3
PEELS = 6  # layers that are taken apart before overlapping faces get a chart of their own
PEEL_TEXELS = 512  # resolution, along the longest side of the mesh, at which overlap is looked for
PACKING_ROUNDS = 24


def box_unwrap(mesh: Mesh, texture_size: int, padding: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut into charts that do not overlap themselves, and pack them.

    texture_size, padding : texels
    -> source (n,) int64 vertices of the input, faces (m, 3) int32, uvs (n, 2) float32 in [0, 1]
    """
    if len(mesh.faces) == 0:
        empty = np.zeros(0, np.int64)
        return empty, np.zeros((0, 3), np.int32), np.zeros((0, 2), np.float32)
    neighbours = np.stack(shared_edges(weld(mesh.vertices)[mesh.faces])) // 3
    axis = _axes(mesh.face_normals(), neighbours)
    flat = _project(mesh.triangles(), axis)
    layer = _peel(flat, mesh.triangles(), axis)
    chart = _charts(axis * (len(mesh.faces) + PEELS) + layer, neighbours)
    uvs = _pack(flat, chart, texture_size, padding)
    return _merge_corners(mesh.faces, chart, uvs)


def _axes(normals: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """(m,) int 0..5 (+x, -x, +y, -y, +z, -z): the axis each face is seen along, smoothed over edges."""
    facing = np.stack([normals, -normals], axis=2).reshape(-1, 6)
    axis = facing.argmax(axis=1)
    one, two = neighbours
    for _ in range(SMOOTHING_ROUNDS):
        votes = np.zeros_like(facing)
        np.add.at(votes, (one, axis[two]), FACING_BONUS)
        np.add.at(votes, (two, axis[one]), FACING_BONUS)
        score = np.where(facing >= MIN_FACING, facing + votes, facing - 1)
        axis = score.argmax(axis=1)
    return axis


def _project(triangles: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """(m, 3, 2): corners in the plane across each face's axis, in units of the mesh."""
    first, second = (axis // 2 + 1) % 3, (axis // 2 + 2) % 3
    rows = np.arange(len(axis))
    u, v = triangles[rows, :, first], triangles[rows, :, second]
    # v runs downwards; seen from the negative side u runs the other way. So no chart is a mirror image.
    return np.stack([np.where(axis % 2 == 1, -1, 1)[:, None] * u, -v], axis=2)


def _peel(flat: np.ndarray, triangles: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """(m,) int: faces on one axis and layer do not hide each other; what still does is alone on its layer."""
    height = triangles.mean(axis=1)[np.arange(len(axis)), axis // 2] * np.where(axis % 2 == 1, -1, 1)
    low = flat.min(axis=(0, 1))
    unit = (flat - low) / max(float((flat.max(axis=(0, 1)) - low).max()), 1e-12)
    layer = np.zeros(len(axis), np.int64)
    for depth in range(PEELS):
        hidden = np.zeros(len(axis), bool)
        for side in range(6):
            rows = np.flatnonzero((axis == side) & (layer == depth))
            hidden[rows[_hidden(unit[rows], height[rows])]] = True
        if not hidden.any():
            return layer
        layer[hidden] += 1
    alone = np.flatnonzero(layer == PEELS)
    layer[alone] = PEELS + np.arange(len(alone))
    return layer


def _hidden(flat: np.ndarray, height: np.ndarray) -> np.ndarray:
    """(k,) int: rows of the triangles that lie below another one somewhere.

    flat : (m, 3, 2) in [0, 1]; height : (m,) along the viewing axis, larger in front
    """
    face, texel = rasterize(flat, PEEL_TEXELS)
    order = np.lexsort((-height[face], texel))
    face, texel = face[order], texel[order]
    below = np.flatnonzero(np.diff(texel, prepend=-1) == 0)
    return np.unique(face[below])


def _charts(key: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """(m,) int 0..charts-1: connected faces with the same key."""
    one, two = neighbours
    same = key[one] == key[two]
    label = connected(len(key), one[same], two[same])
    return np.unique(label, return_inverse=True)[1].reshape(-1)


def _pack(flat: np.ndarray, chart: np.ndarray, texture_size: int, padding: int) -> np.ndarray:
    """(m, 3, 2) float64 in [0, 1]: each chart's box, lying down, on a shelf; one scale for all charts."""
    count = int(chart.max()) + 1
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    np.minimum.at(low, chart, flat.min(axis=1))
    np.maximum.at(high, chart, flat.max(axis=1))
    sides = high - low
    upright = sides[:, 1] > sides[:, 0]
    sides = np.where(upright[:, None], sides[:, ::-1], sides)
    scale, corner = _fit(sides, texture_size, padding)
    local = flat - low[chart][:, None]
    turned = np.stack([local[..., 1], (high - low)[chart][:, None, 0] - local[..., 0]], axis=2)
    local = np.where(upright[chart][:, None, None], turned, local)
    return np.clip((local * scale + corner[chart][:, None]) / texture_size, 0.0, 1.0)


def _fit(sides: np.ndarray, texture_size: int, padding: int) -> tuple[float, np.ndarray]:
    """The largest scale (texels per unit) that fits, found by bisection, and each box's corner (texels).

    If even points do not fit (far more charts than texels), the padding shrinks: a poor texture, no error.
    """
    order = np.lexsort((-sides[:, 0], -sides[:, 1]))
    gap = float(padding)
    while _shelves(sides[order] * 0, texture_size, gap) is None:
        gap *= 0.5
    low, high = 0.0, texture_size / max(float(sides.max()), 1e-12)
    corners = _shelves(sides[order] * low, texture_size, gap)
    for _ in range(PACKING_ROUNDS):
        middle = (low + high) / 2
        trial = _shelves(sides[order] * middle, texture_size, gap)
        if trial is None:
            high = middle
        else:
            low, corners = middle, trial
    placed = np.empty_like(sides)
    placed[order] = corners
    return low, placed


def _shelves(boxes: np.ndarray, size: float, gap: float) -> np.ndarray | None:
    """(k, 2) lower corners of boxes (k, 2) laid left to right on shelves, tallest first; None if too many."""
    ends = np.cumsum(boxes[:, 0] + gap)
    corners = np.empty_like(boxes)
    begin, top = 0, gap / 2
    while begin < len(boxes):
        offset = ends[begin - 1] if begin else 0.0
        stop = int(np.searchsorted(ends, offset + size, side="right"))
        bottom = top + boxes[begin, 1] + gap
        if stop == begin or bottom - gap / 2 > size:
            return None
        corners[begin:stop, 0] = ends[begin:stop] - boxes[begin:stop, 0] - offset - gap / 2
        corners[begin:stop, 1] = top
        begin, top = stop, bottom
    return corners


def _merge_corners(faces: np.ndarray, chart: np.ndarray, uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One vertex for each (vertex, chart) pair in place of one for each corner."""
    key = np.repeat(chart.astype(np.int64), 3) * (int(faces.max()) + 1) + faces.ravel()
    first, inverse = np.unique(key, return_index=True, return_inverse=True)[1:]
    source = faces.ravel()[first].astype(np.int64)
    return source, inverse.reshape(-1, 3).astype(np.int32), uvs.reshape(-1, 2)[first].astype(np.float32)
