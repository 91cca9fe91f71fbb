"""Reads the denoising loops of `pack.json`, latents, schedule, steps and guidance, and the grids that some are of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ...engines.errors import PackFormat
from ..diffusion.schedules import SAMPLER_NAMES, make_table
from .entry import Entry
from .manifest import (
    LENGTH,
    MAX_GUIDANCE,
    MAX_LATENTS,
    MAX_RANK,
    MAX_STEPS,
    MAX_TRAIN_STEPS,
    MAX_VOXEL_LEVELS,
    MAX_VOXELS,
    RESOLUTION,
    TEXTURES,
    Diffusion,
    Edit,
    LoopQuality,
    Quality,
    VoxelGrid,
)

UNCONDITIONAL = ("empty", "zeros", "encoder")
UNCONDITIONAL_IMAGE = ("empty", "zeros")
UNCONDITIONAL_COARSE = ("same", "zeros", "zero-image")
COARSE_LATENTS = ("target", "raw")


def read_loop(entry: Entry) -> Diffusion:
    """A section such as "prior". PackFormat for one whose schedule cannot be run in the steps that it says."""
    shape = tuple(axis.whole(1, MAX_LATENTS) for axis in entry["latent_shape"].list(MAX_RANK))
    if not shape or math.prod(shape) > MAX_LATENTS:
        raise PackFormat(f"{entry.where}: latent_shape is out of range", received=str(shape), expected=f"1 to {MAX_LATENTS} values")
    coarse = entry.str("unconditional_coarse", UNCONDITIONAL_COARSE) if "unconditional_coarse" in entry else "same"
    image = entry.str("unconditional_image", UNCONDITIONAL_IMAGE) if "unconditional_image" in entry else None
    latents = entry.str("coarse_latents", COARSE_LATENTS) if "coarse_latents" in entry else "target"
    edit = Edit(*_strength(entry["edit"])) if "edit" in entry else None
    steps, guidance = _strength(entry)
    loop = Diffusion(shape, _schedule(entry["schedule"]), steps, guidance, entry.str("unconditional", UNCONDITIONAL), coarse, image,
                     latents, edit, _interval(entry["guidance_interval"]) if "guidance_interval" in entry else None)
    for count, scale in [(steps, guidance), *([(edit.steps, edit.guidance)] if edit else [])]:
        _check_table(entry, loop.schedule, count, scale)
    return loop


def read_quality(entry: Entry) -> Quality:
    """What one word of the section "quality" stands for."""
    unknown = sorted({*entry.dict()} - {"views", "prior", "texture"})
    if unknown:
        raise PackFormat(f"{entry.where} has an unknown entry", received=unknown[0], expected="views, prior, texture")
    views, prior = (_loop_quality(entry[name]) if name in entry else LoopQuality() for name in ("views", "prior"))
    return Quality(views, prior, read_texture(entry) if "texture" in entry else None)


def read_voxels(entry: Entry) -> VoxelGrid:
    """The section "voxels"."""
    buckets = tuple(bucket.whole(2, MAX_VOXELS) for bucket in entry["buckets"].list(MAX_RANK))
    if not buckets or any(low >= high for low, high in pairwise(buckets)):
        raise PackFormat(f"{entry.where}: buckets do not ascend", received=str(buckets))
    grid = VoxelGrid(entry.int("resolution", *RESOLUTION), entry.float("extent", *LENGTH), entry.int("levels", 2, MAX_VOXEL_LEVELS),
                     buckets, entry.float("truncation", *LENGTH))
    if grid.resolution % (1 << (grid.levels - 2)):
        raise PackFormat(f"{entry.where}: resolution cannot be halved for {grid.levels} levels", received=str(grid.resolution))
    return grid


def read_texture(entry: Entry) -> int:
    """Pixels along a side of the texture."""
    texture = entry.int("texture")
    if texture not in TEXTURES:
        raise PackFormat(f"{entry.where}: texture is out of range", received=str(texture), expected="a power of two from 64 to 8192")
    return texture


def _loop_quality(entry: Entry) -> LoopQuality:
    return LoopQuality(entry.int("steps", 1, MAX_STEPS) if "steps" in entry else None,
                       entry.str("sampler", SAMPLER_NAMES) if "sampler" in entry else None,
                       _interval(entry["guidance_interval"]) if "guidance_interval" in entry else None)


def _strength(entry: Entry) -> tuple[int, float]:
    """Steps and guidance."""
    return entry.int("steps", 1, MAX_STEPS), entry.float("guidance", 0.0, MAX_GUIDANCE)


def _interval(entry: Entry) -> tuple[float, float]:
    """The lowest and the highest noise over signal."""
    ends = tuple(end.number(0.0) for end in entry.list())
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise PackFormat(f"{entry.where} is not an interval", received=str(list(ends)), expected="two numbers, the lower one first")
    return ends


def _schedule(entry: Entry) -> dict[str, Any]:
    """Its options, each of them a word, a number or a choice; `make_table` knows which there are."""
    for _, value in entry.items():
        if isinstance(value.value, str):
            value.text()
        elif not isinstance(value.value, bool):
            value.number(-1e6, 1e6)
    if "train_steps" in entry:
        entry.int("train_steps", 2, MAX_TRAIN_STEPS)
    return dict(entry.dict())


def _check_table(entry: Entry, schedule: Mapping[str, Any], steps: int, guidance: float) -> None:
    """The schedule must be one that the loop can run, in so many steps."""
    try:
        with np.errstate(all="ignore"):
            table = make_table(schedule, steps, guidance)
            finite = np.isfinite(table.rows).all() and math.isfinite(table.initial_scale)
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError) as error:
        raise PackFormat(f"{entry.where}: schedule cannot be run in {steps} steps", received=str(error)) from error
    if not finite:
        raise PackFormat(f"{entry.where}: schedule cannot be run in {steps} steps", received="coefficients that are not finite")
