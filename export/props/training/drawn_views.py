"""Views as a recipe meets them that starts from a picture: drawn by the views' network, kept in a file because drawing takes long."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..world.pictures import random_picture
from ..world.world import make_prop
from .diffusion import STEPS, alphas_cumprod
from .loop import averaged
from .pairs import statistics
from .run import Run
from .vae import build as build_vae
from .views import ViewsModel, latents

FIRST_SEED, COUNT, AT_ONCE = 3_000_000, 1000, 8


@dataclass(frozen=True)
class DrawnViews:
    """n props in the colours of their seeds. seeds : (n,) int64; views : (n, 6, 3, 128, 128) uint8"""

    seeds: np.ndarray
    views: np.ndarray

    def __len__(self) -> int:
        return len(self.seeds)

    @classmethod
    def of(cls, run: Run) -> DrawnViews | None:
        """Those of drawn_views.npz, COUNT of them made if need be; None where there is no network that draws them."""
        path = run.out / "drawn_views.npz"
        if not path.exists():
            if not (run.out / "views.pt").exists():
                return None
            _write(run, path, COUNT)
        with np.load(path) as found:
            return cls(found["seeds"], found["views"])


def _write(run: Run, path: Path, count: int) -> None:
    painter, vae = averaged(ViewsModel(), run.out / "views.pt").to(run.device), averaged(build_vae(), run.out / "vae.pt").to(run.device)
    seeds, views = np.arange(FIRST_SEED, FIRST_SEED + count), []
    for start in range(0, count, AT_ONCE):
        views.append(_drawn(run, painter, vae, seeds[start:start + AT_ONCE]))
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
