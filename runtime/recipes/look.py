"""Another look for a finished shape: its views are drawn anew, and its colours rebuilt from them."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..assets.look import Source
from ..backends.models import Models
from ..events import Views
from ..geometry.cameras import orbit
from ..geometry.mesh import Mesh
from ..geometry.shading import to_uint8
from ..images.pictures import Picture
from ..pack.manifest import required
from ..request import Request
from ..texture.bake import FIELD_CHUNK
from . import pictures, rebuild
from .drawing import coarse_views, prompt_embeddings, refine_views
from .settings import drawing_settings
from .stages import Stage, run_stage

STAGE = "texture views"


def redrawing(models: Models, request: Request, coarse: Mesh | None, crops: list[Picture], *, edit: bool = False) -> rebuild.Redraw | None:
    """What `rebuild` calls for a request whose look has a seed of its own, or, with `edit`, a prompt of its own; else None.

    coarse : the coarse shape, whose colours the refiner sees on the surface; None takes those of the field
    crops : of the pictures whose views are known
    """
    if not redraws(request) and not edit:
        return None
    return partial(_redrawn, models, request, coarse, crops, edit)


def redraws(request: Request) -> bool:
    """Whether shape and look have seeds that differ."""
    return request.textured and request.route != "texture" and request.look_seed != request.shape_seed


def _redrawn(models: Models, request: Request, coarse: Mesh | None, crops: list[Picture], edit: bool, surface: Mesh,
             field: rebuild.Field) -> Stage[tuple[np.ndarray, rebuild.Field]]:
    views, planes = yield from run_stage(models, STAGE, _drawn(models, request, _colored(surface, coarse, field), crops, edit))
    yield Views(views)
    return views, planes


def _drawn(models: Models, request: Request, mesh: Mesh, crops: list[Picture], edit: bool) -> Stage[tuple[np.ndarray, rebuild.Field]]:
    pack = models.pack.manifest
    loop = required(pack.refiner)
    (embeddings,) = yield from prompt_embeddings(models, "text_encoder", request.prompt, loop)
    cameras = orbit(pack.views.azimuths, pack.views.elevations, pack.views.radius, pack.views.fov)
    guide = coarse_views(pack, mesh, cameras, models.threads)
    known = pictures.known_view_images(models, request, crops, guide)
    views = yield from refine_views(models, pictures.with_known(guide, known), embeddings, known,
                                    drawing_settings(request, pack, loop, edit=edit), request.look_seed, STAGE)
    return views, rebuild.reconstruct(models, views, cameras)


def _colored(surface: Mesh, coarse: Mesh | None, field: rebuild.Field) -> Mesh:
    """The surface with normals, and vertex colours of the coarse shape or of the field."""
    surface = surface.with_normals()
    assert surface.normals is not None
    if coarse is not None:
        colors = Source(coarse).colors(surface.vertices, surface.normals)
    else:
        points = surface.vertices
        colors = np.concatenate([field.color(points[begin:begin + FIELD_CHUNK]) for begin in range(0, len(points), FIELD_CHUNK)])
    return surface.replace(colors=to_uint8(colors))
