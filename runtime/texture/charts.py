"""Cuts a mesh into nearly flat charts, and lays each of them flat: seen along its mean normal.

Faces are merged bottom-up, as in hierarchical face clustering (Garland, Willmott and Heckbert 2001). The error of a region is that of
variational shape approximation (Cohen-Steiner, Alliez and Desbrun 2004): its area less the length of its area vector. In each round
every region picks the neighbour that costs least error for the length of seam that goes away, and those that pick each other merge, so
that there are about as many rounds as a region has halvings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.creases import next_corner, shared_edges
from ..geometry.mesh import Mesh, area_vectors, normalized
from ..geometry.topology import connected, weld

MAX_ERROR = 0.2  # share of a chart's area that the projection may take away
MAX_ANGLE = np.radians(68.0)  # between a face and its chart's mean normal when regions merge
HANDOVERS = 12  # rounds in which seams are made shorter
HANDOVER_COSINE = 0.4  # of a face to the mean normal of the chart that gets it


@dataclass(frozen=True, eq=False)
class Adjacency:
    """The faces of a mesh over their shared edges, vertices at the same place taken as one.

    vectors : (m, 3) float64, area vectors; normals : (m, 3), unit, zero for a face without area
    half_edges : (2, k) int, the two sides of each edge that two faces share, as `shared_edges`
    lengths : (k,) float64, of the edges
    """

    vectors: np.ndarray
    normals: np.ndarray
    half_edges: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, mesh: Mesh) -> Adjacency:
        """Of a mesh with at least one face."""
        vectors = area_vectors(mesh.vertices.astype(np.float64), mesh.faces)
        half_edges = np.stack(shared_edges(weld(mesh.vertices)[mesh.faces]))
        points, corners = mesh.vertices.astype(np.float64), mesh.faces.ravel()
        lengths = np.linalg.norm(points[corners[half_edges[0]]] - points[corners[next_corner(half_edges[0])]], axis=1)
        return cls(vectors, normalized(vectors), half_edges, lengths)

    @property
    def faces(self) -> np.ndarray:
        """(2, k) int: the faces on the two sides of each edge."""
        return self.half_edges // 3

    def parts(self, label: np.ndarray) -> np.ndarray:
        """(m,) int64 from 0: a number for each set of faces of the same label (m,) that hang together."""
        one, two = self.faces
        same = label[one] == label[two]
        return np.unique(connected(len(label), one[same], two[same]), return_inverse=True)[1].reshape(-1)

    def outline(self, chart: np.ndarray) -> np.ndarray:
        """(h,) int: the half-edges beyond which there is no face of the same chart. chart : (m,) int"""
        one, two = self.faces
        inner = np.zeros(3 * len(chart), bool)
        inner[self.half_edges[:, chart[one] == chart[two]].ravel()] = True
        return np.flatnonzero(~inner)


def make_charts(adjacency: Adjacency) -> np.ndarray:
    """(m,) int64 from 0: the chart of each face. A chart hangs together over edges."""
    regions = _Regions(adjacency, np.arange(len(adjacency.normals)))
    regions.merge()
    regions = _Regions(adjacency, adjacency.parts(_straightened(adjacency, regions)))
    regions.merge()
    return regions.label


def flattened(mesh: Mesh, adjacency: Adjacency, chart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners (m, 3, 2) float64 in the plane across their chart's mean normal, and each face's height (m,) above that plane.

    A chart is scaled to the area that it has on the mesh. Seen from outside the second coordinate runs down.
    """
    count = int(chart.max()) + 1
    vector = _sums(chart, adjacency.vectors, count)
    length, area = np.linalg.norm(vector, axis=1), np.bincount(chart, np.linalg.norm(adjacency.vectors, axis=1), count)
    scale = np.sqrt(np.where(length > 0, area / np.where(length > 0, length, 1.0), 1.0))
    normal = normalized(vector)
    normal[length == 0] = (0.0, 0.0, 1.0)
    right, up = (scale[:, None] * axis for axis in _axes_across(normal))
    corners = mesh.triangles().astype(np.float64)
    flat = np.stack([np.einsum("mkc,mc->mk", corners, axis[chart]) for axis in (right, -up)], axis=2)
    return flat, np.einsum("mc,mc->m", corners.mean(axis=1), normal[chart])


