"""One step of the refiner: six views in one latent picture, redrawn beside the coarse ones (Sharp-It)."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from ..inputs import STEP_LATENTS
from ..models.deep_features import DEEP, DeepFeatures, ShallowUNet, deep_channels
from ..onnx.step_model import OUTPUTS, Clamp, StepModel, advance
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


class DeepStep(StepModel):
    """A `StepModel` of cross-attention that gives its deep features too (`DeepFeatures`)."""

    def forward(self, latent: Tensor, previous: Tensor, row: Tensor, noise: Tensor, states: Tensor,  # type: ignore[override]
                coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs as in `StepModel`. Returns latent_next, previous_next and deep (halves, C, h, w)."""
        columns, dtype = row.unbind(), next(self.net.parameters()).dtype
        seen = self._seen(columns[1], latent, states, coarse)
        halves, deep = self.net(seen.to(dtype), columns[0].expand(states.shape[0]), states.to(dtype))
        return *advance(columns, latent, previous, noise, halves.float(), self.clamp), deep.float()


class ShallowStep(StepModel):
    """A step that takes the deep features of an earlier one (`ShallowUNet`)."""

    def forward(self, latent: Tensor, previous: Tensor, row: Tensor, noise: Tensor, states: Tensor,  # type: ignore[override]
                coarse: Tensor, deep: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs as in `StepModel`, and deep (halves, C, h, w)."""
        columns, dtype = row.unbind(), next(self.net.parameters()).dtype
        seen = self._seen(columns[1], latent, states, coarse)
        halves = self.net(seen.to(dtype), columns[0].expand(states.shape[0]), states.to(dtype), deep.to(dtype))
        return advance(columns, latent, previous, noise, halves.float(), self.clamp)


def deep_refiner(unet: nn.Module, latent: tuple[int, int], states: tuple[int, int], clamp: Clamp | None = None, *,
                 coarse_for_each: bool = False, scale_coarse: bool = False,
                 precision: Precision = FP16_STORED) -> tuple[ComponentSpec, ComponentSpec]:
    """`refiner` with its deep features, and the step that takes them."""
    plain = refiner(unet, latent, states, clamp, coarse_for_each=coarse_for_each, scale_coarse=scale_coarse, precision=precision)

    def steps(kind: type[StepModel], wrapped: type[nn.Module]) -> dict[str, nn.Module]:
        module, reference = (kind(wrapped(net), "cross-attention", clamp, scale_coarse=scale_coarse)
                             for net in (step_network(unet, precision), unet))
        return {"module": module, "reference": reference}

    deep = Input(DEEP, (HALVES, deep_channels(unet), *latent))
    return (replace(plain, outputs=(*OUTPUTS, DEEP), **steps(DeepStep, DeepFeatures)),
            replace(plain, kind="refiner_shallow_step", inputs=(*plain.inputs, deep), **steps(ShallowStep, ShallowUNet)))
