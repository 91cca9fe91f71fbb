"""Facts about the reading of triplanes that are easy to get wrong."""

import pytest
import torch

from meshwright.export.models.field import FieldDecoder, sample_planes
from meshwright.export.models.nerf import DensityDecoder


def bump(plane, row, column):
    """Planes (1, 3, 1, 4, 4) that hold a single one."""
    planes = torch.zeros(1, 3, 1, 4, 4)
    planes[0, plane, 0, row, column] = 1
    return planes


# The centre of texel k of four lies at -0.75 + 0.5 k: row 3 is at 0.75, column 1 at -0.25.
@pytest.mark.parametrize("plane, point", [
    (0, (-0.25, 0.75, 0.4)),  # (u, v) = (x, y)
    (1, (-0.25, 0.4, 0.75)),  # (x, z)
    (2, (0.4, 0.75, -0.25)),  # (z, y)
])
def test_u_runs_along_the_width_and_each_plane_has_its_axes(plane, point):
    features = sample_planes(bump(plane, row=3, column=1), torch.tensor([[point]]))
    torch.testing.assert_close(features[0, 0], torch.eye(3)[plane])


def test_planes_fade_to_zero_beyond_the_last_texel_and_features_are_plane_major():
    planes = torch.arange(1.0, 7.0).reshape(1, 3, 2, 1, 1).expand(1, 3, 2, 4, 4)
    points = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.05, 0.0, 0.0], [1.25, 0.0, 0.0]]])
    features = sample_planes(planes.contiguous(), points)[0]
    torch.testing.assert_close(features[0], torch.arange(1.0, 7.0))
    # Planes 0 and 1 run along x; plane 2 does not.
    torch.testing.assert_close(features[:, 0], torch.tensor([1.0, 0.5, 0.4, 0.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(features[:, 5], torch.full((4,), 6.0))


def decoder(kind, last, bias):
    """One whose last layer gives `bias` whatever the planes say."""
    module = kind(channels=1, hidden=4)
    layer = getattr(module.decoder, last)[6]
    torch.nn.init.zeros_(layer.weight)
    layer.bias = torch.nn.Parameter(torch.tensor(bias))
    return module


@torch.no_grad()
def test_the_density_is_softplus_of_sigma_minus_one():
    planes, points = torch.rand(1, 3, 1, 4, 4), torch.zeros(1, 2, 3)
    for sigma, density in [(0.0, 0.31326169), (1.0, 0.69314718), (11.0, 10.0000454), (-30.0, 0.0)]:
        found = decoder(DensityDecoder, "net", [sigma, 9.0, 9.0, 9.0]).density(planes, points)
        torch.testing.assert_close(found, torch.full((1, 2, 1), density), atol=1e-6, rtol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("kind, last, bias", [
    (FieldDecoder, "net_rgb", [0.0, 20.0, -20.0]), (DensityDecoder, "net", [7.0, 0.0, 20.0, -20.0])])
def test_the_sigmoid_of_colours_is_stretched_and_clamped(kind, last, bias):
    color = decoder(kind, last, bias).color(torch.rand(1, 3, 1, 4, 4), torch.zeros(1, 1, 3))
    torch.testing.assert_close(color, torch.tensor([[[0.5, 1.0, 0.0]]]))


@torch.no_grad()
def test_raw_weights_are_a_tenth_of_what_the_network_gives():
    raw = torch.arange(21.0)
    weights = decoder(FieldDecoder, "net_weight", raw.tolist()).weights(torch.rand(1, 3, 1, 4, 4), torch.zeros(1, 2, 8, 3))
    torch.testing.assert_close(weights[0], (raw * 0.1).expand(2, 21))
