import numpy as np
import pytest

from benchmarks.quality import metrics
from meshwright.runtime.geometry.mesh import Mesh


def box(half=(0.5, 0.5, 0.5), colors=None):
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32) * np.float32(half)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))], np.int32)
    return Mesh(corners, faces, colors=colors)


def test_samples_lie_on_the_surface_and_follow_its_area():
    found = metrics.sample_surface(box((1.0, 1.0, 0.1)), 4000, np.random.default_rng(0)).points
    on_side = np.abs(np.abs(found) / np.float32([1.0, 1.0, 0.1]) - 1) < 1e-5
    assert on_side.any(axis=1).all()
    assert on_side[:, 2].mean() == pytest.approx(8 / (8 + 1.6), abs=0.03)


def test_samples_carry_texture_or_vertex_colours():
    colors = np.repeat([[10, 20, 30], [110, 120, 130]], 4, axis=0).astype(np.uint8)
    found = metrics.sample_surface(box(colors=colors), 500, np.random.default_rng(0))
    np.testing.assert_allclose(found.colors[:, 0] * 255, 60 + 100 * found.points[:, 0], atol=1e-3)
    texture = np.zeros((4, 4, 3), np.uint8)
    texture[:, :, 1] = 255
    painted = box().replace(texture=texture, uvs=np.full((8, 2), 0.5, np.float32))
    np.testing.assert_allclose(metrics.sample_surface(painted, 10, np.random.default_rng(0)).colors, [[0, 1, 0]] * 10)
    assert metrics.sample_surface(box(), 10, np.random.default_rng(0)).colors is None


def test_a_texture_is_multiplied_by_vertex_colours_as_the_renderer_does():
    """sRGB 188 is half of the light (0.503), half of half is a quarter (0.253), and that is sRGB 0.540."""
    half = np.full((8, 3), 188, np.uint8)
    painted = box(colors=half).replace(texture=np.full((4, 4, 3), 188, np.uint8), uvs=np.full((8, 2), 0.5, np.float32))
    np.testing.assert_allclose(metrics.sample_surface(painted, 10, np.random.default_rng(0)).colors, 0.540, atol=1e-3)


def test_psnr():
    assert metrics.psnr(np.full(10, 0.6), np.full(10, 0.5)) == pytest.approx(20.0)
    assert metrics.psnr(np.ones(3), np.ones(3)) == 99.0


def test_iou():
    one, other = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert metrics.iou(one, other) == pytest.approx(1 / 3)
    assert metrics.iou(one & ~one, other & ~other) == 1.0


def test_inside_of_a_closed_mesh():
    points = np.random.default_rng(0).uniform(-1, 1, (2000, 3)).astype(np.float32)
    truth = (np.abs(points) < [0.5, 0.3, 0.7]).all(axis=1)
    np.testing.assert_array_equal(metrics.inside(box((0.5, 0.3, 0.7)), points), truth)


def test_unit_box():
    points = np.random.default_rng(0).uniform((1, 2, 3), (2, 6, 4), (500, 3)).astype(np.float32)
    found = metrics.unit_box(points)
    assert np.ptp(found, axis=0).max() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(found.min(axis=0), -found.max(axis=0), atol=1e-6)


def test_f_score_is_the_harmonic_mean_of_both_shares():
    points = np.array([[0, 0, 0], [1, 0, 0]], np.float32)
    truth = np.array([[0, 0, 0.01], [5, 0, 0], [6, 0, 0], [7, 0, 0]], np.float32)
    precision, recall = 1 / 2, 1 / 4
    assert metrics.f_score(points, truth, 0.05) == pytest.approx(2 * precision * recall / (precision + recall))
    assert metrics.f_score(points, points, 0.05) == 1.0
    assert metrics.f_score(points, points + 10, 0.05) == 0.0


def test_nearest_agrees_with_brute_force():
    rng = np.random.default_rng(0)
    points, others = rng.random((50, 3)).astype(np.float32), rng.random((70, 3)).astype(np.float32)
    distances = np.linalg.norm(points[:, None] - others[None], axis=-1)
    np.testing.assert_array_equal(metrics.nearest(points, others), distances.argmin(axis=1))
    best = metrics.f_score(points, others, 0.1)
    precision, recall = (distances.min(axis=1) < 0.1).mean(), (distances.min(axis=0) < 0.1).mean()
    assert best == pytest.approx(2 * precision * recall / (precision + recall))


def test_most_frequent():
    assert metrics.most_frequent(["red", "blue", "blue"]) == "blue"
    assert metrics.most_frequent(["red", "blue"]) == "red"
    assert metrics.most_frequent([]) is None
