"""Convex hulls of few vertices: the largest gap is closed first (Quickhull, Barber, Dobkin and Huhdanpaa 1996)."""

from __future__ import annotations

import numpy as np

from .mesh import Mesh

# Shares of the size of the points. A point that is nearer to the hull is left out; what is flatter is made that thick.
TOLERANCE, THINNEST = 1e-4, 2e-3
CORNERS_FIRST = 1e-4  # what the distance from the middle counts, so that of points that are equally far outside corners are taken
JOGGLE = 1e-7  # moves points off common planes while the faces are looked for, as Qhull's option QJ does
START = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])


def convex_hull(points: np.ndarray, most: int = 32) -> Mesh:
    """A closed convex mesh whose vertices are some of the points; faces look outwards.

    Each round adds the point that lies furthest outside, so that with `most` vertices the hull is as near to the whole one as this
    greedy choice gets. Points in a plane, on a line or at one place give a thin box around them.

    points : (n, 3) float, finite, n > 0
    most : vertices of the hull, at least 8
    """
    points = np.unique(np.asarray(points, np.float64), axis=0)
    low, size = points.min(axis=0), float(np.ptp(points, axis=0).max()) or 1.0
    unit = (points - low) / size
    unit += np.random.default_rng(0).uniform(-JOGGLE, JOGGLE, unit.shape)
    bonus = CORNERS_FIRST * np.linalg.norm(unit - unit.mean(axis=0), axis=1)
    start = _tetrahedron(unit, bonus)
    if start is None:
        return thin_box(points)
    faces = start[START]
    outer = np.arange(len(unit))  # points that may lie outside; those within a hull never do again
    while True:
        normals, offsets = _planes(unit, faces)
        outside = unit[outer] @ normals.T - offsets
        gaps = outside.max(axis=1)
        outer, outside, gaps = (values[gaps > TOLERANCE] for values in (outer, outside, gaps))
        if not len(outer) or len(np.unique(faces)) >= most:
            return Mesh(points.astype(np.float32), faces.astype(np.int32)).compacted()
        furthest = int((gaps + bonus[outer]).argmax())
        faces = _with_point(faces, outside[furthest] > 0, int(outer[furthest]))


def box(points: np.ndarray) -> Mesh:
    """The box along the axes around points (n, 3): 8 vertices, 12 faces that look outwards."""
    low, high = points.min(axis=0), points.max(axis=0)
    corners = np.array([[(low, high)[i >> axis & 1][axis] for axis in range(3)] for i in range(8)], np.float32)
    quads = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    return Mesh(corners, np.array([(a, b, c) for p, q, r, s in quads for a, b, c in ((p, q, r), (p, r, s))], np.int32))


def thin_box(points: np.ndarray) -> Mesh:
    """As `box`, at least so thick that physics engines take it."""
    low, high = points.min(axis=0), points.max(axis=0)
    lack = np.maximum(THINNEST * float((high - low).max() or 1.0) - (high - low), 0) / 2
    return box(np.stack([low - lack, high + lack]))


def _tetrahedron(points: np.ndarray, bonus: np.ndarray) -> np.ndarray | None:
    """(4,) int: four points far apart, the fourth behind the plane of the others; None if all are nearly in one plane."""
    a = int(bonus.argmax())
    b = int(np.linalg.norm(points - points[a], axis=1).argmax())
    along = points[b] - points[a]
    c = int(np.linalg.norm(np.cross(points - points[a], along), axis=1).argmax())
    normal = np.cross(along, points[c] - points[a])
    length = np.linalg.norm(normal)
    if length < THINNEST:
        return None
    height = (points - points[a]) @ (normal / length)
    d = int((np.abs(height) + bonus).argmax())
    if abs(height[d]) < THINNEST:
        return None
    return np.array([a, b, c, d] if height[d] < 0 else [a, c, b, d])


def _planes(points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals (m, 3) outwards and offsets (m,): a point p is outside of a face where p . normal > offset."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    return normals, np.einsum("ij,ij->i", normals, a)


def _with_point(faces: np.ndarray, visible: np.ndarray, point: int) -> np.ndarray:
    """The faces with those that the point sees replaced by the cone from it to their outline."""
    seen = faces[visible]
    edges = np.concatenate([seen[:, [0, 1]], seen[:, [1, 2]], seen[:, [2, 0]]])
    there = {tuple(edge) for edge in edges.tolist()}
    outline = np.array([edge for edge in edges.tolist() if (edge[1], edge[0]) not in there])
    cone = np.concatenate([outline, np.full((len(outline), 1), point)], axis=1)
    return np.concatenate([faces[~visible], cone])
