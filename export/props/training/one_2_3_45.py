"""The two 3D diffusions of One-2-3-45++ (arXiv 2311.07885), small: a coarse occupancy grid, then distance and colour in its voxels.

Structure as published, sizes not: 16^3 and 32^3 for 64^3 and 128^3; a small encoder of views for DINOv2's patches; and in the place of
CLIP's embedding of the picture, one vector of all six views. Conditions are left out at random, so that one network also tells what it
makes of less: of nothing, or of that vector alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....runtime.diffusion.noise_levels import log_snr, signal_and_noise
from ....runtime.geometry.cameras import AZIMUTHS, ELEVATIONS, RADIUS, Cameras, orbit, sampling_places
from ....runtime.geometry.voxels import ActiveVoxels, all_voxels, centres, subdivided
from ...models.occupancy_unet import OccupancyUNet
from ...models.projected_features import ConditionVolume, VoxelCondition
from ...models.sparse_unet import SparseUNet, VoxelTables
from ..world import sdf
from ..world.dataset import EXTENT as HALF_EXTENT
from ..world.world import make_prop
from .loop import Schedule, fit
from .reconstructor import worsened
from .run import Run
from .views import DrawnViews

RESOLUTION, EXTENT, VIEWS = 16, 2 * HALF_EXTENT, 6
# A voxel is in the shell if its centre is nearer to the surface than this: then all neighbours of what the surface passes are.
SHELL = 1.1 * EXTENT / RESOLUTION
# The distance that a value of 1 or -1 stands for: two voxels of the fine grid.
TRUNCATION = EXTENT / RESOLUTION
# Predictions of earlier times are made occupied or empty, with nothing between.
SIGN_BELOW = 0.7
CHANNELS, VOLUMES, STATES = (16, 48, 96), (16, 32, 48), 64
VOXEL_CHANNELS, VOXEL_CONDITION = (20, 48, 64), 24
# Voxels of the shell that tables hold in training, where shapes may differ from step to step.
BUCKETS = tuple(range(64, 4097, 64))
OCCUPANCY_SCHEDULE = Schedule(steps=8000, batch=4, lr=2e-3, matrix_lr=3e-3, warmup=50, ema=0.995)
VOXELS_SCHEDULE = Schedule(steps=4000, batch=2, lr=2e-3, matrix_lr=3e-3, warmup=50, ema=0.995)
# How often the projected features alone are left out, and all of the condition; how often a network sees its own prediction.
DROP_LOCAL, DROP_ALL, SELF_CONDITIONED = 0.05, 0.05, 0.5
# Of a scene's cameras, whose views are not quite what they are taken for: degrees, and share of the radius.
JITTER_ANGLE, JITTER_RADIUS = 1.0, 0.01
# Shares of the shell's voxels that an occupancy network may have missed, and of its neighbours that it may have added.
MISSED, ADDED = 0.02, 0.1
# Noise levels that are practised on one condition, which costs more than they do.
LEVELS_AT_ONCE = 1
# Share of the props whose views were drawn, where such are there.
DRAWN_SHARE = 0.5
GRID = centres(all_voxels(RESOLUTION), RESOLUTION, EXTENT)


class OccupancyModel(nn.Module):
    """Six views -> the shell of the object at 16^3."""

    def __init__(self) -> None:
        super().__init__()
        self.condition = ConditionVolume(RESOLUTION, VOLUMES, STATES)
        self.unet = OccupancyUNet(CHANNELS, VOLUMES, STATES)


class VoxelModel(nn.Module):
    """Six views and the shell's voxels -> distance and colour in each."""

    def __init__(self) -> None:
        super().__init__()
        self.condition = VoxelCondition(VOXEL_CONDITION, STATES)
        self.unet = SparseUNet(VOXEL_CHANNELS, VOXEL_CONDITION, 3 * VIEWS, STATES)


