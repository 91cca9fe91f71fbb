"""Picture to mesh as InstantMesh does it (arXiv 2404.07191): Zero123++ draws six views, which are rebuilt.

`instantmesh` reads top to bottom like the method.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..cameras import orbit
from ..meshes.mesh import Mesh
from ..models import Models
from ..pictures import control_planes, prepared
from ..request import Request
from ..stages import Stage, denoise, encode_image, run_stage
from . import rebuild

STAGES = ("picture", "views", *rebuild.STAGES)


def instantmesh(models: Models, request: Request) -> Stage[Mesh]:
    """Yields the events of one run; returns the textured mesh in world axes: the picture is seen from the front.

    Errors: InputError for a control picture of another shape; EmptyShape if the field has no surface.
    """
    views = models.pack.manifest.views
    cameras = orbit(views.azimuths, views.elevations, views.radius, views.fov)

    condition = yield from run_stage(models, "picture", lambda: encode_picture(models, request))
    drawn = yield from run_stage(models, "views", draw_views(models, condition, request))
    return (yield from rebuild.rebuild(models, drawn, cameras, request))


def encode_picture(models: Models, request: Request) -> dict[str, np.ndarray]:
    """What every step looks at, unconditional half first.

    states : (2, T, D) float32, what the picture shows
    reference : (2, 4, h, w) float32, its details as latents
    control, control_scale : (1, 3, H, W) and (), in packs with a ControlNet
    """
    pack = models.pack.manifest
    control = control_of(models, request)
    image = prepared(request.image, pack.picture.background, pack.picture.encoder)
    states = models.run("image_encoder", image=image)["states"]
    image = prepared(request.image, pack.picture.background, pack.picture.reference)
    encoded = encode_image(models, "reference_encoder", image, seed=request.seed, stream="reference")
    return {"states": states, "reference": encoded["reference"], **control}


def control_of(models: Models, request: Request) -> dict[str, np.ndarray]:
    """The inputs of the ControlNet, if the pack has one; a scale of 0 leaves it without effect."""
    pack, step = models.pack.manifest, models.pack.component("views_step")
    if not step.takes("control"):
        return {}
    shape = step.shape("control")
    if request.control is None:
        return {"control": np.zeros(shape, np.float32), "control_scale": np.zeros((), np.float32)}
    scale = 1.0 if request.control_scale is None else request.control_scale
    return {"control": control_planes(request.control, pack.picture.background, *shape[2:]),
            "control_scale": np.array(scale, np.float32)}


def draw_views(models: Models, condition: Mapping[str, np.ndarray], request: Request) -> Stage[np.ndarray]:
    """The six views (n, size, size, 3) float32 in [0, 1]. Each step looks at the reference through fresh noise."""
    latent = yield from denoise(models, "views_step", models.pack.manifest.multiview, stage="views", stream="views",
                                seed=request.seed, steps=request.steps, guidance=request.guidance, constants=condition,
                                noises={"reference_noise": "reference/step"})
    return rebuild.decode_views(models, latent)
