"""The image autoencoder of the refiner, with every scaling of pictures and latents inside the graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...engines.errors import ExportError
from ..inputs import LATENTS, PICTURES
from ..spec import FP16_STORED, ComponentSpec, Input, Precision, uniform
from .parts import in_half

# Pixels a latent: the published autoencoders halve the picture three times.
FACTOR = 8
# What becomes of the distribution that an autoencoder makes of a picture.
POSTERIORS = ("mode", "sample")


@dataclass(frozen=True)
class Scaling:
    """How pictures and latents are scaled around the autoencoder.

    picture : the network sees (image - 0.5) * picture; 2 makes [-1, 1] of [0, 1]
    latent = (posterior mean * factor - shift) * gain; `shift` one number, or one a channel
    """

    picture: float = 2.0
    factor: float = 1.0
    shift: float | Sequence[float] = 0.0
    gain: float = 1.0


# The latents that Zero123++ and Sharp-It denoise.
ZERO123PLUS = Scaling(picture=1.25, factor=0.18215, shift=0.22, gain=0.75)
# The reference latents of Zero123++, which Sharp-It may also use for its coarse views.
ZERO123PLUS_RAW = Scaling(picture=1.25)


class _Scaled(nn.Module):
    def __init__(self, vae: nn.Module, scaling: Scaling) -> None:
        super().__init__()
        self.vae, self.scaling = vae, scaling
        self.register_buffer("shift", torch.as_tensor(scaling.shift, dtype=torch.float32).reshape(1, -1, 1, 1), False)


class Encoder(_Scaled):
    """image (1, 3, h, w) in [0, 1] -> latent (1, c, h/8, w/8), scaled: the mode of the posterior, or a draw from it."""

    def forward(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        """noise : like the latent, standard normal, for a draw"""
        latent = latent_of(self.vae((image - 0.5) * self.scaling.picture), noise)
        return (latent * self.scaling.factor - self.shift) * self.scaling.gain


class Decoder(_Scaled):
    """latent (1, c, h/8, w/8), scaled -> image (1, 3, h, w) clipped to [0, 1]."""

    def forward(self, latent: Tensor) -> Tensor:
        decoded = self.vae((latent / self.scaling.gain + self.shift) / self.scaling.factor)
        return (decoded / self.scaling.picture + 0.5).clamp(0.0, 1.0)


class Moments(nn.Module):
    """The encoding half of an AutoencoderKL: picture in [-1, 1] to mean and log variance, stacked on the channels."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.encoder, self.quant_conv = vae.encoder, vae.quant_conv or nn.Identity()

    def forward(self, picture: Tensor) -> Tensor:
        return self.quant_conv(self.encoder(picture))


def latent_of(moments: Tensor, noise: Tensor | None) -> Tensor:
    """moments (n, 2c, h, w) -> latent (n, c, h, w): the mean, or the draw that standard normal `noise` picks.

    The log variance is held within [-30, 20], as in diffusers' DiagonalGaussianDistribution.
    """
    mean, log_variance = moments.chunk(2, dim=1)
    return mean if noise is None else mean + torch.exp(0.5 * log_variance.clamp(-30.0, 20.0)) * noise


def noise_inputs(kind: str, shape: tuple[int, ...]) -> tuple[Input, ...]:
    """The tensors that an encoder needs beside its picture: "mode" none, "sample" noise of the latent's shape."""
    if kind not in POSTERIORS:
        raise ExportError("unknown choice from the posterior", received=repr(kind), expected=" or ".join(POSTERIORS))
    return (Input("noise", shape),) if kind == "sample" else ()


class _Picture(nn.Module):
    """The decoding half of an AutoencoderKL."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.decoder, self.post_quant_conv = vae.decoder, vae.post_quant_conv or nn.Identity()

    def forward(self, latent: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(latent))


def vae_encoder(vae: nn.Module, height: int, width: int, scaling: Scaling, *, posterior: str = "mode",
                precision: Precision = FP16_STORED) -> ComponentSpec:
    """`vae` : diffusers' AutoencoderKL; height, width : of the grid of views, in pixels, multiples of 8.

    posterior : "mode", or "sample", which adds the input noise (1, c, h/8, w/8)
    """
    moments = Moments(vae)
    latent = (1, vae.config.latent_channels, height // FACTOR, width // FACTOR)
    inputs = (Input("image", (1, 3, height, width), uniform(0.0, 1.0), PICTURES), *noise_inputs(posterior, latent))
    return ComponentSpec("vae_encoder", Encoder(in_half(moments, precision), scaling), inputs, ("latent",),
                         precision=precision, reference=Encoder(moments, scaling))


def vae_decoder(vae: nn.Module, height: int, width: int, scaling: Scaling, *,
                precision: Precision = FP16_STORED) -> ComponentSpec:
    """As `vae_encoder`, the other way round."""
    picture = _Picture(vae)
    latent = Input("latent", (1, vae.config.latent_channels, height // FACTOR, width // FACTOR), cases=LATENTS)
    return ComponentSpec("vae_decoder", Decoder(in_half(picture, precision), scaling), (latent,), ("image",),
                         precision=precision, reference=Decoder(picture, scaling))


class ReferenceEncoder(nn.Module):
    """The picture that Zero123++ looks at while it draws, as latents for both halves of guidance.

    blank : (1, 2c, h, w), the moments of a picture of one grey: what the unconditional half looks at.

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
