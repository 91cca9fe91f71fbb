"""Every family: what PyTorch computes for many props at once is what the compiled code computes for one."""

import numpy as np
import pytest
import torch

from meshwright.export.props.world import sdf_torch
from meshwright.export.props.world.families import FAMILIES
from meshwright.export.props.world.world import make_prop
from meshwright.runtime.geometry.cameras import orbit


@pytest.fixture(scope="module")
def props():
    return [make_prop(500 + k, family) for k, family in enumerate(FAMILIES)]


@pytest.fixture(scope="module")
def rows(props):
    return sdf_torch.stacked([prop.primitives for prop in props])


def test_distances_and_nearest_parts(props, rows):
    points = np.random.default_rng(0).uniform(-1, 1, (len(props), 500, 3)).astype(np.float32)
    found, index = sdf_torch.distances(rows, torch.from_numpy(points))
    for k, prop in enumerate(props):
        distance, color = prop.distances(points[k])
        np.testing.assert_allclose(found[k], distance, atol=2e-5, err_msg=prop.family)
        same = np.abs(prop.primitives[index[k], 18:21] - color).max(axis=1) < 1e-6
        assert same.mean() > 0.98, "but where two parts are equally near"


def test_the_surface_is_where_the_distance_is_zero(props, rows):
    torch.manual_seed(0)
    points = sdf_torch.surface(rows[:4], 100, candidates=1 << 11).numpy()
    for k, prop in enumerate(props[:4]):
        assert np.abs(prop.distances(points[k])[0]).max() < 3e-3, prop.family
        assert (np.ptp(points[k], axis=0) > 0.7 * np.ptp(prop.surface(500, np.random.default_rng(0)), axis=0)).all()


def test_views_are_those_of_the_renderer(props, rows):
    picked = [6, 10]
    poses, size = orbit().c2w[:1], 16
    weights = sdf_torch.slot_weights(rows[picked], torch.from_numpy(poses).float()[None], size)
    colors = np.zeros((len(picked), sdf_torch.SLOTS, 3), np.float32)
    for colour, k in zip(colors, picked, strict=True):
        colour[props[k].primitives[:, 22].astype(int)] = props[k].primitives[:, 18:21]
    views = sdf_torch.colored(weights, torch.from_numpy(colors)).permute(0, 1, 3, 4, 2).numpy()
    for view, k in zip(views, picked, strict=True):
        error = np.abs(view - props[k].views(poses, size))
        # The renderer takes four samples only at edges; on a small curved part one of them may fall elsewhere.
        assert error.mean() < 2e-3 and np.quantile(error, 0.99) < 0.06, props[k].family
    assert weights[:, :, -1].amax() == 1 and weights.min() == 0


def test_a_camera_of_its_own_for_each_prop_and_light(rows):
    poses = torch.from_numpy(orbit().c2w[:3]).float().unsqueeze(1)
    light = torch.tensor([[0.0, 0, 1, 0.3, 0.7], [0, 0, 1, 1.0, 0.0], [1, 0, 0, 0.3, 0.7]])
    apart = sdf_torch.slot_weights(rows[:3], poses, 8, torch.tensor([[30.0], [40.0], [50.0]]), light)
    alone = sdf_torch.slot_weights(rows[1:2], poses[1:2], 8, 40.0, light[1:2])
    torch.testing.assert_close(apart[1], alone[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(alone[:, :, :5].sum(dim=2), alone[:, :, 5], rtol=0, atol=1e-6)
