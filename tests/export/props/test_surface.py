"""The differentiable dual vertices that tune FlexiCubes' heads are those that the runtime extracts."""

import numpy as np
import torch

from meshwright.export.props.training.surface import distance_to_truth, dual_vertices
from meshwright.export.props.world.world import make_prop
from meshwright.runtime.geometry.isosurface.extract import extract
from meshwright.runtime.geometry.isosurface.sparse_field import evaluate_sparse

RESOLUTION, EXTENT = 16, 2.1


def torus(points):
    ring = np.hypot(points[:, 0], points[:, 1]) - 0.6
    return {"sdf": (np.hypot(ring, points[:, 2]) - 0.27).astype(np.float32)}


def raw_of(points, columns):
    """Any smooth function of place, so that both sides see the same weights."""
    phases = np.arange(columns) * 0.7
    return np.sin(points.sum(axis=-1)[..., None] * 3 + phases).astype(np.float32)


def test_vertices_equal_those_of_the_runtime():
    field = evaluate_sparse(torus, RESOLUTION, EXTENT)

    def geometry(points):
        return torus(points) | {"deformation": raw_of(points, 3)}

    def weights(corners):
        return raw_of(corners.mean(axis=1), 21)

    mesh = extract(geometry, weights, RESOLUTION, EXTENT)
    deformation = torch.from_numpy(raw_of(field.points, 3))
    raw = torch.from_numpy(weights(field.points[field.corners]))
    vertices, apart = dual_vertices(field, deformation, raw)
    np.testing.assert_allclose(vertices.numpy(), mesh.vertices, atol=2e-6)
    assert (apart >= 0).all() and float(apart.max()) < (EXTENT / RESOLUTION) ** 2 * 3


def test_gradient_moves_vertices_towards_the_surface():
    prop = make_prop(3, family="barrel")
    rng = np.random.default_rng(0)
    start = prop.surface(200, rng) + rng.normal(0, 0.01, (200, 3))
    vertices = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    distance = distance_to_truth(prop, vertices)
    distance.square().sum().backward()
    moved = (vertices - 0.5 * vertices.grad).detach().numpy().astype(np.float32)
    before, after = (np.abs(prop.distances(p)[0]).mean() for p in (vertices.detach().numpy(), moved))
    assert after < 0.3 * before
