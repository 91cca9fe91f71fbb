"""The Shap-E-shaped autoencoder, coloured surface points -> latent rows -> generated MLP -> distance and colour; and its prior, latent
rows from the token states of a text, by v-prediction.

A pack holds the decoder alone. From there on, the encoder learns anew and the decoder stays as it is, so that what was trained on its
latents is still of use.
"""

from pathlib import Path

import torch
from diffusers import PriorTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.shap_e import ShapEDecoder, ShapEDecoderConfig, encode_position
from ..world.dataset import POINTS, SURFACE
from .diffusion import STEPS, alphas_cumprod, noised
from .language import Captions
from .loop import Schedule, averaged, fit, weights_of
from .run import Run

CONFIG = ShapEDecoderConfig(latent_width=32, hidden=48, frequencies=6, direction_width=0, layers=6, outputs=6)
TRUNCATION = 0.12
SCHEDULE = Schedule(steps=2300, batch=32, lr=1e-3, matrix_lr=1e-3, warmup=200)
PRIOR_SCHEDULE = Schedule(steps=2350, batch=32, lr=1e-3, matrix_lr=2e-3, warmup=150, ema=0.997)
DROP_TEXT, CAPTIONS = 0.1, 46_000


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


def train(run: Run, schedule: Schedule = SCHEDULE) -> Autoencoder:
    """shap_e.pt, the whole autoencoder. Where that file holds a decoder alone, it is kept, and shap_e_encoder.pt is trained to it."""
    model, checkpoint = Autoencoder().to(run.device), run.out / "shap_e.pt"
    known = decoder_alone(checkpoint)
    if known is not None:
        model.decoder.load_state_dict(known)
        model.decoder.requires_grad_(False)

    def loss(rng):
        batch = run.data.any(rng, schedule.batch)
        with run.half():
            latent = model.encoder(batch.surface(run.columns(rng, (0, SURFACE, 512)))).float()
        points, sdf, color = batch.field(run.columns(rng, (0, POINTS, 768)))
        # Noise on the latents keeps the decoder smooth where the prior will land.
        noisy = latent + 0.08 * torch.randn_like(latent)
        return losses(latent, *model.decoder.field(model.decoder.project(noisy), points), sdf, color)

    if known is None:
        return fit(model, loss, schedule, checkpoint)
    fit(model.encoder, loss, schedule, run.out / "shap_e_encoder.pt")
    torch.save({"average": model.state_dict()}, checkpoint)
    return model.eval()


def losses(latent: Tensor, guess: Tensor, rgb: Tensor, sdf: Tensor, color: Tensor) -> dict[str, Tensor]:
    """L1 on the truncated distance and, near the surface, on the colour; small latents."""
    target = -(sdf / TRUNCATION).clamp(-1, 1)
    near = (sdf.abs() < 0.06).float()
    distance = (guess - target).abs().mean()
    hue = ((rgb - color).abs() * near).sum() / near.sum().clamp(min=1) / 3
    size = latent.square().mean()
    return {"loss": distance + 0.5 * hue + 1e-3 * size, "distance": distance.detach(), "color": hue.detach(), "size": size.detach()}


def decoder_alone(checkpoint: Path) -> dict[str, Tensor] | None:
    """The decoder's weights of a checkpoint that holds nothing else."""
    weights = weights_of(checkpoint) if checkpoint.exists() else {}
    if not weights or any(not name.startswith("decoder.") for name in weights):
        return None
    return {name.removeprefix("decoder."): value for name, value in weights.items()}


def build_prior() -> PriorTransformer:
    """Shap-E's prior at small size; the condition is a row of token states, as in its image-conditioned form."""
    return PriorTransformer(num_attention_heads=6, attention_head_dim=32, num_layers=6, embedding_dim=CONFIG.latent_width,
                            num_embeddings=CONFIG.rows, additional_embeddings=0, time_embed_act_fn="gelu", norm_in_type="layer",
                            embedding_proj_norm_type="layer", encoder_hid_proj_type=None, added_emb_type=None, time_embed_dim=768,
                            embedding_proj_dim=384, clip_embed_dim=CONFIG.latent_width)


def train_prior(run: Run, schedule: Schedule = PRIOR_SCHEDULE) -> PriorTransformer:
    """prior.pt; needs shap_e.pt. Every step draws a caption, a shape of its family in its colours, and encodes that."""
    captions = Captions.drawn(CAPTIONS, run.out / "captions.pt", run.device)
    encoder = averaged(Autoencoder(), run.out / "shap_e.pt").encoder.to(run.device)
    model, table = build_prior().to(run.device), alphas_cumprod().to(run.device)

    def loss(rng):
        looks, states = captions.draw(rng, schedule.batch, DROP_TEXT)
        surface = run.data.batch(rng, looks).surface(run.columns(rng, (0, SURFACE, 512)))
        timestep = run.tensor(rng.integers(STEPS, size=schedule.batch))
        with run.half():
            with torch.no_grad():
                latents = encoder(surface).float()
            x, target = noised(latents, timestep, table)
            guess = model(x, timestep, proj_embedding=states).predicted_image_embedding
        return {"loss": F.mse_loss(guess.float(), target)}

    return fit(model, loss, schedule, run.out / "prior.pt")
