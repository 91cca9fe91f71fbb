"""The picture that Zero123++ looks at while it draws, as latents for both halves of guidance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..inputs import PICTURES
from ..spec import FP16_STORED, ComponentSpec, Input, Precision, uniform
from .parts import in_half
from .vae import FACTOR, ZERO123PLUS_RAW, Moments, Scaling, latent_of, noise_inputs


class ReferenceEncoder(nn.Module):
    """`blank` : (1, 2c, h, w), the moments of a picture of one grey: what the unconditional half looks at.

    They are a constant of the graph, because no picture changes them.
    """

    def __init__(self, moments: nn.Module, blank: Tensor, scaling: Scaling = ZERO123PLUS_RAW) -> None:
        super().__init__()
        self.moments, self.scaling = moments, scaling
        self.register_buffer("blank", blank, False)
        self.register_buffer("shift", torch.as_tensor(scaling.shift, dtype=torch.float32).reshape(1, -1, 1, 1), False)

    def forward(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        """image (1, 3, size, size) in [0, 1], noise (2, c, size/8, size/8) for a draw -> reference, like the noise.

        Row 0 is that of the blank picture, row 1 that of the picture; scaled only where the scaling says so.
        """
        latent = latent_of(torch.cat([self.blank, self.moments((image - 0.5) * self.scaling.picture)]), noise)
        return latent if self.scaling == ZERO123PLUS_RAW else (latent * self.scaling.factor - self.shift) * self.scaling.gain


def reference_encoder(vae: nn.Module, size: int, *, posterior: str = "sample", scaling: Scaling = ZERO123PLUS_RAW, blank: float = 0.5,
                      precision: Precision = FP16_STORED) -> ComponentSpec:
    """`vae` : diffusers' AutoencoderKL; size : of the square picture in pixels, 512 as published.

    posterior : "sample", or "mode", which leaves the input noise out
    scaling : of pictures and latents; blank : grey of the blank picture, in [0, 1]
    Encodes the blank picture here and now.
    """
    moments = Moments(vae)
    with torch.no_grad():
        blank = moments(torch.full((1, 3, size, size), (blank - 0.5) * scaling.picture))
    latent = (2, vae.config.latent_channels, size // FACTOR, size // FACTOR)
    inputs = (Input("image", (1, 3, size, size), uniform(0.0, 1.0), PICTURES), *noise_inputs(posterior, latent))
    return ComponentSpec("reference_encoder", ReferenceEncoder(in_half(moments, precision), blank, scaling), inputs, ("reference",),
                         precision=precision, reference=ReferenceEncoder(moments, blank, scaling))
