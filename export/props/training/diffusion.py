"""The forward process both loops are trained on: cosine betas, 1,000 steps, v-prediction."""

import numpy as np
import torch
from torch import Tensor

STEPS = 1000


def alphas_cumprod() -> Tensor:
    """Cumulative products (1000,) of the cosine schedule (arXiv 2102.09672), as diffusers' `squaredcos_cap_v2` makes them."""
    t = torch.arange(STEPS + 1, dtype=torch.float64) / STEPS
    bar = torch.cos((t + 0.008) / 1.008 * torch.pi / 2) ** 2
    betas = (1 - bar[1:] / bar[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()


def noised(x0: Tensor, timestep: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """x0 at `timestep` (b,) int64 and the v to predict there."""
    bar = table[timestep].view(-1, *[1] * (x0.ndim - 1))
    noise = torch.randn_like(x0)
    return bar.sqrt() * x0 + (1 - bar).sqrt() * noise, bar.sqrt() * noise - (1 - bar).sqrt() * x0


def first_steps(rng: np.random.Generator, count: int, share: float) -> np.ndarray:
    """Timesteps (count,) int64: the first of a sampler, the noisiest, for a share of them, any for the rest."""
    return np.where(rng.random(count) < share, STEPS - 1, rng.integers(STEPS, size=count))


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of those of values (b,) that are chosen; of none, 0."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)