class _Regions:
    """Sets of faces that hang together, their area vectors, and the seams between them.

    label : (m,) int64 from 0, the region of each face
    """

    def __init__(self, adjacency: Adjacency, label: np.ndarray) -> None:
        self.label = np.arange(len(label))
        self._normals = adjacency.normals
        self._area, self._vector = np.linalg.norm(adjacency.vectors, axis=1), adjacency.vectors
        self._links, self._lengths = adjacency.faces, adjacency.lengths
        self._relabel(label)

    def means(self) -> np.ndarray:
        """(r, 3): unit mean normals."""
        return normalized(self._vector)

    def merge(self) -> None:
        """Merge until no two regions may."""
        while True:
            chosen = self._cheapest()
            if not len(chosen):
                return
            target = np.arange(len(self._area))
            target[self._links[1, chosen]] = self._links[0, chosen]
            self._relabel((np.cumsum(target == np.arange(len(target))) - 1)[target])

    def _cheapest(self) -> np.ndarray:
        """Links whose two regions pick each other. Those that may not merge now never may: they are forgotten."""
        one, two = self._links
        area, vector = self._area[one] + self._area[two], self._vector[one] + self._vector[two]
        error, mean = area - np.linalg.norm(vector, axis=1), normalized(vector)
        own, means = self._area - np.linalg.norm(self._vector, axis=1), self.means()
        # The angle of a face to a mean is at most that to its own region's and that between the two.
        angle = np.maximum(*(self._spread[side] + _angles(means[side], mean) for side in (one, two)))
        allowed = (error <= MAX_ERROR * area) & (angle <= MAX_ANGLE)
        self._links, self._lengths = self._links[:, allowed], self._lengths[allowed]
        cost = ((error - own[one] - own[two])[allowed]) / np.maximum(self._lengths, 1e-30)
        rank = np.empty(len(cost), np.int64)
        rank[np.argsort(cost, kind="stable")] = np.arange(len(cost))
        first = np.full(len(self._area), len(cost))
        for side in self._links:
            np.minimum.at(first, side, rank)
        return np.flatnonzero((first[self._links] == rank).all(axis=0))

    def _relabel(self, new: np.ndarray) -> None:
        """Put regions together. new : (r,) int from 0, the number that each gets"""
        count = int(new.max()) + 1
        self._area, self._vector, self.label = np.bincount(new, self._area, count), _sums(new, self._vector, count), new[self.label]
        least, own = np.ones(count), self._normals.any(axis=1)
        np.minimum.at(least, self.label[own], np.einsum("ij,ij->i", self._normals[own], self.means()[self.label[own]]))
        self._spread = np.arccos(np.clip(least, -1.0, 1.0))
        low, high = np.sort(new[self._links], axis=0)
        apart = low != high
        key, inverse = np.unique(low[apart] * count + high[apart], return_inverse=True)
        self._links, self._lengths = np.stack([key // count, key % count]), np.bincount(inverse, self._lengths[apart], len(key))


def _straightened(adjacency: Adjacency, regions: _Regions) -> np.ndarray:
    """(m,) int: the regions' labels, with faces handed over to a neighbouring region where that shortens the seam."""
    label, means = regions.label.copy(), regions.means()
    faces, count = np.arange(len(label)), len(means)
    one, two = np.concatenate([adjacency.faces, adjacency.faces[::-1]], axis=1)
    lengths = np.tile(adjacency.lengths, 2)
    for _ in range(HANDOVERS):
        key, inverse = np.unique(one * count + label[two], return_inverse=True)
        shared = np.bincount(inverse, lengths, len(key))  # of each face and each region around it
        face, region = key // count, key % count
        kept = np.zeros(len(label))
        own = region == label[face]
        kept[face[own]] = shared[own]
        fits = np.einsum("ij,ij->i", adjacency.normals[face], means[region]) >= HANDOVER_COSINE
        gain = np.where(fits & ~own, shared - kept[face], 0.0)
        most, best = np.zeros(len(label)), np.zeros(len(label), np.int64)
        order = np.argsort(gain, kind="stable")
        most[face[order]], best[face[order]] = gain[order], region[order]
        # Of two neighbours only one moves: that with the larger gain, or, where they have the same, with the higher number.
        rank = np.empty(len(label), np.int64)
        rank[np.lexsort((faces, most))] = faces
        around = np.full(len(label), -1)
        np.maximum.at(around, one, rank[two])
        moves = (most > 1e-9 * lengths.max(initial=0.0)) & (rank > around)
        if not moves.any():
            break
        label[moves] = best[moves]
    return label


def _sums(group: np.ndarray, vectors: np.ndarray, count: int) -> np.ndarray:
    """(count, 3): the sum of the vectors (k, 3) of each group."""
    return np.stack([np.bincount(group, vectors[:, k], count) for k in range(3)], axis=1)


def _angles(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """(k,): between unit vectors (k, 3); 0 where one is zero."""
    cosine = np.einsum("ij,ij->i", one, two)
    return np.where(one.any(axis=1), np.arccos(np.clip(cosine, -1.0, 1.0)), 0.0)


def _axes_across(normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (k, 3) that make a right-handed frame with each normal (k, 3) (Duff et al. 2017)."""
    x, y, z = normals.T
    sign = np.where(z >= 0, 1.0, -1.0)
    a = -1.0 / (sign + z)
    b = x * y * a
    return np.stack([1 + sign * x * x * a, sign * b, -sign * x], axis=1), np.stack([b, sign + y * y * a, -y], axis=1)
