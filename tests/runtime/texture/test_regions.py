"""Regions: what merges, and how much is looked at."""

import numpy as np
import pytest

from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.texture import regions
from meshwright.runtime.texture.charts import Adjacency


def waving_grid(across, along, height=1.0):
    """A sheet of 2 (across - 1) (along - 1) faces, a unit apart, that waves in one direction: many costs are the same to the bit."""
    x, y = np.meshgrid(np.arange(across), np.arange(along), indexing="ij")
    points = np.stack([x, y, height * np.sin(0.3 * x)], axis=2).reshape(-1, 3)
    number = np.arange(across * along).reshape(across, along)
    a, b, c, d = (part.ravel() for part in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]))
    return Mesh(points.astype(np.float32), np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32))


def merged(mesh):
    adjacency = Adjacency.of(mesh)
    found = regions.Regions(adjacency.vectors, adjacency.normals, adjacency.faces, adjacency.lengths, np.arange(len(mesh.faces)))
    found.merge()
    return found, adjacency


@pytest.mark.parametrize("height", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("across, along", [(24, 24), (100, 51), (4951, 2)])
def test_each_link_of_a_grid_is_looked_at_a_few_times(across, along, height):
    """Where costs are the same, each region picks the one before it, and only the first two pick each other: a round for every region."""
    found, adjacency = merged(waving_grid(across, along, height))
    assert found.examined < 10 * len(adjacency.lengths)
    assert found.label.max() < len(found.label) / 20


def test_regions_that_follow_their_picks_stay_within_the_limits(monkeypatch):
    """As those that pick each other do: none bends further, and each hangs together."""
    monkeypatch.setattr(regions, "LEAST_PAIRED", 2.0)  # always
    found, adjacency = merged(waving_grid(64, 20, height=5.0))
    assert len(np.unique(adjacency.parts(found.label))) == found.label.max() + 1
    cosine = np.einsum("ij,ij->i", adjacency.normals, found.means()[found.label])
    assert cosine.min() > np.cos(regions.MAX_ANGLE + 1e-6)
    sums = regions.group_sums(found.label, adjacency.vectors, int(found.label.max()) + 1)
    area = np.bincount(found.label, np.linalg.norm(adjacency.vectors, axis=1))
    assert (area - np.linalg.norm(sums, axis=1) <= (regions.MAX_ERROR + 1e-9) * area).all()
    assert 6 <= found.label.max() + 1 < 60, "three waves have six flanks"
