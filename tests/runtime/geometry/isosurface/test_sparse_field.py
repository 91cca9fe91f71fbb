import time
import tracemalloc

import numpy as np
import pytest

from meshwright.runtime.geometry.isosurface import evaluate_sparse, extract
from meshwright.runtime.geometry.isosurface.sparse_field import axis_positions
from meshwright.runtime.geometry.topology import components, edge_report


def box(points, half, centre=(0, 0, 0)):
    q = np.abs(points - np.array(centre)) - np.array(half)
    return np.linalg.norm(np.maximum(q, 0), axis=1) + np.minimum(q.max(axis=1), 0)


def sphere(points):
    return np.linalg.norm(points, axis=1) - 0.6


def torus(points):
    return np.hypot(np.hypot(points[:, 0], points[:, 1]) - 0.6, points[:, 2]) - 0.2


def stool(points):
    """A plate 0.03 thick on four legs 0.05 wide."""
    distance = box(points, (0.4, 0.4, 0.015))
    for x in (-0.35, 0.35):
        for y in (-0.35, 0.35):
            distance = np.minimum(distance, box(points, (0.025, 0.025, 0.3), (x, y, -0.3)))
    return distance


def query(field, **transform):
    return lambda points: {"sdf": transform.get("of", lambda d: d)(field(points))}


def test_grid_positions_are_the_published_ones():
    axis = axis_positions(128, 2.1)
    assert axis.dtype == np.float32 and axis[0] == np.float32(-1.05) and axis[64] == 0
    assert axis[1] == np.float32((round(1 / 128, 5) - 0.5) * 2.1)


def test_a_grid_that_is_not_rounded_is_evenly_spaced():
    axis = axis_positions(255, 2.0, decimals=None)
    np.testing.assert_allclose(axis, np.linspace(-1, 1, 256), atol=1e-7)
    assert np.abs(axis_positions(255, 2.0) - axis).max() > 5e-6
    asked = []
    evaluate_sparse(lambda points: (asked.append(points), {"sdf": sphere(points)})[1], 15, 2.0, decimals=None, stride=1)
    np.testing.assert_array_equal(np.unique(asked[0]), axis_positions(15, 2.0, decimals=None))


@pytest.mark.parametrize("field", [sphere, torus, stool])
@pytest.mark.parametrize("of", [
    lambda d: d, lambda d: np.clip(d, -0.15, 0.15), lambda d: 50 * np.tanh(8 * d), lambda d: 3 * d + d * d,
], ids=["distance", "truncated", "scaled tanh", "curved"])
def test_sparse_equals_dense(field, of):
    sparse, dense = (extract(query(field, of=of), None, 48, 2.1, stride=stride) for stride in (4, 1))
    np.testing.assert_array_equal(sparse.faces, dense.faces)
    np.testing.assert_array_equal(sparse.vertices, dense.vertices)


@pytest.mark.parametrize("resolution", [45, 46, 47])
def test_sparse_equals_dense_where_the_stride_does_not_divide(resolution):
    def field(points):  # three bodies, one of them on the far border
        return np.minimum(torus(points), np.minimum(box(points, (0.1,) * 3, (0.96,) * 3), box(points, (0.3, 0.05, 0.02), (0, 0, 0.8))))

    sparse, dense = (evaluate_sparse(query(field), resolution, 2.1, stride=stride) for stride in (4, 1))
    np.testing.assert_array_equal(sparse.cubes, dense.cubes)
    np.testing.assert_array_equal(sparse.values["sdf"], dense.values["sdf"])
    assert sparse.cubes.max() == resolution - 1 and sparse.queried < dense.queried / 2


def test_random_field_sparse_equals_dense():
    values = np.random.default_rng(3).standard_normal((17, 17, 17)).astype(np.float32)
    axis = axis_positions(16, 2.0)

    def lookup(points):
        return {"sdf": values[tuple(np.searchsorted(axis, points - 1e-4).T)]}

    sparse, dense = (extract(lookup, None, 16, 2.0, stride=stride) for stride in (4, 1))
    np.testing.assert_array_equal(sparse.vertices, dense.vertices)
    assert edge_report(sparse).watertight


def test_few_points_are_queried():
    field = evaluate_sparse(query(sphere), 96, 2.1)
    assert field.queried < 0.1 * 97**3
    assert len(field.points) == len(field.values["sdf"]) < field.queried


@pytest.mark.parametrize("field, volume, genus", [
    (sphere, 4 / 3 * np.pi * 0.6**3, 0), (torus, 2 * np.pi**2 * 0.6 * 0.2**2, 1), (stool, None, 0)])
def test_closed_outward_and_of_the_right_shape(field, volume, genus):
    mesh = extract(query(field), None, 64, 2.1)
    report = edge_report(mesh)
    assert report.watertight and components(mesh).max() == 0
    assert len(mesh.vertices) - report.edges + len(mesh.faces) == 2 - 2 * genus
    assert mesh.signed_volume > 0
    if volume:
        assert mesh.signed_volume == pytest.approx(volume, rel=0.02)


