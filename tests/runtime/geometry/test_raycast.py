import sys

import numpy as np
import pytest

from meshwright.engines.errors import BackendUnavailable
from meshwright.runtime.geometry.raycast import Scene

VERTICES = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, -1], [1, 0, -1], [0, 1, -1]], np.float64)
FACES = np.array([[0, 1, 2], [3, 4, 5]], np.int64)
ORIGINS = np.array([[0.2, 0.3, 5], [0.2, 0.3, -5], [2, 2, 5]])
DIRECTIONS = np.array([[0, 0, -1], [0, 0, 2], [0, 0, -1]])


def test_nearest_hit_distance_and_barycentrics():
    hits = Scene(VERTICES, FACES).intersect(ORIGINS, DIRECTIONS)
    assert hits.face.tolist() == [0, 1, -1] and hits.face.dtype == np.int32
    np.testing.assert_allclose(hits.distance, [5, 2, np.inf])
    seen = hits.select(hits.face >= 0)
    points = np.einsum("nk,nki->ni", seen.weights(), VERTICES[FACES[seen.face]])
    np.testing.assert_allclose(points, [[0.2, 0.3, 0], [0.2, 0.3, -1]], atol=1e-6)


def test_occlusion_with_and_without_limits():
    scene = Scene(VERTICES, FACES)
    assert scene.occluded(ORIGINS, DIRECTIONS).tolist() == [True, True, False]
    limits = np.array([4.0, 2.5, 9.0])
    assert scene.occluded(ORIGINS, DIRECTIONS, limits).tolist() == [False, True, False]
    assert limits.tolist() == [4.0, 2.5, 9.0], "the caller's array is not written to"


def test_empty_mesh_and_no_rays():
    empty = Scene(np.zeros((0, 3)), np.zeros((0, 3), int))
    assert (empty.intersect(ORIGINS, DIRECTIONS).face == -1).all()
    assert not empty.occluded(ORIGINS, DIRECTIONS).any()
    assert len(Scene(VERTICES, FACES).intersect(ORIGINS[:0], DIRECTIONS[:0]).distance) == 0


def test_missing_package_names_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "embreex.mesh_construction", None)
    with pytest.raises(BackendUnavailable, match="pip install embreex"):
        Scene(VERTICES, FACES)
