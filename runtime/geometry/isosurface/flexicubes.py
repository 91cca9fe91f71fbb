"""Dual marching cubes with learned weights, over only the cubes that the surface passes through.

Follows FlexiCubes (Shen et al. 2023) at inference, with InstantMesh's ranges of the weights. Inside
is sdf < 0. Numbering of corners and edges: `tables`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .tables import EDGES, tables

WEIGHT_SCALE = 0.5
# For an edge along each axis, its number in the four cubes around it, by ascending cube index.
# The last cube is the one in which the edge starts at corner 0.
RINGS = ((6, 4, 2, 0), (10, 9, 11, 8), (5, 1, 7, 3))
ABSENT = -1


@dataclass(frozen=True, eq=False)
class Weights:
    """FlexiCubes' weights of k cubes, ready to use.

    beta : (k, 12) float32 in (0.5, 1.5), weight of each edge's crossing in the dual vertex
    alpha : (k, 8) float32 in (0.5, 1.5), scales the sdf at each corner
    gamma : (k,) float32 in (0.25, 0.75), chooses how quads are split
    """

    beta: np.ndarray
    alpha: np.ndarray
    gamma: np.ndarray

    @classmethod
    def from_raw(cls, raw: np.ndarray) -> Weights:
        """From what the network gives, (k, 21) float: columns beta 12, alpha 8, gamma 1."""
        spread = 1 + WEIGHT_SCALE * np.tanh(raw[:, :20])
        gamma = (1 - WEIGHT_SCALE) / 2 + WEIGHT_SCALE / (1 + np.exp(-raw[:, 20]))
        return cls(spread[:, :12], spread[:, 12:], gamma)

    @classmethod
    def neutral(cls, count: int) -> Weights:
        """Weights that leave plain dual marching cubes."""
        one = np.float32(1)
        return cls(
            np.broadcast_to(one, (count, 12)), np.broadcast_to(one, (count, 8)),
            np.full(count, 0.5, np.float32))


def dual_marching_cubes(
    cubes: np.ndarray, corners: np.ndarray, sdf: np.ndarray, positions: np.ndarray,
    resolution: int, weights: Weights | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The surface where the sdf changes sign.

    cubes : (k, 3) int, coordinates in [0, resolution) of every cube with corners of both signs
    corners : (k, 8) int, rows of `sdf` and `positions`, in corner order
    sdf : (v,) float32, negative inside
    positions : (v, 3) float32, grid vertices, deformed if at all
    weights : None for plain dual marching cubes
    Returns vertices (n, 3) float32, in the order of the cubes, and faces (m, 3) int32 that point
    outwards. An edge on the border of the grid has fewer than four cubes and gives no face, so a
    surface that leaves the grid stays open. Uses 4 * resolution**3 bytes for looking cubes up.
    """
    if weights is None:
        weights = Weights.neutral(len(cubes))
    lookup = _cube_lookup(cubes, resolution)
    inside = sdf[corners] < 0
    cases = _resolve_ambiguity(inside @ (1 << np.arange(8)), cubes, lookup)
    counts = tables().count[cases].astype(np.int32)
    first = np.cumsum(counts, dtype=np.int32) - counts
    vertex_of_edge = first[:, None] + tables().component[cases]
    vertices = _dual_vertices(
        vertex_of_edge, inside, corners, sdf, positions, weights, int(counts.sum()))
    quads = _quads(vertex_of_edge, inside, cubes, lookup)
    return vertices, _split(quads, np.repeat(weights.gamma, counts))


def _cube_lookup(cubes: np.ndarray, resolution: int) -> np.ndarray:
    """(resolution,) * 3 int32: the row of each cube in `cubes`, ABSENT for the others."""
    lookup = np.full((resolution,) * 3, ABSENT, np.int32)
    lookup[tuple(cubes.T)] = np.arange(len(cubes), dtype=np.int32)
    return lookup


def _resolve_ambiguity(cases: np.ndarray, cubes: np.ndarray, lookup: np.ndarray) -> np.ndarray:
    """(k,) int: case numbers; pairs of cubes that would make a non-manifold edge are flipped."""
    direction = tables().direction[cases]
    flagged = direction.any(axis=1)
    rows = np.flatnonzero(flagged)
    beyond = cubes[rows] + direction[rows]
    in_range = ((beyond >= 0) & (beyond < len(lookup))).all(axis=1)
    rows, beyond = rows[in_range], beyond[in_range]
    neighbour = lookup[tuple(beyond.T)]
    flip = rows[(neighbour != ABSENT) & flagged[neighbour]]
    resolved = cases.copy()
    resolved[flip] = 255 - cases[flip]
    return resolved


def _dual_vertices(
    vertex_of_edge: np.ndarray, inside: np.ndarray, corners: np.ndarray, sdf: np.ndarray,
    positions: np.ndarray, weights: Weights, count: int,
) -> np.ndarray:
    """(count, 3) float32: for each dual vertex the weighted mean of its edges' zero crossings."""
    cube, edge = np.nonzero(inside[:, EDGES[:, 0]] != inside[:, EDGES[:, 1]])
    ends = EDGES[edge].T
    a, b = corners[cube, ends[0]], corners[cube, ends[1]]
    at_a = sdf[a] * weights.alpha[cube, ends[0]]
    at_b = sdf[b] * weights.alpha[cube, ends[1]]
    share = (at_a / (at_a - at_b))[:, None]
    crossing = positions[a] + share * (positions[b] - positions[a])
    owner, beta = vertex_of_edge[cube, edge], weights.beta[cube, edge]
    total = np.bincount(owner, beta, count)
    sums = [np.bincount(owner, beta * crossing[:, k], count) / total for k in range(3)]
    return np.stack(sums, axis=1).astype(np.float32)


def _quads(
    vertex_of_edge: np.ndarray, inside: np.ndarray, cubes: np.ndarray, lookup: np.ndarray,
) -> np.ndarray:
    """(q, 4) int32: around each crossed edge the dual vertices of its four cubes, facing outwards."""
    quads = []
    for axis, ring in enumerate(RINGS):
        start, end = EDGES[ring[3]]
        crossed = inside[:, start] != inside[:, end]
        others = [k for k in range(3) if k != axis]
        rows = np.flatnonzero(crossed & (cubes[:, others] > 0).all(axis=1))
        step = np.eye(3, dtype=np.int32)[others]
        around = [cubes[rows] - step[0] - step[1], cubes[rows] - step[0], cubes[rows] - step[1]]
        members = [lookup[tuple(cube.T)] for cube in around] + [rows]
        corners = np.stack(
            [vertex_of_edge[row, edge] for row, edge in zip(members, ring, strict=True)], axis=1)
        leaving = inside[rows, start][:, None]
        quads.append(np.where(leaving, corners[:, [2, 3, 1, 0]], corners[:, [0, 1, 3, 2]]))
    return np.concatenate(quads)


def _split(quads: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """(2 q, 3) int32: each quad as two triangles, along the diagonal with the larger gammas."""
    corner = gamma[quads]
    along = (corner[:, 0] * corner[:, 2] > corner[:, 1] * corner[:, 3])[:, None]
    pairs = np.where(along, quads[:, [0, 1, 2, 0, 2, 3]], quads[:, [0, 1, 3, 3, 1, 2]])
    return pairs.reshape(-1, 3).astype(np.int32)