def test_accuracy_on_a_sphere():
    mesh = extract(query(sphere), None, 64, 2.1)
    error = np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.6)
    assert error.max() < 0.03 * 2.1 / 64


def test_positive_inside_gives_the_same_mesh():
    negative = extract(query(torus), None, 32, 2.1)
    positive = extract(query(torus, of=lambda d: -d[:, None]), None, 32, 2.1, negative_inside=False)
    np.testing.assert_array_equal(negative.vertices, positive.vertices)
    np.testing.assert_array_equal(negative.faces, positive.faces)


def test_seal_closes_what_leaves_the_grid():
    large = query(lambda points: np.linalg.norm(points, axis=1) - 1.2)
    assert edge_report(extract(large, None, 32, 2.1)).watertight
    assert edge_report(extract(large, None, 32, 2.1, seal=False)).boundary > 0


def test_surface_is_followed_where_the_coarse_lattice_misses_it():
    # A needle between lattice vertices hangs on a ball; far from the ball its field tells nothing.
    def field(points):
        ball = np.linalg.norm(points, axis=1) - 0.3
        needle = np.hypot(points[:, 0] - 0.05, points[:, 1] - 0.05) - 0.04
        needle = np.where(np.abs(points[:, 2]) < 0.9, needle, 1.0)
        return np.where((ball < 0) | (needle < 0), -0.5, 0.5)

    sparse, dense = (extract(query(field), None, 64, 2.1, stride=stride) for stride in (8, 1))
    np.testing.assert_array_equal(sparse.faces, dense.faces)
    assert sparse.bounds[1, 2] > 0.85


def test_nothing_inside_gives_an_empty_mesh():
    for constant in (1.0, 0.0):
        mesh = extract(lambda points, c=constant: {"sdf": np.full(len(points), c)}, lambda corners: 1 / 0, 16, 2.0)
        assert mesh.vertices.shape == (0, 3) and mesh.faces.shape == (0, 3)


def test_all_inside_is_the_sealed_grid():
    mesh = extract(lambda points: {"sdf": np.full(len(points), -1.0)}, None, 8, 2.0)
    assert edge_report(mesh).watertight
    assert mesh.signed_volume == pytest.approx(7.0**3 * 0.25**3, rel=0.1), "less its corners"


def test_queries_are_chunked_and_odd_resolutions_work():
    sizes, weighted = [], []

    def geometry(points):
        sizes.append(len(points))
        return {"sdf": sphere(points), "deformation": np.zeros((len(points), 3))}

    def weights(corners):
        weighted.append(corners.shape)
        return np.zeros((len(corners), 21))

    mesh = extract(geometry, weights, 25, 2.1, chunk=1000)
    assert max(sizes) == 1000 and {shape[1:] for shape in weighted} == {(8, 3)}
    assert max(shape[0] for shape in weighted) == 125
    assert edge_report(mesh).watertight


def test_deformation_moves_vertices_by_the_published_step():
    def geometry(points):
        return {"sdf": sphere(points), "deformation": np.tile([100.0, 0.0, 0.0], (len(points), 1))}

    plain = extract(geometry, None, 32, 2.1)
    moved = extract(geometry, lambda corners: np.zeros((len(corners), 21)), 32, 2.1)
    np.testing.assert_allclose(moved.vertices - plain.vertices, np.tile([1 / 128, 0, 0], (len(plain.vertices), 1)),
                               atol=1e-6)


def test_corner_order_of_the_weight_query():
    corners = []
    extract(query(sphere), lambda c: (corners.append(c), np.zeros((len(c), 21)))[1], 16, 1.6)
    cell = 0.1
    offsets = (corners[0] - corners[0][:, :1]) / cell
    np.testing.assert_allclose(offsets[0], [[c & 1, c >> 1 & 1, c >> 2 & 1] for c in range(8)], atol=1e-4)


def test_a_density_on_the_published_grid_is_found_within_little_memory():
    def density(points):  # as softplus leaves it: level outside, steep inside
        return {"sdf": np.logaddexp(0.0, 200 * (0.06 - torus(points))).astype(np.float32) - 10.0}

    tracemalloc.start()
    mesh = extract(density, None, 255, 2.0, negative_inside=False, decimals=None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert edge_report(mesh).watertight and peak < 600e6
    assert np.abs(torus(mesh.vertices) - 0.01).max() < 2 / 255, "density is 10 where 200 * (0.06 - d) is"


def test_full_size_extraction_is_quick():
    def timed():
        start = time.process_time()
        extract(query(torus), None, 96, 2.1)
        return time.process_time() - start

    assert min(timed() for _ in range(3)) < 1.0, "0.03 s when nothing else runs"
