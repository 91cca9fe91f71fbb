"""Reference attention against a plain UNet whose two passes are written out with attention processors."""

import pytest
import torch

from meshwright.export.models.reference_attention import ReferenceUNet
from tests.export.two_pass import WIDTH, networks, two_passes

TOKENS, SIZE, REFERENCE = 5, (8, 4), (6, 6)


def inputs():
    torch.manual_seed(1)
    return torch.randn(2, 4, *SIZE), torch.randn(2, 4, *REFERENCE), torch.tensor([300.0, 300.0]), torch.randn(2, TOKENS, WIDTH)


@torch.no_grad()
def test_the_read_pass_attends_to_what_the_write_pass_kept():
    (unet, _), given = networks(), inputs()
    torch.testing.assert_close(ReferenceUNet(unet)(*given), two_passes(unet, *given), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_each_half_has_its_own_reference():
    unet, (sample, reference, timestep, states) = networks()[0], inputs()
    net = ReferenceUNet(unet)
    before = net(sample, reference, timestep, states)
    after = net(sample, torch.stack([reference[0], reference[1] + 1]), timestep, states)
    torch.testing.assert_close(after[0], before[0])
    assert (after[1] - before[1]).abs().max() > 1e-3


@torch.no_grad()
def test_residuals_of_a_controlnet_go_to_the_read_pass_only():
    (unet, controlnet), (sample, reference, timestep, states) = networks(), inputs()
    control, scale = torch.rand(1, 3, 8 * SIZE[0], 8 * SIZE[1]) * 2 - 1, torch.tensor(0.75)
    ours = ReferenceUNet(unet, controlnet)(sample, reference, timestep, states, control, scale)
    down, mid = controlnet(sample, timestep, states, control, 0.75, return_dict=False)
    theirs = two_passes(unet, sample, reference, timestep, states, down_block_additional_residuals=down,
                        mid_block_additional_residual=mid)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert (ours - two_passes(unet, sample, reference, timestep, states)).abs().max() > 1e-3


@torch.no_grad()
def test_the_unet_is_left_as_it_was():
    unet, (sample, reference, timestep, states) = networks()[0], inputs()
    before = unet(sample, timestep, states).sample
    ReferenceUNet(unet)(sample, reference, timestep, states)
    torch.testing.assert_close(unet(sample, timestep, states).sample, before, atol=0, rtol=0)
    with pytest.raises(RuntimeError):
        ReferenceUNet(unet)(sample, reference[:, :3], timestep, states)
    assert not any(module._forward_pre_hooks for module in unet.modules())
