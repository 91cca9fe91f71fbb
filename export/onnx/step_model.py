"""One step of a denoising loop as one graph: the network, guidance, the prediction and the sampler's update."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...engines.errors import ExportError

# How a network takes the text: "cross-attention" as `encoder_hidden_states` (diffusers' UNet2DConditionModel),
# "prefix" as `proj_embedding`, tokens ahead of the latent rows (diffusers' PriorTransformer, as in Shap-E).
CONDITIONINGS = ("cross-attention", "prefix")
OUTPUTS = ("latent_next", "previous_next")

# ("after", low, high) clamps the guided prediction, ("before", low, high) each half before guidance.
Clamp = tuple[str, float, float]


class StepModel(nn.Module):
    """Wraps a denoising network, which it leaves as it is, into a graph that `Engine.scan` runs as a loop.

    The network answers once for all halves of guidance; `advance` does the rest. There are two, the unconditional one first,
    or the conditional one alone: as many as the states have rows. A network whose
    last axis comes out twice as wide as the latent's has predicted a variance too, as Shap-E's does: that second
    half is dropped. A network in FP16 gets its inputs in FP16, but for the timestep, which may be a fraction beyond
    its precision; everything else is calculated in FP32.

    scale_coarse : coarse latents are multiplied by scale_in, as the noisy ones are; False leaves them as they come
    """

    def __init__(self, net: nn.Module, conditioning: str, clamp: Clamp | None = None, *, scale_coarse: bool = False) -> None:
        super().__init__()
        if conditioning not in CONDITIONINGS:
            raise ExportError("the conditioning is unknown", received=repr(conditioning),
                              expected=" or ".join(CONDITIONINGS))
        if clamp is not None and (clamp[0] not in ("after", "before") or not clamp[1] < clamp[2]):
            raise ExportError("the clamp is unknown", received=repr(clamp), expected="('after' or 'before', low, high)")
        self.net, self.conditioning, self.clamp, self.scale_coarse = net, conditioning, clamp, scale_coarse

    def forward(self, latent: Tensor, previous: Tensor, row: Tensor, noise: Tensor, states: Tensor,
                coarse: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """latent, previous, noise : (1, ...) alike. row : (9,). states : (halves, T, D).

        coarse : (1 or halves, 4, h, w), latents of the coarse views, one for all halves or one for each; the network
            gets them on further channels
        Returns latent_next and previous_next. All float32.
        """
        columns = row.unbind()
        halves = self._predict(self._seen(columns[1], latent, states, coarse), columns[0], states, latent.shape[-1])
        return advance(columns, latent, previous, noise, halves, self.clamp)

    def _seen(self, scale_in: Tensor, latent: Tensor, states: Tensor, coarse: Tensor | None) -> Tensor:
        """What the network gets, for all halves."""
        seen = for_halves(scale_in * latent, states)
        if coarse is None:
            return seen
        return torch.cat([seen, for_halves(scale_in * coarse if self.scale_coarse else coarse, states)], dim=1)

    def _predict(self, seen: Tensor, timestep: Tensor, states: Tensor, width: int) -> Tensor:
        """The network's output for all halves, (halves, ..., width) float32."""
        dtype = next(self.net.parameters()).dtype
        seen, states = seen.to(dtype), states.to(dtype)
        if self.conditioning == "prefix":
            # One token per half comes as a vector, which is what PriorTransformer takes from a text.
            text = {"proj_embedding": states[:, 0] if states.shape[1] == 1 else states}
        else:
            text = {"encoder_hidden_states": states}
        output = self.net(seen, timestep=timestep.expand(states.shape[0]), **text, return_dict=False)[0].float()
        return output[..., :width] if output.shape[-1] == 2 * width else output


def for_halves(tensor: Tensor, states: Tensor) -> Tensor:
    """(1 or halves, ...) -> (halves, ...), as many as there are of the states."""
    return tensor.expand(states.shape[0], *tensor.shape[1:])


def advance(columns: Sequence[Tensor], latent: Tensor, previous: Tensor, noise: Tensor, halves: Tensor,
            clamp: Clamp | None = None, *, sign_below: float | None = None) -> tuple[Tensor, Tensor]:
    """Guidance and the sampler's update, which the row's columns say: latent_next and the prediction x0.

    columns : timestep, scale_in, x0_from_x, x0_from_output, a, b, c, k, w; scalars
    halves : (1 or 2, ...), what the network made of scale_in * latent: the unconditional half m_u before the conditional m_c, or m_c
        alone, which then stands for both
    sign_below : of timesteps; below, the prediction becomes its sign (LAS-Diffusion, arXiv 2305.04461, for values of -1 and 1)

        x0     = x0_from_x x + x0_from_output (m_u + w (m_c - m_u)), clamped
        x_next = a x + b x0 + c previous + k noise
    """
    timestep, _, from_x, from_output, a, b, c, k, w = columns
    uncond, cond = halves[:1], halves[-1:]
    if clamp is not None and clamp[0] == "before":
        uncond, cond = ((from_x * latent + from_output * half).clamp(*clamp[1:]) for half in (uncond, cond))
        x0 = uncond + w * (cond - uncond)
    else:
        x0 = from_x * latent + from_output * (uncond + w * (cond - uncond))
        x0 = x0 if clamp is None else x0.clamp(*clamp[1:])
    if sign_below is not None:
        x0 = torch.where(timestep < sign_below, x0.sign(), x0)
    return a * latent + b * x0 + c * previous + k * noise, x0
