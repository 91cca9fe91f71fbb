"""Charts: which faces go together, and what they look like laid flat."""

import numpy as np

from meshwright.runtime.geometry.creases import split_at_creases
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.texture.charts import Adjacency, flattened, make_charts
from tests.runtime.shapes import box, letter_f, sphere


def test_a_box_has_a_chart_for_each_side():
    mesh = split_at_creases(box((2.0, 2.0, 2.0)))
    chart = make_charts(Adjacency.of(mesh))
    assert sorted(np.unique(chart)) == list(range(6))
    normals = mesh.face_normals()
    for number in range(6):
        assert np.ptp(normals[chart == number], axis=0).max() < 1e-6


def test_charts_hang_together_and_face_one_way():
    for mesh in (split_at_creases(letter_f(detail=3)), sphere(subdivisions=3)):
        adjacency = Adjacency.of(mesh)
        chart = make_charts(adjacency)
        assert len(np.unique(adjacency.parts(chart))) == len(np.unique(chart)) < len(chart) / 10
        sums = np.stack([np.bincount(chart, adjacency.vectors[:, k]) for k in range(3)], axis=1)
        means = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        assert np.einsum("ij,ij->i", adjacency.normals, means[chart]).min() > np.cos(np.radians(75))


def test_what_is_flat_is_laid_flat_as_it_is():
    """A triangle of sides 3, 4 and 5 that leans in space: the same sides, and counter-clockwise for a viewer whose v runs down."""
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    mesh = Mesh((np.array([[0, 0, 0], [3, 0, 0], [0, 4, 0]]) @ turn.T).astype(np.float32), np.array([[0, 1, 2]], np.int32))
    flat, _ = flattened(mesh, Adjacency.of(mesh), np.zeros(1, np.int64))
    corners = flat[0]
    np.testing.assert_allclose([np.linalg.norm(corners[i] - corners[i - 1]) for i in range(3)], [4, 3, 5], atol=1e-5)
    one, two = corners[1] - corners[0], corners[2] - corners[0]
    assert one[0] * two[1] - one[1] * two[0] < 0


def test_a_bent_chart_keeps_its_area():
    """Two unit squares that meet at 60 degrees: seen along their mean they are narrower, so they are scaled."""
    end = np.array([np.cos(np.radians(60)), 0, np.sin(np.radians(60))])
    points = np.array([[0, 0, 0], [0, 1, 0], [-1, 0, 0], [-1, 1, 0], end, end + (0, 1, 0)], np.float32)
    mesh = Mesh(points, np.array([[2, 0, 1], [2, 1, 3], [0, 4, 5], [0, 5, 1]], np.int32))
    flat, height = flattened(mesh, Adjacency.of(mesh), np.zeros(4, np.int64))
    one, two = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    np.testing.assert_allclose(np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2, 0.5, atol=1e-6)
    assert np.isfinite(height).all()


def test_the_outline_of_a_square_of_two_faces():
    mesh = Mesh(np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32), np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    adjacency = Adjacency.of(mesh)
    np.testing.assert_array_equal(adjacency.outline(np.zeros(2, np.int64)), [0, 1, 4, 5])  # all but the diagonal, 2 and 3
    np.testing.assert_array_equal(adjacency.outline(np.arange(2)), np.arange(6))
