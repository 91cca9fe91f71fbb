"""One step of the refiner: six views in one latent picture, redrawn beside the coarse ones (Sharp-It)."""

from __future__ import annotations

from torch import nn

from ..inputs import STEP_LATENTS
from ..onnx.step_model import OUTPUTS, Clamp, StepModel
from ..spec import FP16_STORED, ComponentSpec, Input, Precision
from .parts import HALVES, STEP_AXES, STEP_CASES, step_inputs, step_network


def refiner(unet: nn.Module, latent: tuple[int, int], states: tuple[int, int], clamp: Clamp | None = None, *,
            coarse_for_each: bool = False, scale_coarse: bool = False, precision: Precision = FP16_STORED) -> ComponentSpec:
    """`unet` : diffusers' UNet2DConditionModel with the coarse latents on the second half of its input channels.

    latent : height and width of the latent picture; states : tokens and width of the text
    coarse_for_each : whether each half of guidance gets coarse latents of its own
    scale_coarse : see `StepModel`
    """
    shape = (1, unet.config.out_channels, *latent)

    def step(net: nn.Module) -> StepModel:
        return StepModel(net, "cross-attention", clamp, scale_coarse=scale_coarse)

    coarse = Input("coarse", (HALVES if coarse_for_each else 1, *shape[1:]), cases=STEP_LATENTS)
    return ComponentSpec("refiner_step", step(step_network(unet, precision)), (*step_inputs(shape, states, picture=True), coarse), OUTPUTS,
                         STEP_AXES, precision, step(unet), axes_of_cases=STEP_CASES)
