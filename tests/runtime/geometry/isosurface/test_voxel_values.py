"""Values at voxels' centres: between them, and their surface."""

import numpy as np

from meshwright.runtime.geometry.isosurface import voxel_values
from meshwright.runtime.geometry.topology import is_watertight
from meshwright.runtime.geometry.voxels import all_voxels, centres

SIDE, EXTENT = 8, 2.0


def test_a_linear_field_is_met_between_the_centres_and_held_beyond():
    slope = np.array([0.3, -0.2, 0.5], np.float32)
    values = (centres(all_voxels(SIDE), SIDE, EXTENT) @ slope).reshape((SIDE,) * 3)
    points = np.random.default_rng(0).uniform(-0.8, 0.8, (50, 3)).astype(np.float32)
    found = voxel_values.interpolated(values, points, EXTENT / SIDE)
    np.testing.assert_allclose(found, points @ slope, atol=1e-5)
    both = voxel_values.interpolated(np.stack([values, -values], axis=-1), points, EXTENT / SIDE)
    np.testing.assert_allclose(both, np.stack([found, -found], axis=1), atol=1e-6)
    far = voxel_values.interpolated(values, np.array([[9.0, 0.9, 0.9]], np.float32), EXTENT / SIDE)
    np.testing.assert_allclose(far, values[-1, -1, -1], atol=1e-6)


def test_the_surface_of_a_ball_is_closed_and_where_it_is():
    distance = np.linalg.norm(centres(all_voxels(16), 16, EXTENT), axis=1).reshape((16,) * 3) - np.float32(0.6)
    mesh = voxel_values.surface(distance.clip(-0.25, 0.25), EXTENT, 0.25)
    assert is_watertight(mesh) and mesh.signed_volume > 0
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.6).max() < 0.03


def test_what_touches_the_border_is_closed_beyond_it_and_nothing_is_empty():
    mesh = voxel_values.surface(np.full((4, 4, 4), np.float32(-1)), EXTENT, 1.0, detail=1)
    assert is_watertight(mesh) and np.abs(np.abs(mesh.vertices).max() - 1.0) < 0.3
    assert len(voxel_values.surface(np.ones((4, 4, 4), np.float32), EXTENT, 1.0).faces) == 0
