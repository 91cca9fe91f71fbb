"""The active voxels of a grid as rows of tables: what a sparse 3D network is given in place of a grid.

A level is a set of voxels (n, 3) of one resolution. The finest level holds the eight children of each voxel of the next, which is the
set that was chosen; coarser levels hold the parents of what is below. All tables have the lengths of a bucket, so that few shapes
serve all objects: what a bucket has beyond the voxels is padding, and its last row always is. Grids are cubes centred at the origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .topology import connected

# A voxel's neighbourhood, itself included, and its children; x slowest.
AROUND = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(27, 3)
OCTANTS = np.stack(np.meshgrid(*[(0, 1)] * 3, indexing="ij"), axis=-1).reshape(8, 3)


@dataclass(frozen=True, eq=False)
class ActiveVoxels:
    """levels : of each, the finest first, coordinates (n, 3) int64 in its own resolution; resolution : cells along a side of the finest;
    rows : of each level in the tables
    """

    levels: tuple[np.ndarray, ...]
    resolution: int
    rows: tuple[int, ...]

    @property
    def count(self) -> int:
        """Of the finest level, without padding."""
        return len(self.levels[0])

    def tables(self) -> dict[str, np.ndarray]:
        """active_L (rows, 1) float32, 1 for voxels and 0 for padding; neighbours_L (rows, 27) int64; of all levels but the last parents_L
        (rows,) int64, eight times the parent's row and the place among its children, and children_L (rows of the next level, 8) int64.

        A voxel that is not there is the last row, which is padding.
        """
        made: dict[str, np.ndarray] = {}
        lookups = [self._lookup(level) for level in range(len(self.levels))]
        for level, (voxels, rows) in enumerate(zip(self.levels, self.rows, strict=True)):
            made[f"active_{level}"] = (np.arange(rows) < len(voxels)).astype(np.float32)[:, None]
            made[f"neighbours_{level}"] = _padded(_found(lookups[level], voxels[:, None] + AROUND), rows, rows - 1)
        for level, (fine, coarse) in enumerate(zip(self.levels, self.levels[1:], strict=False)):
            octant = (fine & 1) @ np.array([4, 2, 1])
            made[f"parents_{level}"] = _padded(8 * _found(lookups[level + 1], fine >> 1) + octant, self.rows[level], 0)
            made[f"children_{level}"] = _padded(_found(lookups[level], 2 * coarse[:, None] + OCTANTS), self.rows[level + 1],
                                                self.rows[level] - 1)
        return made

    def padded(self, values: np.ndarray) -> np.ndarray:
        """Values (count, ...) of the finest voxels -> (rows, ...), zero behind them."""
        return _padded(values, self.rows[0], 0)

    def centres(self, extent: float) -> np.ndarray:
        """(count, 3) float32: centres of the finest voxels in a grid `extent` wide."""
        return centres(self.levels[0], self.resolution, extent)

    def _lookup(self, level: int) -> np.ndarray:
        """(r + 2,) * 3 int64: the row of each voxel of a level, one cell of border around; the last row where there is none."""
        side = (self.resolution >> level) + 2
        lookup = np.full((side,) * 3, self.rows[level] - 1, np.int64)
        lookup[tuple(self.levels[level].T + 1)] = np.arange(len(self.levels[level]))
        return lookup


def subdivided(occupied: np.ndarray, level_count: int, buckets: Sequence[int]) -> ActiveVoxels | None:
    """The voxels inside which to look closer: the eight children of each that is occupied, and the parents above.

    occupied : (r, r, r) bool, with r a multiple of 2^(level_count - 2); level_count : 2 or more, the finest counted
    buckets : how many occupied voxels the tables hold, ascending; the first one that is enough is taken, and None is returned where
        none is: for too many voxels, or for voxels so scattered that they have too many parents
    """
    chosen = np.argwhere(occupied)
    levels = [(2 * chosen[:, None] + OCTANTS).reshape(-1, 3), chosen]
    while len(levels) < level_count:
        levels.append(np.unique(levels[-1] >> 1, axis=0))
    for bucket in buckets:
        rows = bucket_rows(bucket, level_count)
        if all(len(voxels) < length for voxels, length in zip(levels, rows, strict=True)):
            return ActiveVoxels(tuple(levels), 2 * len(occupied), rows)
    return None


def bucket_rows(bucket: int, level_count: int) -> tuple[int, ...]:
    """Rows of each level's tables, the finest first: eight for each voxel of the bucket, one, and half as many from level to level.

    A surface has a quarter as many voxels at half the resolution, so parents nearly always fit.
    """
    return (8 * bucket, *(-(-bucket >> level) for level in range(level_count - 1)))


def centres(voxels: np.ndarray, resolution: int, extent: float) -> np.ndarray:
    """(n, 3) float32: the centres of voxels (n, 3) of a grid."""
    return (((voxels + 0.5) / resolution - 0.5) * extent).astype(np.float32)


def all_voxels(resolution: int) -> np.ndarray:
    """(resolution^3, 3) int64, x slowest."""
    return np.stack(np.unravel_index(np.arange(resolution**3), (resolution,) * 3), axis=1)


def filled(voxels: ActiveVoxels, values: np.ndarray, outside: float) -> np.ndarray:
    """(r, r, r) float32: values (count,) of the finest voxels; elsewhere `outside`, and -`outside` in holes that active voxels enclose."""
    grid = np.full((voxels.resolution,) * 3, np.float32(outside))
    active = np.zeros(grid.shape, bool)
    index = tuple(voxels.levels[0].T)
    grid[index], active[index] = values, True
    grid[enclosed(active)] = -np.float32(outside)
    return grid


def enclosed(active: np.ndarray) -> np.ndarray:
    """(r, r, r) bool: voxels that are not active and from which no way through such voxels leads to the border."""
    side = len(active)
    number, free = np.arange(side**3).reshape(active.shape), ~active
    links = []
    for axis in range(3):
        low, high = np.take(number, range(side - 1), axis), np.take(number, range(1, side), axis)
        both = np.take(free, range(side - 1), axis) & np.take(free, range(1, side), axis)
        links.append(np.stack([low[both], high[both]]))
    first, second = np.concatenate(links, axis=1)
    region = connected(side**3, first, second).reshape(active.shape)
    border = np.ones(active.shape, bool)
    border[1:-1, 1:-1, 1:-1] = False
    return free & ~np.isin(region, region[border & free])


def _found(lookup: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Rows of voxels (..., 3) in a level's lookup."""
    x, y, z = np.moveaxis(voxels + 1, -1, 0)
    return lookup[x, y, z]


def _padded(values: np.ndarray, rows: int, fill: float) -> np.ndarray:
    made = np.full((rows, *values.shape[1:]), fill, values.dtype)
    made[:len(values)] = values
    return made
