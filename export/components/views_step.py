"""One step of Zero123++: six views in one latent picture, drawn while looking at a picture of the object."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..inputs import STEP_LATENTS
from ..models.reference_attention import ReferenceUNet
from ..onnx.step_model import OUTPUTS, advance, for_halves
from ..spec import FP16_STORED, ComponentSpec, Input, Precision, uniform
from .parts import HALVES, STEP_AXES, STEP_CASES, step_inputs, step_network
from .vae import FACTOR


class ViewsStep(nn.Module):
    """A `StepModel` for a `ReferenceUNet`: both of its passes are at the noise level of the row.

    noisy_reference : False for a network that looks at the reference as it is, at every level
    """

    def __init__(self, net: ReferenceUNet, noisy_reference: bool = True) -> None:
        super().__init__()
        self.net, self.noisy_reference = net, noisy_reference

    def forward(self, latent: Tensor, previous: Tensor, row: Tensor, noise: Tensor, states: Tensor, reference: Tensor,
                *others: Tensor) -> tuple[Tensor, Tensor]:
        """The first five as in `StepModel`. reference : (halves, 4, h', w').

        others : first reference_noise, like the reference, unless that is looked at as it is; then nothing, or the
            control picture (1, 3, 8 h, 8 w) in [-1, 1] and its scale ()
        Returns latent_next and previous_next. All float32.
        """
        columns = row.unbind()
        timestep, scale_in, from_x = columns[:3]
        if self.noisy_reference:
            signal, reference_noise, others = signal_rate(scale_in, from_x), others[0], others[1:]
            reference = signal * reference + (1 - signal**2).sqrt() * reference_noise
        dtype = next(self.net.parameters()).dtype
        seen, reference, states, *control = (t.to(dtype) for t in (for_halves(scale_in * latent, states), reference, states, *others))
        halves = self.net(seen, reference, timestep.expand(states.shape[0]), states, *control).float()
        return advance(columns, latent, previous, noise, halves)


def signal_rate(scale_in: Tensor, x0_from_x: Tensor) -> Tensor:
    """sqrt(alpha_bar) of a row, for any sampler of a model that predicts v or epsilon.

    x0_from_x / scale_in is that rate for v and one over it for epsilon, whether the sampler's latents are
    x0 + sigma * noise or of unit variance. The rate is what is below 1.
    """
    rate = x0_from_x / scale_in
    return torch.minimum(rate, 1 / rate)


def views_step(unet: nn.Module, latent: tuple[int, int], reference: tuple[int, int], states: tuple[int, int], *,
               noisy_reference: bool = True, controlnet: nn.Module | None = None, control_size: tuple[int, int] | None = None,
               precision: Precision = FP16_STORED) -> ComponentSpec:
    """`unet` : diffusers' UNet2DConditionModel of Zero123++, which must predict v or epsilon.

    latent, reference : height and width of the latent picture that is drawn, and of that which is looked at
    states : tokens and width of the condition
    noisy_reference : as Zero123++ looks at the reference; False leaves the input reference_noise out
    controlnet : diffusers' ControlNetModel, which adds the inputs control (1, 3, *control_size) and control_scale;
        control_size : height and width in pixels; None for those of the picture that is drawn
    """
    channels = unet.config.in_channels
    looked_at = (HALVES, channels, *reference)
    inputs = (*step_inputs((1, channels, *latent), states, picture=True), Input("reference", looked_at, cases=STEP_LATENTS))
    if noisy_reference:
        inputs += (Input("reference_noise", looked_at),)
    if controlnet is not None:
        height, width = control_size or (FACTOR * latent[0], FACTOR * latent[1])
        inputs += (Input("control", (1, 3, height, width), uniform(-1.0, 1.0)), Input("control_scale", (), uniform(0.5, 1.0)))
    net = ReferenceUNet(unet, controlnet)
    return ComponentSpec("views_step", ViewsStep(step_network(net, precision), noisy_reference), inputs, OUTPUTS,
                         STEP_AXES, precision, ViewsStep(net, noisy_reference), axes_of_cases=STEP_CASES)
