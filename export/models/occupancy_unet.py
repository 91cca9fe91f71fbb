"""A dense 3D UNet that denoises an occupancy grid beside a pyramid of condition volumes (One-2-3-45++, arXiv 2311.07885, section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .projected_features import GROUPS


class LevelEmbedding(nn.Module):
    """The noise level and a vector of the condition as a whole, for every block of a network."""

    FREQUENCIES = 16

    def __init__(self, states: int, width: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", math.pi * 2.0 ** torch.linspace(-1, 7, self.FREQUENCIES), False)
        self.level = nn.Sequential(nn.Linear(2 * self.FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.whole = nn.Linear(states, width, bias=False)

    def forward(self, t: Tensor, states: Tensor) -> Tensor:
        """t (b,) in [0, 1], states (b, 1, states) -> (b, width)."""
        angles = t.unsqueeze(1) * self.frequencies
        return F.silu(self.level(torch.cat([angles.sin(), angles.cos()], dim=1).to(states.dtype)) + self.whole(states[:, 0]))


class VolumeBlock(nn.Module):
    """Two convolutions, the embedding between them, beside a linear skip; (b, c, r, r, r)."""

    def __init__(self, inner: int, outer: int, embedding: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(GROUPS, inner), nn.Conv3d(inner, outer, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(GROUPS, outer), nn.Conv3d(outer, outer, 3, padding=1)
        self.embedding = nn.Linear(embedding, outer)
        self.skip = nn.Conv3d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x))) + self.embedding(embedding)[..., None, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(y)))


class OccupancyUNet(nn.Module):
    """channels, volumes : of the levels and of the condition's volumes, the finest first, each half the resolution of the one before"""

    def __init__(self, channels: Sequence[int], volumes: Sequence[int], states: int, embedding: int = 128) -> None:
        super().__init__()
        self.embedding = LevelEmbedding(states, embedding)
        self.enter = nn.Conv3d(2 + volumes[0], channels[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv3d(fine, coarse, 2, 2) for fine, coarse in pairwise(channels))
        joined = [channels[0], *(c + v for c, v in zip(channels[1:], volumes[1:], strict=True))]
        self.descend = nn.ModuleList(VolumeBlock(inner, outer, embedding) for inner, outer in zip(joined, channels, strict=True))
        self.middle = VolumeBlock(channels[-1], channels[-1], embedding)
        self.up = nn.ModuleList(nn.Conv3d(coarse, fine, 1) for fine, coarse in pairwise(channels))
        self.ascend = nn.ModuleList(VolumeBlock(2 * fine, fine, embedding) for fine in channels[:-1])
        self.leave = nn.Sequential(nn.GroupNorm(GROUPS, channels[0]), nn.SiLU(), nn.Conv3d(channels[0], 1, 3, padding=1))

    def forward(self, seen: Tensor, t: Tensor, states: Tensor, *volumes: Tensor) -> Tensor:
        """seen (b, 2, r, r, r): noisy occupancy and the prediction of the step before, both coded as -1 and 1; t (b,) in [0, 1];
        states (b, 1, s) and volumes (b, v, r, r, r), (b, v', r/2, ...) as `ConditionVolume` makes them -> occupancy (b, 1, r, r, r).
        """
        embedding = self.embedding(t, states)
        x, kept = self.enter(torch.cat([seen, volumes[0]], dim=1)), []
        for level, block in enumerate(self.descend):
            if level:
                x = torch.cat([self.down[level - 1](x), volumes[level]], dim=1)
            x = block(x, embedding)
            kept.append(x)
        x = self.middle(x, embedding)
        for level in reversed(range(len(self.up))):
            x = F.interpolate(self.up[level](x), scale_factor=2, mode="nearest")
            x = self.ascend[level](torch.cat([x, kept[level]], dim=1), embedding)
        return self.leave(x)
