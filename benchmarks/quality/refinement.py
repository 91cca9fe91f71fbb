"""Reconstruction alone, from true views of held-out props; and the refiner alone: coarse views of an autoencoded held-out prop, refined,
against the prop's true views.

The coarse object is the prop as the Shap-E autoencoder knows it: 512 coloured surface points through the training
encoder, then through the pack's own decoder, meshed and rendered by the runtime. PSNR is over all pixels of the
six views. Each prop is refined four times: from its coarse views and from wrongly coloured ones (drawn as the
training pairs are), with its caption and with the empty text. The refiner's noise is the same in all four.

Colour in views: at every pixel where the true prop shows its main part and nothing else, the view's colour with the
light divided out counts as the palette's nearest by name; the most frequent must be the prop's main colour.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meshwright.export.props.world.palette import nearest as color_name
from meshwright.export.props.world.sdf import render
from meshwright.export.props.world.world import Prop
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.topology import is_watertight
from meshwright.runtime.pack.manifest import required
from meshwright.runtime.recipes.drawing import coarse_views, refine_views
from meshwright.runtime.recipes.rebuild import extract_surface, reconstruct
from meshwright.runtime.recipes.settings import drawing_settings
from meshwright.runtime.recipes.sharp_it import coarse_bounds, decode_coarse_mesh, encode_text
from meshwright.runtime.request import Request

from .metrics import inside, iou, most_frequent, psnr, surface_score
from .prompts import names_colors
from .soundness import flat_angle
from .workbench import Workbench, drained, family_prop, field_iou, volume_points

FIRST_OBJECT, FIRST_SEED, TEXTURED = 10_100_000, 10_200_000, 10


def measure_object(bench: Workbench, index: int) -> dict:
    """IoU of field and finished mesh against the exact prop, and its flat parts; the first 10 also give the texture sources' errors."""
    prop = family_prop(FIRST_OBJECT, index)
    views, points = bench.true_views(prop), volume_points(prop.seed)
    truth = prop.distances(points)[0] < 0
    field = reconstruct(bench.models, views, bench.cameras)
    record = {"family": prop.family, "seed": prop.seed, "iou": field_iou(field, points, truth), "mesh_iou": 0.0}
    surface = extract_surface(bench.manifest, field)
    mesh = bench.finish(surface, field, views, Request(prop.family, texture=256))
    record |= {"mesh_iou": iou(inside(mesh, points), truth), "watertight": is_watertight(mesh),
               "faces": len(mesh.faces), "flat_angle": flat_angle(mesh, prop)}
    if index < TEXTURED:
        record["texture"] = bench.texture_errors(prop, surface, field, views)
    return record


def measure_refinement(bench: Workbench, index: int) -> dict:
    """PSNR of coarse and refined views, and whether they show the main colour; textures for the first 10."""
    prop = family_prop(FIRST_SEED, index)
    caption, truth, parts = prop.captions(1)[0], bench.true_views(prop), _main_light(prop, bench)
    latent = _encoded(prop, bench)
    coarse = decode_coarse_mesh(bench.models, latent)
    record = {"family": prop.family, "seed": prop.seed, "caption": caption,
              "first": prop.first if names_colors(prop.family, caption) else None}
    with_text, without = _states(bench, caption)
    settings = drawing_settings(Request(caption), bench.manifest, required(bench.manifest.refiner))
    for name, mesh in (("coarse", coarse), ("recolored", _recolored(coarse, prop.seed))):
        guide = coarse_views(bench.manifest, mesh, bench.cameras)
        record[name] = _scores(guide, truth, parts)
        for text, states in (("caption", with_text), ("empty", without)):
            views = drained(refine_views(bench.models, guide, states, {}, settings, index))
            record[f"{name}+{text}"] = _scores(views, truth, parts)
            if (name, text) == ("coarse", "caption"):
                record |= _rebuilt(bench, prop, latent, views, index)
    return record


def _rebuilt(bench: Workbench, prop: Prop, latent: np.ndarray, views: np.ndarray, index: int) -> dict:
    """What is rebuilt of the refined views, bound to the coarse shape as in a run: IoU of the field, F-score ("chain") and flat parts of
    the finished mesh, and the texture sources' colour errors.
    """
    points = volume_points(prop.seed)
    field = replace(reconstruct(bench.models, views, bench.cameras), bounds=coarse_bounds(bench.models, latent))
    found = {"iou": field_iou(field, points, prop.distances(points)[0] < 0)}
    surface = extract_surface(bench.manifest, field)
    mesh = bench.finish(surface, field, views, Request(prop.family, texture=64))
    found |= {"chain": surface_score(mesh, prop.surface, prop.seed), "flat_angle": flat_angle(mesh, prop)}
    if index < TEXTURED:
        found["texture"] = bench.texture_errors(prop, surface, field, views)
    return found


def _encoded(prop: Prop, bench: Workbench) -> np.ndarray:
    points = prop.surface(512, np.random.default_rng((prop.seed, 2)))
    colors = prop.distances(points)[1] * 2 - 1
    return np.ascontiguousarray(bench.encoder(np.concatenate([points, colors], axis=1)[None].astype(np.float32)))


def _states(bench: Workbench, caption: str) -> tuple[np.ndarray, np.ndarray]:
    """The refiner's states (2, T, D) for the caption, and for no text: both halves are the empty prompt."""
    states = drained(encode_text(bench.models, caption))[1]
    return states, np.concatenate([states[:1], states[:1]])


def _recolored(mesh: Mesh, seed: int) -> Mesh:
    from meshwright.export.props.training.pairs import recolored

    return mesh.replace(colors=recolored(mesh.colors, np.random.default_rng((seed, 5))))


def _main_light(prop: Prop, bench: Workbench) -> np.ndarray:
    """(n, size, size) float32: the light on each pixel that shows only the main part, 0 elsewhere."""
    marked = prop.primitives.copy()
    marked[:, 18:21] = np.eye(3)[np.minimum(marked[:, 22].astype(int), 2)]
    red, green, blue = np.moveaxis(render(marked, bench.cameras.c2w, bench.manifest.views.size), -1, 0)
    # A pixel on an edge mixes in white or another part's mark, which shows in green or blue.
    return np.where((green == 0) & (blue == 0), red, 0)


def _scores(views: np.ndarray, truth: np.ndarray, light: np.ndarray) -> dict:
    seen = light > 0.5
    colors = np.clip(views[seen] / light[seen][:, None], 0, 1)[::4]
    return {"psnr": psnr(views, truth), "color": most_frequent([color_name(color) for color in colors])}
