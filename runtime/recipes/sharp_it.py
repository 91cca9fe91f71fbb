"""Text to mesh as Sharp-It does it (arXiv 2412.02631): a coarse Shap-E object, redrawn in six views, rebuilt.

`sharp_it` reads top to bottom like the method. Each stage is a function below it; the loops are generators
that yield their steps. Geometry is in world axes (z up, front +x) until the mesh is written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...engines.errors import EmptyShape
from ..cameras import Cameras, camera_vectors, orbit
from ..events import CoarseMesh, CoarseViews, Notice, Surface, Views
from ..isosurface import extract
from ..manifest import Coarse, Manifest
from ..meshes.checks import keep_components, split_crowded_edges
from ..meshes.mesh import Mesh
from ..models import Models
from ..render import grid, render_views, split_grid
from ..request import Request
from ..stages import Stage, denoise, run_stage
from ..texture import textured

# Loose pieces with less than this share of the surface are taken for noise of the field.
SPECK = 0.02

STAGES = ("text", "coarse shape", "coarse mesh", "coarse views", "refined views", "reconstruction", "surface",
          "texture")


@dataclass(frozen=True, eq=False)
class Field:
    """The reconstructed field: triplanes (1, 3, C, P, P) float32, and the queries that read them."""

    models: Models
    planes: np.ndarray

    def geometry(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """points (n, 3) -> sdf (n,), negative inside, and the raw deformation (n, 3)."""
        found = self.models.run("field_geometry", planes=self.planes, points=points[None])
        return {"sdf": found["sdf"][0, :, 0], "deformation": found["deformation"][0]}

    def weights(self, corners: np.ndarray) -> np.ndarray:
        """corners of cubes (k, 8, 3) -> FlexiCubes' raw weights (k, 21)."""
        return self.models.run("field_weights", planes=self.planes, corners=corners[None])["weights"][0]

    def color(self, points: np.ndarray) -> np.ndarray:
        """points (n, 3) -> colour (n, 3) float32 sRGB in [0, 1]."""
        return self.models.run("field_color", planes=self.planes, points=points[None])["color"][0]


def sharp_it(models: Models, request: Request) -> Stage[Mesh]:
    """Yields the events of one run; returns the textured mesh in world axes.

    Errors: InputError for a prompt that the encoder cannot read; EmptyShape if a field has no surface.
    """
    pack = models.pack.manifest
    cameras = orbit(pack.views.azimuths, pack.views.elevations, pack.views.radius, pack.views.fov)

    prior_states, states = yield from run_stage(models, "text", encode_text(models, request.prompt))
    latent = yield from run_stage(models, "coarse shape", draw_coarse_latent(models, prior_states, request))
    coarse = yield from run_stage(models, "coarse mesh", lambda: decode_coarse_mesh(models, latent))
    yield CoarseMesh(coarse)
    guide = yield from run_stage(models, "coarse views", lambda: coarse_views(pack, coarse, cameras))
    yield CoarseViews(guide)
    views = yield from run_stage(models, "refined views", refine_views(models, guide, states, request))
    yield Views(views)
    field = yield from run_stage(models, "reconstruction", lambda: reconstruct(models, views, cameras))
    surface = yield from run_stage(models, "surface", lambda: extract_surface(pack, field))
    yield Surface(surface)
    return (yield from run_stage(models, "texture", textured(surface, field.color, views, cameras, request, pack)))


def encode_text(models: Models, prompt: str) -> Stage[tuple[np.ndarray, np.ndarray]]:
    """The prompt's token states, unconditional half first, for the prior and for the refiner.

    Each is (2, T, D) float32. A pack with one text encoder serves both loops with it.
    """
    encoders = ["prior_text_encoder" if models.has("prior_text_encoder") else "text_encoder", "text_encoder"]
    loops = [models.pack.manifest.prior, models.pack.manifest.refiner]
    conditional: dict[str, np.ndarray] = {}
    for encoder in dict.fromkeys(encoders):
        tokens = models.tokenizer(encoder).encode_prompt(prompt)
        for notice in tokens.notices:
            yield Notice(notice)
        conditional[encoder] = models.states(encoder, tokens)
    pairs = []
    for encoder, loop in zip(encoders, loops, strict=True):
        states = conditional[encoder]
        pairs.append(np.concatenate([models.unconditional(encoder, loop.unconditional, states), states]))
    return pairs[0], pairs[1]


