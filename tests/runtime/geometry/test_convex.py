import numpy as np
import pytest

from meshwright.runtime.geometry.convex import THINNEST, convex_hull
from meshwright.runtime.geometry.topology import edge_report


def test_points_inside_and_on_the_sides_of_a_cube_are_left_out():
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 7)] * 3), axis=-1).reshape(-1, 3)
    hull = convex_hull(grid)
    assert sorted(map(tuple, hull.vertices.tolist())) == [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    assert edge_report(hull).watertight and hull.signed_volume == pytest.approx(1)


def test_every_point_is_within_the_tolerance_of_an_unbounded_hull():
    points = np.random.default_rng(0).normal(size=(500, 3))
    hull = convex_hull(points, 500)
    triangles = hull.triangles().astype(np.float64)
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    outside = points @ normals.T - np.einsum("fj,fj->f", normals, triangles[:, 0])
    assert outside.max() < 2e-4 * np.ptp(points, axis=0).max() and edge_report(hull).watertight


@pytest.mark.parametrize("points", [np.random.default_rng(1).random((20, 3)) * [1, 1, 0], [[0, 0, 0], [1, 2, 3]], [[1, 1, 1]]],
                         ids=["plane", "line", "point"])
def test_what_has_no_volume_gets_some(points):
    hull = convex_hull(np.array(points))
    assert edge_report(hull).watertight and hull.signed_volume > 0
    assert np.ptp(hull.vertices, axis=0).min() >= 0.9 * THINNEST * np.ptp(hull.vertices, axis=0).max()
