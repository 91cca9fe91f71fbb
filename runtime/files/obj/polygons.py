"""Polygons in space become triangles: those that a fan fits all at once, the others by ear clipping in their own plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .ear_clipping import ROUNDING, WorkBudget, clip_ears

# Corners of polygons that are looked at together: bounds the memory.
BLOCK = 1 << 17
# Corners of the largest polygon for which a fan from each of its corners is tried.
SMALL = 12
# Height of a polygon above its plane, of its size: one that is higher need not cross itself where its outline seems to.
FLAT = 1e-3


@dataclass(frozen=True, eq=False)
class Triangles:
    """What polygons became.

    corners : (m, 3) int64, rows of the polygons' corners
    polygons : (m,) int64, the polygon each is of; in order
    wrong : the polygons, in order, that cross themselves or were too much work: their triangles have their signed area, but may
        leave out a part of them or cover something else
    """

    corners: np.ndarray
    polygons: np.ndarray
    wrong: list[int]


def triangulate(places: np.ndarray, corners: np.ndarray, counts: np.ndarray,
                 progress: Callable[[float], None] = lambda done: None) -> Triangles:
    """The triangles of polygons, each facing as its polygon does (Newell's normal).

    places : (n, 3) float; corners : (k,) int, rows of `places`, polygon after polygon; counts : (p,) int, 3 or more each
    progress : called now and then with the share that is done; what it raises ends the work
    """
    first, start = np.cumsum(counts) - counts, np.cumsum(counts - 2) - (counts - 2)
    made = np.empty((int((counts - 2).sum()), 3), np.int64)
    wrong: list[int] = []
    done, budget = 0, WorkBudget(tick=lambda: progress(done / len(corners)))
    for count in np.unique(counts).tolist():
        same, step = np.flatnonzero(counts == count), max(1, BLOCK // count)
        for begin in range(0, len(same), step):
            block = same[begin:begin + step]
            local, unfit = np.broadcast_to(np.arange(3), (len(block), 1, 3)), np.empty(0, np.int64)
            if count > 3:
                polygons = places[corners[first[block, None] + np.arange(count)]].astype(np.float64)
                local, unfit = _fans(polygons)
                wrong += block[_clip(polygons, unfit, local, budget)].tolist() if len(unfit) else []
            made[start[block, None] + np.arange(count - 2)] = first[block, None, None] + local
            done += count * len(block)
            budget.tick()
    return Triangles(made, np.repeat(np.arange(len(counts)), counts - 2), sorted(wrong))


def _fans(polygons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m, n - 2, 3) int, corners of a fan of each of (m, n, 3), and (k,) those whose fan is wrong from every corner that was tried.

    The fan of a polygon that does not cross itself is right where none of its triangles faces the other way. One whose triangles
    all have an area is preferred: the middle corner of one without lies on an edge of another.
    """
    count = polygons.shape[1]
    fan = np.stack([np.zeros(count - 2, np.int64), np.arange(1, count - 1), np.arange(2, count)], axis=1)
    best, quality = np.zeros(len(polygons), np.int64), np.full(len(polygons), -np.inf)
    left = np.arange(len(polygons))
    for start in range(count if count <= SMALL else 1):
        found = _fan_quality(np.roll(polygons[left], -start, axis=1), fan)
        better = found > quality[left]
        best[left[better]], quality[left[better]] = start, found[better]
        left = left[~(quality[left] > ROUNDING)]
        if not len(left):
            break
    return (fan + best[:, None, None]) % count, np.flatnonzero(~(quality >= 0))


def _fan_quality(polygons: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(m,): of triangles (t, 3) in each of (m, n, 3) the smallest share of the polygon's area, seen along its normal; 0 if some face
    the other way by no more than rounding, -1 if by more, or if there is area without a normal: halves that cross each other."""
    a, b, c = (polygons[:, triangles[:, k]] for k in range(3))
    vectors = np.cross(b - a, c - a)
    normals = vectors.sum(axis=1)
    total, gross = np.linalg.norm(normals, axis=1), np.linalg.norm(vectors, axis=2).sum(axis=1)
    shares = np.einsum("mtk,mk->mt", vectors, normals) / np.where(total > 0, total, 1)[:, None]**2
    quality = np.where(-np.minimum(shares, 0).sum(axis=1) <= ROUNDING, shares.min(axis=1).clip(0), -1)
    return np.where(total > 1e-9 * gross, quality, np.where(gross == 0, 0, -1))


def _clip(polygons: np.ndarray, which: np.ndarray, made: np.ndarray, budget: WorkBudget) -> np.ndarray:
    """Writes the triangles of the polygons `which` of (m, n, 3) into `made` (m, n - 2, 3); those that could not be done right.

    Polygons that are far from flat have no right triangles, and a quad has no more than the two fans that were tried.
    """
    flat, heights, usable = _in_plane(polygons[which])
    exact = heights > FLAT
    if polygons.shape[1] > 4:
        for k in np.flatnonzero(usable).tolist():
            made[which[k]], right = clip_ears(list(map(tuple, flat[k].tolist())), budget)
            exact[k] |= right
    return which[~exact]


def _in_plane(polygons: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Polygons (m, n, 3) made 1 in size, seen from where their normals point, counter-clockwise, (m, n, 2); how far they are
    from being flat, (m,), 0 to 1; and (m,) which have a normal."""
    local = polygons - polygons[:, :1]
    local /= np.abs(local).max(axis=(1, 2), keepdims=True, initial=1e-300)
    normals = np.cross(local, np.roll(local, -1, axis=1)).sum(axis=1)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    usable = np.isfinite(lengths[:, 0]) & (lengths[:, 0] > 1e-12)
    normals = np.where(usable[:, None], normals, [0, 0, 1]) / np.where(usable[:, None], lengths, 1)
    # The axis that is farthest from the normal: of a polygon that lies across an axis, the numbers stay as they are.
    across = np.cross(np.eye(3)[np.abs(normals).argmin(axis=1)], normals)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    flat = np.stack([np.einsum("mnk,mk->mn", local, axis) for axis in (across, np.cross(normals, across))], axis=2)
    return flat, np.where(usable, np.ptp(np.einsum("mnk,mk->mn", local, normals), axis=1), 0), usable
