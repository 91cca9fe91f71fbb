"""The views' network: a UNet that draws the six views of a prop while it looks at a picture (Zero123++, arXiv 2310.15110, small).

Structure as published: reference attention to the picture's latents, cross-attention to the states of a picture encoder. What
differs: the states are those of patches, not one embedding under a ramp; the reference is looked at without noise, because most
of the drawing happens in the first step, where noise would hide it; and a small transformer sketches the views from the states.
The UNet is the refiner's and starts from its weights: it draws the same views in the same latents, and takes the sketch for the
coarse views that it knows. Encoder and sketch learn by themselves first: they see eight times as many pictures a second.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.reference_attention import ReferenceUNet
from ..world.pictures import random_picture
from ..world.world import make_prop
from .diffusion import STEPS, alphas_cumprod, first_steps, mean_where, noised
from .loop import Schedule, averaged, fit, weights_of
from .pairs import Pairs, statistics
from .refiner import SIZES as REFINER
from .run import Run
from .vae import build as build_vae

# Latents of the views; states of a picture.
LATENT_GRID, SEEN = (48, 32), (65, 384)
LOOKING = Schedule(steps=3000, batch=32, lr=1e-3, matrix_lr=1.5e-3, warmup=50, ema=0.995)
SCHEDULE = Schedule(steps=3000, batch=8, lr=5e-4, matrix_lr=5e-4, warmup=50, ema=0.99)
# Pictures that are only sketched, in each step: they cost little.
SKETCHED_ONLY = 16
# How often the picture is left out, and how often only the first step is practised.
DROP_PICTURE, FIRST_STEP = 0.05, 0.9
# Of the pictures; the networks see (picture - MEAN) / STD.
MEAN, STD = (0.7, 0.7, 0.7), (0.3, 0.3, 0.3)
# Views that other networks learn from: how many props, the first one's seed, and how many are drawn at once.
DRAWN, FIRST_DRAWN, DRAWN_AT_ONCE = 1000, 3_000_000, 8
# How large the entries of the text states are that the networks were trained on.
SPREAD = 0.4


class _Conv(nn.Module):
    """Half the size, then a residual convolution."""

    def __init__(self, inner: int, outer: int):
        super().__init__()
        self.down, self.norm, self.conv = nn.Conv2d(inner, outer, 4, 2, 1), nn.GroupNorm(8, outer), nn.Conv2d(outer, outer, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return x + self.conv(F.silu(self.norm(x)))


class Block(nn.Module):
    """One layer of a transformer: states (b, n, width), each of which sees all."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2, self.heads = nn.LayerNorm(width), nn.LayerNorm(width), heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class PictureEncoder(nn.Module):
    """Pictures (b, 3, 128, 128) in [0, 1] -> states (b, 65, 384): one of the whole picture, and those of its 8 x 8 patches."""

    def __init__(self, width: int = 160, depth: int = 3, states: int = 384):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 3, 1, 1), _Conv(24, 32), _Conv(32, 64), _Conv(64, 96), _Conv(96, width))
        self.position_embed = nn.Parameter(torch.randn(1, 1 + 64, width) * 0.1)
        self.blocks = nn.ModuleList(Block(width, 5) for _ in range(depth))
        self.norm, self.head, self.spread = nn.LayerNorm(width), nn.Linear(width, states), nn.LayerNorm(states)
        nn.init.constant_(self.spread.weight, SPREAD)
        for name, numbers in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(numbers).view(1, 3, 1, 1), False)

    def forward(self, picture: Tensor) -> Tensor:
        seen = self.stem((picture - self.mean) / self.std).flatten(2).mT
        x = F.pad(seen, (0, 0, 1, 0)) + self.position_embed
        for block in self.blocks:
            x = block(x)
        return self.spread(self.head(self.norm(x)))


