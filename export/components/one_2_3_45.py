"""One-2-3-45++ (arXiv 2311.07885) behind its six views: two 3D diffusions and what conditions them.

    condition_volume   views -> a pyramid of volumes of projected features       once
    occupancy_step     one step of the coarse occupancy grid                     a loop
    condition_voxels   views and the chosen voxels -> projected features         once
    sparse_step        one step of distance and colour in those voxels           a loop

Every graph is plain: voxels are chosen on the host, and what is whose neighbour comes as tables of rows, so nothing depends on data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..inputs import PICTURES, Draw
from ..models.occupancy_unet import OccupancyUNet
from ..models.projected_features import ConditionVolume, VoxelCondition
from ..models.sparse_unet import CHILDREN, NEIGHBOURS, SparseUNet, VoxelTables
from ..onnx.step_model import OUTPUTS, advance, for_halves
from ..spec import FP16_STORED, ComponentSpec, Input, Precision, uniform
from .parts import HALVES, STEP_AXES, STEP_CASES, in_half, step_network, step_row

# Beyond them a prediction of distance or colour means nothing.
CLAMP = ("after", -1.0, 1.0)
# Voxels of the shell for which tables are tried; each bucket has eight times as many rows of its finest level.
BUCKETS = (16, 12)


class BesideNothing(nn.Module):
    """A condition's tensors below zeros of the same shapes, for both halves of guidance."""

    def __init__(self, condition: nn.Module) -> None:
        super().__init__()
        self.condition = condition

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.cat([torch.zeros_like(made), made]) for made in self.condition(*tensors))


class OccupancyStep(nn.Module):
    """A step of the coarse grid. The network sees its last prediction, which is the `previous` of the loop (self-conditioning).

    sign_below : times before which predictions become -1 or 1, with nothing between; the row's timestep is the time in [0, 1]
    """

    def __init__(self, net: OccupancyUNet, sign_below: float) -> None:
        super().__init__()
        self.net, self.sign_below = net, sign_below

    def forward(self, latent: Tensor, previous: Tensor, row: Tensor, noise: Tensor, states: Tensor,
                *volumes: Tensor) -> tuple[Tensor, Tensor]:
        """latent, previous, noise : (1, 1, r, r, r). states (halves, 1, s), volumes (halves, c, r, r, r), ... as of condition_volume."""
        columns, dtype = row.unbind(), next(self.net.parameters()).dtype
        seen = for_halves(torch.cat([columns[1] * latent, previous], dim=1), states)
        t = columns[0].expand(states.shape[0])
        halves = self.net(seen.to(dtype), t, states.to(dtype), *(volume.to(dtype) for volume in volumes)).float()
        return advance(columns, latent, previous, noise, halves, sign_below=self.sign_below)


class SparseStep(nn.Module):
    """A step of distance and colour in the voxels of a bucket."""

    def __init__(self, net: SparseUNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, latent: Tensor, previous: Tensor, row: Tensor, noise: Tensor, states: Tensor, condition: Tensor, colors: Tensor,
                *tables: Tensor) -> tuple[Tensor, Tensor]:
        """latent, previous, noise : (1, n, 4). states (halves, 1, s), condition (halves, n, c), colors (halves, n, 3 v) as of
        condition_voxels. tables : as `VoxelTables.of` takes them."""
        columns, dtype = row.unbind(), next(self.net.parameters()).dtype
        seen = for_halves(columns[1] * latent, states)
        given = (tensor.to(dtype) for tensor in (seen, states, condition, colors))
        seen, states, condition, colors = given
        halves = self.net(seen, columns[0].expand(states.shape[0]), states, condition, colors, VoxelTables.of(tables)).float()
        return advance(columns, latent, previous, noise, halves, CLAMP)


def condition_volume(module: ConditionVolume, view_size: int, *, views: int = 6, precision: Precision = FP16_STORED) -> ComponentSpec:
    """Gives states (2, 1, s) and volume_0 (2, c, r, r, r), volume_1 (2, c', r/2, r/2, r/2), ..., the unconditional halves first."""
    inputs = (_views(views, view_size), Input("where", (1, views, module.resolution**3, 3), uniform(-1.1, 1.1)))
    outputs = ("states", *(f"volume_{level}" for level in range(1 + len(module.down))))
    return ComponentSpec("condition_volume", BesideNothing(in_half(module, precision)), inputs, outputs, precision=precision,
                         reference=BesideNothing(module))


