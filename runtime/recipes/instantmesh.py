"""Picture to mesh as InstantMesh does it (arXiv 2404.07191): Zero123++ draws six views, which are rebuilt.

`instantmesh` reads top to bottom like the method.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...engines.engine import Array
from ..backends.models import Models
from ..geometry.cameras import orbit
from ..geometry.mesh import Mesh
from ..images.pictures import Picture, preprocess, preprocess_control
from ..pack.manifest import required
from ..request import Request
from . import pictures, rebuild
from .look import redrawing
from .settings import drawing_settings
from .stages import Stage, denoise, encode_image, run_stage

STAGES = ("picture", "views", *rebuild.STAGES)
DRAWING = ("image_encoder", "reference_encoder", "views_step", "vae_decoder")
COMPONENTS = (*DRAWING, *rebuild.COMPONENTS)  # as they are used


def instantmesh(models: Models, request: Request) -> Stage[Mesh]:
    """Yields the events of one run; returns the textured mesh in world axes: the picture is seen from the front.

    Errors: InputError for a picture without an object or a control picture of another shape; EmptyShape if the field
    has no surface.
    """
    views = models.pack.manifest.views
    cameras = orbit(views.azimuths, views.elevations, views.radius, views.fov)

    condition, known, crops = yield from run_stage(models, "picture", encode_inputs(models, request))
    drawn = yield from run_stage(models, "views", generate_views(models, condition, known, request))
    return (yield from rebuild.rebuild(models, drawn, cameras, request, redraw=redrawing(models, request, None, crops)))


def encode_inputs(models: Models, request: Request) -> Stage[tuple[dict[str, Array], dict[int, np.ndarray], list[Picture]]]:
    """What every step looks at, the views that are known already, by their number, and the pictures of those, cut out."""
    control = control_inputs(models, request)
    crop, *others = yield from pictures.cut_out(models, request)
    return encode_picture(models, crop, request.shape_seed) | control, pictures.known_view_images(models, request, others), others


def encode_picture(models: Models, crop: Picture, seed: int) -> dict[str, Array]:
    """What every step looks at, unconditional half first. crop : the object in a square

    states : (2, T, D) float32, what the picture shows
    reference : (2, 4, h, w) float32, its details as latents
    """
    picture = required(models.pack.manifest.picture)
    embeddings = models.run("image_encoder", keep=("states",), image=preprocess(crop, picture.background, picture.encoder))["states"]
    image = preprocess(crop, picture.background, required(picture.reference))
    return {"states": embeddings, **encode_image(models, "reference_encoder", image, seed=seed, stream="reference", keep=("reference",))}


def control_inputs(models: Models, request: Request) -> dict[str, np.ndarray]:
    """control (1, 3, H, W) and control_scale (), in packs with a ControlNet; a scale of 0 leaves it without effect."""
    pack, step = models.pack.manifest, models.pack.component("views_step")
    if not step.takes("control"):
        return {}
    shape = step.shape("control")
    if request.control is None:
        return {"control": np.zeros(shape, np.float32), "control_scale": np.zeros((), np.float32)}
    scale = 1.0 if request.control_scale is None else request.control_scale
    return {"control": preprocess_control(request.control, required(pack.picture).background, *shape[2:]),
            "control_scale": np.array(scale, np.float32)}


def generate_views(models: Models, condition: Mapping[str, Array], known: Mapping[int, np.ndarray],
               request: Request) -> Stage[np.ndarray]:
    """The six views (n, size, size, 3) float32 in [0, 1], the known ones among them.

    Each step looks at the reference through fresh noise.
    """
    loop = required(models.pack.manifest.multiview)
    latent = yield from denoise(models, "views_step", loop.latent_shape, drawing_settings(request, models.pack.manifest, loop),
                                stage="views", stream="views", seed=request.shape_seed, constants=condition,
                                noises={"reference_noise": "reference/step"},
                                known=pictures.encode_known_views(models, known, request.shape_seed))
    return pictures.with_known(rebuild.decode_views(models, latent), known)
