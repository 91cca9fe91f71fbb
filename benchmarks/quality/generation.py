"""The whole pipeline: a prompt in, and whether what comes out is the thing and the colour that was asked for; or a photo of a prop that
training never saw, and its matte, its six views and its mesh against the truth."""

from __future__ import annotations

import numpy as np

from meshwright.export.props.world.photos import random_photo
from meshwright.export.props.world.sdf import render_rgba
from meshwright.export.props.world.world import Prop
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.topology import is_watertight
from meshwright.runtime.images.pictures import Picture
from meshwright.runtime.recipes.rebuild import extract_surface, reconstruct
from meshwright.runtime.request import Request
from meshwright.runtime.results import Generation

from . import soundness
from .families import MAIN, POINTS, SECOND, match, part_color
from .metrics import iou, psnr, sample_surface, surface_score
from .prompts import Prompt
from .workbench import Workbench

FIRST_SEED, SIZE = 10_300_000, 256
# A pixel of a view shows the object where it is this far from the white background.
SEEN = 0.035


def measure_prompt(bench: Workbench, prompt: Prompt, seed: int) -> tuple[dict, Generation]:
    """The record of one prompt, and the generation itself for the contact sheet."""
    made = bench.pipeline.generate(prompt.text, seed=seed)
    record = {"prompt": prompt.text, "families": list(prompt.families), "first": prompt.first, "second": prompt.second,
              "seed": seed, **judged(made.mesh, prompt, seed), "coarse": judged(made.stages.coarse_mesh, prompt, seed),
              "watertight": is_watertight(made.mesh), "faces": len(made.mesh.faces), "timings": dict(made.timings),
              **soundness.excess(made.mesh, prompt.families, bench.manifest.grid.resolution, bench.manifest.grid.extent)}
    return record, made


def judged(mesh: Mesh, prompt: Prompt, seed: int) -> dict:
    """Family, F-score and the colours of the main and the second part, by the protocol of `families`."""
    samples = sample_surface(mesh, POINTS, np.random.default_rng((seed, 6)))
    found = match(samples.points)
    asked = max(prompt.families, key=found.scores.get)
    colors = [part_color(samples.points, samples.colors, found.best[asked], slot) for slot in (MAIN, SECOND)]
    return {"family": found.family, "right_family": found.family in prompt.families, "score": found.scores[asked],
            "main_color": colors[0], "second_color": colors[1]}


def measure_picture(bench: Workbench, index: int) -> tuple[dict, np.ndarray, Generation]:
    """The record of one photo, the photo (256, 256, 3) uint8, and what was made of it.

    Views and mesh are measured twice, with the network's matte and with the true one ("clean"), which tells how much is lost
    to the matte; "rebuilt" is the mesh of the true views, the best that this pack's reconstructor could do.
    """
    photo, mask, shot, prop = random_photo(FIRST_SEED + index, SIZE)
    picture, truth = Picture.of(photo), bench.true_views(prop)
    made = bench.pipeline.generate(image=picture, route="views", seed=index)
    clean = bench.pipeline.generate(image=picture, route="views", seed=index, matte=Picture.of(_grey(mask)))
    outlines = render_rgba(prop.primitives, bench.cameras.c2w, bench.manifest.views.size)[..., 3] > 0.5
    record = {"family": prop.family, "first": prop.first, "second": prop.second, "azimuth": shot.azimuth, "elevation": shot.elevation,
              "matte": iou(made.stages.cutouts[0].matte > 127, mask), **_measured(made, prop, truth, outlines, index),
              "clean": _measured(clean, prop, truth, outlines, index), "rebuilt": _rebuilt(bench, prop, truth),
              "watertight": is_watertight(made.mesh), "timings": dict(made.timings)}
    return record, photo, made


def measure_steered(bench: Workbench, index: int) -> dict:
    """The same photo by the coarse route: is it the right thing in the right colour?"""
    photo, _, _, prop = random_photo(FIRST_SEED + index, SIZE)
    made = bench.pipeline.generate(image=Picture.of(photo), route="coarse", seed=index)
    asked = Prompt("", (prop.family,), prop.first, prop.second)
    return {"families": [prop.family], "first": prop.first, "second": prop.second, **judged(made.mesh, asked, index),
            "timings": dict(made.timings)}


def photo_of(index: int) -> np.ndarray:
    """The photo (256, 256, 3) uint8 that the record of that number is about."""
    return random_photo(FIRST_SEED + index, SIZE)[0]


def silhouettes(views: np.ndarray) -> np.ndarray:
    """(n, h, w) bool: where views (n, h, w, 3) on white show anything."""
    return np.abs(1 - views).max(axis=-1) > SEEN


def _measured(made: Generation, prop: Prop, truth: np.ndarray, outlines: np.ndarray, seed: int) -> dict[str, float]:
    views = made.stages.views
    return {"psnr": psnr(views, truth), "outline": iou(silhouettes(views), outlines), "f": surface_score(made.mesh, prop.surface, seed)}


def _rebuilt(bench: Workbench, prop: Prop, views: np.ndarray) -> float:
    field = reconstruct(bench.models, views, bench.cameras)
    mesh = bench.finish(extract_surface(bench.manifest, field), field, views, Request(prop.family, texture=64))
    return surface_score(mesh, prop.surface, prop.seed)


def _grey(mask: np.ndarray) -> np.ndarray:
    return np.repeat((mask * np.uint8(255))[..., None], 3, axis=2)
