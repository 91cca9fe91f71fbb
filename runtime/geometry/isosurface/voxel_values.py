"""Values at the centres of a grid's voxels: between them, and the surface where they change sign."""

from __future__ import annotations

import numpy as np

from ..mesh import Mesh
from .extract import extract

CORNERS = np.stack(np.meshgrid(*[(0, 1)] * 3, indexing="ij"), axis=-1).reshape(8, 3)


def surface(values: np.ndarray, extent: float, outside: float, *, detail: int = 3, stride: int = 1) -> Mesh:
    """The surface of values (r, r, r) float32, negative inside, of a grid `extent` wide; closed, for around the grid is `outside` > 0.

    Follows what is linear between the centres, `detail` cells of the mesh to a voxel. stride : as in `extract`, in those cells; more than
    1 for distances. Empty where nothing is negative.
    """
    grid = np.pad(values, 1, constant_values=np.float32(outside))
    # The outermost vertices are the outermost centres.
    side, spacing = len(grid) - 1, extent / len(values)
    return extract(lambda points: {"sdf": interpolated(grid, points, spacing)}, None, detail * side, spacing * side, stride=stride)


def interpolated(values: np.ndarray, points: np.ndarray, spacing: float) -> np.ndarray:
    """(n,) or (n, c) float32: values (r, r, r) or (r, r, r, c) at voxels `spacing` wide around the origin, linearly between their centres;
    beyond the outermost centres, as there. points : (n, 3)
    """
    side = len(values)
    place = np.clip(points / spacing + (side - 1) / 2, 0, side - 1)
    low = np.minimum(place.astype(np.int64), side - 2)
    share = (place - low).astype(np.float32)
    flat = values.reshape(side**3, -1)
    total = np.zeros((len(points), flat.shape[1]), np.float32)
    for corner in CORNERS:
        x, y, z = (low + corner).T
        weight = np.where(corner, share, 1 - share).prod(axis=1)
        total += weight[:, None] * flat[(x * side + y) * side + z]
    return total[:, 0] if values.ndim == 3 else total
