"""Six views of a mesh, redrawn by the refiner (Sharp-It, arXiv 2412.02631)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...engines.engine import Array
from ..backends.models import Models
from ..events import CoarseViews, Notice
from ..geometry.cameras import Cameras, orbit
from ..geometry.mesh import Mesh
from ..geometry.render import grid, render_views
from ..images.pictures import Picture
from ..pack.manifest import Diffusion, Manifest, required
from ..request import Request
from . import pictures, rebuild
from .settings import LoopSettings, drawing_settings
from .stages import Stage, denoise, encode_image, run_stage

GREY = np.float32(0.5)  # the picture of "zero-image": zero once it is scaled to [-1, 1]


def draw_views(models: Models, coarse: Mesh, embeddings: np.ndarray, crops: list[Picture],
               request: Request, seed: int) -> Stage[tuple[np.ndarray, Cameras, np.ndarray]]:
    """The stages from a coarse mesh to its refined views, where these are seen from, and the coarse views.

    embeddings : (2, T, D) float32, what the refiner follows; crops : of the pictures whose views are known; seed : of what is drawn
    """
    pack = models.pack.manifest
    cameras = orbit(pack.views.azimuths, pack.views.elevations, pack.views.radius, pack.views.fov)
    guide = yield from run_stage(models, "coarse views", lambda: coarse_views(pack, coarse, cameras, models.threads))
    # The refiner sees the known views in place of the coarse ones as well.
    known = pictures.known_view_images(models, request, crops, guide)
    guide = pictures.with_known(guide, known)
    yield CoarseViews(guide)
    views = yield from run_stage(models, "refined views", refine_views(
        models, guide, embeddings, known, drawing_settings(request, pack, required(pack.refiner)), seed))
    return views, cameras, guide


def coarse_views(pack: Manifest, mesh: Mesh, cameras: Cameras, threads: int | None = 1) -> np.ndarray:
    """(n, size, size, 3) float32 in [0, 1]: the coarse mesh from the recipe's cameras. threads : as in `render_views`"""
    return render_views(mesh, cameras, pack.views.size, background=pack.views.background, shading=pack.views.shading,
                        threads=threads)


def refine_views(models: Models, guide: np.ndarray, embeddings: np.ndarray, known: Mapping[int, np.ndarray], settings: LoopSettings,
                 seed: int, stage: str = "refined views") -> Stage[np.ndarray]:
    """The views redrawn by the refiner, which sees the coarse ones and the prompt. Shapes as `coarse_views`.

    known : views that stay as they are, by their number; stage : of its steps
    """
    pack = models.pack.manifest
    coarse = encode_coarse(models, grid(guide, pack.views.rows, pack.views.columns), seed)
    latent = yield from denoise(models, "refiner_step", required(pack.refiner).latent_shape, settings, stage=stage, stream="refiner",
                                seed=seed, constants={"states": embeddings, "coarse": coarse},
                                known=pictures.encode_known_views(models, known, seed))
    return pictures.with_known(rebuild.decode_views(models, latent), known)


def encode_coarse(models: Models, picture: np.ndarray, seed: int) -> Array:
    """The latents of the coarse views' grid picture (H, W, 3) float32 in [0, 1].

    (1, 4, h, w), or (2, 4, h, w) for a refiner whose unconditional half sees something of its own.
    """
    image = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)
    alone = models.pack.component("refiner_step").shape("coarse")[0] == 1
    coarse = encode_image(models, "vae_encoder", image, seed=seed, stream="coarse-encoder", keep=("latent",) if alone else ())["latent"]
    if alone:
        return coarse
    kind, other = required(models.pack.manifest.refiner).unconditional_coarse, coarse
    if kind == "zeros":
        other = np.zeros_like(coarse)
    elif kind == "zero-image":
        grey = np.full_like(image, GREY)
        other = encode_image(models, "vae_encoder", grey, seed=seed, stream="coarse-encoder/unconditional")["latent"]
    return np.concatenate([other, coarse])


def prompt_embeddings(models: Models, encoder: str, prompt: str, *loops: Diffusion) -> Stage[list[np.ndarray]]:
    """For each loop the states (2, T, D) of its unconditional half and of the prompt."""
    tokenizer = models.tokenizer(encoder)
    tokens = tokenizer.encode_prompt(prompt) if prompt else tokenizer.encode("")
    for notice in tokens.notices:
        yield Notice(notice)
    embeddings = models.embeddings(encoder, tokens)
    return [np.concatenate([models.unconditional(encoder, loop.unconditional, embeddings), embeddings]) for loop in loops]
