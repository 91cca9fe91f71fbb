from collections import defaultdict

import numpy as np
import pytest

from meshwright.runtime.geometry.isosurface.flexicubes import Weights, dual_marching_cubes
from meshwright.runtime.geometry.isosurface.tables import CORNERS, EDGES, tables
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.topology import edge_report


def surface(sdf, weights_of=None, positions=None):
    """Dual marching cubes of a dense lattice (n, n, n): the mesh, the cubes and the weights used."""
    side = len(sdf)
    cubes = np.stack(np.meshgrid(*[np.arange(side - 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    corners = np.ravel_multi_index(tuple((cubes[:, None] + CORNERS).transpose(2, 0, 1)), sdf.shape)
    inside = sdf.ravel()[corners] < 0
    mixed = inside.any(axis=1) & ~inside.all(axis=1)
    cubes, corners = cubes[mixed], corners[mixed]
    if positions is None:
        positions = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    weights = weights_of(len(cubes)) if weights_of else None
    vertices, faces = dual_marching_cubes(
        cubes, corners, sdf.ravel().astype(np.float32), positions.astype(np.float32), side - 1, weights)
    return Mesh(vertices, faces), cubes, corners, weights


def random_weights(rng):
    return lambda count: Weights.from_raw(rng.standard_normal((count, 21)))


def sealed(field):
    return np.pad(field, 1, constant_values=1.0)


def by_loops(sdf, cubes, corners, positions, weights):
    """The set of oriented triangles as positions, written out cube by cube and edge by edge."""
    row = {tuple(cube): k for k, cube in enumerate(cubes.tolist())}
    cases = [sum(1 << c for c in range(8) if sdf[corners[k, c]] < 0) for k in range(len(cubes))]
    resolved = list(cases)
    for k, cube in enumerate(cubes):
        step = tables().direction[cases[k]]
        other = row.get(tuple((cube + step).tolist()))
        if step.any() and other is not None and tables().direction[cases[other]].any():
            resolved[k] = 255 - cases[k]
    dual, around = {}, defaultdict(list)
    for k in range(len(cubes)):
        total = defaultdict(lambda: [0.0, np.zeros(3)])
        for e, (a, b) in enumerate(EDGES.tolist()):
            part = tables().component[resolved[k], e]
            if part < 0:
                continue
            sa, sb = (sdf[corners[k, c]] * weights.alpha[k, c] for c in (a, b))
            u = (positions[corners[k, a]] * sb - positions[corners[k, b]] * sa) / (sb - sa)
            total[part][0] += weights.beta[k, e]
            total[part][1] += weights.beta[k, e] * u
            around[corners[k, a], corners[k, b]].append((k, part))
        for part, (weight, point) in total.items():
            dual[k, part] = point / weight
    triangles = []
    for (a, _), ring in around.items():
        if len(ring) != 4:
            continue
        ring = [ring[j] for j in ([0, 1, 3, 2] if sdf[a] > 0 else [2, 3, 1, 0])]
        g = [weights.gamma[k] for k, _ in ring]
        split = [(0, 1, 2), (0, 2, 3)] if g[0] * g[2] > g[1] * g[3] else [(0, 1, 3), (3, 1, 2)]
        triangles += [[dual[ring[j]] for j in triangle] for triangle in split]
    return np.array(triangles)


def canonical(triangles):
    """Triangles (m, 3, 3) rotated to start at their lowest corner, then sorted."""
    rounded = np.round(triangles, 4) + 0.0
    rotated = []
    for triangle in rounded.tolist():
        first = triangle.index(min(triangle))
        rotated.append(triangle[first:] + triangle[:first])
    return np.array(sorted(rotated))


@pytest.mark.parametrize("seed", range(3))
def test_same_triangles_as_the_plain_loops(seed):
    rng = np.random.default_rng(seed)
    sdf = rng.standard_normal((6, 6, 6))
    lattice = np.stack(np.meshgrid(*[np.arange(6)] * 3, indexing="ij"), -1).reshape(-1, 3)
    positions = lattice + rng.uniform(-0.2, 0.2, (216, 3))
    mesh, cubes, corners, weights = surface(sdf, random_weights(rng), positions)
    expected = by_loops(sdf.ravel(), cubes, corners, positions, weights)
    assert len(mesh.faces) == len(expected) > 100
    np.testing.assert_allclose(canonical(mesh.triangles()), canonical(expected), atol=3e-4)


def test_every_case_alone_is_closed_and_faces_outwards():
    for case in range(1, 256):
        cube = np.where(case >> np.arange(8) & 1, -1.0, 1.0).reshape(2, 2, 2).transpose(2, 1, 0)
        mesh = surface(sealed(cube))[0]
        assert edge_report(mesh).watertight, case
        assert mesh.signed_volume > 0, case


@pytest.mark.parametrize("density", [0.2, 0.5, 0.8])
def test_random_fields_give_closed_orientable_surfaces(density):
    rng = np.random.default_rng(int(10 * density))
    for _ in range(4):
        sign = np.where(rng.random((12, 12, 12)) < density, -1, 1)
        sdf = sign * rng.uniform(0.01, 0.5, sign.shape)
        mesh = surface(sealed(sdf), random_weights(rng))[0]
        report = edge_report(mesh)
        assert report.watertight, report


def test_surface_that_leaves_the_grid_stays_open():
    x = np.arange(5.0)[:, None, None] - 1.6 + np.zeros((5, 5, 5))
    report = edge_report(surface(x)[0])
    assert report.boundary > 0 and report.non_manifold == report.misoriented == 0


def test_zero_on_a_vertex_counts_as_outside():
    sdf = np.ones((4, 4, 4))
    sdf[1:3, 1:3, 1:3] = -1
    sdf[1, 1, 1] = 0
    mesh = surface(sdf)[0]
    assert edge_report(mesh).watertight and mesh.signed_volume > 0


def test_weight_ranges():
    weights = Weights.from_raw(np.array([[50.0] * 21, [-50.0] * 21, [0.0] * 21]))
    np.testing.assert_allclose(weights.alpha[:, 0], [1.5, 0.5, 1])
    np.testing.assert_allclose(weights.beta[:, 11], [1.5, 0.5, 1])
    np.testing.assert_allclose(weights.gamma, [0.75, 0.25, 0.5])


def test_zero_raw_weights_are_neutral():
    sdf = np.random.default_rng(5).standard_normal((5, 5, 5))
    plain, zero = surface(sdf)[0], surface(sdf, lambda count: Weights.from_raw(np.zeros((count, 21))))[0]
    np.testing.assert_array_equal(plain.faces, zero.faces)
    np.testing.assert_allclose(plain.vertices, zero.vertices, atol=1e-6)


def test_gamma_chooses_the_diagonal():
    sdf = np.ones((4, 4, 4))
    sdf[1:3, 1:3, 1:3] = -1
    rng = np.random.default_rng(0)
    gammas = rng.uniform(0.25, 0.75, 27).astype(np.float32)

    def weighted(gamma):
        return lambda count: Weights(np.ones((count, 12)), np.ones((count, 8)), gamma[:count])

    first, second = surface(sdf, weighted(gammas))[0], surface(sdf, weighted(1 - gammas))[0]
    assert (first.faces != second.faces).any()
    assert edge_report(first).watertight and edge_report(second).watertight
