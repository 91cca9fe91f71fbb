"""DMV3D's network: rays, modulation by the time, and what rays see of the planes."""

import math

import torch

from meshwright.export.models.dmv3d import Block, PlaneField, pluecker
from tests.export.dmv3d_models import CONFIG, TOKENS, random_model


class Ball(PlaneField):
    """A ball of radius 0.5, red where x > 0 and blue elsewhere."""

    def __init__(self, sharpness: float):
        super().__init__(1, 4)
        self.sharpness.data.fill_(math.log(sharpness))

    def forward(self, planes, points):
        front = (points[..., :1] > 0).float()
        return points.norm(dim=-1, keepdim=True) - 0.5, torch.cat([front, torch.zeros_like(front), 1 - front], dim=-1)


def along(*rays):
    return torch.tensor([[[*origin, *direction] for origin, direction in rays]])


def seen(ball, rays, samples=64):
    with torch.no_grad():
        color, coverage = ball.render(torch.zeros(1, 3, 1, 2, 2), rays, samples)
    return color[0], coverage[0, :, 0]


def test_a_line_has_the_same_coordinates_from_wherever_it_is_seen():
    origin, direction = torch.tensor([2.4, 0.3, -0.5]), torch.nn.functional.normalize(torch.tensor([-1.0, 0.2, 0.4]), dim=0)
    maps = [torch.cat([origin + step * direction, direction]).view(6, 1, 1) for step in (0.0, 1.3)]
    found = [pluecker(each).flatten() for each in maps]
    torch.testing.assert_close(*found)
    torch.testing.assert_close(found[0], torch.cat([torch.linalg.cross(origin, direction), direction]))


def test_a_ray_sees_the_first_surface_that_it_meets_and_white_beside_it():
    front, back = ((2.4, 0.1, 0.0), (-1.0, 0.0, 0.0)), ((-2.4, 0.1, 0.0), (1.0, 0.0, 0.0))
    beside, outside = ((2.4, 0.8, 0.0), (-1.0, 0.0, 0.0)), ((2.4, 1.5, 0.0), (-1.0, 0.0, 0.0))
    color, coverage = seen(Ball(400.0), along(front, back, beside, outside))
    torch.testing.assert_close(color, torch.tensor([[1.0, 0, 0], [0, 0, 1.0], [1, 1, 1], [1, 1, 1]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(coverage, torch.tensor([1.0, 1.0, 0.0, 0.0]), atol=1e-4, rtol=0)


def test_weights_are_those_of_neus_with_a_running_product():
    """Opacity (S(f) - S(f_next)) / S(f) and transmittance by cumprod, in double precision."""
    ball, ray, samples = Ball(12.0), along(((2.4, 0.35, 0.1), (-1.0, 0.0, 0.0))), 24
    origin, direction = ray[0, 0, :3].double(), ray[0, 0, 3:].double()
    half = math.sqrt(1 - 0.35**2 - 0.1**2)
    t = 2.4 - half + 2 * half * (torch.arange(samples).double() + 0.5) / samples
    distance, color = ball(None, origin + t[:, None] * direction)
    side = torch.sigmoid(12.0 * distance[:, 0])
    opacity = ((side[:-1] - side[1:]) / side[:-1]).clamp(min=0)
    weight = opacity * torch.cumprod(torch.cat([torch.ones(1).double(), 1 - opacity[:-1]]), dim=0)
    expected = (weight[:, None] * (color[1:] + color[:-1]) / 2).sum(dim=0) + 1 - weight.sum()
    found, coverage = seen(ball, ray, samples)
    torch.testing.assert_close(found[0].double(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(coverage.double(), weight.sum()[None], atol=1e-5, rtol=0)


def test_samples_may_lie_anywhere_in_their_intervals():
    rays = along(((2.4, 0.1, 0.0), (-1.0, 0.0, 0.0)))
    planes = torch.zeros(1, 3, 1, 2, 2)
    places = (None, torch.full((1, 1, 16), 0.9), torch.full((1, 1, 16), 0.5))
    middle, moved, same = (Ball(8.0).render(planes, rays, 16, at)[0] for at in places)
    torch.testing.assert_close(middle, same)
    assert (middle - moved).abs().max() > 1e-3


@torch.no_grad()
def test_a_block_begins_as_nothing_and_the_time_opens_it():
    torch.manual_seed(0)
    block, x, context, text = Block(8, 6, 4, 2, time=3), torch.randn(1, 5, 8), torch.randn(1, 7, 6), torch.randn(1, 2, 4)
    torch.testing.assert_close(block(x, context, text, torch.randn(1, 3)), x)
    # Shift, scale and gate of the second part, which is the text's, and nothing else.
    block.modulation[1].bias.view(4, 3, 8)[1, 2] = 1.0
    torch.testing.assert_close(block(x, context, text, torch.randn(1, 3)), x + block.text_attn(block.norm_text(x), text))


@torch.no_grad()
def test_every_input_counts():
    model = random_model()
    views, rays = torch.randn(1, 4, 3, 16, 16), torch.randn(1, 4, 6, 16, 16)
    inputs = [views, rays, torch.tensor([300.0]), torch.randn(1, TOKENS, CONFIG.text_width)]
    planes = model(*inputs)
    assert planes.shape == (1, 3, CONFIG.channels, 8, 8)
    for k, other in enumerate((-views, rays + 1, torch.tensor([900.0]), -inputs[3])):
        changed = [other if i == k else value for i, value in enumerate(inputs)]
        assert (model(*changed) - planes).abs().max() > 1e-4, k
