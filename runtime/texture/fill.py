"""Colours for texels that no view saw well: from what was seen near them on the surface."""

from __future__ import annotations

import numpy as np

from ..geometry.mesh import Mesh
from ..geometry.topology import weld
from .atlas import Atlas
from .bake import Baked

SPREAD_ROUNDS = 200  # averages over the vertex graph; each carries colour one edge further
SETTLE_ROUNDS = 10  # more, once every vertex has a colour, to soften where fronts met
UNSEEN = 2e-5  # the weight at which a texel gets half of its colour from its surroundings
GREY = np.float32(0.5)  # where nothing at all is known


class Surroundings:
    """What was seen near each vertex of a mesh: first `gather` every strip of its texture, then `fill` each.

    Seen colours are gathered at the vertices, spread along the edges of the mesh into the vertices
    that have none, and interpolated over each face; so colour travels on the surface and does not
    jump across a gap. A part of which nothing was seen gets the mean colour.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._faces = weld(mesh.vertices)[mesh.faces]
        count = int(self._faces.max()) + 1
        self._total, self._sums = np.zeros(count), np.zeros((count, 3))
        self._all_seen = True
        self._colors: np.ndarray | None = None

    def gather(self, atlas: Atlas, baked: Baked) -> None:
        """Add what was seen in a strip."""
        self._all_seen &= bool((baked.weight > 100 * UNSEEN).all())
        share = (atlas.weights * atlas.weights * baked.weight[:, None]).ravel()
        index, count = self._faces[atlas.face].ravel(), len(self._total)
        self._total += np.bincount(index, share, count)
        for c in range(3):
            self._sums[:, c] += np.bincount(index, share * np.repeat(baked.colors[:, c], 3), count)

    def fill(self, atlas: Atlas, baked: Baked) -> np.ndarray:
        """(k, 3) float32: the colours of a strip, with badly seen texels taken from what was seen near them."""
        if self._all_seen:
            return baked.colors
        if self._colors is None:
            known = self._total > UNSEEN
            self._colors = _spread(self._sums / np.maximum(self._total, 1e-12)[:, None], known, self._faces)
        corners = self._faces[atlas.face]
        around = sum(self._colors[corners[:, k]] * atlas.weights[:, k, None] for k in range(3))
        share = (baked.weight / (baked.weight + np.float32(UNSEEN)))[:, None]
        return (share * baked.colors + (1 - share) * around).astype(np.float32)


def _spread(colors: np.ndarray, known: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(n, 3): every vertex without a colour gets the mean of its neighbours, in rounds outwards."""
    one, two = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    start, end = np.concatenate([one, two]), np.concatenate([two, one])
    open_end = ~known[end]
    start, end = start[open_end], end[open_end]
    has = known.astype(np.float64)
    values = np.where(known[:, None], colors, 0.0)
    settle = SETTLE_ROUNDS
    for _ in range(SPREAD_ROUNDS):
        total = np.bincount(end, has[start], len(has))
        mean = [np.bincount(end, has[start] * values[start, c], len(has)) for c in range(3)]
        reached = (total > 0) & ~known
        values[reached] = (np.stack(mean, axis=1)[reached]) / total[reached, None]
        settle -= bool((has[reached] > 0).all())
        has[reached] = 1.0
        if settle == 0:
            break
    rest = colors[known].mean(axis=0) if known.any() else GREY
    return np.where(has[:, None] > 0, values, rest)
