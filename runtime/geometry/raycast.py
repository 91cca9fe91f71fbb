"""Rays against a triangle mesh on the CPU, through Embree; no window and no graphics driver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...engines.errors import BackendUnavailable


@dataclass(frozen=True, eq=False)
class Hits:
    """The nearest intersection of each of n rays.

    face : (n,) int32, -1 where the ray misses
    distance : (n,) float32 in lengths of the ray's direction, infinite where it misses
    barycentric : (n, 2) float32, weights of the face's second and third corner
    """

    face: np.ndarray
    distance: np.ndarray
    barycentric: np.ndarray

    def weights(self) -> np.ndarray:
        """(n, 3) float32: weights of the face's three corners, summing to 1."""
        first = 1 - self.barycentric.sum(axis=1, keepdims=True)
        return np.concatenate([first, self.barycentric], axis=1)

    def select(self, rows: np.ndarray) -> Hits:
        """The hits of some of the rays, by index or mask."""
        return Hits(self.face[rows], self.distance[rows], self.barycentric[rows])


class Scene:
    """A mesh made ready for rays. Both sides of a face count as hits.

    Embree sets itself up once per call, so pass many rays at a time: 400,000 take about 0.1 s.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        """vertices : (n, 3) float; faces : (m, 3) int, may be empty

        Raises BackendUnavailable if embreex is not installed.
        """
        self._scene = None
        if len(faces):
            self._scene = _build(vertices, faces)

    def intersect(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """The nearest hit of each ray; origins, directions : (n, 3) float, not zero."""
        count = len(origins)
        if self._scene is None or count == 0:
            return Hits(
                np.full(count, -1, np.int32), np.full(count, np.inf, np.float32),
                np.zeros((count, 2), np.float32))
        found = self._scene.run(_vectors(origins), _vectors(directions), output=True)
        face = found["primID"]
        distance = np.where(face < 0, np.float32(np.inf), found["tfar"])
        return Hits(face, distance, np.stack([found["u"], found["v"]], axis=1))

    def occluded(
        self, origins: np.ndarray, directions: np.ndarray, limits: np.ndarray | None = None,
    ) -> np.ndarray:
        """(n,) bool: whether anything lies on each ray.

        origins, directions : (n, 3) float
        limits : (n,) float, only hits nearer than this many lengths of the direction count
        """
        count = len(origins)
        if self._scene is None or count == 0:
            return np.zeros(count, bool)
        far = None if limits is None else np.array(limits, np.float32)
        return self._scene.run(_vectors(origins), _vectors(directions), far, query="OCCLUDED") >= 0


def _build(vertices: np.ndarray, faces: np.ndarray):
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise BackendUnavailable(
            subject="ray casting", received="no package embreex", expected="embreex",
            remedy="pip install embreex") from error
    scene = EmbreeScene()
    TriangleMesh(scene, _vectors(vertices), np.ascontiguousarray(faces, np.int32))
    return scene


def _vectors(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32)
