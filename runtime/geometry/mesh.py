"""The triangle mesh that every geometry stage takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

import numpy as np


class MeshArrays(TypedDict, total=False):
    """The fields of `Mesh`."""

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray | None
    uvs: np.ndarray | None
    texture: np.ndarray | None
    colors: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh with optional attributes, one row of each per vertex.

    Counter-clockwise faces seen from outside; right-handed axes, units as the producer says.
    Arrays are shared, not copied: treat them as read-only and use `replace` to change a mesh.

    vertices : (n, 3) float32
    faces : (m, 3) int32, indices into `vertices`
    normals : (n, 3) float32, unit length, or None
    uvs : (n, 2) float32 in [0, 1], origin at the top left of the texture as in glTF, or None
    texture : (height, width, 3) uint8 sRGB, row 0 at the top, or None
    colors : (n, 3) uint8 sRGB, or None; where there is a texture too, the surface shows their product in linear light
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray | None = None
    uvs: np.ndarray | None = None
    texture: np.ndarray | None = None
    colors: np.ndarray | None = None

    def replace(self, **changes: Unpack[MeshArrays]) -> Mesh:
        """A mesh that shares every array but the ones given."""
        return replace(self, **changes)

    @property
    def bounds(self) -> np.ndarray:
        """(2, 3) float32: lowest and highest corner of the box around the vertices; zeros if empty."""
        if len(self.vertices) == 0:
            return np.zeros((2, 3), np.float32)
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    @property
    def signed_volume(self) -> float:
        """Enclosed volume in cubic units; positive if the faces of a closed mesh point outwards."""
        a, b, c = (self.vertices[self.faces[:, k]].astype(np.float64) for k in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)

    def triangles(self) -> np.ndarray:
        """(m, 3, 3) float32: the corners of each face."""
        return np.asarray(self.vertices[self.faces])

    def face_areas(self) -> np.ndarray:
        """(m,) float32: the area of each face."""
        return np.asarray(0.5 * np.linalg.norm(area_vectors(self.vertices, self.faces), axis=1))

    def face_normals(self) -> np.ndarray:
        """(m, 3) float32: unit normals; zero for a face without area."""
        return normalized(area_vectors(self.vertices, self.faces))

    def vertex_normals(self) -> np.ndarray:
        """(n, 3) float32: unit normals, faces weighted by area; zero for a vertex without faces.

        Vertices at the same place are not merged, so a seam of duplicated vertices shows; compute the
        normals before such a split and carry them along.
        """
        vectors = area_vectors(self.vertices, self.faces)
        return normalized(sum_at_vertices(vectors, self.faces, len(self.vertices)))

    def with_normals(self) -> Mesh:
        """The mesh with `normals` set to `vertex_normals()`."""
        return self.replace(normals=self.vertex_normals())

    def compacted(self) -> Mesh:
        """The mesh without the vertices that no face uses; the order of the others is kept."""
        used = np.zeros(len(self.vertices), bool)
        used[self.faces.ravel()] = True
        if used.all():
            return self
        index = np.cumsum(used, dtype=np.int32) - 1
        return self.select_vertices(np.flatnonzero(used), index[self.faces])

    def select_vertices(self, rows: np.ndarray, faces: np.ndarray) -> Mesh:
        """A mesh whose vertex i is this mesh's vertex rows[i], every attribute with it.

        rows : (k,) int, repeats allowed; faces : (m, 3) int into the new vertices
        """
        def take(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        return self.replace(
            vertices=self.vertices[rows], faces=np.ascontiguousarray(faces, np.int32),
            normals=take(self.normals), uvs=take(self.uvs), colors=take(self.colors),
        )


def area_vectors(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(m, 3): for each face its normal times twice its area, in the dtype of `vertices`."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def normalized(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors along the last axis; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def sum_at_vertices(values: np.ndarray, faces: np.ndarray, count: int) -> np.ndarray:
    """(count, k) float32: at each vertex the sum of `values` (m, k) over the faces that use it."""
    corners = faces.ravel()
    columns = [
        np.bincount(corners, weights=np.repeat(values[:, k], 3), minlength=count)
        for k in range(values.shape[1])
    ]
    return np.stack(columns, axis=1).astype(np.float32)
