"""Smooths a surface without rounding its edges: bilateral filtering of face normals, then vertices that follow them.

Normals: Zheng et al., "Bilateral Normal Filtering for Mesh Denoising" (2011), over the faces that share an edge. Vertices: Sun et al.,
"Fast and Effective Feature-Preserving Mesh Denoising" (2007).
"""

from __future__ import annotations

import numpy as np

from .mesh import Mesh, area_vectors, normalized


def denoised(mesh: Mesh, *, width: float, rounds: int = 20, steps: int = 20) -> Mesh:
    """A closed mesh with the same faces and smoother flat and round parts.

    width : of the kernel over normals; of two neighbours whose normals are that far apart each counts 0.6 of what it would if they agreed
    rounds : of filtering, which is how many faces far it reaches; steps : of the vertices
    """
    faces = mesh.faces
    pairs = edge_neighbours(faces)
    vectors = area_vectors(mesh.vertices, faces)
    areas = np.linalg.norm(vectors, axis=1)
    normals = normalized(vectors)
    for _ in range(rounds):
        normals = _filtered(normals, areas, pairs, width)
    vertices = mesh.vertices
    uses = np.bincount(faces.ravel(), minlength=len(vertices)).clip(min=1)[:, None].astype(np.float32)
    for _ in range(steps):
        vertices = _towards(vertices, faces, normals, uses)
    return mesh.replace(vertices=vertices)


def edge_neighbours(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two rows of face numbers, equally long: the faces on either side of each edge that has two."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1).astype(np.int64)
    key = edges[:, 0] * (int(faces.max(initial=0)) + 1) + edges[:, 1]
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(np.diff(key[order]) == 0)
    return order[same] % len(faces), order[same + 1] % len(faces)


def _filtered(normals: np.ndarray, areas: np.ndarray, pairs: tuple[np.ndarray, np.ndarray], width: float) -> np.ndarray:
    """(m, 3) unit normals, each the mean of its own and its neighbours', by area and by how much they agree."""
    left, right = pairs
    apart = ((normals[left] - normals[right]) ** 2).sum(axis=1)
    weight = np.exp(apart * np.float32(-0.5 / width**2))
    total = normals * areas[:, None]
    for ends, others in ((left, right), (right, left)):
        share = weight * areas[others]
        for k in range(3):
            total[:, k] += np.bincount(ends, weights=share * normals[others, k], minlength=len(normals))
    return normalized(total).astype(np.float32)


def _towards(vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray, uses: np.ndarray) -> np.ndarray:
    """(n, 3) float32: each vertex moved by the mean of its ways to the planes of its faces, as their normals have them."""
    corners = vertices[faces]
    centres = corners.mean(axis=1)
    # The way of corner c of a face: n (n . (centre - corner)).
    distance = np.einsum("mk,mck->mc", normals, centres[:, None] - corners)
    moved = np.empty_like(vertices)
    flat = faces.ravel()
    for k in range(3):
        moved[:, k] = np.bincount(flat, weights=(distance * normals[:, k:k + 1]).ravel(), minlength=len(vertices))
    return (vertices + moved / uses).astype(np.float32)
