"""Draws from the autoencoder's posterior, and the reference latents of Zero123++, against diffusers' AutoencoderKL."""

import pytest
import torch
from diffusers import AutoencoderKL

from meshwright.engines.errors import ExportError
from meshwright.export.components.vae import ZERO123PLUS, reference_encoder, vae_encoder
from meshwright.export.spec import FP16, FP32
from tests.export.small import exported_error


@pytest.fixture
def vae():
    torch.manual_seed(0)
    model = AutoencoderKL(block_out_channels=(4, 4, 4, 4), layers_per_block=1, norm_num_groups=2, latent_channels=4,
                          mid_block_add_attention=False, down_block_types=("DownEncoderBlock2D",) * 4,
                          up_block_types=("UpDecoderBlock2D",) * 4).eval()
    model.quant_conv.weight.data *= 20  # log variances that differ, some beyond what is kept
    return model


def diffusers_draw(vae, picture, seed):
    """The posterior's own draw, and the noise that it made it of."""
    latent = vae.encode(picture).latent_dist.sample(torch.Generator().manual_seed(seed))
    return latent, torch.randn(latent.shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_a_draw_is_that_of_diffusers_scaled(vae):
    image = torch.rand(1, 3, 32, 16)
    latent, noise = diffusers_draw(vae, (image * 2 - 1) * 0.5 / 0.8, seed=3)
    spec = vae_encoder(vae, 32, 16, ZERO123PLUS, posterior="sample")
    assert [(tensor.name, tensor.shape) for tensor in spec.inputs] == [("image", (1, 3, 32, 16)), ("noise", (1, 4, 4, 2))]
    torch.testing.assert_close(spec.module(image, noise), (latent * 0.18215 - 0.22) * 0.75)
    assert (spec.module(image, noise) - spec.module(image)).abs().max() > 1e-3


@torch.no_grad()
def test_a_log_variance_is_held_within_bounds(vae):
    vae.quant_conv.bias.data[4:] = torch.tensor([1000.0, -1000.0, 0.0, 0.0])
    latent, noise = diffusers_draw(vae, torch.zeros(1, 3, 16, 16), seed=0)
    ours = vae_encoder(vae, 16, 16, ZERO123PLUS, posterior="sample").module(torch.full((1, 3, 16, 16), 0.5), noise)
    torch.testing.assert_close(ours, (latent * 0.18215 - 0.22) * 0.75)
    assert 1e3 < ours[0, 0].abs().max() < 1e5


@torch.no_grad()
def test_the_reference_is_raw_and_the_unconditional_one_mid_grey(vae):
    image = torch.rand(1, 3, 32, 32)
    zero, zero_noise = diffusers_draw(vae, torch.zeros(1, 3, 32, 32), seed=1)
    seen, seen_noise = diffusers_draw(vae, (image - 0.5) / 0.8, seed=2)
    spec = reference_encoder(vae, 32)
    assert [(tensor.name, tensor.shape) for tensor in spec.inputs] == [("image", (1, 3, 32, 32)), ("noise", (2, 4, 4, 4))]
    torch.testing.assert_close(spec.module(image, torch.cat([zero_noise, seen_noise])), torch.cat([zero, seen]))


@torch.no_grad()
def test_without_noise_the_reference_is_the_mode(vae):
    spec, image = reference_encoder(vae, 16, posterior="mode"), torch.rand(1, 3, 16, 16)
    assert [tensor.name for tensor in spec.inputs] == ["image"]
    pictures = torch.cat([torch.zeros(1, 3, 16, 16), (image - 0.5) / 0.8])
    torch.testing.assert_close(spec.module(image), vae.encode(pictures).latent_dist.mode())


@pytest.mark.slow
@pytest.mark.parametrize("precision", [FP32, FP16])
def test_draws_export(vae, tmp_path, precision):
    for spec in (reference_encoder(vae, 16, precision=precision),
                 vae_encoder(vae, 16, 16, ZERO123PLUS, posterior="sample", precision=precision)):
        assert exported_error(spec, tmp_path) <= spec.limit


def test_an_unknown_choice_is_refused(vae):
    with pytest.raises(ExportError, match="unknown choice from the posterior; received 'mean'; expected mode or sample"):
        vae_encoder(vae, 16, 16, ZERO123PLUS, posterior="mean")
