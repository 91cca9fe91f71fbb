import numpy as np
import pytest

from meshwright.runtime.geometry.decimate import decimate
from meshwright.runtime.geometry.distance import deviation, distances, surface_points
from tests.runtime.shapes import box, sphere


def test_points_beside_above_and_off_the_corner_of_a_box():
    points = np.array([[0, 0, 1.5], [0.25, 0, 0], [2.0, 2.0, 2.0]], np.float32)
    found = distances(points, box((1.0, 1.0, 1.0)))
    assert found[:2] == pytest.approx([1.0, 0.25], rel=1e-5)
    assert 1.5 * 3**0.5 <= found[2] + 1e-5 and found[2] < 1.2 * 1.5 * 3**0.5  # an upper bound where the nearest place is a corner


def test_points_just_off_a_curved_surface():
    points = surface_points(sphere(0.6), 200)[0]
    found = distances((points * 1.02).astype(np.float32), sphere(0.6))
    apart = 0.02 * np.linalg.norm(points, axis=1)  # along the radius, from which the normals of the faces differ by a few degrees
    assert (found <= 1.01 * apart).all() and (found >= 0.98 * apart).all()


def test_points_are_spread_by_area():
    points, face = surface_points(box((2.0, 1.0, 0.02)), 4000)
    on_top = (np.abs(points[:, 2]) > 0.0099).mean()
    assert on_top == pytest.approx(4 / (4 + 4 * 0.02 + 2 * 0.02), abs=0.005)
    assert len(points) == len(face) == 4000


def test_a_decimated_sphere_deviates_by_what_a_chord_does():
    mean, largest = deviation(sphere(), decimate(sphere(), 200))
    assert 0 < mean < largest < 0.05
    assert deviation(sphere(), sphere())[1] < 1e-5
