"""What every stage of the training is given: the shapes, the folder of checkpoints, and how to compute on this device."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..world.dataset import Dataset


@dataclass(frozen=True)
class Run:
    """data : shapes, on the device that trains; out : folder of the checkpoints; pairs : folder that `pairs` fills"""

    data: Dataset
    out: Path
    pairs: Path

    @property
    def device(self) -> torch.device:
        return self.data.device

    def half(self) -> torch.autocast:
        """Matrix products and convolutions in bfloat16."""
        return torch.autocast(self.device.type, torch.bfloat16)

    def tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.device)

    def columns(self, rng: np.random.Generator, *wanted: tuple[int, int, int]) -> Tensor:
        """`count` different columns between `first` and `end`, for each (first, end, count) in turn, (n,) int64."""
        return self.tensor(np.concatenate([first + rng.permutation(end - first)[:count] for first, end, count in wanted]))


@contextlib.contextmanager
def explicit_attention(device: torch.device) -> Iterator[None]:
    """On a CPU, attention as two matrix products and a softmax.

    PyTorch's fused one took 61 % of a step of the reconstructor (Zen 5, one thread, bfloat16, 390 tokens), most of it backwards; the
    whole step is 1.4 times as fast this way, the refiner's 1.3 times.
    """
    if device.type != "cpu":
        yield
        return
    fused = F.scaled_dot_product_attention

    def attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
                  is_causal: bool = False, **others: Any) -> Tensor:
        if attn_mask is not None or dropout_p or is_causal or others.keys() - {"scale"}:
            return fused(query, key, value, attn_mask, dropout_p, is_causal, **others)
        scale = others.get("scale") or query.shape[-1]**-0.5
        with torch.autocast(query.device.type, enabled=False):
            query, key = query.to(value.dtype), key.to(value.dtype)
            return torch.softmax(query * scale @ key.mT, dim=-1) @ value

    F.scaled_dot_product_attention = attention  # type: ignore[assignment]
    try:
        yield
    finally:
        F.scaled_dot_product_attention = fused
