"""What the refiner's network sees of the coarse latents, by option."""

import pytest
import torch
from diffusers import UNet2DConditionModel

from meshwright.export.components.refiner import refiner
from meshwright.export.onnx.step_model import StepModel
from meshwright.export.spec import FP32
from tests.export.small import exported_error

ROW = torch.tensor([499.0, 0.25, 0.3, -0.8, 0.9, 0.2, 0.1, 0.4, 2.0])


@pytest.fixture
def unet():
    torch.manual_seed(0)
    return UNet2DConditionModel(sample_size=(6, 4), in_channels=8, out_channels=4, block_out_channels=(8,), layers_per_block=1,
                                norm_num_groups=4, down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
                                attention_head_dim=2, cross_attention_dim=8).eval()


def tensors(halves):
    torch.manual_seed(1)
    latent = torch.randn(3, 1, 4, 6, 4)
    return latent[0], latent[1], ROW, latent[2], torch.randn(2, 3, 8), torch.randn(halves, 4, 6, 4)


@torch.no_grad()
@pytest.mark.parametrize("scale_coarse, factor", [(False, 1.0), (True, 0.25)])
@pytest.mark.parametrize("halves", [1, 2])
def test_noisy_channels_come_first_and_coarse_ones_scaled_if_asked(unet, halves, scale_coarse, factor):
    spec = refiner(unet, (6, 4), (3, 8), coarse_for_each=halves == 2, scale_coarse=scale_coarse, precision=FP32)
    assert spec.inputs[-1].name == "coarse" and spec.inputs[-1].shape == ("halves" if halves == 2 else 1, 4, 6, 4)
    latent, previous, row, noise, states, coarse = given = tensors(halves)
    seen = [unet(torch.cat([0.25 * latent, factor * coarse[half:half + 1]], dim=1), 499, states[i:i + 1]).sample
            for i, half in enumerate((0, halves - 1))]
    x0 = 0.3 * latent - 0.8 * (seen[0] + 2.0 * (seen[1] - seen[0]))
    ours = spec.module(*given)
    torch.testing.assert_close(ours[1], x0, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours[0], 0.9 * latent + 0.2 * x0 + 0.1 * previous + 0.4 * noise, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_one_coarse_picture_is_the_same_twice(unet):
    step = StepModel(unet, "cross-attention")
    *given, coarse = tensors(1)
    torch.testing.assert_close(step(*given, coarse), step(*given, torch.cat([coarse, coarse])))


@pytest.mark.slow
def test_two_coarse_pictures_export(unet, tmp_path):
    spec = refiner(unet, (6, 4), (3, 8), coarse_for_each=True, scale_coarse=True, precision=FP32)
    assert exported_error(spec, tmp_path) < 1e-4
