"""A UNet in two parts: whole steps are those of the plain network, and a shallow one with fresh deep features is a whole one."""

import pytest
import torch

from meshwright.export.components.refiner import deep_refiner, refiner
from meshwright.export.models.deep_features import DeepFeatures, ShallowUNet, deep_channels
from meshwright.export.spec import FP32
from tests.export.small import exported_error
from tests.export.two_pass import WIDTH
from tests.export.two_pass import networks as two_networks


@pytest.fixture
def unet():
    """The last up block attends, as that of Stable Diffusion does."""
    unet, _ = two_networks()
    torch.manual_seed(1)
    unet.conv_in = torch.nn.Conv2d(8, 8, 3, padding=1)  # the coarse latents beside the noisy ones
    unet.register_to_config(in_channels=8)
    return unet


@torch.no_grad()
def test_the_parts_make_the_whole(unet):
    sample, states, timestep = torch.randn(2, 8, 8, 4), torch.randn(2, 5, WIDTH), torch.tensor([7.0, 7.0])
    expected = unet(sample, timestep, states).sample
    prediction, deep = DeepFeatures(unet)(sample, timestep, states)
    assert deep.shape == (2, deep_channels(unet), 8, 4)
    torch.testing.assert_close(prediction, expected)
    torch.testing.assert_close(ShallowUNet(unet)(sample, timestep, states, deep), expected)
    other = ShallowUNet(unet)(torch.randn_like(sample), timestep, states, deep)
    assert (other - expected).abs().max() > 1e-2  # it still looks at the latents
    assert not unet.up_blocks[-1].resnets[-1]._forward_pre_hooks


@pytest.mark.slow
def test_both_steps_as_graphs(unet, tmp_path):
    whole, shallow = deep_refiner(unet, (8, 4), (5, WIDTH), precision=FP32)
    plain = refiner(unet, (8, 4), (5, WIDTH), precision=FP32)
    assert whole.inputs == plain.inputs and whole.outputs == ("latent_next", "previous_next", "deep")
    assert shallow.inputs[-1].name == "deep" and shallow.inputs[-1].shape == ("halves", deep_channels(unet), 8, 4)
    assert shallow.kind == "refiner_shallow_step" and shallow.outputs == plain.outputs
    assert exported_error(whole, tmp_path) < 1e-4 and exported_error(shallow, tmp_path) < 1e-4