@dataclass(frozen=True)
class Scenes:
    """b props and what is seen of them. views : (b, 6, 3, 128, 128) in [0, 1]; props : of each (k, 24) float32, see `sdf`"""

    views: Tensor
    props: list[np.ndarray]

    @classmethod
    def drawn(cls, run: Run, others: DrawnViews | None, rng: np.random.Generator, count: int) -> Scenes:
        """Some with true views, worsened a little, and some with views that the pack's own network drew, if there are any."""
        met = 0 if others is None else int((rng.random(count) < DRAWN_SHARE).sum())
        views, props = [], []
        if met < count:
            batch = run.data.any(rng, count - met)
            views.append(worsened(batch.views(), rng))
            rows = run.data.primitives[batch.index].cpu().numpy()
            props += [painted(prop, colors) for prop, colors in zip(rows, batch.colors.cpu().numpy(), strict=True)]
        if met and others is not None:
            index = rng.integers(len(others), size=met)
            views.append(run.tensor(others.views[index]).float() / 255)
            props += [make_prop(int(seed)).primitives for seed in others.seeds[index]]
        return cls(torch.cat(views), props)

    def places(self, rng: np.random.Generator, points: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Of each prop (6, n, 3): where its views are sampled at its points (n, 3), by cameras that are a little off."""
        return [sampling_places(jittered(rng), each) for each in points]


def painted(prop: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """A row of `Dataset.primitives` without what is behind its last primitive, in colours (SLOTS, 3)."""
    prop = prop[prop[:, 0] >= 0].copy()
    prop[:, 18:21] = colors[prop[:, 22].astype(int)]
    return prop


def jittered(rng: np.random.Generator) -> Cameras:
    angles = rng.normal(0, JITTER_ANGLE, (2, VIEWS))
    return orbit(AZIMUTHS + angles[0], ELEVATIONS + angles[1], RADIUS * (1 + rng.normal(0, JITTER_RADIUS)))


def truth(prop: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance (n,) and colour (n, 3) at points (n, 3)."""
    distance, index = sdf.distances(prop, points)
    return distance, prop[index, 18:21]


def shell(prop: np.ndarray) -> np.ndarray:
    """(16, 16, 16) bool: the voxels whose centres are near the surface."""
    return (np.abs(truth(prop, GRID)[0]) < SHELL).reshape((RESOLUTION,) * 3)


def train_occupancy(run: Run, schedule: Schedule = OCCUPANCY_SCHEDULE) -> OccupancyModel:
    """occupancy.pt; with drawn_views.npz, where views.pt is there."""
    model, others = OccupancyModel().to(run.device), DrawnViews.of(run)

    def loss(rng: np.random.Generator) -> dict[str, Tensor]:
        scenes = Scenes.drawn(run, others, rng, schedule.batch)
        target = run.tensor(np.stack([shell(prop) for prop in scenes.props])).float().unsqueeze(1) * 2 - 1
        where = run.tensor(np.stack(scenes.places(rng, [GRID] * schedule.batch)))
        times = rng.random(schedule.batch)
        t, noisy = run.tensor(times.astype(np.float32)), noised(target, times)
        local, whole = (run.tensor(kept) for kept in kept_conditions(rng, schedule.batch))
        with precision(run):
            states, *volumes = model.condition(scenes.views, where)
            states, volumes = states * whole.view(-1, 1, 1), [volume * local.view(-1, 1, 1, 1, 1) for volume in volumes]
            before = torch.zeros_like(target)
            if rng.random() < SELF_CONDITIONED:
                with torch.no_grad():
                    guess = model.unet(torch.cat([noisy, before], dim=1), t, states, *volumes).float()
                    before = torch.where((t < SIGN_BELOW).view(-1, 1, 1, 1, 1), guess.sign(), guess)
            guess = model.unet(torch.cat([noisy, before], dim=1), t, states, *volumes)
        error = F.mse_loss(guess.float(), target)
        early = (t > 0.6) & (local > 0)
        return {"loss": error, "iou": mean_iou(guess.detach()[early] > 0, target[early] > 0)}

    return fit(model, loss, schedule, run.out / "occupancy.pt")


def train_voxels(run: Run, schedule: Schedule = VOXELS_SCHEDULE) -> VoxelModel:
    """voxels.pt; learns from true shells, some of their voxels missed and some added."""
    model, others = VoxelModel().to(run.device), DrawnViews.of(run)

    def loss(rng: np.random.Generator) -> dict[str, Tensor]:
        scenes = Scenes.drawn(run, others, rng, schedule.batch)
        terms = [_voxel_loss(model, run, rng, scenes.views[i:i + 1], prop) for i, prop in enumerate(scenes.props)]
        return {name: torch.stack([each[name] for each in terms]).mean() for name in terms[0]}

    return fit(model, loss, schedule, run.out / "voxels.pt")


def _voxel_loss(model: VoxelModel, run: Run, rng: np.random.Generator, views: Tensor, prop: np.ndarray) -> dict[str, Tensor]:
    """Of one prop, at a few noise levels. Without a loss where it has too many voxels."""
    voxels = subdivided(disturbed(shell(prop), rng), len(VOXEL_CHANNELS), BUCKETS)
    assert voxels is not None  # the largest bucket holds them all
    points = voxels.centres(EXTENT)
    distance, color = truth(prop, points)
    values = np.concatenate([np.clip(distance / TRUNCATION, -1, 1)[:, None], 2 * color - 1], axis=1)
    target = run.tensor(voxels.padded(values.astype(np.float32))).expand(LEVELS_AT_ONCE, -1, -1)
    times = rng.random(LEVELS_AT_ONCE)
    t, noisy = run.tensor(times.astype(np.float32)), noised(target, times)
    tables = tables_of(voxels, run)
    where = run.tensor(sampling_places(jittered(rng), voxels.padded(points)))[None]
    local, whole = (run.tensor(kept).view(-1, 1, 1) for kept in kept_conditions(rng, LEVELS_AT_ONCE))
    with precision(run):
        states, features, colors = model.condition(views, where, run.tensor(voxels.padded(points / np.float32(HALF_EXTENT)))[None])
        guess = model.unet(noisy, t, states * whole, features * local, colors * local, tables).float()
    active, away = tables.active[0][None], (guess - target).square()
    near = active * (target[..., :1].abs() < 0.6)
    distance_error = (away[..., :1] * (active + 2 * near)).sum() / (LEVELS_AT_ONCE * active.sum())
    color_error = (away[..., 1:] * near).sum() / (3 * near.sum()).clamp(min=1)
    wrong = (((guess[..., :1] < 0) != (target[..., :1] < 0)) * active).sum() / (LEVELS_AT_ONCE * active.sum())
    return {"loss": distance_error + 0.3 * color_error, "distance": distance_error.detach(), "color": color_error.detach(),
            "wrong": wrong.detach()}


def disturbed(occupied: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Occupancy (r, r, r) as a network may have it: some voxels missed, some neighbours of others added. Never empty."""
    near = np.zeros_like(occupied)
    for axis in range(3):
        near |= np.roll(occupied, 1, axis) | np.roll(occupied, -1, axis)
    much = rng.random()
    made = occupied & (rng.random(occupied.shape) >= much * MISSED) | near & (rng.random(occupied.shape) < much * ADDED)
    return made if made.any() else occupied


def precision(run: Run) -> AbstractContextManager:
    """Half on a GPU. On a CPU bfloat16 made a step of the 3D networks 1.5 times as long (Zen 5, one thread)."""
    return run.half() if run.device.type == "cuda" else nullcontext()


def tables_of(voxels: ActiveVoxels, run: Run) -> VoxelTables:
    tables, count = voxels.tables(), len(voxels.levels)
    names = [f"{kind}_{level}" for kind, levels in (("active", count), ("neighbours", count), ("children", count - 1),
                                                  ("parents", count - 1)) for level in range(levels)]
    return VoxelTables.of([run.tensor(tables[name]) for name in names])


def noised(x0: Tensor, times: np.ndarray) -> Tensor:
    """x0 (b, ...) at times (b,) in [0, 1]."""
    signal, noise = (torch.from_numpy(part.astype(np.float32)).to(x0.device).view(-1, *[1] * (x0.ndim - 1))
                     for part in signal_and_noise(log_snr(times)))
    return signal * x0 + noise * torch.randn_like(x0)


def kept_conditions(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether each of `count` samples sees its local features, and the vector of the whole: (count,) float32 of 0 and 1."""
    draw = rng.random(count)
    return (draw >= DROP_ALL + DROP_LOCAL).astype(np.float32), (draw >= DROP_ALL).astype(np.float32)


def mean_iou(guess: Tensor, true: Tensor) -> Tensor:
    """Mean over samples (b, ...) bool of intersection over union; of none, 0."""
    axes = tuple(range(1, guess.ndim))
    both, either = (guess & true).sum(dim=axes), (guess | true).sum(dim=axes)
    return (both / either.clamp(min=1)).sum() / max(1, len(guess))