class Sketch(nn.Module):
    """The latents of the views as far as the states of a picture tell them: a transformer over the states and the patches to be drawn."""

    def __init__(self, width: int = 256, depth: int = 4, patch: int = 4) -> None:
        super().__init__()
        self.patch, self.rows, self.columns = patch, LATENT_GRID[0] // patch, LATENT_GRID[1] // patch
        self.states = nn.Linear(SEEN[1], width)
        self.patch_embed = nn.Parameter(torch.randn(1, self.rows * self.columns, width) * 0.1)
        self.blocks = nn.ModuleList(Block(width, width // 32) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 4 * patch**2)

    def forward(self, states: Tensor) -> Tensor:
        """states (b, 65, 384) -> (b, 4, 48, 32)."""
        x = torch.cat([self.states(states), self.patch_embed.expand(states.shape[0], -1, -1)], dim=1)
        for block in self.blocks:
            x = block(x)
        return F.pixel_shuffle(self.head(self.norm(x[:, SEEN[0]:])).mT.unflatten(2, (self.rows, self.columns)), self.patch)


class GuidedUNet(nn.Module):
    """The refiner's UNet, which sees the sketch where the refiner sees coarse views; called as any UNet of 4 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.unet, self.sketch = UNet2DConditionModel(**REFINER), Sketch()
        self.config = SimpleNamespace(in_channels=4, out_channels=4)

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        """sample (b, 4, 48, 32), or latents of a picture, which are their own guide."""
        guide = self.sketch(encoder_hidden_states) if tuple(sample.shape[-2:]) == LATENT_GRID else sample
        return self.unet(torch.cat([sample, guide.to(sample.dtype)], dim=1), timestep, encoder_hidden_states, return_dict=return_dict)


class ViewsModel(nn.Module):
    """unet : draws; encoder : looks."""

    def __init__(self) -> None:
        super().__init__()
        self.unet, self.encoder = GuidedUNet(), PictureEncoder()

    def forward(self, noisy: Tensor, timestep: Tensor, picture: Tensor, reference: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """noisy (b, 4, 48, 32), timestep (b,), picture (b, 3, 128, 128) in [0, 1], reference (b, 4, 16, 16) -> v like `noisy`,
        and the sketch, like it, that it started from.

        seen : (b,) bool; where false, the states are zero, as in the unconditional half of guidance
        """
        states = self.encoder(picture) * seen.view(-1, 1, 1)
        return ReferenceUNet(self.unet)(noisy, reference, timestep, states), self.unet.sketch(states)


def learn_to_look(model: ViewsModel, run: Run, pairs: Pairs, target: Tensor, schedule: Schedule = LOOKING) -> None:
    """sketch.pt: train the encoder and the sketch of `model`; target (n, 4, 48, 32)."""
    parts = nn.ModuleDict({"encoder": model.encoder, "sketch": model.unet.sketch})

    def loss(rng):
        rows, picture = batch_of(run, pairs, rng, schedule.batch)
        with run.half():
            guess = model.unet.sketch(model.encoder(picture))
        return {"loss": F.mse_loss(guess.float(), target[rows])}

    fit(parts, loss, schedule, run.out / "sketch.pt")


def warm(model: ViewsModel, refiner: dict[str, Tensor]) -> ViewsModel:
    """Start from the refiner."""
    model.unet.unet.load_state_dict(refiner)
    return model


def latents(vae: AutoencoderKL, pictures: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Pictures (b, 3, h, w) in [0, 1] -> latents (b, 4, h/8, w/8) of mean 0 and deviation 1."""
    with torch.no_grad():
        return (vae.encode(pictures * 2 - 1).latent_dist.mean - mean) / std


def batch_of(run: Run, pairs: Pairs, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Rows of `count` props (count,) int64, and one picture of each (count, 3, 128, 128) in [0, 1]."""
    rows = rng.integers(len(pairs), size=count)
    pictures = pairs.pictures[rows, rng.integers(pairs.pictures.shape[1], size=count)]
    return run.tensor(rows), run.tensor(pictures).permute(0, 3, 1, 2).float() / 255


def start(run: Run) -> ViewsModel:
    """As far as looking goes trained already, or not at all; the UNet is the refiner's. From a pack, everything is as it was there."""
    model = ViewsModel()
    if (run.out / "views.pt").exists():
        model.load_state_dict(weights_of(run.out / "views.pt"))
        return model
    return warm(model, weights_of(run.out / "refiner.pt"))


def train(run: Run, schedule: Schedule = SCHEDULE) -> ViewsModel:
    """views.pt; needs pairs, vae.pt, refiner.pt. Of the time, a quarter goes to looking, unless that is learnt."""
    pairs, (mean, std) = Pairs.open(run.pairs), (part.to(run.device) for part in statistics(run.out))
    target, vae = pairs.scaled("views", run.out, run.device), averaged(build_vae(), run.out / "vae.pt").to(run.device)
    model = start(run).to(run.device)
    if not (run.out / "views.pt").exists():
        looking = replace(LOOKING, steps=schedule.steps, batch=4 * schedule.batch)
        if schedule.seconds is not None:
            looking, schedule = (replace(part, seconds=share * schedule.seconds) for part, share in ((looking, 0.25), (schedule, 0.75)))
        learn_to_look(model, run, pairs, target, looking)
    table, blank = alphas_cumprod().to(run.device), latents(vae, torch.ones(1, 3, 128, 128, device=run.device), mean, std)

    def loss(rng):
        rows, picture = batch_of(run, pairs, rng, schedule.batch)
        seen = run.tensor(rng.random(schedule.batch) >= DROP_PICTURE)
        reference = torch.where(seen.view(-1, 1, 1, 1), latents(vae, picture, mean, std), blank)
        timestep = run.tensor(first_steps(rng, schedule.batch, FIRST_STEP))
        x, v = noised(target[rows], timestep, table)
        with run.half():
            guess, sketch = model(x, timestep, picture, reference, seen)
            others, more = batch_of(run, pairs, rng, SKETCHED_ONLY)
            further = F.mse_loss(model.unet.sketch(model.encoder(more)).float(), target[others])
        error = (guess.float() - v).square().mean(dim=(1, 2, 3))
        sketched = (sketch.float() - target[rows]).square().mean(dim=(1, 2, 3))
        return {"loss": error.mean() + 0.2 * (sketched * seen).mean() + 0.4 * further, "sketch": further.detach(),
                "first": mean_where(error.detach(), (timestep == STEPS - 1) & seen)}

    return fit(model, loss, schedule, run.out / "views.pt")


@dataclass(frozen=True)
class DrawnViews:
    """Views as a recipe meets them that starts from a picture, kept in a file because drawing takes long: of n props in their seeds'
    colours.

    seeds : (n,) int64; views : (n, 6, 3, 128, 128) uint8"""

    seeds: np.ndarray
    views: np.ndarray

    def __len__(self) -> int:
        return len(self.seeds)

    @classmethod
    def of(cls, run: Run) -> DrawnViews | None:
        """Those of drawn_views.npz, DRAWN of them made if need be; None where there is no network that draws them."""
        path = run.out / "drawn_views.npz"
        if not path.exists():
            if not (run.out / "views.pt").exists():
                return None
            _write(run, path, DRAWN)
        with np.load(path) as found:
            return cls(found["seeds"], found["views"])


def _write(run: Run, path: Path, count: int) -> None:
    painter, vae = averaged(ViewsModel(), run.out / "views.pt").to(run.device), averaged(build_vae(), run.out / "vae.pt").to(run.device)
    seeds, views = np.arange(FIRST_DRAWN, FIRST_DRAWN + count), []
    for start in range(0, count, DRAWN_AT_ONCE):
        views.append(_drawn(run, painter, vae, seeds[start:start + DRAWN_AT_ONCE]))
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, seeds=seeds, views=np.concatenate(views))
    os.replace(part, path)


@torch.no_grad()
def _drawn(run: Run, painter: ViewsModel, vae: torch.nn.Module, seeds: np.ndarray) -> np.ndarray:
    """(b, 6, 3, 128, 128) uint8: the views of a picture of each prop, in one step as the pack draws them."""
    taken = []
    for seed in seeds.tolist():
        rng = np.random.default_rng((seed, 5))
        taken.append(random_picture(make_prop(seed), float(rng.uniform(0, 360)), rng))
    picture = run.tensor(np.stack(taken)).permute(0, 3, 1, 2).float() / 255
    mean, std = (part.to(run.device) for part in statistics(run.out))
    first = alphas_cumprod()[-1].item()
    noise = torch.randn(len(seeds), 4, 48, 32, device=run.device)
    timestep, seen = (torch.full((len(seeds),), value, device=run.device) for value in (STEPS - 1, True))
    with run.half():
        v = painter(noise, timestep, picture, latents(vae, picture, mean, std), seen)[0].float()
        clean = first**0.5 * noise - (1 - first) ** 0.5 * v
        image = vae.decode(clean * std + mean).sample.float()
    views = image.unflatten(2, (3, -1)).unflatten(4, (2, -1)).permute(0, 2, 4, 1, 3, 5).flatten(1, 2) / 2 + 0.5
    return (views.clamp(0, 1) * 255 + 0.5).byte().cpu().numpy()
