"""Cuts a mesh into nearly flat charts, and lays each of them flat: seen along its mean normal.

Faces are merged into regions (`regions`), whose borders are made shorter and which are merged again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.creases import next_corner, shared_edges
from ..geometry.mesh import Mesh, area_vectors, normalized
from ..geometry.topology import connected, weld
from .regions import Regions, group_sums

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
    regions = _merged(adjacency, np.arange(len(adjacency.normals)))
    return _merged(adjacency, adjacency.parts(_straightened(adjacency, regions))).label


def _merged(adjacency: Adjacency, label: np.ndarray) -> Regions:
    regions = Regions(adjacency.vectors, adjacency.normals, adjacency.faces, adjacency.lengths, label)
    regions.merge()
    return regions


def flattened(mesh: Mesh, adjacency: Adjacency, chart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners (m, 3, 2) float64 in the plane across their chart's mean normal, and each face's height (m,) above that plane.

    A chart is scaled to the area that it has on the mesh. Seen from outside the second coordinate runs down.
    """
    count = int(chart.max()) + 1
    vector = group_sums(chart, adjacency.vectors, count)
    length, area = np.linalg.norm(vector, axis=1), np.bincount(chart, np.linalg.norm(adjacency.vectors, axis=1), count)
    scale = np.sqrt(np.where(length > 0, area / np.where(length > 0, length, 1.0), 1.0))
    normal = normalized(vector)
    normal[length == 0] = (0.0, 0.0, 1.0)
    right, up = (scale[:, None] * axis for axis in _axes_across(normal))
    corners = mesh.triangles().astype(np.float64)
    flat = np.stack([np.einsum("mkc,mc->mk", corners, axis[chart]) for axis in (right, -up)], axis=2)
    return flat, np.einsum("mc,mc->m", corners.mean(axis=1), normal[chart])


def _straightened(adjacency: Adjacency, regions: Regions) -> np.ndarray:
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


def _axes_across(normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (k, 3) that make a right-handed frame with each normal (k, 3) (Duff et al. 2017)."""
    x, y, z = normals.T
    sign = np.where(z >= 0, 1.0, -1.0)
    a = -1.0 / (sign + z)
    b = x * y * a
    return np.stack([1 + sign * x * x * a, sign * b, -sign * x], axis=1), np.stack([b, sign + y * y * a, -y], axis=1)
