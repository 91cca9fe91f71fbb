"""Sharp-It (arXiv 2412.02631): a coarse object, from Shap-E or from the user, is redrawn in six views and rebuilt.

`from_text`, `from_picture`, `from_mesh` and `onto_mesh` read top to bottom like the method. Each stage is a function below them; the
loops are generators that yield their steps. Geometry is in world axes (z up, front +x) until the mesh is written.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...engines.engine import Array
from ..backends.models import Models
from ..events import CoarseMesh, Notice, Surface, Views
from ..geometry.isosurface import extract
from ..geometry.mesh import Mesh
from ..geometry.shading import to_uint8
from ..geometry.topology import welded
from ..images.pictures import Picture, preprocess
from ..pack.manifest import Coarse, required
from ..request import Request
from . import given_mesh, pictures, rebuild
from .drawing import draw_views, prompt_embeddings
from .look import redrawing
from .settings import coarse_settings
from .stages import Stage, denoise, run_stage

REFINEMENT_STAGES = ("coarse views", "refined views", *rebuild.STAGES)
STAGES = ("text", "coarse shape", "coarse mesh", *REFINEMENT_STAGES)
PICTURE_STAGES = ("picture", *STAGES)
MESH_STAGES = ("text", *REFINEMENT_STAGES)
TEXTURE_STAGES = ("text", "coarse views", "refined views", "texture")
# Kinds of components, in the order of their first use.
_DRAWING = ("vae_encoder", "refiner_step", "vae_decoder")
_REFINEMENT = (*_DRAWING, *rebuild.COMPONENTS)
_COARSE = ("prior_step", "shap_e_params", "shap_e_field", *_REFINEMENT)
COMPONENTS = ("prior_text_encoder", "text_encoder", *_COARSE)
PICTURE_COMPONENTS = ("prior_image_encoder", "text_encoder", *_COARSE)
MESH_COMPONENTS = ("text_encoder", *_REFINEMENT)
TEXTURE_COMPONENTS = ("text_encoder", *_DRAWING)


def from_text(models: Models, request: Request) -> Stage[Mesh]:
    """Yields the events of one run; returns the textured mesh in world axes.

    Errors: InputError for a prompt that the encoder cannot read; EmptyShape if a field has no surface.
    """
    prior, embeddings = yield from run_stage(models, "text", encode_text(models, request.prompt))
    coarse, bounds = yield from generate_coarse_shape(models, prior, request)
    return (yield from refine(models, coarse, embeddings, [], request, bounds))


def from_picture(models: Models, request: Request) -> Stage[Mesh]:
    """As `from_text`: the picture says the shape, and the prompt, which may be empty, the look.

    Errors: InputError for a picture without an object, too.
    """
    crop, *others = yield from run_stage(models, "picture", pictures.cut_out(models, request))
    prior, embeddings = yield from run_stage(models, "text", encode_conditions(models, crop, request.prompt))
    coarse, bounds = yield from generate_coarse_shape(models, prior, request)
    return (yield from refine(models, coarse, embeddings, others, request, bounds))


def from_mesh(models: Models, request: Request) -> Stage[Mesh]:
    """As `from_text`, with a mesh of the user's in place of the coarse shape."""
    given = request.mesh
    assert given is not None  # or there would be another route
    for message in given.notices:
        yield Notice(message)
    loop = required(models.pack.manifest.refiner)
    (embeddings,) = yield from run_stage(models, "text", prompt_embeddings(models, "text_encoder", request.prompt, loop))
    yield CoarseMesh(given.mesh)
    return (yield from refine(models, given.mesh, embeddings, [], request))


def onto_mesh(models: Models, request: Request) -> Stage[Mesh]:
    """The mesh of the request with a new texture: its views, redrawn, are projected onto it (the paper's appearance editing).

    Its vertices, faces and texture coordinates stay as they are, in the place and units of its file.
    """
    given, pack = request.mesh, models.pack.manifest
    assert given is not None  # or there would be another route
    for message in given.notices:
        yield Notice(message)
    embeddings, crops = yield from run_stage(models, "text", encode_look(models, request))
    yield CoarseMesh(given_mesh.in_its_place(given))
    views, cameras, guide = yield from draw_views(models, given.mesh, embeddings, crops, request, request.look_seed)
    yield Views(views)
    yield Surface(welded(given_mesh.own_surface(given)))
    return (yield from run_stage(models, "texture", given_mesh.painted_mesh(given, views, cameras, request, pack, guide)))


def encode_look(models: Models, request: Request) -> Stage[tuple[np.ndarray, list[Picture]]]:
    """What the refiner follows, (2, T, D) float32, and the picture of the mesh, cut out, if there is one."""
    crops = [] if request.image is None else (yield from pictures.cut_out(models, request))
    (embeddings,) = yield from prompt_embeddings(models, "text_encoder", request.prompt, required(models.pack.manifest.refiner))
    return embeddings, crops


def generate_coarse_shape(models: Models, embeddings: np.ndarray, request: Request) -> Stage[tuple[Mesh, rebuild.Bounds | None]]:
    """The stages that make the coarse shape, and what it allows of the finished one. states : (2, T, D) float32, what the prior follows"""
    latent = yield from run_stage(models, "coarse shape", sample_coarse_latent(models, embeddings, request))
    coarse = yield from run_stage(models, "coarse mesh", lambda: decode_coarse_mesh(models, latent))
    yield CoarseMesh(coarse)
    return coarse, coarse_bounds(models, latent)


