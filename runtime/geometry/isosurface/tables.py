"""The tables of dual marching cubes, generated from their rule.

Corner c of a cube sits at offset (c & 1, c >> 1 & 1, c >> 2 & 1) along (x, y, z). A case number
holds bit 2**c for every corner c inside the surface. Numbering of corners and edges, and the rule,
follow FlexiCubes (Shen et al. 2023), which follows Nielson, "Dual Marching Cubes" (2004).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

CORNERS = np.array([[c & 1, c >> 1 & 1, c >> 2 & 1] for c in range(8)], np.int32)
EDGES = np.array([
    (0, 1), (1, 5), (4, 5), (0, 4), (2, 3), (3, 7), (6, 7), (2, 6), (2, 0), (3, 1), (7, 5), (6, 4),
], np.int32)
NO_EDGE = -1


@dataclass(frozen=True, eq=False)
class Tables:
    """What each of the 256 cases means.

    component : (256, 12) int8, which of the cube's dual vertices an edge belongs to, -1 if the
        surface does not cross it
    count : (256,) int8, dual vertices per cube, 0 to 4
    direction : (256, 3) int8, for a case that may have to be flipped the outward normal of its only
        ambiguous face, otherwise zeros
    """

    component: np.ndarray
    count: np.ndarray
    direction: np.ndarray


@cache
def tables() -> Tables:
    """The tables, made on first use in a few hundredths of a second at most."""
    inside = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)
    crossed = inside[:, EDGES[:, 0]] != inside[:, EDGES[:, 1]]
    joined = np.zeros((256, 12, 12), bool)
    ambiguous = np.zeros((256, 6), bool)
    normals = np.zeros((6, 3), np.int8)
    for face in range(6):
        axis, side = divmod(face, 2)
        normals[face, axis] = 2 * side - 1
        ambiguous[:, face] = _join_on_face(axis, side, inside, crossed, joined)
    component, count = _components(crossed, joined)
    # Two cubes that meet at an ambiguous face and both hold five or more inside corners would
    # share an edge of the dual mesh twice; such a pair is resolved the other way round.
    flips = (ambiguous.sum(axis=1) == 1) & (inside.sum(axis=1) >= 5)
    direction = np.where(flips[:, None], ambiguous.astype(np.int8) @ normals, 0).astype(np.int8)
    return Tables(component, count, direction)


def _join_on_face(
    axis: int, side: int, inside: np.ndarray, crossed: np.ndarray, joined: np.ndarray,
) -> np.ndarray:
    """Marks in `joined` which crossed edges meet on one face; (256,) bool: where it is ambiguous."""
    on_face = (CORNERS[:, axis] == side)[EDGES].all(axis=1)
    edges = np.flatnonzero(on_face)
    crossings = crossed[:, edges].sum(axis=1)
    ambiguous = crossings == 4
    for a, b in combinations(edges, 2):
        shared = set(EDGES[a].tolist()) & set(EDGES[b].tolist())
        # On an ambiguous face the surface cuts off the inside corners.
        cut = inside[:, shared.pop()] if shared else np.zeros(256, bool)
        meet = crossed[:, a] & crossed[:, b] & np.where(ambiguous, cut, crossings == 2)
        joined[:, a, b] |= meet
        joined[:, b, a] |= meet
    return ambiguous


def _components(crossed: np.ndarray, joined: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Connected components of the crossed edges: component (256, 12), count (256,), both int8."""
    reach = (joined | np.eye(12, dtype=bool)).astype(np.uint8)
    for _ in range(3):  # paths of up to 8 steps; a component has at most 7 edges
        reach = np.minimum(reach @ reach, 1)
    first = reach.argmax(axis=2)
    leads = crossed & (first == np.arange(12))
    order = np.cumsum(leads, axis=1) - 1
    component = np.where(crossed, np.take_along_axis(order, first, axis=1), NO_EDGE)
    return component.astype(np.int8), leads.sum(axis=1).astype(np.int8)
