"""The picture that Zero123++ looks at while it draws, as latents for both halves of guidance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..spec import FP16_STORED, ComponentSpec, Input, Precision, uniform
from .parts import in_half
from .vae import FACTOR, ZERO123PLUS_RAW, Moments, latent_of, noise_inputs


class ReferenceEncoder(nn.Module):
    """`blank` : (1, 2c, h, w), the moments of a picture of zeros, mid grey: what the unconditional half looks at.

    They are a constant of the graph, because no picture changes them.
    """

    def __init__(self, moments: nn.Module, blank: Tensor) -> None:
        super().__init__()
        self.moments = moments
        self.register_buffer("blank", blank, False)

    def forward(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        """image (1, 3, size, size) in [0, 1], noise (2, c, size/8, size/8) for a draw -> reference, like the noise.

        Row 0 is that of mid grey, row 1 that of the picture; as the autoencoder makes them, without a scale.
        """
        seen = self.moments((image - 0.5) * ZERO123PLUS_RAW.picture)
        return latent_of(torch.cat([self.blank, seen]), noise)


def reference_encoder(vae: nn.Module, size: int, *, posterior: str = "sample",
                      precision: Precision = FP16_STORED) -> ComponentSpec:
    """`vae` : diffusers' AutoencoderKL; size : of the square picture in pixels, 512 as published.

    posterior : "sample", or "mode", which leaves the input noise out
    Encodes the blank picture here and now.
    """
    moments = Moments(vae)
    with torch.no_grad():
        blank = moments(torch.zeros(1, 3, size, size))
    latent = (2, vae.config.latent_channels, size // FACTOR, size // FACTOR)
    inputs = (Input("image", (1, 3, size, size), uniform(0.0, 1.0)), *noise_inputs(posterior, latent))
    return ComponentSpec("reference_encoder", ReferenceEncoder(in_half(moments, precision), blank), inputs, ("reference",),
                         precision=precision, reference=ReferenceEncoder(moments, blank))
