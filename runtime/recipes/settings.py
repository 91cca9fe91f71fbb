"""How a request's loops run, and how large its texture is: what the request says, else what its quality stands for, else the pack's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...engines.errors import InputError
from ..diffusion.schedules import AYS_STEPS, AYS_TIMESTEPS, Table, make_table, with_sampler
from ..pack.manifest import FULL, Diffusion, LoopQuality, Manifest, Quality, required
from ..request import Request

# Fewer steps leave the views that are drawn too little time to follow known ones: in a single step they see noise alone.
MIN_STEPS_WITH_KNOWN_VIEWS = 8
Interval = tuple[float, float]


@dataclass(frozen=True)
class LoopSettings:
    """steps : from 1; guidance : 1 is none; interval : of the noise levels that are guided, as in `Diffusion`

    deep_every : how often deep features are computed; 1 for at every step
    """

    steps: int
    guidance: float
    schedule: Mapping[str, Any]
    interval: Interval | None
    deep_every: int = 1

    @property
    def sampler(self) -> str:
        """One of `SAMPLER_NAMES`."""
        return AYS_STEPS if self.schedule.get("spacing") == AYS_STEPS else self.schedule["kind"]

    def table(self, stage: str) -> Table:
        """InputError where the sampler does not run so many steps. stage : its name in the message"""
        try:
            return make_table(self.schedule, self.steps, self.guidance, self.interval)
        except ValueError as error:
            raise InputError(f"the {stage} has no schedule with these settings", received=str(error)) from error


def drawing_settings(request: Request, pack: Manifest, loop: Diffusion, *, edit: bool = False) -> LoopSettings:
    """Of the loop that draws the views. edit : they change the look of what is there, whatever the request says of it"""
    quality = quality_of(request, pack).views
    own = loop.edit if loop.edit is not None and (edit or _is_edit(request)) else loop
    steps = _steps(request.steps, request.sampler, quality, own.steps)
    if request.keeps_views and request.steps is None and request.sampler != AYS_STEPS:
        steps = max(steps, MIN_STEPS_WITH_KNOWN_VIEWS)
    guidance = own.guidance if request.guidance is None else request.guidance
    if loop == pack.posed_views and not request.prompt:
        guidance = 1.0  # a picture alone: both halves would see the same
    return LoopSettings(steps, guidance,
                        _schedule(loop, request.sampler or quality.sampler), request.guidance_interval or _interval(quality, loop),
                        request.deep_cache or 1)


def coarse_settings(request: Request, pack: Manifest) -> LoopSettings:
    """Of the loop that draws the coarse shape."""
    loop, quality = required(pack.prior), quality_of(request, pack).prior
    return LoopSettings(_steps(request.prior_steps, request.prior_sampler, quality, loop.steps),
                        loop.guidance if request.prior_guidance is None else request.prior_guidance,
                        _schedule(loop, request.prior_sampler or quality.sampler),
                        request.prior_guidance_interval or _interval(quality, loop))


def loop_settings(loop: Diffusion) -> LoopSettings:
    """Of a loop that requests do not change."""
    return LoopSettings(loop.steps, loop.guidance, loop.schedule, loop.guidance_interval)


def texture_source(request: Request, pack: Manifest, route: str) -> str:
    """"views", "field" or "blend"."""
    return request.texture_from or ("views" if route == "voxels" else pack.texture_from)


def texture_size(request: Request, pack: Manifest) -> int:
    """Pixels along a side."""
    return request.texture or quality_of(request, pack).texture or pack.finish.texture


def quality_of(request: Request, pack: Manifest) -> Quality:
    """What the pack means by the quality that is asked for. InputError if it has no such."""
    if request.quality in (None, FULL):
        return Quality()
    if request.quality not in pack.quality:
        known = " or ".join([*pack.quality, FULL])
        raise InputError(f"pack {pack.name} has no such quality", received=str(request.quality), expected=known,
                         remedy="export the pack again, or give --steps" if not pack.quality else None)
    return pack.quality[request.quality]


def _is_edit(request: Request) -> bool:
    """Whether a prompt is to change the look of something that is given."""
    return bool(request.prompt) and (request.mesh is not None or request.image is not None)


def _steps(asked: int | None, sampler: str | None, quality: LoopQuality, own: int) -> int:
    if asked is not None:
        return asked
    return len(AYS_TIMESTEPS) if sampler == AYS_STEPS else quality.steps or own


def _schedule(loop: Diffusion, sampler: str | None) -> Mapping[str, Any]:
    return loop.schedule if sampler is None else with_sampler(loop.schedule, sampler)


def _interval(quality: LoopQuality, loop: Diffusion) -> Interval | None:
    return quality.guidance_interval or loop.guidance_interval
