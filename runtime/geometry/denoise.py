"""Smooths a surface without rounding its edges: bilateral filtering of face normals, then vertices that follow them.

Normals: Zheng et al., "Bilateral Normal Filtering for Mesh Denoising" (2011), over the faces that share an edge. Vertices: Sun et al.,
"Fast and Effective Feature-Preserving Mesh Denoising" (2007).

Both are repeated sums over neighbours that stay the same. So who is whose neighbour is put into tables once, and a sum reads a column of
a table at a time; coordinates lie apart, in arrays of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .mesh import Mesh, area_vectors, normalized


def denoised(mesh: Mesh, *, width: float, rounds: int = 20, steps: int = 20) -> Mesh:
    """A closed mesh with the same faces and smoother flat and round parts.

    width : of the kernel over normals; of two neighbours whose normals are that far apart each counts 0.6 of what it would if they agreed
    rounds : of filtering, which is how many faces far it reaches; steps : of the vertices
    """
    if len(mesh.faces) == 0:
        return mesh
    normals = _filtered(mesh, width, rounds)
    return mesh.replace(vertices=_following(mesh, normals, steps))


def edge_neighbours(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two rows of face numbers, equally long: the faces on either side of each edge that has two."""
    start = faces.astype(np.int64)
    end = start[:, [1, 2, 0]]
    key = (np.minimum(start, end) * (int(faces.max(initial=0)) + 1) + np.maximum(start, end)).ravel()
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(np.diff(key[order]) == 0)
    return order[same] // 3, order[same + 1] // 3


def _filtered(mesh: Mesh, width: float, rounds: int) -> np.ndarray:
    """(3, m) float32: the unit normals of the faces; in each round the mean of a face's own and its neighbours' by area and agreement."""
    vectors = area_vectors(mesh.vertices, mesh.faces)
    areas = np.linalg.norm(vectors, axis=1)
    table = _neighbour_table(*edge_neighbours(mesh.faces), len(mesh.faces))
    around = np.where(table == len(areas), np.float32(0), np.append(areas, np.float32(0))[table])  # no neighbour has no area
    table = np.where(table == len(areas), 0, table)
    normals = np.ascontiguousarray(normalized(vectors).T, np.float32)
    sharpness = np.float32(-0.5 / width**2)
    other, change, total, weight = np.empty_like(normals), np.empty_like(normals), np.empty_like(normals), np.empty_like(normals[0])
    for _ in range(rounds):
        np.multiply(normals, areas, out=total)
        for neighbour, area in zip(table, around, strict=True):
            for axis, place in zip(normals, other, strict=True):
                _take(axis, neighbour, place)
            np.subtract(normals, other, out=change)
            np.add.reduce(np.multiply(change, change, out=change), axis=0, out=weight)
            weight *= sharpness
            np.exp(weight, out=weight)
            weight *= area
            other *= weight
            total += other
        np.sqrt(np.add.reduce(np.multiply(total, total, out=change), axis=0, out=weight), out=weight)
        weight[weight == 0] = 1
        np.divide(total, weight, out=normals)
    return normals


def _following(mesh: Mesh, normals: np.ndarray, steps: int) -> np.ndarray:
    """(n, 3) float32: the vertices, in each step moved by the mean of their ways to the planes of their faces. normals : (3, m) float32

    The way of a corner v of a face is n (n . (c - v)), with c the face's centre. The sum over a vertex' faces of n (n . c) is made in each
    step; that of n n^T, by which v is multiplied, once.
    """
    corners, count = mesh.faces.T.astype(np.int64), len(mesh.vertices)
    order, columns = _columns(mesh.faces, count)
    xx, yy, zz, yz, xz, xy = (_sum_of(normals[i] * normals[j], columns, np.empty(count, np.float32))
                              for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)))
    uses = np.maximum(_sum_of(np.ones_like(normals[0]), columns, np.empty(count, np.float32)), 1)
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    corners = place[corners]
    points = np.ascontiguousarray(mesh.vertices[order].T, np.float32)
    along, other, way = np.empty_like(normals[0]), np.empty_like(normals[0]), np.empty_like(points)
    for _ in range(steps):
        along[:] = 0
        for normal, axis in zip(normals, points, strict=True):
            for corner in corners:
                along += np.multiply(_take(axis, corner, other), normal, out=other)
        along *= np.float32(1 / 3)
        for normal, total in zip(normals, way, strict=True):
            _sum_of(np.multiply(normal, along, out=other), columns, total)
        x, y, z = points
        way[0] -= xx * x + xy * y + xz * z
        way[1] -= xy * x + yy * y + yz * z
        way[2] -= xz * x + yz * y + zz * z
        way /= uses
        points += way
    return np.ascontiguousarray(points[:, place].T)


def _neighbour_table(left: np.ndarray, right: np.ndarray, count: int) -> np.ndarray:
    """(d, count) int64: the neighbours of each face; `count` where it has fewer than d."""
    owner, other = np.concatenate([left, right]), np.concatenate([right, left])
    order = np.argsort(owner, kind="stable")
    owner, other = owner[order], other[order]
    number = np.arange(len(owner)) - np.searchsorted(owner, owner)
    table = np.full((int(number.max(initial=-1)) + 1, count), count)
    table[number, owner] = other
    return table


def _columns(faces: np.ndarray, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """The vertices (count,) from the one with most faces to those with fewest; and their faces: the first, the second, and so on, of as
    many of them as have so many.
    """
    corner = faces.ravel()
    uses = np.bincount(corner, minlength=count)
    order = np.argsort(-uses, kind="stable")
    face = np.argsort(corner, kind="stable") // 3
    first = (np.cumsum(uses) - uses)[order]
    return order, [face[first[:having] + k] for k, having in enumerate(_having(uses))]


def _having(uses: np.ndarray) -> Iterator[int]:
    """How many vertices have at least one face, at least two, and so on."""
    yield from (len(uses) - np.cumsum(np.bincount(uses))[:-1]).tolist()


def _sum_of(values: np.ndarray, columns: list[np.ndarray], total: np.ndarray) -> np.ndarray:
    """`total` (n,) float32: at each vertex, in the order of `_columns`, the sum of the values (m,) float32 of its faces."""
    total[:] = 0
    share = np.empty_like(total)
    for column in columns:
        total[:len(column)] += _take(values, column, share[:len(column)])
    return total


def _take(values: np.ndarray, index: np.ndarray, place: np.ndarray) -> np.ndarray:
    """`place`: values[index], for an index that is within. Twice as fast as into memory that is new each time."""
    return np.take(values, index, out=place, mode="clip")
