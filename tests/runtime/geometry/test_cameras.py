import numpy as np
import pytest

from meshwright.runtime.geometry.cameras import camera_vectors, orbit, project, rays


def test_first_view_has_the_published_camera_vector():
    vectors = camera_vectors(orbit())
    assert vectors.shape == (6, 16) and vectors.dtype == np.float32
    expected = [
        -0.5, -0.296198, 0.813798, 3.255191, 0.866025, -0.17101, 0.469846, 1.879385,
        0, 0.939693, 0.34202, 1.368081, 1.866025, 1.866025, 0.5, 0.5]
    np.testing.assert_allclose(vectors[0], expected, atol=2e-6)


def test_poses_are_rotations_that_look_at_the_origin():
    cameras = orbit((0, 45, 200), (0, 60, -80), radius=3.0)
    rotations = cameras.c2w[:, :3, :3]
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (3, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    np.testing.assert_allclose(cameras.positions, 3 * rotations[:, :, 2])
    assert (rotations[:, 2, 1] > 0).all(), "up in the image is up in the world"


def test_front_camera_sees_left_of_the_object_on_its_right():
    # Facing the object from +x, the world's +y is to the right and +z is up.
    uv, depth = project(orbit([0], [0]), np.array([[0, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [1, 0, 0]]))
    np.testing.assert_allclose(uv[0, 0], [0.5, 0.5], atol=1e-6)
    assert uv[0, 1, 0] > 0.6 and uv[0, 1, 1] == pytest.approx(0.5)
    assert uv[0, 2, 1] < 0.4 and uv[0, 2, 0] == pytest.approx(0.5)
    np.testing.assert_allclose(depth[0], [4, 4, 4, 3], rtol=1e-6)


def test_projecting_a_point_on_a_ray_gives_its_pixel():
    cameras, size = orbit(), 6
    origins, directions = rays(cameras, size)
    assert origins.shape == directions.shape == (6, size, size, 3)
    assert origins.dtype == directions.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1, rtol=1e-6)
    centres = (np.arange(size) + 0.5) / size
    expected = np.stack(np.meshgrid(centres, centres), axis=-1)
    for k in range(6):
        uv, depth = project(cameras.select([k]), (origins[k] + 3.5 * directions[k]).reshape(-1, 3))
        np.testing.assert_allclose(uv[0].reshape(size, size, 2), expected, atol=1e-5)
        assert (depth > 0).all()


def test_points_behind_a_camera_have_negative_depth():
    _, depth = project(orbit([0], [0]), np.array([[10.0, 0, 0], [4.0, 0, 0]]))
    assert depth[0, 0] < 0 and depth[0, 1] == 0
