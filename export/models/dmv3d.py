"""DMV3D's denoiser (arXiv 2311.09217): noisy views with their rays -> a triplane, whose renderings are the denoised views.

As published: Pluecker rays beside the pixels, view tokens, a triplane transformer whose blocks are modulated by the time (adaLN-Zero),
text by cross-attention. Ours: the planes hold a signed distance, not a density, and a ray's opacity is that of NeuS (arXiv 2106.10689)
between consecutive samples, which needs no gradient; so the surface is where the distance is zero.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .field import mlp, sample_planes, to_color
from .triplane import CrossAttention, SelfAttention
from .vit import Embeddings, Layer

# What is rendered lies within this sphere around the origin.
RADIUS = 1.0
FREQUENCIES = 64


@dataclass(frozen=True)
class DMV3DConfig:
    """Sizes; the defaults are of the LRM family, since the paper's own table was not to be had."""

    view_size: int = 128
    patch: int = 8
    position_grid: int = 16
    encoder_width: int = 768
    encoder_heads: int = 12
    encoder_depth: int = 12
    width: int = 1024
    heads: int = 16
    depth: int = 16
    tokens: int = 32
    upsample: int = 2
    channels: int = 48
    hidden: int = 64
    text_width: int = 768
    time_width: int = 256


class TimeEmbedding(nn.Module):
    """Timesteps (b,) in 0 to 1000 -> (b, width): sines and cosines of 64 frequencies through two linear layers."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        rates = torch.exp(-math.log(10_000) * torch.arange(FREQUENCIES) / FREQUENCIES)
        self.register_buffer("rates", rates, persistent=False)

    def forward(self, timestep: Tensor) -> Tensor:
        angle = timestep.float().unsqueeze(-1) * self.rates
        return self.layers(torch.cat([angle.sin(), angle.cos()], dim=-1).to(self.layers[0].weight.dtype))


def pluecker(rays: Tensor) -> Tensor:
    """Rays (..., 6, h, w), origin and unit direction -> (..., 6, h, w), moment (origin x direction) and direction."""
    ox, oy, oz, dx, dy, dz = rays.unbind(dim=-3)
    moment = torch.stack([oy * dz - oz * dy, oz * dx - ox * dz, ox * dy - oy * dx], dim=-3)
    return torch.cat([moment, torch.stack([dx, dy, dz], dim=-3)], dim=-3)


class ViewTokens(nn.Module):
    """Views and their rays to tokens: patches of 9 channels, then a ViT whose norms are modulated by the time."""

    def __init__(self, width: int, heads: int, depth: int, patch: int, position_grid: int, time: int):
        super().__init__()
        self.embeddings = Embeddings(width, patch, position_grid)
        self.embeddings.patch_embeddings.projection = nn.Conv2d(9, width, patch, patch)
        self.time = nn.Linear(time, width)
        self.layer = nn.ModuleList(Layer(width, heads) for _ in range(depth))
        self.layernorm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, views: Tensor, rays: Tensor, time: Tensor) -> Tensor:
        """views (b, v, 3, h, w) in [-1, 1], rays (b or 1, v, 6, h, w), time (b, time width) -> tokens (b, v * (1 + patches), width)."""
        batch, count = views.shape[:2]
        seen = torch.cat([views, pluecker(rays).expand(batch, *rays.shape[1:]).to(views.dtype)], dim=2)
        x, time = self.embeddings(seen.flatten(0, 1)), self.time(time).repeat_interleave(count, dim=0)
        for layer in self.layer:
            x = layer(x, time)
        return self.layernorm(x).reshape(batch, -1, x.shape[-1])


class Block(nn.Module):
    """Cross-attention to the views, cross-attention to the text, self-attention, MLP; the time shifts, scales and gates each of them
    (adaLN-Zero: every gate begins at zero)."""

    def __init__(self, width: int, context: int, text: int, heads: int, time: int):
        super().__init__()
        self.norm1, self.norm_text, self.norm2, self.norm3 = (nn.LayerNorm(width, eps=1e-5) for _ in range(4))
        self.cross_attn, self.text_attn = CrossAttention(width, context, heads), CrossAttention(width, text, heads)
        self.self_attn = SelfAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Identity(), nn.Linear(4 * width, width))
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(time, 12 * width))
        nn.init.zeros_(self.modulation[1].weight)
        nn.init.zeros_(self.modulation[1].bias)

    def forward(self, x: Tensor, context: Tensor, text: Tensor, time: Tensor) -> Tensor:
        parts = iter(self.modulation(time).unsqueeze(1).chunk(12, dim=-1))

        def normed(norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
            shift, scale, gate = next(parts), next(parts), next(parts)
            return norm(x) * (1 + scale) + shift, gate

        y, gate = normed(self.norm1)
        x = x + gate * self.cross_attn(y, context)
        y, gate = normed(self.norm_text)
        x = x + gate * self.text_attn(y, text)
        y, gate = normed(self.norm2)
        x = x + gate * self.self_attn(y)
        y, gate = normed(self.norm3)
        return x + gate * self.mlp(y)


class PlaneField(nn.Module):
    """What the planes hold at points, and how rays see it."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.net = mlp(3 * channels, hidden, 4)
        # Logarithm of the inverse width of the surface along a ray, learnt.
        self.sharpness = nn.Parameter(torch.tensor(math.log(40.0)))

    def forward(self, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """planes (b, 3, c, p, p), points (b, n, 3) in [-1, 1] -> sdf (b, n, 1), negative inside, and sRGB colour (b, n, 3) in [0, 1]."""
        found = self.net(sample_planes(planes, points)).float()
        return found[..., :1], to_color(found[..., 1:])

    def render(self, planes: Tensor, rays: Tensor, samples: int, at: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Colour on white (b, n, 3) in [0, 1] and coverage (b, n, 1) along rays (b, n, 6), origin and unit direction.

        samples : on the part of a ray inside the unit sphere, 2 or more; at : where in its interval each of them lies, (b or 1, n, samples)
            in [0, 1], or None for its middle
        No CumProd: transmittance is the exponential of a matrix product, in FP32.
        """
        points = _inside(rays, samples, at)
        sdf, color = self(planes, points.flatten(1, 2))
        # NeuS: opacity = max(1 - S(f_next) / S(f), 0) with S the logistic function; in logarithms, which stay exact far inside.
        side = -F.softplus(-sdf.unflatten(1, points.shape[1:3]).squeeze(-1) * self.sharpness.exp())
        let_through = (side[..., 1:] - side[..., :-1]).clamp(max=0.0)
        before = torch.ones(samples - 1, samples - 1, device=rays.device).triu(1)
        weight = ((1 - let_through.exp()) * (let_through @ before).exp()).unsqueeze(-1)
        color = color.unflatten(1, points.shape[1:3])
        coverage = weight.sum(dim=2)
        return (weight * (color[..., :-1, :] + color[..., 1:, :]) / 2).sum(dim=2) + (1 - coverage), coverage


def _inside(rays: Tensor, samples: int, at: Tensor | None) -> Tensor:
    """Points (b, n, samples, 3) along rays (b, n, 6); those of a ray that misses the sphere are one and the same, so it sees nothing."""
    origin, direction = rays[..., None, :3], rays[..., None, 3:]
    along = (origin * direction).sum(dim=-1)
    root = (along**2 - (origin**2).sum(dim=-1) + RADIUS**2).clamp(min=0.0).sqrt()
    share = (torch.arange(samples, device=rays.device) + (0.5 if at is None else at)) / samples
    return origin + (-along - root + 2 * root * share).unsqueeze(-1) * direction


class DMV3D(nn.Module):
    """The denoiser: `forward` makes planes of noisy views, `field` reads and renders them."""

    def __init__(self, config: DMV3DConfig):
        super().__init__()
        c = self.config = config
        self.time = TimeEmbedding(c.time_width)
        self.encoder = ViewTokens(c.encoder_width, c.encoder_heads, c.encoder_depth, c.patch, c.position_grid, c.time_width)
        self.pos_embed = nn.Parameter(torch.randn(1, 3 * c.tokens**2, c.width) * c.width**-0.5)
        self.layers = nn.ModuleList(Block(c.width, c.encoder_width, c.text_width, c.heads, c.time_width) for _ in range(c.depth))
        self.norm = nn.LayerNorm(c.width, eps=1e-6)
        self.deconv = nn.ConvTranspose2d(c.width, c.channels, c.upsample, c.upsample)
        self.field = PlaneField(c.channels, c.hidden)

    def forward(self, views: Tensor, rays: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        """Noisy views (b, v, 3, h, w), rays (b or 1, v, 6, h, w) of origin and unit direction, timestep (b,), text (b, n, text width)
        -> planes (b, 3, channels, p, p), p = tokens * upsample."""
        time, tokens = self.time(timestep), self.config.tokens
        context = self.encoder(views, rays, time)
        x = self.pos_embed.expand(views.shape[0], -1, -1)
        for layer in self.layers:
            x = layer(x, context, text, time)
        x = self.norm(x).unflatten(1, (3, tokens, tokens)).flatten(0, 1)
        return self.deconv(x.permute(0, 3, 1, 2)).unflatten(0, (views.shape[0], 3))
