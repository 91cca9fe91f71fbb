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
    for _ in range(rounds):
        total = normals * areas
        for neighbour, area in zip(table, around, strict=True):
            other = [axis.take(neighbour) for axis in normals]
            weight = sum((one - two) ** 2 for one, two in zip(normals, other, strict=True))
            weight *= sharpness
            np.exp(weight, out=weight)
            weight *= area
            for axis, value in zip(total, other, strict=True):
                axis += np.multiply(value, weight, out=value)
        length = np.sqrt(sum(axis * axis for axis in total))
        normals = total / np.where(length > 0, length, np.float32(1))
    return normals


def _following(mesh: Mesh, normals: np.ndarray, steps: int) -> np.ndarray:
    """(n, 3) float32: the vertices, in each step moved by the mean of their ways to the planes of their faces. normals : (3, m) float32

    The way of a corner v of a face is n (n . (c - v)), with c the face's centre. The sum over a vertex' faces of n (n . c) is made in each
    step; that of n n^T, by which v is multiplied, once.
    """
    corners, count = mesh.faces.T.astype(np.int64), len(mesh.vertices)
    order, columns = _columns(mesh.faces, count)
    products = [_sum_of(normals[i] * normals[j], columns, count) for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))]
    xx, yy, zz, yz, xz, xy = products
    uses = np.maximum(_sum_of(np.ones(len(mesh.faces), np.float32), columns, count), 1)
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    corners = place[corners]
    x, y, z = np.ascontiguousarray(mesh.vertices[order].T, np.float32)
    for _ in range(steps):
        along = sum(normal * sum(axis.take(corner) for corner in corners) for normal, axis in zip(normals, (x, y, z), strict=True))
        along *= np.float32(1 / 3)
        to_x, to_y, to_z = (_sum_of(normal * along, columns, count) for normal in normals)
        x, y, z = (x + (to_x - xx * x - xy * y - xz * z) / uses, y + (to_y - xy * x - yy * y - yz * z) / uses,
                   z + (to_z - xz * x - yz * y - zz * z) / uses)
    return np.stack([x, y, z], axis=1)[place]


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


def _sum_of(values: np.ndarray, columns: list[np.ndarray], count: int) -> np.ndarray:
    """(count,) float32: at each vertex, in the order of `_columns`, the sum of the values (m,) float32 of its faces."""
    total = np.zeros(count, np.float32)
    for column in columns:
        total[:len(column)] += values.take(column)
    return total