def occupancy_step(net: OccupancyUNet, resolution: int, volumes: Sequence[int], states: int, *, sign_below: float,
                   precision: Precision = FP16_STORED) -> ComponentSpec:
    """volumes, states : channels of the condition, see `condition_volume`"""
    grid = (1, 1, *(resolution,) * 3)
    pyramid = tuple(Input(f"volume_{level}", (HALVES, channels, *(resolution >> level,) * 3)) for level, channels in enumerate(volumes))
    # Below that time, signs would hide all errors but those that turn one round.
    inputs = (*_carry(grid, sign_below), Input("states", (HALVES, 1, states)), *pyramid)
    return ComponentSpec("occupancy_step", OccupancyStep(step_network(net, precision), sign_below), inputs, OUTPUTS, STEP_AXES, precision,
                         OccupancyStep(net, sign_below), axes_of_cases=STEP_CASES)


def condition_voxels(module: VoxelCondition, view_size: int, *, views: int = 6, precision: Precision = FP16_STORED) -> ComponentSpec:
    """Gives states (2, 1, s), condition (2, n, c) and colors (2, n, 3 v), the unconditional halves first."""
    inputs = (_views(views, view_size), Input("where", (1, views, "voxels_0", 3), uniform(-1.1, 1.1)),
              Input("points", (1, "voxels_0", 3), uniform(-1.0, 1.0)))
    return ComponentSpec("condition_voxels", BesideNothing(in_half(module, precision)), inputs, ("states", "condition", "colors"),
                         {"voxels_0": _lengths(1)[0]}, precision, BesideNothing(module))


def sparse_step(net: SparseUNet, condition: int, colors: int, states: int, *, precision: Precision = FP16_STORED) -> ComponentSpec:
    """condition, colors, states : channels, see `condition_voxels`"""
    levels = len(net.descend)
    rows = [f"voxels_{level}" for level in range(levels)]
    inputs = (*_carry((1, rows[0], 4)), Input("states", (HALVES, 1, states)), Input("condition", (HALVES, rows[0], condition)),
              Input("colors", (HALVES, rows[0], colors), uniform(-1.0, 0.0)), *_tables(rows))
    axes = {**STEP_AXES, **dict(zip(rows, _lengths(levels), strict=True))}
    return ComponentSpec("sparse_step", SparseStep(step_network(net, precision)), inputs, OUTPUTS, axes, precision, SparseStep(net),
                         axes_of_cases=STEP_CASES)


def _views(count: int, size: int) -> Input:
    return Input("views", (1, count, 3, size, size), uniform(0.0, 1.0), PICTURES)


def _carry(shape: tuple[int | str, ...], earliest: float = 0.0) -> tuple[Input, ...]:
    return Input("latent", shape), Input("previous", shape), Input("row", (9,), _row_from(earliest)), Input("noise", shape)


def _row_from(earliest: float) -> Draw:
    """Rows as `log_snr_ancestral` makes them, of times from `earliest` to 1."""
    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        row = step_row(rng, shape)
        row[[0, 2, 3]] = rng.uniform(earliest, 1.0), 0.0, 1.0
        return row

    return draw


def _tables(rows: Sequence[str]) -> tuple[Input, ...]:
    """As `VoxelTables.of` takes them, of voxels at random."""
    links = range(len(rows) - 1)
    return (*(Input(f"active_{level}", (axis, 1), _active) for level, axis in enumerate(rows)),
            *(Input(f"neighbours_{level}", (axis, NEIGHBOURS), _rows_of(1)) for level, axis in enumerate(rows)),
            *(Input(f"children_{level}", (rows[level + 1], CHILDREN), _rows_of(_ratio(level))) for level in links),
            *(Input(f"parents_{level}", (rows[level],), _rows_of(CHILDREN // _ratio(level))) for level in links))


def _ratio(level: int) -> int:
    """Rows of a level for each of the next coarser one, see `runtime.geometry.voxels.bucket_rows`."""
    return CHILDREN if level == 0 else 2


def _lengths(levels: int) -> list[tuple[int, ...]]:
    """Of each level's tables, for every bucket that is tried."""
    return [tuple(CHILDREN * bucket if level == 0 else bucket >> (level - 1) for bucket in BUCKETS) for level in range(levels)]


def _active(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A quarter of the rows is padding."""
    return (np.arange(shape[0]) < shape[0] - shape[0] // 4).astype(np.float32).reshape(shape)


def _rows_of(ratio: int) -> Draw:
    """Rows below `ratio` times the table's own length, int64."""
    return lambda rng, shape: rng.integers(ratio * shape[0], size=shape)
