"""The checks that One-2-3-45++ makes of itself, on held-out props: what views are worth to the occupancy, and meshes against InstantMesh.

    python -m benchmarks.quality.voxel_recipe --pack props --props 12 --photos 8

Prints a page, and writes a contact sheet where --sheet says. Times are seconds of the processor, the recipes by turns.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from meshwright.engines.errors import MeshwrightError
from meshwright.export.props.training.one_2_3_45 import shell
from meshwright.export.props.world.photos import random_photo
from meshwright.export.props.world.world import Prop, make_prop
from meshwright.runtime import Generation, Picture, Pipeline
from meshwright.runtime.backends.models import Models
from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.diffusion.schedules import make_table
from meshwright.runtime.geometry import voxels
from meshwright.runtime.geometry.cameras import orbit, sampling_places
from meshwright.runtime.geometry.render import render_views
from meshwright.runtime.pack.manifest import required
from meshwright.runtime.recipes.one_2_3_45 import as_input

from . import metrics

FIRST_SEED, RECIPES = 10_000_000, ("instantmesh", "one-2-3-45")
# What the occupancy network is shown of the views.
SHOWN = {"no views": (0.0, 0.0), "one vector of all views": (1.0, 0.0), "features projected into the voxels": (1.0, 1.0)}
SHEET = 128


def shell_iou(models: Models, prop: Prop) -> dict[str, float]:
    """Of the occupancy that is drawn from true views, against the true shell, by what is shown of the views."""
    pack = models.pack.manifest
    grid, loop = required(pack.voxels), required(pack.occupancy)
    centres = voxels.centres(voxels.all_voxels(grid.resolution), grid.resolution, grid.extent)
    seen = models.run("condition_volume", views=as_input(prop.views(orbit().c2w, pack.views.size)),
                      where=sampling_places(orbit(), centres)[None])
    table, start = make_table(loop.schedule, loop.steps, 1.0), normal(0, "occupancy/init", loop.latent_shape)
    per_step = {"row": table.rows, "noise": normal(0, "occupancy/step", (loop.steps, *loop.latent_shape))}
    found = {}
    for name, (whole, local) in SHOWN.items():
        constants = {key: value[1:] * np.float32(whole if key == "states" else local) for key, value in seen.items()}
        latent = models.engine("occupancy_step").scan({"latent": start, "previous": np.zeros_like(start)}, per_step, constants)["latent"]
        found[name] = metrics.iou(latent[0, 0] > 0, shell(prop.primitives))
    return found


def compared(pipeline: Pipeline, seed: int) -> dict[str, tuple[Generation, float, float]]:
    """Of each recipe on the photo of a prop: the result, its F-score and the seconds of the processor."""
    rgb, mask, _, prop = random_photo(seed)
    picture = Picture.of(np.concatenate([rgb, 255 * mask.astype(np.uint8)[..., None]], axis=-1))
    rng, found = np.random.default_rng(seed), {}
    truth = prop.surface(metrics.SURFACE_POINTS, rng)
    for recipe in RECIPES if seed % 2 else RECIPES[::-1]:
        began = time.process_time()
        made = pipeline.generate(image=picture, recipe=recipe, seed=0)
        seconds = time.process_time() - began
        points = metrics.sample_surface(made.mesh, metrics.SURFACE_POINTS, rng).points
        found[recipe] = made, metrics.f_score(points, truth, metrics.THRESHOLD), seconds
    return found


def sheet_row(seed: int, found: dict[str, tuple[Generation, float, float]]) -> np.ndarray:
    """The photo, and each recipe's mesh from the front and from behind."""
    rgb, mask, _, _ = random_photo(seed, SHEET)
    cameras, shown = orbit([30.0, 210.0], [20.0, 20.0]), [np.where(mask[..., None], rgb, 255) / 255]
    for recipe in RECIPES:
        shown += list(render_views(found[recipe][0].mesh, cameras, SHEET))
    return np.concatenate(shown, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", default="props")
    parser.add_argument("--props", type=int, default=12, help="of which the occupancy is drawn")
    parser.add_argument("--photos", type=int, default=8, help="from which meshes are made")
    parser.add_argument("--sheet", type=Path, help="PNG of the meshes")
    args = parser.parse_args()
    with Pipeline.open(args.pack, threads=1) as pipeline:
        rows = [shell_iou(pipeline.models, make_prop(FIRST_SEED + i)) for i in range(args.props)]
        print(f"Shell IoU, mean of {args.props} held-out props seen in true views:", flush=True)
        for name in SHOWN:
            print(f"| {name} | {np.mean([row[name] for row in rows]):.3f} |", flush=True)
        scores: dict[str, list[tuple[float, float]]] = {recipe: [] for recipe in RECIPES}
        pictures = []
        for seed in range(FIRST_SEED, FIRST_SEED + args.photos):
            try:
                found = compared(pipeline, seed)
            except MeshwrightError as error:
                print(f"{seed}: {error}", flush=True)
                continue
            pictures.append(sheet_row(seed, found))
            for recipe, (_, score, seconds) in found.items():
                scores[recipe].append((score, seconds))
                print(f"{seed} {recipe}: F-score {score:.3f}, {seconds:.2f} s", flush=True)
            if args.sheet:
                from PIL import Image

                Image.fromarray((np.concatenate(pictures).clip(0, 1) * 255 + 0.5).astype(np.uint8)).save(args.sheet)
        for recipe, of_recipe in scores.items():
            print(f"| {recipe} | {np.mean([s for s, _ in of_recipe]):.3f} | {np.median([t for _, t in of_recipe]):.2f} s |", flush=True)


if __name__ == "__main__":
    main()
