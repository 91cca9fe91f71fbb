"""Figures of a mesh that `lint` judges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..geometry.mesh import Mesh, area_vectors
from ..geometry.topology import connected, weld
from ..texture.atlas import rasterize

LOOK = 1024  # texels along a side at which overlap and gutters are looked for, where there is no texture
FARTHEST_GUTTER = 8
DEGENERATE = 1e-6  # of the longest side, the height below which a face is a line


def degenerate_faces(mesh: Mesh) -> int:
    """Faces without area, or so thin that nothing sees them."""
    size = float(np.ptp(mesh.bounds, axis=0).max()) or 1.0
    corners = mesh.triangles().astype(np.float64)
    longest = np.linalg.norm(corners - corners[:, [1, 2, 0]], axis=2).max(axis=1)
    area = np.linalg.norm(area_vectors(mesh.vertices.astype(np.float64), mesh.faces), axis=1)
    return int((area <= DEGENERATE * size * longest).sum())


def is_convex(mesh: Mesh) -> bool:
    """Whether no vertex lies outside of any face, to a thousandth of the size."""
    size = float(np.ptp(mesh.bounds, axis=0).max()) or 1.0
    vectors = area_vectors(mesh.vertices.astype(np.float64), mesh.faces)
    lengths = np.linalg.norm(vectors, axis=1)
    kept = lengths > 1e-9 * size**2  # the plane of a sliver says nothing
    normals = vectors[kept] / lengths[kept, None]
    outside = mesh.vertices @ normals.T - np.einsum("ij,ij->i", normals, mesh.vertices[mesh.faces[kept, 0]])
    return bool(outside.max(initial=0.0) <= 1e-3 * size)


def uv_overlap(mesh: Mesh, size: int = LOOK) -> float:
    """The share of the used texels of a size x size texture that more than one face covers. The mesh has uvs."""
    assert mesh.uvs is not None
    _, texel = rasterize(mesh.uvs[mesh.faces], size)
    uses = np.bincount(texel, minlength=1)
    return float((uses > 1).sum() / max((uses > 0).sum(), 1))


def gutter(mesh: Mesh, size: int = LOOK) -> int:
    """The least number of texels between two charts of a mesh with uvs, across or aslant; 8 for more."""
    assert mesh.uvs is not None
    face, texel = rasterize(mesh.uvs[mesh.faces], size)
    owner = np.full(size * size, -1, np.int32)
    owner[texel] = charts(mesh)[face]
    near = owner.reshape(size, size)
    for distance in range(FARTHEST_GUTTER // 2):
        grown = near
        for moved in _neighbours(near):
            if ((moved >= 0) & (near >= 0) & (moved != near)).any():
                return 2 * distance
        for moved in _neighbours(near):
            if ((grown >= 0) & (near < 0) & (moved >= 0) & (grown != moved)).any():
                return 2 * distance + 1
            grown = np.where(grown < 0, moved, grown)
        near = grown
    return FARTHEST_GUTTER


def _neighbours(grid: np.ndarray) -> Iterator[np.ndarray]:
    """The grid moved by one to each of its eight sides, -1 where nothing comes in."""
    padded = np.pad(grid, 1, constant_values=-1)
    height, width = grid.shape
    for down, right in ((0, 1), (2, 1), (1, 0), (1, 2), (0, 0), (0, 2), (2, 0), (2, 2)):
        yield padded[down:down + height, right:right + width]


def charts(mesh: Mesh) -> np.ndarray:
    """(m,) int: a number for each connected part of the texture that a face lies in: faces are connected by corners of one place and uv."""
    assert mesh.uvs is not None
    place = weld(mesh.vertices)
    uv = weld(np.concatenate([mesh.uvs, np.zeros((len(mesh.uvs), 1), np.float32)], axis=1))
    corner = np.unique(place * (int(uv.max()) + 1) + uv, return_inverse=True)[1][mesh.faces]
    roots = connected(int(corner.max()) + 1, np.concatenate([corner[:, 0], corner[:, 1]]), np.concatenate([corner[:, 1], corner[:, 2]]))
    return np.unique(roots[corner[:, 0]], return_inverse=True)[1]


def texel_density(mesh: Mesh, side: int) -> tuple[float, float]:
    """Texels along a metre of the surface: the median by area, and the ratio of the ninth to the first tenth. The mesh has uvs."""
    assert mesh.uvs is not None
    a, b, c = (mesh.uvs[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    texels = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2 * side**2
    area = mesh.face_areas().astype(np.float64)
    kept = area > 0
    density, area = np.sqrt(texels[kept] / area[kept]), area[kept]
    order = np.argsort(density)
    share = np.cumsum(area[order]) / max(area.sum(), 1e-300)
    low, middle, high = (density[order][min(np.searchsorted(share, part), len(order) - 1)] for part in (0.1, 0.5, 0.9))
    return float(middle), float(high / max(low, 1e-12))
