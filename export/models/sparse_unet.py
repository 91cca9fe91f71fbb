"""A UNet over active voxels, whose convolutions are gathers and matrix products (One-2-3-45++, arXiv 2311.07885, section 3.2).

Which voxel is whose neighbour, child or parent comes as tables of rows (`runtime/geometry/voxels.py` makes them), so a graph has no
operation that depends on its data. Of each level the last row is padding: it stands for every voxel that is not there, and is zero
wherever it is read. Shapes: b samples, n rows of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .occupancy_unet import LevelEmbedding
from .projected_features import GROUPS

NEIGHBOURS, CHILDREN = 27, 8


@dataclass(frozen=True)
class VoxelTables:
    """One entry a level, the finest first; one fewer of what joins a level to the next coarser one. Rows are int64.

    active : (n, 1) float32, 1 for voxels and 0 for padding; neighbours : (n, 27)
    children : (n', 8) rows of the finer level; parents : (n,) eight times the coarser level's row, and the place among its children
    """

    active: Sequence[Tensor]
    neighbours: Sequence[Tensor]
    children: Sequence[Tensor]
    parents: Sequence[Tensor]

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> VoxelTables:
        """From all of them in the order of the fields, as a graph's inputs have it."""
        levels = (len(tensors) + 2) // 4
        ends = (0, levels, 2 * levels, 3 * levels - 1, 4 * levels - 2)
        return cls(*(tensors[start:end] for start, end in pairwise(ends)))


def gathered(x: Tensor, rows: Tensor) -> Tensor:
    """x (b, n, c), rows (m, k) -> (b, m, k c)."""
    if not torch.compiler.is_exporting():  # in training on a CPU, selecting along an inner axis takes ten times as long
        return torch.stack([F.embedding(rows, each).flatten(1) for each in x])
    return x.index_select(1, rows.flatten()).reshape(x.shape[0], rows.shape[0], rows.shape[1] * x.shape[2])


class MaskedGroupNorm(nn.Module):
    """Statistics of the active rows alone; zero in the others."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, active: Tensor) -> Tensor:
        """x (b, n, c), active (n, 1) -> (b, n, c) float32."""
        x, count = x.float() * active, active.sum()
        away = (x - self._mean(x, count)) * active
        deviation = (self._mean(away * away, count) + 1e-5).sqrt()
        return (away / deviation * self.weight + self.bias) * active

    @staticmethod
    def _mean(x: Tensor, count: Tensor) -> Tensor:
        """(b, 1, c): over rows and the channels of a group."""
        of_group = (x.sum(dim=1, keepdim=True) / count).unflatten(2, (GROUPS, -1)).mean(dim=3, keepdim=True)
        return of_group.expand(-1, -1, -1, x.shape[2] // GROUPS).flatten(2)


class SparseConv(nn.Module):
    """A convolution of three voxels a side, over active voxels only."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.linear = nn.Linear(NEIGHBOURS * inner, outer)

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        """x (b, n, inner), zero in padded rows -> (b, n, outer)."""
        return self.linear(gathered(x, neighbours))


class SparseBlock(nn.Module):
    """Two convolutions, the embedding between them, beside a linear skip."""

    def __init__(self, inner: int, outer: int, embedding: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = MaskedGroupNorm(inner), SparseConv(inner, outer)
        self.norm2, self.conv2 = MaskedGroupNorm(outer), SparseConv(outer, outer)
        self.embedding = nn.Linear(embedding, outer)
        self.skip = nn.Linear(inner, outer) if inner != outer else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor, neighbours: Tensor, active: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x, active)), neighbours) + self.embedding(embedding).unsqueeze(1)
        return self.skip(x) + self.conv2(F.silu(self.norm2(y, active)), neighbours)


class SparseUNet(nn.Module):
    """channels : of the levels, the finest first; condition, colors : channels of what the views show at each voxel; outer : SDF and RGB"""

    def __init__(self, channels: Sequence[int], condition: int, colors: int, states: int, embedding: int = 128, outer: int = 4) -> None:
        super().__init__()
        self.embedding = LevelEmbedding(states, embedding)
        self.enter = nn.Linear(outer + condition, channels[0])
        self.down = nn.ModuleList(nn.Linear(CHILDREN * fine, coarse) for fine, coarse in pairwise(channels))
        self.descend = nn.ModuleList(SparseBlock(width, width, embedding) for width in channels)
        self.up = nn.ModuleList(nn.Linear(coarse, CHILDREN * fine) for fine, coarse in pairwise(channels))
        self.ascend = nn.ModuleList(SparseBlock(2 * fine, fine, embedding) for fine in channels[:-1])
        self.norm = MaskedGroupNorm(channels[0])
        self.leave = nn.Sequential(nn.Linear(channels[0] + colors, 2 * channels[0]), nn.SiLU(), nn.Linear(2 * channels[0], outer))

    def forward(self, seen: Tensor, t: Tensor, states: Tensor, condition: Tensor, colors: Tensor, tables: VoxelTables) -> Tensor:
        """seen (b, n, 4): noisy SDF and RGB of the voxels; t (b,) in [0, 1]; states (b, 1, s); condition (b, n, c) and colors (b, n, 3 v)
        as `ProjectedFeatures` makes them -> SDF and RGB (b, n, 4), without meaning in padded rows.
        """
        embedding, kept = self.embedding(t, states), []
        x = self.enter(torch.cat([seen, condition], dim=-1))
        for level, block in enumerate(self.descend):
            if level:
                x = self.down[level - 1](gathered(x * tables.active[level - 1], tables.children[level - 1]))
            x = block(x, embedding, tables.neighbours[level], tables.active[level])
            kept.append(x)
        for level in reversed(range(len(self.up))):
            whole = self.up[level](x)
            x = whole.reshape(whole.shape[0], CHILDREN * whole.shape[1], whole.shape[2] // CHILDREN)
            x = torch.cat([gathered(x, tables.parents[level].unsqueeze(1)), kept[level]], dim=-1)
            x = self.ascend[level](x, embedding, tables.neighbours[level], tables.active[level])
        x = F.silu(self.norm(x, tables.active[0]))
        return self.leave(torch.cat([x, colors], dim=-1))
