"""Evaluates a field only where its surface is: on a coarse lattice first, then near the surface.

Grid conventions are InstantMesh's: resolution**3 cubes, vertex (i, j, k) at (i, j, k) / resolution
(rounded to 5 decimals, unless told otherwise) - 0.5, times the extent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .tables import CORNERS

Query = Callable[[np.ndarray], Mapping[str, np.ndarray]]

# How far from zero the field may be, at the nearest corner and on average over the corners, in a
# cell that the surface still enters; as a share of the field's largest change across a cell, which
# for a distance is the cell's diagonal. A distance needs 0.5 (the surface at the cell's centre)
# and 0.65 (the surface at a corner); the rest is for fields that are not quite distances.
REACH_NEAREST, REACH_MEAN = 0.6, 0.72
# A truncated field is level far from the surface; at this share of the level nothing is near.
SATURATION = 0.9
# Of the grid vertices' places along the grid's side, as FlexiCubes rounds them.
DECIMALS = 5


@dataclass(frozen=True, eq=False)
class SparseField:
    """A field at the corners of the k cubes that its surface passes through.

    resolution : cubes along each side of the grid; extent : length of the grid's side
    cubes : (k, 3) int32, coordinates, in ascending order of (x * resolution + y) * resolution + z
    corners : (k, 8) int32, rows of the arrays below
    points : (v, 3) float32, undeformed grid vertices
    values : what the query gave at the points, each array with v rows; "sdf" (v,) float32 is
        negative inside
    queried : how many points were evaluated in all
    """

    resolution: int
    extent: float
    cubes: np.ndarray
    corners: np.ndarray
    points: np.ndarray
    values: Mapping[str, np.ndarray]
    queried: int


def evaluate_sparse(
    query: Query, resolution: int, extent: float, *, negative_inside: bool = True,
    seal: bool = True, stride: int = 4, decimals: int | None = DECIMALS, chunk: int = 1 << 16,
) -> SparseField:
    """Finds the cubes that the surface of a field passes through, and the field at their corners.

    query : takes points (n, 3) float32 within +-extent / 2, gives arrays with n rows, "sdf" (n,)
        or (n, 1) among them
    negative_inside : sign of the query's sdf inside the object
    seal : closes the surface where it would leave the grid, by taking the grid's border as outside
    stride : spacing of the first lattice in cubes, a power of two; the lattice's last layer is
        thinner where that does not divide the resolution. A part of the object is found if the
        field at some vertex of that lattice tells it is near: a field truncated at t needs
        stride * extent / resolution < 1.1 * t. At 1 every grid vertex is asked, and nothing missed.
    decimals : to which the vertices' places along the grid's side are rounded; None for not at all
    chunk : most points in one call of the query
    Whatever part of a surface is found is followed to its end, so it has no holes. Uses about
    6 * resolution**3 bytes for bookkeeping, and 150 * (resolution / stride)**3 while it searches.
    """
    axis = axis_positions(resolution, extent, decimals)
    samples = _Samples(query, axis, extent, 1.0 if negative_inside else -1.0, seal, chunk)
    cells, saturation = _all_cells(-(-resolution // stride)), SATURATION
    while stride > 1:
        kept = cells[_near_surface(samples.at_corners(cells, stride), saturation)]
        stride, saturation = stride // 2, np.inf
        cells = (2 * kept[:, None] + CORNERS).reshape(-1, 3)
        cells = cells[(cells * stride < resolution).all(axis=1)]
    return samples.gather(_follow_surface(samples, cells))


def axis_positions(resolution: int, extent: float, decimals: int | None = DECIMALS) -> np.ndarray:
    """(resolution + 1,) float32: coordinates of the grid vertices along one axis."""
    fractions = np.arange(resolution + 1) / resolution
    if decimals is not None:
        fractions = np.round(fractions, decimals)
    return ((fractions - 0.5) * extent).astype(np.float32)


class _Samples:
    """The field at the grid vertices evaluated so far."""

    def __init__(
        self, query: Query, axis: np.ndarray, extent: float, sign: float, seal: bool, chunk: int,
    ) -> None:
        self.query, self.axis, self.extent = query, axis, extent
        self.sign, self.seal, self.chunk = np.float32(sign), seal, chunk
        self.side, self.resolution = len(axis), len(axis) - 1
        self.row = np.full(self.side**3, -1, np.int32)  # of each grid vertex; -1 not evaluated
        self.wanted = np.zeros(self.side**3, bool)
        self.values: Mapping[str, np.ndarray] = {}
        self.count = 0

    def at_corners(self, cells: np.ndarray, stride: int = 1) -> np.ndarray:
        """(k, 8) float32: the sdf at the corners of cells (k, 3), which are `stride` cubes wide."""
        ids = self.corner_ids(cells, stride)
        if not len(ids):
            return np.zeros((0, 8), np.float32)
        self.wanted[:] = False
        self.wanted[ids] = True
        new = np.flatnonzero(self.wanted & (self.row < 0))
        self._evaluate(new)
        return self.values["sdf"][self.row[ids]]

    def gather(self, cubes: np.ndarray) -> SparseField:
        """The field at the corners of the given cubes alone."""
        cubes = cubes[np.lexsort(cubes.T[::-1])]
        ids = self.corner_ids(cubes, 1)
        self.wanted[:] = False
        self.wanted[ids] = True
        used = np.flatnonzero(self.wanted)
        rows = self.row[used]
        self.row[used] = np.arange(len(used), dtype=np.int32)
        values = {name: array[rows] for name, array in self.values.items()}
        return SparseField(
            self.resolution, self.extent, cubes, self.row[ids], self._points(used), values,
            self.count)

    def corner_ids(self, cells: np.ndarray, stride: int) -> np.ndarray:
        """(k, 8) int32: numbers of the grid vertices at the corners of the cells."""
        line = np.minimum(np.arange(-(-self.resolution // stride) + 1, dtype=np.int32) * stride, self.resolution)
        strides = (self.side**2, self.side, 1)
        x, y, z = (np.int32(strides[k]) * line[cells[:, k, None] + CORNERS[:, k]] for k in range(3))
        x += y
        x += z
        return x

    def _points(self, ids: np.ndarray) -> np.ndarray:
        return np.stack([self.axis[k] for k in self._coordinates(ids)], axis=1)

    def _coordinates(self, ids: np.ndarray) -> tuple[np.ndarray, ...]:
        return np.unravel_index(ids, (self.side,) * 3)

    def _evaluate(self, ids: np.ndarray) -> None:
        """Asks for the field at grid vertices that were not asked before."""
        parts = [self.values] if self.values else []
        for start in range(0, len(ids), self.chunk):
            part = ids[start:start + self.chunk]
            found = {name: np.asarray(array) for name, array in self.query(self._points(part)).items()}
            parts.append(found | {"sdf": self._oriented(found["sdf"], part)})
        if len(ids):
            self.values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self.row[ids] = np.arange(self.count, self.count + len(ids), dtype=np.int32)
        self.count += len(ids)

    def _oriented(self, sdf: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """(n,) float32: the sdf, negative inside; where it is sealed the border mirrors inside."""
        sdf = self.sign * sdf.reshape(len(ids)).astype(np.float32)
        if not self.seal:
            return sdf
        border = np.zeros(len(ids), bool)
        for k in self._coordinates(ids):
            border |= (k == 0) | (k == self.resolution)
        return np.where(border, np.abs(sdf), sdf)


def _all_cells(count: int) -> np.ndarray:
    """(count**3, 3) int32: coordinates of every cell of a count**3 lattice."""
    return np.stack(np.unravel_index(np.arange(count**3), (count,) * 3), axis=1).astype(np.int32)


def _near_surface(sdf: np.ndarray, saturation: float) -> np.ndarray:
    """(k,) bool: cells that the surface may enter, given the sdf (k, 8) at their corners.

    The field's own steepness sets the scale, so it need not be a distance.
    """
    if not len(sdf):
        return np.zeros(0, bool)
    low, high = sdf.min(axis=1), sdf.max(axis=1)
    mixed = (low < 0) & (high >= 0)
    change = high - low
    away = np.abs(sdf)
    nearest = away.min(axis=1)
    steepest = np.percentile(change, 99, method="higher")
    if mixed.any():
        steepest = max(steepest, np.percentile(change[mixed], 95, method="higher"))
    reach = REACH_NEAREST * steepest
    if np.isfinite(saturation):
        reach = min(reach, saturation * np.median(nearest))
    return mixed | ((nearest <= reach) & (away.mean(axis=1) <= REACH_MEAN * steepest))


def _follow_surface(samples: _Samples, cells: np.ndarray) -> np.ndarray:
    """(k, 3) int32: the cubes with corners of both signs among `cells` and connected to those.

    Where the surface passes a face whose other cube was not evaluated, that cube is added.
    """
    known = np.zeros((samples.resolution,) * 3, bool)
    found = []
    while len(cells):
        known[tuple(cells.T)] = True
        inside = samples.at_corners(cells) < 0
        mixed = inside.any(axis=1) & ~inside.all(axis=1)
        found.append(cells[mixed])
        cells = _unknown_neighbours(cells[mixed], inside[mixed], known)
    return np.concatenate(found) if found else np.zeros((0, 3), np.int32)


def _unknown_neighbours(cubes: np.ndarray, inside: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(n, 3) int32: cubes not yet known behind a face of `cubes` that the surface passes."""
    neighbours = []
    for axis in range(3):
        for side in (0, 1):
            face = inside[:, CORNERS[:, axis] == side]
            passes = face.any(axis=1) & ~face.all(axis=1)
            beyond = cubes[passes]
            beyond[:, axis] += 2 * side - 1
            beyond = beyond[(beyond[:, axis] >= 0) & (beyond[:, axis] < len(known))]
            neighbours.append(beyond[~known[tuple(beyond.T)]])
    return np.unique(np.concatenate(neighbours), axis=0)
