"""Normals that keep edges sharp: vertices are split where the surface folds."""

from __future__ import annotations

import numpy as np

from .mesh import Mesh, area_vectors, normalized
from .topology import connected

# Above the folds that noise puts into a reconstructed surface, below those of a bevelled corner.
CREASE_DEGREES = 40.0


def split_at_creases(mesh: Mesh, degrees: float = CREASE_DEGREES) -> Mesh:
    """The mesh with `normals`, and with one copy of a vertex for each smooth group of faces around it.

    Two faces that share an edge are in one smooth group at its ends if their normals differ by less
    than `degrees`; a group's normal is the area-weighted mean. Without this, the normals of a
    decimated box lean outwards at every corner and its large flat sides look dented.
    Face order and corner order stay. Texture coordinates and colours are copied along.

    degrees : in [0, 180]; 180 splits nothing
    """
    if len(mesh.faces) == 0:
        return mesh.with_normals()
    vectors = area_vectors(mesh.vertices.astype(np.float64), mesh.faces)
    group = _smooth_groups(mesh.faces, normalized(vectors), float(np.cos(np.radians(degrees))))
    first, inverse = np.unique(group, return_index=True, return_inverse=True)[1:]
    sums = np.stack([
        np.bincount(inverse, weights=np.repeat(vectors[:, axis], 3), minlength=len(first)) for axis in range(3)
    ], axis=1)
    split = mesh.select_vertices(mesh.faces.ravel()[first], inverse.reshape(-1, 3))
    return split.replace(normals=never_zero(normalized(sums)).astype(np.float32))


def _smooth_groups(faces: np.ndarray, normals: np.ndarray, cosine: float) -> np.ndarray:
    """(3m,) int: for each corner the lowest corner index of its smooth group.

    faces : (m, 3); normals : (m, 3) unit; cosine : of the largest smooth angle
    """
    left, right = shared_edges(faces)
    smooth = np.einsum("ij,ij->i", normals[left // 3], normals[right // 3]) >= cosine
    left, right = left[smooth], right[smooth]
    # Half-edge c runs from corner c to the next corner of its face; its twin runs the other way.
    one = np.concatenate([left, next_corner(left)])
    two = np.concatenate([next_corner(right), right])
    return connected(faces.size, one, two)


def shared_edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of half-edges that run along one edge in opposite directions.

    Half-edge c (0 <= c < 3m) goes from corner c of the flattened faces to the next corner of the same
    face. Edges with one face, or with more than two, have no pair.

    -> two (k,) int arrays
    """
    start = faces.ravel().astype(np.int64)
    end = start[next_corner(np.arange(faces.size))]
    count = int(faces.max()) + 1
    key = np.minimum(start, end) * count + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=-1))
    pairs = begins[np.diff(begins, append=len(ordered)) == 2]
    left, right = order[pairs], order[pairs + 1]
    opposite = start[left] == end[right]
    return left[opposite], right[opposite]


def next_corner(corner: np.ndarray) -> np.ndarray:
    """The corner that follows in the same face."""
    return np.where(corner % 3 == 2, corner - 2, corner + 1)


def never_zero(normals: np.ndarray) -> np.ndarray:
    """Unit normals, with +z in place of zero: a file format may ask for unit length."""
    return np.where(np.abs(normals).sum(axis=1, keepdims=True) > 0, normals, (0.0, 0.0, 1.0))
