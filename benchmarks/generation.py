"""The whole pipeline: a prompt in, and whether what comes out is the thing and the colour that was asked for."""

from __future__ import annotations

import numpy as np

from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.topology import is_watertight

from . import soundness
from .families import MAIN, POINTS, SECOND, match, part_color
from .metrics import sample_surface
from .prompts import Prompt
from .workbench import Workbench


def measure_prompt(bench: Workbench, prompt: Prompt, seed: int) -> tuple[dict, object]:
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
