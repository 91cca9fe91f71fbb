"""One call from a field to a mesh."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..mesh import Mesh
from .flexicubes import Weights, dual_marching_cubes
from .sparse_field import DECIMALS, Query, SparseField, evaluate_sparse

# Points in one call of a query: what a network makes of so many stays in a processor's cache. Eight times as many
# took up to a third more time.
CHUNK = 1 << 13
QueryWeights = Callable[[np.ndarray], np.ndarray]


def extract(
    query_geometry: Query, query_weights: QueryWeights | None, resolution: int, extent: float, *,
    negative_inside: bool = True, seal: bool = True, stride: int = 4, decimals: int | None = DECIMALS,
    chunk: int = CHUNK,
) -> Mesh:
    """The surface of a field, by FlexiCubes, or by plain dual marching cubes without weights.

    query_geometry : points (n, 3) float32 -> {"sdf": (n,) or (n, 1), "deformation": (n, 3) raw}; the
        deformation may be missing, and is not used without weights
    query_weights : corners (k, 8, 3) float32 -> (k, 21) raw weights (`Weights.from_raw`), asked
        only about cubes that the surface passes through; or None
    resolution : cubes along each side; extent : length of the grid's side, centred at the origin
    negative_inside, seal, stride, decimals : see `evaluate_sparse`
    chunk : most points, and most corners, in one call of a query
    Returns vertices and faces that point outwards; an empty mesh if the field has no surface.
    """
    field = evaluate_sparse(
        query_geometry, resolution, extent, negative_inside=negative_inside, seal=seal,
        stride=stride, decimals=decimals, chunk=chunk)
    weights, positions = None, field.points
    if query_weights is not None and len(field.cubes):
        weights = Weights.from_raw(_ask_weights(query_weights, field, max(chunk // 8, 1)))
        positions = deformed(field)
    vertices, faces = dual_marching_cubes(
        field.cubes, field.corners, field.values["sdf"], positions, resolution, weights)
    return Mesh(vertices, faces)


def deformed(field: SparseField) -> np.ndarray:
    """(v, 3) float32: the grid vertices moved by tanh(deformation) / (4 * resolution).

    As in InstantMesh the step is not multiplied by the extent, so it stays below a quarter cell
    for an extent above 1.
    """
    raw = field.values.get("deformation")
    if raw is None:
        return field.points
    step = np.tanh(raw.reshape(field.points.shape)) / np.float32(4 * field.resolution)
    return field.points + step.astype(np.float32)


def _ask_weights(query: QueryWeights, field: SparseField, chunk: int) -> np.ndarray:
    parts = [
        np.asarray(query(field.points[field.corners[start:start + chunk]]), np.float32)
        for start in range(0, len(field.corners), chunk)
    ]
    return np.concatenate(parts).reshape(-1, 21)