def refine(models: Models, coarse: Mesh, embeddings: np.ndarray, crops: list[Picture], request: Request,
           bounds: rebuild.Bounds | None = None) -> Stage[Mesh]:
    """The stages from a coarse mesh to the finished one.

    embeddings, crops : as of `draw_views`; bounds : as in `rebuild.Field`
    """
    views, cameras, _ = yield from draw_views(models, coarse, embeddings, crops, request, request.shape_seed)
    return (yield from rebuild.rebuild(models, views, cameras, request, bounds, redrawing(models, request, coarse, crops)))


def encode_conditions(models: Models, crop: Picture, prompt: str) -> Stage[tuple[np.ndarray, np.ndarray]]:
    """Token states, unconditional half first, for the prior from a picture and for the refiner from a prompt.

    Each is (2, T, D) float32. crop : the object in a square; the prompt may be empty
    """
    pack = models.pack.manifest
    picture, prior, refiner = required(pack.picture), required(pack.prior), required(pack.refiner)
    image = preprocess(crop, picture.background, picture.encoder)
    seen = models.run("prior_image_encoder", image=image)["states"]
    nothing = models.unconditional("text_encoder", prior.unconditional_image or "zeros", seen)
    (embeddings,) = yield from prompt_embeddings(models, "text_encoder", prompt, refiner)
    return np.concatenate([nothing, seen]), embeddings


def encode_text(models: Models, prompt: str) -> Stage[tuple[np.ndarray, np.ndarray]]:
    """The prompt's states for the prior and for the refiner. A pack with one text encoder serves both with it."""
    loops = required(models.pack.manifest.prior), required(models.pack.manifest.refiner)
    if models.has("prior_text_encoder"):
        (prior,) = yield from prompt_embeddings(models, "prior_text_encoder", prompt, loops[0])
        (refiner,) = yield from prompt_embeddings(models, "text_encoder", prompt, loops[1])
    else:
        prior, refiner = yield from prompt_embeddings(models, "text_encoder", prompt, *loops)
    yield from check_prompt(models, prior)
    return prior, refiner


def check_prompt(models: Models, states: np.ndarray) -> Stage[None]:
    """A notice if the prompt is more like other things than like those that the pack makes, where it can tell. states : (n, T, D), the
    prompt's last
    """
    if not models.has("prompt_check"):
        return
    known, others = models.run("prompt_check", states=states[-1:])["likeness"][0]
    if others > known:
        yield Notice(f"the prompt seems to ask for something that the pack {models.pack.manifest.name} does not know: "
                     f"what comes out is the nearest thing that it makes")


def sample_coarse_latent(models: Models, embeddings: np.ndarray, request: Request) -> Stage[Array]:
    """Shap-E's latent (1, rows, channels) float32, drawn by diffusion."""
    pack = models.pack.manifest
    return denoise(models, "prior_step", required(pack.prior).latent_shape, coarse_settings(request, pack), stage="coarse shape",
                   stream="prior", seed=request.shape_seed, constants={"states": embeddings})


def decode_coarse_mesh(models: Models, latent: Array) -> Mesh:
    """The surface of the implicit field that the latent stands for, with vertex colours."""
    coarse, field = required(models.pack.manifest.coarse), coarse_field(models, latent)

    def sdf(points: np.ndarray) -> dict[str, np.ndarray]:
        return {"sdf": field(points)["sdf"][0, :, 0]}

    mesh = extract(sdf, None, coarse.resolution, 2 * coarse.bound, negative_inside=False, decimals=None)
    rebuild.check_not_empty(mesh, "coarse shape")
    mesh = mesh.replace(vertices=mesh.vertices * np.float32(coarse.shrink))
    colors = to_uint8(field(mesh.vertices)["color"][0])
    return into_world(mesh.replace(colors=colors), coarse).with_normals()


def coarse_field(models: Models, latent: Array) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """What the latent stands for: points (n, 3) in Shap-E's axes -> sdf (1, n, 1), positive inside, and color (1, n, 3)."""
    made = [tensor.name for tensor in models.pack.component("shap_e_params").spec.outputs]
    weights = models.run("shap_e_params", keep=made, latent=latent)
    return lambda points: models.run("shap_e_field", **weights, points=points[None])


def coarse_bounds(models: Models, latent: Array) -> rebuild.Bounds | None:
    """The distances that the finished surface may have, in the world's axes, if the pack binds it to the coarse shape.

    What the views leave open, the reconstructor fills with loose bits and holes; the coarse shape has neither.
    """
    coarse = required(models.pack.manifest.coarse)
    deviation = coarse.deviation
    if deviation is None:
        return None
    field, scale = coarse_field(models, latent), np.float32(coarse.scale * coarse.shrink)
    out_of_world = np.asarray(coarse.rotation, np.float32) / scale

    def bounds(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distance = field(points @ out_of_world)["sdf"][0, :, 0] * np.float32(-deviation.truncation * scale)
        return distance - np.float32(deviation.max_distance), distance + np.float32(deviation.max_distance)

    return bounds


def into_world(mesh: Mesh, coarse: Coarse) -> Mesh:
    """From Shap-E's axes to the world's: x_world = scale * rotation @ x."""
    matrix = np.float32(coarse.scale) * np.asarray(coarse.rotation, np.float32)
    return mesh.replace(vertices=np.ascontiguousarray(mesh.vertices @ matrix.T))
