"""The colours of one mesh on the texels of another that lies close to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..geometry.distance import nearest
from ..geometry.mesh import Mesh
from ..geometry.raycast import Hits, Scene
from ..geometry.render import unlit_colors
from ..texture.atlas import Atlas, atlas_strips, strip_height
from ..texture.painter import Painter

# Of the size of the mesh: how far along its normal a texel looks, and how far behind itself it begins, for surfaces that coincide.
REACH, BEHIND = 0.02, 1e-4


class Source:
    """A mesh whose surface others ask for: `hits` finds, for points on them, the same places on it."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.size = float(np.ptp(mesh.bounds, axis=0).max())
        self._scene, self._normals = Scene(mesh.vertices, mesh.faces), mesh.face_normals()

    def hits(self, points: np.ndarray, normals: np.ndarray) -> Hits:
        """For points (n, 3) with unit normals (n, 3), float32: the place along the normal, either way, that faces the same way and is
        near; else the nearest place."""
        best = Hits(np.full(len(points), -1, np.int32), np.full(len(points), np.inf, np.float32), np.zeros((len(points), 2), np.float32))
        for sign in (-1, 1):
            directions = sign * normals
            found = self._scene.intersect(points - np.float32(BEHIND * self.size) * directions, directions)
            better = (found.distance < best.distance) & (found.distance < REACH * self.size)
            better[better] = np.einsum("ij,ij->i", self._normals[found.face[better]], normals[better]) > 0
            _put(best, np.flatnonzero(better), found.select(better))
        rest = np.flatnonzero(best.face < 0)
        _put(best, rest, nearest(self.mesh, self._scene, points[rest], normals[rest]))
        return best

    def colors(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """(n, 3) float32 sRGB in [0, 1]"""
        return unlit_colors(self.mesh, self.hits(points, normals))


def painted(mesh: Mesh, size: int, values: Callable[[Atlas], np.ndarray]) -> np.ndarray:
    """(size, size, 3) uint8: a texture of a mesh with uvs and normals, its charts padded and the space between them filled.

    values : a strip of the texture -> (k, 3) float in [0, 1], of its texels
    """
    painter = Painter(size)
    for atlas in atlas_strips(mesh, size, strip_height(size)):
        painter.add(atlas, values(atlas))
    return painter.finish()


def _put(best: Hits, rows: np.ndarray, found: Hits) -> None:
    best.face[rows], best.distance[rows], best.barycentric[rows] = found.face, found.distance, found.barycentric
