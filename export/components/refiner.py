"""One step of the refiner: six views in one latent picture, redrawn beside the coarse ones (Sharp-It)."""

from __future__ import annotations

from torch import nn

from ..spec import FP16_STORED, ComponentSpec, Input, Precision
from ..step_model import OUTPUTS, Clamp, StepModel
from .parts import step_inputs, step_network


def refiner(unet: nn.Module, latent: tuple[int, int], states: tuple[int, int], clamp: Clamp | None = None, *,
            precision: Precision = FP16_STORED) -> ComponentSpec:
    """`unet` : diffusers' UNet2DConditionModel with the coarse latents on the second half of its input channels.

    latent : height and width of the latent picture; states : tokens and width of the text
    """
    shape = (1, unet.config.out_channels, *latent)
    module = StepModel(step_network(unet, precision), "cross-attention", clamp)
    inputs = (*step_inputs(shape, states), Input("coarse", shape))
    return ComponentSpec("refiner_step", module, inputs, OUTPUTS, precision=precision,
                         reference=StepModel(unet, "cross-attention", clamp))
