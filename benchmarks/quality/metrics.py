"""Measures of shapes, pictures and colours. Arrays in, plain numbers out; nothing here knows of packs or props."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

from meshwright.runtime.geometry.mesh import Mesh, normalized
from meshwright.runtime.geometry.raycast import Scene
from meshwright.runtime.geometry.render import sample_texture
from meshwright.runtime.geometry.shading import product

# Three directions that no straight edge of a prop follows; the majority decides what is inside.
PROBES = normalized(np.array([[0.31, 0.22, 0.93], [-0.87, 0.41, -0.27], [0.19, -0.91, 0.37]])).astype(np.float32)

# So many that two samples of one surface have a score of 0.99 or more.
SURFACE_POINTS, THRESHOLD = 24_000, 0.02


@dataclass(frozen=True, eq=False)
class Samples:
    """Points on a surface (n, 3) float32, and the base colour of each (n, 3) float32 sRGB in [0, 1], or None."""

    points: np.ndarray
    colors: np.ndarray | None


def sample_surface(mesh: Mesh, count: int, rng: np.random.Generator) -> Samples:
    """`count` points spread evenly over the area of a mesh that is not empty, with its texture, its vertex colours, or their
    product, as the renderer shows them."""
    areas = mesh.face_areas().astype(np.float64)
    faces = mesh.faces[rng.choice(len(areas), count, p=areas / areas.sum())]
    a, b = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - a, a * (1 - b), a * b], axis=1).astype(np.float32)

    def mixed(values: np.ndarray) -> np.ndarray:
        return np.einsum("nk,nkc->nc", weights, values[faces].astype(np.float32))

    colors = None if mesh.colors is None else mixed(mesh.colors) / np.float32(255)
    if mesh.texture is not None and mesh.uvs is not None:
        texture = sample_texture(mesh.texture, mixed(mesh.uvs))
        colors = texture if colors is None else product(texture, colors)
    return Samples(mixed(mesh.vertices), colors)


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two arrays in [0, 1]; at most 99, so that equal ones have a finite mean."""
    error = float(np.mean((np.asarray(picture, np.float64) - truth) ** 2))
    return min(99.0, -10.0 * np.log10(max(error, 1e-12)))


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks (n,) bool; 1 if both are empty."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def inside(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    """(n,) bool: whether points (n, 3) lie within a closed mesh whose faces point outwards.

    A ray that first meets the back of a face comes from within; two of three directions must agree.
    """
    scene, normals, votes = Scene(mesh.vertices, mesh.faces), mesh.face_normals(), np.zeros(len(points), int)
    for probe in PROBES:
        face = scene.intersect(points, np.broadcast_to(probe, points.shape)).face
        votes += (face >= 0) & (normals[face] @ probe > 0)
    return votes >= 2


def unit_box(points: np.ndarray) -> np.ndarray:
    """Points (n, 3) float32 moved and scaled so that their box is centred on 0 and its longest side is 1."""
    low, high = points.min(axis=0), points.max(axis=0)
    return ((points - (low + high) / 2) / max(float((high - low).max()), 1e-9)).astype(np.float32)


def f_score(points: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    """Harmonic mean of two shares: of `points` within `threshold` of the nearest of `truth`, and the other way round.

    points (n, 3), truth (m, 3) float32, samples of two surfaces
    """
    near, far = _both_nearest(_columns(points), _columns(truth))
    precision, recall = (float((squared < threshold**2).mean()) for squared in (near, far))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def surface_score(mesh: Mesh, surface: Callable[[int, np.random.Generator], np.ndarray], seed: int) -> float:
    """F-score of a mesh against a true surface at 0.02 of the longest side of the truth, both as they stand.

    surface : count and generator -> points (count, 3) on the true surface
    """
    rng = np.random.default_rng((seed, 7))
    truth = surface(SURFACE_POINTS, rng)
    size = float((truth.max(axis=0) - truth.min(axis=0)).max())
    return f_score(sample_surface(mesh, SURFACE_POINTS, rng).points, truth, THRESHOLD * size)


def nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n,) int64: for each of points (n, 3) the row of the nearest of others (m, 3)."""
    return _nearest(_columns(points), _columns(others))


def most_frequent(names: list[str]) -> str | None:
    """The name that occurs most often, the first of them in a tie; None of none."""
    return max(dict.fromkeys(names), key=names.count) if names else None


def _columns(points: np.ndarray) -> np.ndarray:
    """(3, n) float32, a row an axis: the layout in which the loops below run as vectors."""
    return np.ascontiguousarray(np.asarray(points, np.float32).T)


@njit(fastmath=True, cache=True)
def _both_nearest(a, b):
    """Squared distance of each of a (3, n) to the nearest of b (3, m), and of each of b to the nearest of a."""
    from_a, from_b = np.empty(a.shape[1], np.float32), np.full(b.shape[1], np.float32(1e9))
    for i in range(a.shape[1]):
        x, y, z, best = a[0, i], a[1, i], a[2, i], np.float32(1e9)
        for j in range(b.shape[1]):
            d = (b[0, j] - x) ** 2 + (b[1, j] - y) ** 2 + (b[2, j] - z) ** 2
            best = min(best, d)
            from_b[j] = min(from_b[j], d)
        from_a[i] = best
    return from_a, from_b


@njit(fastmath=True, cache=True)
def _nearest(a, b):
    out = np.empty(a.shape[1], np.int64)
    for i in range(a.shape[1]):
        best, row = np.float32(1e9), 0
        for j in range(b.shape[1]):
            d = (b[0, j] - a[0, i]) ** 2 + (b[1, j] - a[1, i]) ** 2 + (b[2, j] - a[2, i]) ** 2
            if d < best:
                best, row = d, j
        out[i] = row
    return out
