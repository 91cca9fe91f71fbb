"""Merges the faces of a mesh into regions that are nearly flat.

Bottom-up, as in hierarchical face clustering (Garland, Willmott and Heckbert 2001). The error of a region is that of variational shape
approximation (Cohen-Steiner, Alliez and Desbrun 2004): its area less the length of its area vector. In each round every region picks the
neighbour that costs least error for the length of seam that goes away, and those that pick each other merge, so that there are about as
many rounds as a region has halvings. On a regular surface, where many links cost the same, hardly any two pick each other: there regions
go into their picks unasked.
"""

from __future__ import annotations

import math

import numpy as np

from ..geometry.mesh import normalized

MAX_ERROR = 0.2  # share of a region's area that the projection may take away
MAX_ANGLE = math.radians(68.0)  # between a face and its region's mean normal when regions merge
# Where less than this share of the regions that have a link, and these are many, are in pairs that pick each other, picks are followed.
LEAST_PAIRED, MANY = 1 / 16, 64


class Regions:
    """Sets of faces that hang together, their area vectors, and the seams between them.

    label : (m,) int64 from 0, the region of each face
    examined : links between regions that were looked at so far, all rounds together
    """

    def __init__(self, vectors: np.ndarray, normals: np.ndarray, faces: np.ndarray, lengths: np.ndarray, label: np.ndarray) -> None:
        """vectors, normals, faces, lengths : as of `charts.Adjacency`; label : (m,) int from 0, of the regions to begin with"""
        self.label, self.examined = np.arange(len(label)), 0
        self._normals, self._directed = normals, normals.any(axis=1)
        self._spread = np.zeros(0)
        self._area, self._vector = np.linalg.norm(vectors, axis=1), vectors
        self._links, self._lengths = faces, lengths
        self._relabel(label)

    def means(self) -> np.ndarray:
        """(r, 3): unit mean normals."""
        return normalized(self._vector)

    def merge(self) -> None:
        """Merge until no two regions may."""
        while True:
            into, gone = self._pairs()
            if not len(into):
                return
            target = np.arange(len(self._area))
            target[gone] = into
            self._relabel((np.cumsum(target == np.arange(len(target))) - 1)[target])

    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The regions (k,) that others go into in this round, and those (k,) that do."""
        rank, first = self._ranked()
        one, two = self._links
        mutual = np.flatnonzero((first[self._links] == rank).all(axis=0))
        picking = np.flatnonzero(first < len(rank))
        if 2 * len(mutual) >= LEAST_PAIRED * len(picking) or len(picking) < MANY:
            return one[mutual], two[mutual]
        picking = picking[np.argsort(first[picking], kind="stable")]
        link = np.empty(len(rank), np.int64)
        link[rank] = np.arange(len(rank))
        ends = self._links[:, link[first[picking]]]
        into, gone = self._following(picking, np.where(ends[0] == picking, ends[1], ends[0]))
        return (into, gone) if len(into) > len(mutual) else (one[mutual], two[mutual])

    def _following(self, regions: np.ndarray, picks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `_pairs`: each of the regions (p,), from the one that costs least, goes into its pick (p,), unless either has moved already or
        what comes together there would bend too much.
        """
        groups: dict[int, _Group] = {}  # what others went into
        into: dict[int, int] = {}
        for one, other in zip(regions.tolist(), picks.tolist(), strict=True):
            if one in groups or one in into or other in into:
                continue
            together = _together(groups.get(other) or self._group(other), self._group(one))
            if together is not None:
                groups[other], into[one] = together, other
        return np.array([*into.values()], np.int64), np.array([*into], np.int64)

    def _group(self, region: int) -> _Group:
        return float(self._area[region]), self._vector[region].tolist(), float(self._spread[region])

    def _ranked(self) -> tuple[np.ndarray, np.ndarray]:
        """The rank (k,) of each link by its cost, and the lowest around each region (r,), or k. Links whose regions may not merge now never
        may: they are forgotten.
        """
        one, two = self._links
        self.examined += len(one)
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
        return rank, first

    def _relabel(self, new: np.ndarray) -> None:
        """Put regions together. new : (r,) int from 0, the number that each gets"""
        count = int(new.max()) + 1
        self._area, self._vector, self.label = np.bincount(new, self._area, count), group_sums(new, self._vector, count), new[self.label]
        self._spread = self._spreads(new, count)
        low, high = np.minimum(*new[self._links]), np.maximum(*new[self._links])
        apart = low != high
        key, inverse = np.unique(low[apart] * count + high[apart], return_inverse=True)
        self._links, self._lengths = np.stack([key // count, key % count]), np.bincount(inverse, self._lengths[apart], len(key))

    def _spreads(self, new: np.ndarray, count: int) -> np.ndarray:
        """(count,): the largest angle of a face of each region to its mean; that of a region that was not put together with another one is
        the one that it had.
        """
        changed = np.bincount(new, minlength=count) > 1 if len(self._spread) else np.ones(count, bool)
        faces = np.flatnonzero(changed[self.label] & self._directed)
        least = np.ones(count)
        np.minimum.at(least, self.label[faces], np.einsum("ij,ij->i", self._normals[faces], self.means()[self.label[faces]]))
        spread = np.arccos(np.clip(least, -1.0, 1.0))
        if len(self._spread):
            kept = ~changed[new]
            spread[new[kept]] = self._spread[kept]
        return spread


_Group = tuple[float, list[float], float]  # area, area vector (3,), and the largest angle of a face to its mean


def _together(one: _Group, other: _Group) -> _Group | None:
    """Two groups as one; None if they may not merge. Its angle is the most that it can be."""
    area, vector = one[0] + other[0], [a + b for a, b in zip(one[1], other[1], strict=True)]
    angle = max(group[2] + _angle(group[1], vector) for group in (one, other))
    return None if area - math.hypot(*vector) > MAX_ERROR * area or angle > MAX_ANGLE else (area, vector, angle)


def _angle(one: list[float], two: list[float]) -> float:
    """Between vectors (3,); 0 where one is zero."""
    lengths = math.hypot(*one) * math.hypot(*two)
    return math.acos(max(-1.0, min(1.0, sum(a * b for a, b in zip(one, two, strict=True)) / lengths))) if lengths > 0 else 0.0


def _angles(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """(k,): between unit vectors (k, 3); 0 where one is zero."""
    cosine = np.einsum("ij,ij->i", one, two)
    return np.where(one.any(axis=1), np.arccos(np.clip(cosine, -1.0, 1.0)), 0.0)


def group_sums(group: np.ndarray, vectors: np.ndarray, count: int) -> np.ndarray:
    """(count, 3): the sum of the vectors (k, 3) of each group (k,) int."""
    return np.stack([np.bincount(group, vectors[:, k], count) for k in range(3)], axis=1)