def draw_coarse_latent(models: Models, states: np.ndarray, request: Request) -> Stage[np.ndarray]:
    """Shap-E's latent (1, rows, channels) float32, drawn by diffusion."""
    return denoise(models, "prior_step", models.pack.manifest.prior, stage="coarse shape", stream="prior",
                   seed=request.seed, steps=request.prior_steps, guidance=request.prior_guidance,
                   constants={"states": states})


def decode_coarse_mesh(models: Models, latent: np.ndarray) -> Mesh:
    """The surface of the implicit field that the latent stands for, with vertex colours."""
    coarse = models.pack.manifest.coarse
    weights = models.run("shap_e_params", latent=latent)

    def field(points: np.ndarray) -> dict[str, np.ndarray]:
        return models.run("shap_e_field", **weights, points=points[None])

    def sdf(points: np.ndarray) -> dict[str, np.ndarray]:
        return {"sdf": field(points)["sdf"][0, :, 0]}

    mesh = extract(sdf, None, coarse.resolution, 2 * coarse.bound, negative_inside=False)
    _check_not_empty(mesh, "coarse shape")
    colors = np.rint(255 * field(mesh.vertices)["color"][0].clip(0, 1)).astype(np.uint8)
    return into_world(mesh.replace(colors=colors), coarse).with_normals()


def into_world(mesh: Mesh, coarse: Coarse) -> Mesh:
    """From Shap-E's axes to the world's: x_world = scale * rotation @ x."""
    matrix = np.float32(coarse.scale) * np.asarray(coarse.rotation, np.float32)
    return mesh.replace(vertices=np.ascontiguousarray(mesh.vertices @ matrix.T))


def coarse_views(pack: Manifest, mesh: Mesh, cameras: Cameras) -> np.ndarray:
    """(n, size, size, 3) float32 in [0, 1]: the coarse mesh from the recipe's cameras."""
    return render_views(mesh, cameras, pack.views.size, background=pack.views.background)


def refine_views(models: Models, guide: np.ndarray, states: np.ndarray, request: Request) -> Stage[np.ndarray]:
    """The views redrawn by the refiner, which sees the coarse ones and the prompt. Shapes as `coarse_views`."""
    pack = models.pack.manifest
    picture = grid(guide, pack.views.rows, pack.views.columns).transpose(2, 0, 1)[None]
    coarse = models.run("vae_encoder", image=np.ascontiguousarray(picture, np.float32))["latent"]
    latent = yield from denoise(models, "refiner_step", pack.refiner, stage="refined views", stream="refiner",
                                seed=request.seed, steps=request.steps, guidance=request.guidance,
                                constants={"states": states, "coarse": coarse})
    image = models.run("vae_decoder", latent=latent)["image"][0].transpose(1, 2, 0)
    return split_grid(image, pack.views.rows, pack.views.columns)


def reconstruct(models: Models, views: np.ndarray, cameras: Cameras) -> Field:
    """The triplane field of an object seen in `views` (n, h, w, 3) by `cameras`."""
    images = resized(views, models.pack.manifest.reconstructor_view_size).transpose(0, 3, 1, 2)[None]
    found = models.run("reconstructor", views=np.ascontiguousarray(images, np.float32),
                       cameras=camera_vectors(cameras)[None])
    return Field(models, found["planes"])


def resized(views: np.ndarray, size: int) -> np.ndarray:
    """(n, size, size, 3) float32 in [0, 1]: bicubic, with antialiasing, as the reconstructor was trained on."""
    if views.shape[1:3] == (size, size):
        return views
    from PIL import Image

    def channel(plane: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BICUBIC))

    planes = [[channel(np.ascontiguousarray(view[..., c], np.float32)) for c in range(3)] for view in views]
    return np.stack([np.stack(view, axis=-1) for view in planes]).clip(0, 1)


def extract_surface(pack: Manifest, field: Field) -> Mesh:
    """The reconstructed surface by FlexiCubes, before decimation and texture."""
    mesh = extract(field.geometry, field.weights, pack.grid.resolution, pack.grid.extent)
    mesh = split_crowded_edges(keep_components(mesh, SPECK))
    _check_not_empty(mesh, "reconstruction")
    return mesh


def _check_not_empty(mesh: Mesh, stage: str) -> None:
    if len(mesh.faces) == 0:
        raise EmptyShape(f"the {stage} has no surface", remedy="try another seed or other words")
