"""One step of the refiner: six views in one latent picture, redrawn beside the coarse ones (Sharp-It)."""

from __future__ import annotations

from torch import nn

from ..inputs import STEP_LATENTS
from ..onnx.step_model import OUTPUTS, Clamp, StepModel
from ..spec import FP16_STORED, ComponentSpec, Input, Precision
from .parts import step_inputs, step_network


def refiner(unet: nn.Module, latent: tuple[int, int], states: tuple[int, int], clamp: Clamp | None = None, *,
            coarse_halves: int = 1, scale_coarse: bool = False, precision: Precision = FP16_STORED) -> ComponentSpec:
    """`unet` : diffusers' UNet2DConditionModel with the coarse latents on the second half of its input channels.

    latent : height and width of the latent picture; states : tokens and width of the text
    coarse_halves : 1 if both halves of guidance see the same coarse latents, 2 if each gets its own
    scale_coarse : see `StepModel`
    """
    shape = (1, unet.config.out_channels, *latent)

    def step(net: nn.Module) -> StepModel:
        return StepModel(net, "cross-attention", clamp, scale_coarse=scale_coarse)

    inputs = (*step_inputs(shape, states, picture=True), Input("coarse", (coarse_halves, *shape[1:]), cases=STEP_LATENTS))
    return ComponentSpec("refiner_step", step(step_network(unet, precision)), inputs, OUTPUTS, precision=precision,
                         reference=step(unet))
