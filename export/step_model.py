"""One step of a denoising loop as one graph: the network, guidance, the prediction and the sampler's update."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..engines.errors import ExportError

# How a network takes the text: "cross-attention" as `encoder_hidden_states` (diffusers' UNet2DConditionModel),
# "prefix" as `proj_embedding`, tokens ahead of the latent rows (diffusers' PriorTransformer, as in Shap-E).
CONDITIONINGS = ("cross-attention", "prefix")
INPUTS = ("latent", "previous", "row", "noise", "states", "coarse")
OUTPUTS = ("latent_next", "previous_next")

# ("after", low, high) clamps the guided prediction, ("before", low, high) each half before guidance.
Clamp = tuple[str, float, float]


class StepModel(nn.Module):
    """Wraps a denoising network, which it leaves as it is, into a graph that `Engine.scan` runs as a loop.

    The row of the sampler's table (9,) is timestep, scale_in, x0_from_x, x0_from_output, a, b, c, k, w:

        m      = net(scale_in x, timestep, states), once for both halves; guided = m_u + w (m_c - m_u)
        x0     = x0_from_x x + x0_from_output guided, clamped
        x_next = a x + b x0 + c previous + k noise

    A network whose last axis comes out twice as wide as the latent's has predicted a variance too, as Shap-E's
    does: that second half is dropped. A network in FP16 gets its inputs in FP16, but for the timestep, which may
    be a fraction beyond its precision; everything else is calculated in FP32.
    """

    def __init__(self, net: nn.Module, conditioning: str, clamp: Clamp | None = None) -> None:
        super().__init__()
        if conditioning not in CONDITIONINGS:
            raise ExportError("the conditioning is unknown", received=repr(conditioning),
                              expected=" or ".join(CONDITIONINGS))
        if clamp is not None and (clamp[0] not in ("after", "before") or not clamp[1] < clamp[2]):
            raise ExportError("the clamp is unknown", received=repr(clamp), expected="('after' or 'before', low, high)")
        self.net, self.conditioning, self.clamp = net, conditioning, clamp

    def forward(self, latent: Tensor, previous: Tensor, row: Tensor, noise: Tensor, states: Tensor,
                coarse: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """latent, previous, noise : (1, ...) alike. row : (9,). states : (2, T, D), the unconditional ones first.

        coarse : (1, 4, h, w), latents of the coarse views; the network gets them unscaled, on further channels
        Returns latent_next and previous_next. All float32.
        """
        timestep, scale_in, from_x, from_output, a, b, c, k, w = row.unbind()
        seen = scale_in * latent if coarse is None else torch.cat([scale_in * latent, coarse], dim=1)
        uncond, cond = self._predict(seen, timestep, states, latent.shape[-1]).chunk(2)
        if self.clamp is not None and self.clamp[0] == "before":
            uncond, cond = (self._clamped(from_x * latent + from_output * half) for half in (uncond, cond))
            x0 = uncond + w * (cond - uncond)
        else:
            x0 = from_x * latent + from_output * (uncond + w * (cond - uncond))
            x0 = x0 if self.clamp is None else self._clamped(x0)
        return a * latent + b * x0 + c * previous + k * noise, x0

    def _predict(self, seen: Tensor, timestep: Tensor, states: Tensor, width: int) -> Tensor:
        """The network's output for both halves, (2, ..., width) float32."""
        dtype = next(self.net.parameters()).dtype
        seen, states = torch.cat([seen, seen]).to(dtype), states.to(dtype)
        if self.conditioning == "prefix":
            # One token per half comes as a vector, which is what PriorTransformer takes from a text.
            text = {"proj_embedding": states[:, 0] if states.shape[1] == 1 else states}
        else:
            text = {"encoder_hidden_states": states}
        output = self.net(seen, timestep=timestep.expand(2), **text, return_dict=False)[0].float()
        return output[..., :width] if output.shape[-1] == 2 * width else output

    def _clamped(self, x0: Tensor) -> Tensor:
        return x0.clamp(self.clamp[1], self.clamp[2])
