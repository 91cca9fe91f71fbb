"""The views' network: a UNet that draws the six views of a prop while it looks at a picture (Zero123++, arXiv 2310.15110, small).

    python -m meshwright.export.props.training.views --pairs FOLDER --out CHECKPOINTS      (needs vae.pt, refiner.pt, pairs.pt there)

Structure as published: reference attention to the picture's latents, cross-attention to the states of a picture encoder. What
differs: the states are those of patches, not one embedding under a ramp; the reference is looked at without noise, because most
of the drawing happens in the first step, where noise would hide it; and a small transformer sketches the views from the states.
The UNet is the refiner's and starts from its weights: it draws the same views in the same latents, and takes the sketch for the
coarse views that it knows. Encoder and sketch learn by themselves first: they see eight times as many pictures a second.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.reference_attention import ReferenceUNet
from .command import run_on_pictures
from .diffusion import STEPS, alphas_cumprod, noised
from .loop import Schedule, averaged, fit
from .picture_encoder import Block, PictureEncoder
from .picture_pairs import PicturePairs
from .refiner import SIZES as REFINER
from .vae import build as build_vae

# Latents of the views; states of a picture.
LATENT_GRID, SEEN = (48, 32), (65, 384)
LOOKING = Schedule(steps=3000, batch=32, lr=1e-3, matrix_lr=1.5e-3, warmup=50, ema=0.995)
SCHEDULE = Schedule(steps=3000, batch=8, lr=5e-4, matrix_lr=5e-4, warmup=50, ema=0.99)
# Pictures that are only sketched, in each step: they cost little.
SKETCHED_ONLY = 16
# How often the picture is left out, and how often only the first step is practised.
DROP_PICTURE, FIRST_STEP = 0.05, 0.9


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
        x = torch.cat([self.states(states), self.patch_embed.expand(len(states), -1, -1)], dim=1)
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


def learn_to_look(model: ViewsModel, data: PicturePairs, target: Tensor, checkpoint: Path, schedule: Schedule = LOOKING) -> None:
    """Train the encoder and the sketch of `model`; target (n, 4, 48, 32)."""
    parts = nn.ModuleDict({"encoder": model.encoder, "sketch": model.unet.sketch})

    def loss(rng):
        rows, picture = batch_of(data, rng, schedule.batch)
        with torch.autocast("cpu", torch.bfloat16):
            guess = model.unet.sketch(model.encoder(picture))
        return {"loss": F.mse_loss(guess.float(), target[rows])}

    fit(parts, loss, schedule, checkpoint)


def warm(model: ViewsModel, refiner: dict[str, Tensor]) -> ViewsModel:
    """Start from the refiner."""
    model.unet.unet.load_state_dict(refiner)
    return model


def latents(vae: AutoencoderKL, pictures: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Pictures (b, 3, h, w) in [0, 1] -> latents (b, 4, h/8, w/8) of mean 0 and deviation 1."""
    with torch.no_grad():
        return (vae.encode(pictures * 2 - 1).latent_dist.mean - mean) / std


def batch_of(data: PicturePairs, rng: np.random.Generator, count: int) -> tuple[np.ndarray, Tensor]:
    """Rows of `count` props (count,), and one picture of each (count, 3, 128, 128) in [0, 1]."""
    rows = rng.integers(len(data), size=count)
    pictures = data.pictures[rows, rng.integers(data.pictures.shape[1], size=count)]
    return rows, torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def train(pairs: Path, out: Path, schedule: Schedule = SCHEDULE, looking: Schedule = LOOKING) -> ViewsModel:
    data, statistics = PicturePairs.open(pairs), torch.load(out / "pairs.pt", weights_only=True)
    mean, std = statistics["mean"].view(1, -1, 1, 1), statistics["std"]
    target, vae = (torch.from_numpy(data.views).float() - mean) / std, averaged(build_vae(), out / "vae.pt")
    model = warm(ViewsModel(), torch.load(out / "refiner.pt", weights_only=True)["average"])
    learn_to_look(model, data, target, out / "sketch.pt", looking)
    table, blank = alphas_cumprod(), latents(vae, torch.ones(1, 3, 128, 128), mean, std)

    def loss(rng):
        rows, picture = batch_of(data, rng, schedule.batch)
        seen = torch.from_numpy(rng.random(schedule.batch) >= DROP_PICTURE)
        reference = torch.where(seen.view(-1, 1, 1, 1), latents(vae, picture, mean, std), blank)
        drawn = np.where(rng.random(schedule.batch) < FIRST_STEP, STEPS - 1, rng.integers(STEPS, size=schedule.batch))
        timestep = torch.from_numpy(drawn)
        x, v = noised(target[rows], timestep, table)
        with torch.autocast("cpu", torch.bfloat16):
            guess, sketch = model(x, timestep, picture, reference, seen)
            others, more = batch_of(data, rng, SKETCHED_ONLY)
            further = F.mse_loss(model.unet.sketch(model.encoder(more)).float(), target[others])
        error = (guess.float() - v).square().mean(dim=(1, 2, 3))
        sketched = (sketch.float() - target[rows]).square().mean(dim=(1, 2, 3))
        first = error.detach()[(timestep == STEPS - 1) & seen]
        return {"loss": error.mean() + 0.2 * (sketched * seen).mean() + 0.4 * further, "sketch": further.detach(),
                "first": first.mean() if len(first) else error.mean().detach()}

    return fit(model, loss, schedule, out / "views.pt")


if __name__ == "__main__":
    run_on_pictures(train, __doc__)
