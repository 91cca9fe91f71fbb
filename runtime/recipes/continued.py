"""A saved run goes on behind its surface: another texture seed or prompt, another number of faces, another texture."""

from __future__ import annotations

from typing import Any

from ...engines.errors import InputError
from ..backends.models import Models
from ..events import CoarseMesh, CoarseViews, Surface, Views
from ..geometry.cameras import orbit
from ..geometry.mesh import Mesh
from ..pack.manifest import Manifest
from ..request import Request
from ..saved_run import KEPT, SavedRun
from .look import redrawing, redraws
from .rebuild import Field, finished
from .stages import Stage

COMPONENTS = ("field_color",)
REDRAWING_COMPONENTS = ("text_encoder", "vae_encoder", "refiner_step", "vae_decoder", "reconstructor", "field_color")
OF_THE_VIEWS = ("steps", "guidance", "sampler", "guidance_interval", "deep_cache")


def from_run(models: Models, request: Request) -> Stage[Mesh]:
    """The finished mesh of a request with a run."""
    run, pack = saved(request), models.pack.manifest
    whole = continued(request)
    if run.coarse_mesh is not None:
        yield CoarseMesh(run.coarse_mesh)
    if run.coarse_views is not None:
        yield CoarseViews(run.coarse_views)
    yield Views(run.views)
    yield Surface(run.surface, run.planes)
    cameras = orbit(pack.views.azimuths, pack.views.elevations, pack.views.radius, pack.views.fov)
    others = [picture for _, picture in run.crops[1:]]
    redraw = redrawing(models, whole, run.coarse_mesh, others, edit=changes_prompt(request)) if draws(request) else None
    return (yield from finished(models, run.surface, Field(models, run.planes), run.views, cameras, whole, redraw))


def saved(request: Request) -> SavedRun:
    """The run of a request that has one."""
    assert request.run is not None  # or there would be another route
    return request.run


def continued(request: Request) -> Request:
    """The request as if the whole run were made anew. InputError for a run that holds what no request may."""
    run = saved(request)
    given = {name: value for name in KEPT if (value := getattr(request, name)) != getattr(Request, name)}
    fields: dict[str, Any] = {**run.request, **given, "textured": request.textured}
    if run.crops:
        fields |= {"image": run.crops[0][1], "views": run.crops[1:]}
    if not request.textured:
        fields |= {"texture": None, "texture_from": None, "texture_seed": None}
    return Request(**fields)


def draws(request: Request) -> bool:
    """Whether the views of the shape are drawn anew."""
    return request.textured and (redraws(continued(request)) or changes_prompt(request))


def changes_prompt(request: Request) -> bool:
    """Whether the look is described by other words than the shape."""
    return bool(request.prompt) and request.prompt != saved(request).request.get("prompt", "")


def check_run(request: Request, pack: Manifest) -> None:
    """InputError for options that the pack, or the run, has no use for."""
    run, redrawn = saved(request), draws(request)
    if len(run.views) != len(pack.views.azimuths):
        raise InputError("the run does not fit the pack", received=f"{len(run.views)} views", expected=str(len(pack.views.azimuths)))
    asked = [name for name in OF_THE_VIEWS if getattr(request, name) is not None]
    if asked and not redrawn:
        raise InputError("the views of the run are drawn already", received=" and ".join(asked), expected="neither",
                         remedy="give a texture_seed or a prompt, which draws them anew")
