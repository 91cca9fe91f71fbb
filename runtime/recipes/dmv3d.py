"""Prompt or picture to mesh as DMV3D does it (arXiv 2311.09217): a reconstructor inside the denoising loop.

Each step makes planes of noisy views, and renders the planes: these renderings are the denoised views, so that the views of every step
are of one object. The planes of the last step are the result. `from_text` and `from_picture` read top to bottom like the method.

The planes hold a signed distance, and the surface is where it is zero; the method's own hold a density.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...engines.engine import Array, on_host
from ..backends.models import Models
from ..diffusion.noise import normal
from ..events import Step, Surface, Views
from ..geometry.cameras import Cameras, orbit, rays
from ..geometry.isosurface.extract import CHUNK, extract
from ..geometry.mesh import Mesh
from ..images.pictures import preprocess
from ..pack.manifest import Manifest, Resize, required
from ..request import Request
from . import pictures, rebuild
from .drawing import prompt_embeddings
from .guidance import run_guided
from .settings import drawing_settings
from .sharp_it import check_prompt
from .stages import Stage, run_stage
from .texture import textured, untextured

DENOISING_STAGES = ("views", "surface", "texture")
STAGES = ("text", *DENOISING_STAGES)
PICTURE_STAGES = ("picture", *STAGES)
COMPONENTS = ("text_encoder", "dmv3d_step", "render_planes", "planes_field")  # as they are used


@dataclass(frozen=True, eq=False)
class Field:
    """What the planes (1, 3, C, P, P) hold, and how it looks."""

    models: Models
    planes: Array

    def sdf(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """points (n, 3) -> sdf (n,), negative inside."""
        return {"sdf": self._at(points)["sdf"][0, :, 0]}

    def color(self, points: np.ndarray) -> np.ndarray:
        """points (n, 3) -> colour (n, 3) float32 sRGB in [0, 1]."""
        return self._at(points)["color"][0]

    def seen_from(self, cameras: Cameras, size: int) -> np.ndarray:
        """(n, size, size, 3) float32 in [0, 1] on white."""
        lines = np.concatenate(rays(cameras, size), axis=-1).reshape(1, -1, 6)
        seen = [self.models.run("render_planes", planes=self.planes, rays=np.ascontiguousarray(lines[:, start:start + CHUNK]))["color"]
                for start in range(0, lines.shape[1], CHUNK)]
        return np.concatenate(seen, axis=1).reshape(len(cameras), size, size, 3).clip(0, 1)

    def _at(self, points: np.ndarray) -> dict[str, np.ndarray]:
        return self.models.run("planes_field", planes=self.planes, points=points[None])


def from_text(models: Models, request: Request) -> Stage[Mesh]:
    """Yields the events of one run; returns the textured mesh in world axes.

    Errors: InputError for a prompt that the encoder cannot read; EmptyShape if the planes hold no surface.
    """
    states = yield from run_stage(models, "text", encode_text(models, request))
    return (yield from denoised(models, states, None, request))


def from_picture(models: Models, request: Request) -> Stage[Mesh]:
    """As `from_text`: the picture is the first view, and stays without noise; the prompt may be empty. The front is what it shows."""
    crop, *_ = yield from run_stage(models, "picture", pictures.cut_out(models, request))
    pack = models.pack.manifest
    size = required(pack.posed_views).latent_shape[-1]
    picture = preprocess(crop, required(pack.picture).background, Resize(size, "bicubic"))
    states = yield from run_stage(models, "text", encode_text(models, request))
    return (yield from denoised(models, states, picture, request))


def denoised(models: Models, states: np.ndarray, picture: np.ndarray | None, request: Request) -> Stage[Mesh]:
    """The stages after the inputs. states : (2, T, D) float32; picture : (1, 3, s, s) float32 in [0, 1], or None"""
    pack = models.pack.manifest
    circle = required(pack.circle)
    cameras = orbit(circle.azimuths, circle.elevations, circle.radius, circle.fov)

    field = yield from run_stage(models, "views", denoise_views(models, states, picture, cameras, request))
    views = field.seen_from(cameras, pack.views.size)
    yield Views(views)
    surface = yield from run_stage(models, "surface", lambda: extract_surface(pack, field))
    yield Surface(surface)
    if not request.textured:
        return (yield from run_stage(models, "mesh", lambda: untextured(surface, field.color, request, pack)))
    return (yield from run_stage(models, "texture", textured(surface, field.color, views, cameras, request, pack)))


def encode_text(models: Models, request: Request) -> Stage[np.ndarray]:
    """(2, T, D) float32: the states of no prompt, and of the prompt."""
    (states,) = yield from prompt_embeddings(models, "text_encoder", request.prompt, required(models.pack.manifest.posed_views))
    if request.prompt:
        yield from check_prompt(models, states)
    return states


def denoise_views(models: Models, states: np.ndarray, picture: np.ndarray | None, cameras: Cameras, request: Request) -> Stage[Field]:
    """The planes of the last step. The views of every step are told as they are there, so that each is a run of its own."""
    pack, engine = models.pack.manifest, models.engine("dmv3d_step")
    loop = required(pack.posed_views)
    table = drawing_settings(request, pack, loop).table("views")
    start, nothing = normal(request.shape_seed, "dmv3d/init", loop.latent_shape), np.zeros(loop.latent_shape, np.float32)
    stepwise = normal(request.shape_seed, "dmv3d/step", (len(table.rows), *loop.latent_shape)) if table.rows[:, 7].any() else None
    carry: dict[str, Array] = {"latent": np.float32(table.initial_scale) * start, "previous": nothing}
    constants = {"states": states, "rays": ray_maps(cameras, loop.latent_shape[-1]), **known_view(picture, loop.latent_shape)}
    made: dict[str, Array] = {}
    for i, row in enumerate(table.rows):
        noise = nothing if stepwise is None else stepwise[i]
        made = run_guided(engine, row, {**carry, "noise": noise, **constants}, keep=("latent_next", "planes"))
        carry = {name: made[f"{name}_next"] for name in carry}
        yield Step("views", i + 1, len(table.rows))
        yield Views(as_images(on_host(made["previous_next"])))
    return Field(models, made["planes"])


def ray_maps(cameras: Cameras, size: int) -> np.ndarray:
    """(1, n, 6, size, size) float32: origin and unit direction of the ray through each pixel."""
    return np.ascontiguousarray(np.concatenate(rays(cameras, size), axis=-1).transpose(0, 3, 1, 2)[None])


def known_view(picture: np.ndarray | None, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The inputs `known` and `mask` of the step. picture : (1, 3, s, s) in [0, 1] of the first view; shape : (1, n, 3, s, s), of all"""
    known, mask = np.zeros(shape, np.float32), np.zeros((*shape[:2], 1, 1, 1), np.float32)
    if picture is not None:
        known[:, 0], mask[:, 0] = 2 * picture - 1, 1.0
    return {"known": known, "mask": mask}


def as_images(views: np.ndarray) -> np.ndarray:
    """(1, n, 3, s, s) in [-1, 1] -> (n, s, s, 3) float32 in [0, 1]"""
    return np.ascontiguousarray(views[0].transpose(0, 2, 3, 1) / 2 + 0.5).clip(0, 1)


def extract_surface(pack: Manifest, field: Field) -> Mesh:
    """The surface at distance 0, before decimation and texture. Errors: EmptyShape."""
    grid = pack.grid
    return rebuild.finished_surface(pack, extract(field.sdf, None, grid.resolution, grid.extent, stride=grid.stride), "field of the planes")
