"""Shap-E's decoder (arXiv 2305.02463): latent rows become the first weights of an MLP that maps points to distance and colour."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GENERATED = 4


@dataclass(frozen=True)
class ShapEDecoderConfig:
    """Sizes; the defaults are `openai/shap-e`."""

    latent_width: int = 1024
    hidden: int = 256
    frequencies: int = 15
    direction_width: int = 51
    layers: int = 7
    outputs: int = 12

    @property
    def position_width(self) -> int:
        return 3 + 6 * self.frequencies

    @property
    def rows(self) -> int:
        return GENERATED * self.hidden


def encode_position(points: Tensor, frequencies: int) -> Tensor:
    """points (..., 3) -> [p, sin(2^k p) for all k, sin(2^k p + pi/2) for all k], k-major (..., 3 + 6 frequencies)."""
    # 2^k * p in Shap-E: k-major, then x, y, z
    scales = 2.0 ** torch.arange(frequencies, dtype=points.dtype, device=points.device)
    angles = (points.unsqueeze(-2) * scales.unsqueeze(-1)).flatten(-2)
    return torch.cat([points, angles.sin(), (angles + math.pi / 2).sin()], dim=-1)


class ChannelsProj(nn.Module):
    """One weight matrix from its latent rows: a linear map a row, a layer norm over the generated row, then the bias."""

    def __init__(self, vectors: int, channels: int, latent_width: int):
        super().__init__()
        self.vectors, self.channels = vectors, channels
        self.proj = nn.Linear(latent_width, vectors * channels)
        self.norm = nn.LayerNorm(channels)
        # Rows start at the length that a plain linear layer's rows have; unit entries would saturate the MLP.
        nn.init.constant_(self.norm.weight, channels**-0.5)
        nn.init.normal_(self.proj.bias, std=0.5 * channels**-0.5)

    def forward(self, rows: Tensor) -> Tensor:
        """rows (b, vectors, latent width) -> matrix (b, vectors, channels)."""
        weight = self.proj.weight.view(self.vectors, self.channels, -1)
        generated = torch.matmul(weight, rows.unsqueeze(-1)).squeeze(-1)
        return self.norm(generated) + self.proj.bias.view(self.vectors, self.channels)


class _ParamsProj(nn.Module):
    def __init__(self, config: ShapEDecoderConfig):
        super().__init__()
        widths = (config.position_width, config.hidden, config.hidden, config.hidden)
        self.projections = nn.ModuleDict({f"nerstf__mlp__{k}__weight": ChannelsProj(config.hidden, w, config.latent_width)
                                          for k, w in enumerate(widths)})


class _Mlp(nn.Module):
    def __init__(self, config: ShapEDecoderConfig):
        super().__init__()
        widths = [config.position_width] + [config.hidden] * (config.layers - 1)
        widths[GENERATED] += config.direction_width
        outputs = [config.hidden] * (config.layers - 1) + [config.outputs]
        self.mlp = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, outputs, strict=True))


class ShapEDecoder(nn.Module):
    """Latent rows to a field; keys `params_proj.*` and `mlp.*` of `shap_e_renderer` in the diffusers layout."""

    def __init__(self, config: ShapEDecoderConfig):
        super().__init__()
        self.config = config
        self.params_proj, self.mlp = _ParamsProj(config), _Mlp(config)

    def project(self, latent: Tensor) -> tuple[Tensor, ...]:
        """latent (b, rows, latent width) -> the four generated weights, (b, hidden, in) each."""
        blocks = latent.split(self.config.hidden, dim=1)
        return tuple(proj(block) for proj, block in zip(self.params_proj.projections.values(), blocks, strict=True))

    def field(self, weights: tuple[Tensor, ...], points: Tensor) -> tuple[Tensor, Tensor]:
        """points (b, n, 3) -> sdf (b, n, 1) in (-1, 1), positive inside, and the texture colour (b, n, 3) in [0, 1]."""
        x = encode_position(points, self.config.frequencies)
        for k, layer in enumerate(self.mlp.mlp):
            if k == GENERATED and self.config.direction_width:
                x = F.pad(x, (0, self.config.direction_width))
            x = x @ weights[k].mT + layer.bias if k < GENERATED else layer(x)
            if k < len(self.mlp.mlp) - 1:
                x = F.silu(x)
        return torch.tanh(x[..., :1]), torch.sigmoid(x[..., 3:6])
