"""The Shap-E-shaped autoencoder: coloured surface points -> latent rows -> generated MLP -> distance and colour.

    python -m meshwright.export.props.training.shap_e --data DIR --out CHECKPOINTS
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.shap_e import ShapEDecoder, ShapEDecoderConfig, encode_position
from ..world.dataset import Dataset
from .command import run
from .loop import Schedule, fit

CONFIG = ShapEDecoderConfig(latent_width=32, hidden=48, frequencies=6, direction_width=0, layers=6, outputs=6)
TRUNCATION = 0.12
SCHEDULE = Schedule(steps=2300, batch=32, lr=1e-3, matrix_lr=1e-3, warmup=200)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class PointEncoder(nn.Module):
    """Coloured surface points (b, n, 6: xyz and rgb in [-1, 1]) -> latent rows (b, rows, latent width) in (-1, 1).

    Training only: no published pack carries an encoder, and generation starts from the prior.
    """

    def __init__(self, config: ShapEDecoderConfig, width: int = 96, heads: int = 4, depth: int = 2):
        super().__init__()
        self.heads = heads
        self.points = nn.Sequential(nn.Linear(3 + 36 + 3, width), nn.GELU(), nn.Linear(width, width))
        self.point_norm, self.query_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.row_embed = nn.Parameter(torch.randn(1, config.rows, width) * 0.1)
        self.q, self.kv, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, config.latent_width)

    def forward(self, points: Tensor) -> Tensor:
        tokens = self.point_norm(self.points(torch.cat([encode_position(points[..., :3] * 1.5, 6), points[..., 3:]], dim=-1)))
        x = self.row_embed.expand(points.shape[0], -1, -1)
        split = lambda t: t.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # noqa: E731
        k, v = self.kv(tokens).chunk(2, dim=-1)
        read = F.scaled_dot_product_attention(split(self.q(self.query_norm(x))), split(k), split(v))
        x = x + self.out(read.transpose(1, 2).flatten(2))
        for block in self.blocks:
            x = block(x)
        return torch.tanh(self.head(self.norm(x)))


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = PointEncoder(CONFIG), ShapEDecoder(CONFIG)

    def forward(self, surface: Tensor, points: Tensor, noise: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
        latent = self.encoder(surface)
        # Noise on the latents keeps the decoder smooth where the prior will land.
        noisy = latent + noise * torch.randn_like(latent)
        sdf, color = self.decoder.field(self.decoder.project(noisy), points)
        return latent, sdf, color


def surface_batch(data: Dataset, index, columns) -> Tensor:
    """Coloured points of some props (b, n, 6) float32, colours mapped to [-1, 1]."""
    xyz = torch.from_numpy(data.surface[index][:, columns].astype("float32"))
    rgb = torch.from_numpy(data.surface_color[index][:, columns].astype("float32")) / 127.5 - 1
    return torch.cat([xyz, rgb], dim=-1)


def field_batch(data: Dataset, index, columns) -> tuple[Tensor, Tensor, Tensor]:
    """points (b, n, 3), sdf (b, n, 1) negative inside, colour (b, n, 3) in [0, 1]."""
    points = torch.from_numpy(data.points[index][:, columns].astype("float32"))
    sdf = torch.from_numpy(data.sdf[index][:, columns].astype("float32")).unsqueeze(-1)
    return points, sdf, torch.from_numpy(data.color[index][:, columns].astype("float32")) / 255


def train(data: Dataset, out) -> Autoencoder:
    model = Autoencoder()

    def loss(rng):
        index = rng.integers(len(data), size=SCHEDULE.batch)
        surface = surface_batch(data, index, rng.choice(data.surface.shape[1], 512, replace=False))
        points, sdf, color = field_batch(data, index, rng.choice(data.points.shape[1], 768, replace=False))
        latent, guess, rgb = model(surface, points, noise=0.08)
        target = -(sdf / TRUNCATION).clamp(-1, 1)
        near = (sdf.abs() < 0.06).float()
        distance = (guess - target).abs().mean()
        hue = ((rgb - color).abs() * near).sum() / near.sum() / 3
        size = latent.square().mean()
        return {"loss": distance + 0.5 * hue + 1e-3 * size, "distance": distance.detach(), "color": hue.detach(), "size": size.detach()}

    return fit(model, loss, SCHEDULE, out / "shap_e.pt")


if __name__ == "__main__":
    run(train, __doc__)
