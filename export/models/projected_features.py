"""What views show where points are projected into them: the condition of 3D diffusion in One-2-3-45++ (arXiv 2311.07885, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Of every group norm here and in the networks that are conditioned.
GROUPS = 4


class PictureBlock(nn.Module):
    """Two convolutions beside an identity; (b, c, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.conv1 = nn.GroupNorm(GROUPS, channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.conv1(F.silu(self.norm(x)))))


class ViewEncoder(nn.Module):
    """A map of features of each view, in the place of DINOv2's patches.

    pool : pixels along a side that are averaged first; the map is half of what is left along a side
    """

    def __init__(self, width: int, features: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.stem, self.fine = nn.Conv2d(3, width, 4, 2, 1), PictureBlock(width)
        self.down = nn.Conv2d(width, 2 * width, 4, 2, 1)
        self.wide = nn.Sequential(PictureBlock(2 * width), PictureBlock(2 * width))
        self.of_fine, self.of_wide = nn.Conv2d(width, features, 1), nn.Conv2d(2 * width, features, 1)

    def forward(self, views: Tensor) -> Tensor:
        """views (n, 3, h, h) in [0, 1] on white -> (n, features, h / 2 pool, h / 2 pool)"""
        # White becomes zero, which is also what lies beyond a picture's border.
        seen = F.avg_pool2d(1 - views, self.pool) if self.pool > 1 else 1 - views
        fine = self.fine(self.stem(seen))
        wide = self.of_wide(self.wide(self.down(fine)))
        return self.of_fine(fine) + F.interpolate(wide, scale_factor=2, mode="nearest")


class ProjectedFeatures(nn.Module):
    """Points are projected into every view, its features there go through a shared MLP, and each channel's maximum over the views is kept.

    The MLP's first layer is applied before the map is sampled, which is the same, and cheaper. width : of the encoder
    """

    def __init__(self, channels: int, width: int = 16, hidden: int = 32, pool: int = 1) -> None:
        super().__init__()
        self.encoder, self.hidden = ViewEncoder(width, hidden, pool), hidden
        self.depth, self.shared = nn.Linear(1, hidden), nn.Linear(hidden, hidden)
        self.joined = nn.Linear(hidden + 3, channels)

    def forward(self, views: Tensor, where: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """views (b, v, 3, h, h) in [0, 1]; where (b, v, n, 3): across and down a view, each in [-1, 1], and depth less that of the origin;
        points (b or 1, n, 3) in [-1, 1].

        Returns features (b, n, channels), and the mean of the maps of all views (b, hidden).
        """
        maps = self.encoder(views.flatten(0, 1))
        found = F.silu(sampled(maps, where) + self.depth(where[..., 2:]))
        features = F.silu(self.shared(found).amax(dim=1))
        whole = maps.mean(dim=(2, 3)).unflatten(0, views.shape[:2]).mean(dim=1)
        return self.joined(torch.cat([features, points.expand(*features.shape[:2], 3)], dim=-1)), whole


def sampled(pictures: Tensor, where: Tensor) -> Tensor:
    """Pictures (b v, c, h, w) at where (b, v, n, 3), whose depth is not looked at -> (b, v, n, c); zero beyond the border."""
    found = F.grid_sample(pictures, where[..., :2].flatten(0, 1).unsqueeze(1), mode="bilinear", padding_mode="zeros", align_corners=False)
    return found.squeeze(2).mT.unflatten(0, where.shape[:2])


def seen_colors(views: Tensor, where: Tensor) -> Tensor:
    """views (b, v, 3, h, h) in [0, 1] at where (b, v, n, 3) -> (b, n, 3 v), less white."""
    return -sampled(1 - views.flatten(0, 1), where).transpose(1, 2).flatten(2)


class ConditionVolume(nn.Module):
    """Projected features at the centres of a grid's voxels, and 3D convolutions that make a pyramid of them; one vector of the whole too.

    channels : of the pyramid's levels, the finest first
    """

    def __init__(self, resolution: int, channels: Sequence[int], states: int, width: int = 16, pool: int = 2) -> None:
        super().__init__()
        self.resolution = resolution
        self.features = ProjectedFeatures(channels[0], width, pool=pool)
        self.down = nn.ModuleList(nn.Conv3d(inner, outer, 2, 2) for inner, outer in pairwise(channels))
        self.whole = nn.Linear(self.features.hidden, states)
        self.register_buffer("points", voxel_centres(resolution), False)

    def forward(self, views: Tensor, where: Tensor) -> tuple[Tensor, ...]:
        """views (b, v, 3, h, h) in [0, 1]; where (b, v, resolution^3, 3) as in `ProjectedFeatures`, the last axis of the grid fastest.

        Returns states (b, 1, states) of the views as a whole, and volumes (b, c, r, r, r), (b, c', r/2, r/2, r/2), ...
        """
        features, whole = self.features(views, where, self.points)
        volumes = [features.mT.unflatten(2, (self.resolution,) * 3)]
        for down in self.down:
            volumes.append(down(F.silu(volumes[-1])))
        return self.whole(whole).unsqueeze(1), *volumes


class VoxelCondition(nn.Module):
    """Projected features of voxels, the views' colours there, and states of the views as a whole."""

    def __init__(self, channels: int, states: int, width: int = 16, pool: int = 1) -> None:
        super().__init__()
        self.features = ProjectedFeatures(channels, width, pool=pool)
        self.whole = nn.Linear(self.features.hidden, states)

    def forward(self, views: Tensor, where: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs as `ProjectedFeatures` -> states (b, 1, s), condition (b, n, c), colors (b, n, 3 v)."""
        features, whole = self.features(views, where, points)
        return self.whole(whole).unsqueeze(1), features, seen_colors(views, where)


def voxel_centres(resolution: int) -> Tensor:
    """(1, resolution^3, 3) float32 in [-1, 1], x slowest."""
    axis = (2 * torch.arange(resolution) + 1) / resolution - 1
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(1, -1, 3)
