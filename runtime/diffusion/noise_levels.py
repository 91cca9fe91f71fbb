"""The noise that a model was trained under, and which of its levels a sampler visits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

BETAS = ("linear", "scaled-linear", "cosine", "exp")
SPACINGS = ("trailing", "leading", "linspace")
MAX_BETA = 0.999
# The ten of Align Your Steps (arXiv 2404.14507), for Stable Diffusion and its noise levels.
AYS_TIMESTEPS = (999, 850, 736, 645, 545, 455, 343, 233, 124, 24)


@dataclass(frozen=True)
class NoiseLevels:
    """A process that keeps the variance: x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise, t < train_steps.

    betas : "linear" or "scaled-linear" (linear in the square root), from beta_start to beta_end; "cosine" (arXiv
            2102.09672; `squaredcos_cap_v2` in diffusers); "exp" (Shap-E: alpha_bar = exp(-12 t / train_steps))
    Raises ValueError for values that describe no process.
    """

    betas: str = "linear"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    train_steps: int = 1000

    def __post_init__(self) -> None:
        _one_of("betas", self.betas, BETAS)
        if self.train_steps < 2:
            raise ValueError(f"train_steps is {self.train_steps}, not 2 or more")
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise ValueError(f"betas from {self.beta_start} to {self.beta_end} are not ascending between 0 and 1")

    @cached_property
    def exact(self) -> np.ndarray:
        """alpha_bar (train_steps,) float64, not rounded on the way, as in the original code of Shap-E."""
        return np.cumprod(1 - self._betas())

    @cached_property
    def alphas_cumprod(self) -> np.ndarray:
        """alpha_bar (train_steps,) float64, rounded where diffusers keeps float32: its models know these values."""
        alphas = np.float32(1) - self._betas().astype(np.float32)
        return np.cumprod(alphas, dtype=np.float64).astype(np.float32).astype(np.float64)

    @cached_property
    def sigmas(self) -> np.ndarray:
        """Noise over signal, sqrt((1 - alpha_bar) / alpha_bar), (train_steps,) float64, ascending."""
        return np.sqrt((1 - self.alphas_cumprod) / self.alphas_cumprod)

    def sigmas_at(self, timesteps: np.ndarray) -> np.ndarray:
        """Sigmas at timesteps that need not be whole numbers."""
        return np.interp(timesteps, np.arange(self.train_steps), self.sigmas)

    def timesteps_at(self, sigmas: np.ndarray) -> np.ndarray:
        """Timesteps, not whole, at which sigma is as given; interpolated in its logarithm, held at the ends."""
        return np.interp(np.log(sigmas), np.log(self.sigmas), np.arange(self.train_steps))

    def _betas(self) -> np.ndarray:
        if self.betas == "linear":
            return np.linspace(self.beta_start, self.beta_end, self.train_steps)
        if self.betas == "scaled-linear":
            return np.linspace(self.beta_start**0.5, self.beta_end**0.5, self.train_steps) ** 2
        return _betas_of(_cosine if self.betas == "cosine" else _exponential, self.train_steps)


def timesteps(levels: NoiseLevels, steps: int, spacing: str, offset: int = 0) -> np.ndarray:
    """(steps,) float64, descending: table 2 of arXiv 2305.08891. Only "linspace" gives fractions.

    offset : added to "leading" timesteps, which otherwise end at 0
    Raises ValueError.
    """
    _one_of("spacing", spacing, SPACINGS)
    if not 1 <= steps <= levels.train_steps:
        raise ValueError(f"{steps} steps are not in 1 to {levels.train_steps}")
    if spacing == "linspace":
        return np.linspace(0, levels.train_steps - 1, steps)[::-1]
    if spacing == "leading":
        leading = (np.arange(steps)[::-1] * (levels.train_steps // steps) + offset).astype(np.float64)
        if not 0 <= leading[-1] <= leading[0] < levels.train_steps:
            raise ValueError(f"with offset {offset}, timesteps {leading[-1]:g} to {leading[0]:g} leave the process")
        return leading
    # `arange`, because diffusers' timesteps are its roundings; for some numbers of steps it yields one too many.
    return np.round(np.arange(levels.train_steps, 0, -levels.train_steps / steps)[:steps]) - 1


def karras_sigmas(steps: int, largest: float, smallest: float, rho: float = 7.0) -> np.ndarray:
    """(steps,) float64, descending: equation 5 of arXiv 2206.00364, without the final zero."""
    if not 0 < smallest < largest < math.inf:
        raise ValueError(f"sigmas from {smallest} to {largest} are not positive and ascending")
    ramp = np.linspace(0, 1, steps)
    return (largest ** (1 / rho) + ramp * (smallest ** (1 / rho) - largest ** (1 / rho))) ** rho


def log_snr(t: np.ndarray) -> np.ndarray:
    """Logarithm of signal over noise, squared, at times t in [0, 1]: that of LAS-Diffusion (arXiv 2305.04461), 9.2 at 0 and -10 at 1."""
    return -np.log(np.expm1(1e-4 + 10 * np.square(t)))


def signal_and_noise(ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """alpha and sigma of unit variance together, where log(alpha^2 / sigma^2) is `ratio`."""
    return 1 / np.sqrt(1 + np.exp(-ratio)), 1 / np.sqrt(1 + np.exp(ratio))


@cache
def _betas_of(alpha_bar: Callable[[float], float], steps: int) -> np.ndarray:
    levels = np.array([alpha_bar(i / steps) for i in range(steps + 1)])
    betas = np.minimum(1 - levels[1:] / levels[:-1], MAX_BETA)
    betas.flags.writeable = False
    return betas


def _cosine(t: float) -> float:
    return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2


def _exponential(t: float) -> float:
    return math.exp(-12 * t)


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, not one of {', '.join(choices)}")
