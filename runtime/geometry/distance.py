"""Points on a surface, and how far points are from one: by rays, whose shortest hit bounds the distance from above."""

from __future__ import annotations

import numpy as np

from .mesh import Mesh, normalized
from .raycast import Hits, Scene

DIRECTIONS = 24  # a plane is hit within 15 degrees of the perpendicular, so that the first guess is at most 4 % too long
BEHIND, FAR = 1e-4, 0.01  # of the longest side
ROUNDS = 2  # each casts a ray against the normal of the face found last, which is exact where the foot of the point lies on it


def surface_points(mesh: Mesh, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points spread evenly over the surface, (count, 3) float32, and the face (count,) int64 that each lies on."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum(mesh.face_areas(), dtype=np.float64)
    # One in each of `count` equal strips of area, so that small numbers are spread well too.
    face = np.searchsorted(ends, (np.arange(count) + rng.random(count)) / count * ends[-1]).clip(0, len(ends) - 1)
    root, other = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - root, root * (1 - other), root * other], axis=1)
    return np.einsum("nk,nkj->nj", weights, mesh.triangles()[face]).astype(np.float32), face


def nearest(mesh: Mesh, scene: Scene, points: np.ndarray, guesses: np.ndarray | None = None) -> Hits:
    """The nearest place on a surface that rays find, for each point (n, 3) float32; its distance is never too short.

    mesh : with faces; scene : the same, ready for rays
    guesses : (n, 3) float32, unit, directions to try both ways besides the fixed ones, such as a normal at the point
    """
    count, normals = len(points), mesh.face_normals()
    size = float(np.ptp(mesh.bounds, axis=0).max())
    behind = np.float32(BEHIND * size)
    best = Hits(np.full(count, -1, np.int32), np.full(count, np.inf, np.float32), np.zeros((count, 2), np.float32))
    for direction in spread_directions(DIRECTIONS):
        _keep_nearer(best, scene, points, np.broadcast_to(direction, points.shape), behind)
    if guesses is not None:
        for sign in (1, -1):
            _keep_nearer(best, scene, points, sign * guesses, behind)
    for _ in range(ROUNDS):
        rows = np.flatnonzero(best.face >= 0)
        for sign in (1, -1):
            _keep_nearer(best, scene, points, sign * normals[best.face[rows]], behind, rows)
    # Beside a sheet, or far off, a corner of a face may be nearer than what rays hit.
    used, corner = np.unique(mesh.faces, return_index=True)
    places = mesh.vertices[used]
    for row in np.flatnonzero(best.distance > FAR * size):
        apart = np.einsum("ij,ij->i", places - points[row], places - points[row])
        if apart.min() < best.distance[row] ** 2:
            face, which = divmod(int(corner[apart.argmin()]), 3)
            best.face[row], best.distance[row], best.barycentric[row] = face, np.sqrt(apart.min()), (which == 1, which == 2)
    return best


def spread_directions(count: int) -> np.ndarray:
    """(count, 3) float32 unit vectors, evenly over the sphere (Fibonacci lattice)."""
    index = np.arange(count) + 0.5
    z, turn = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    level = np.sqrt(1 - z * z)
    return np.stack([level * np.cos(turn), level * np.sin(turn), z], axis=1).astype(np.float32)


def distances(points: np.ndarray, mesh: Mesh, guesses: np.ndarray | None = None) -> np.ndarray:
    """(n,) float32: at most that far are points (n, 3) from a mesh with faces, by `nearest`."""
    return nearest(mesh, Scene(mesh.vertices, mesh.faces), points, guesses).distance


def deviation(one: Mesh, other: Mesh, count: int = 4000) -> tuple[float, float]:
    """The mean and the largest distance between two surfaces, at `count` points of each; upper bounds at those points."""
    both = []
    for start, end in ((one, other), (other, one)):
        points, face = surface_points(start, count)
        both.append(distances(points, end, normalized(start.face_normals()[face])))
    return float(np.concatenate(both).mean()), float(np.concatenate(both).max())


def _keep_nearer(
    best: Hits, scene: Scene, points: np.ndarray, directions: np.ndarray, behind: np.float32, rows: np.ndarray | None = None,
) -> None:
    """Cast one ray for each of the points, or those of `rows`, and note in `best` what is nearer than what it has.

    behind : how far behind its point a ray begins, because one that begins on a surface may or may not hit it
    """
    rows = np.arange(len(points)) if rows is None else rows
    hits = scene.intersect(points[rows] - behind * directions, directions)
    distance = np.abs(hits.distance - behind)
    nearer = distance < best.distance[rows]
    kept = rows[nearer]
    best.face[kept], best.distance[kept], best.barycentric[kept] = hits.face[nearer], distance[nearer], hits.barycentric[nearer]
