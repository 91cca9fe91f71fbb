"""Which sampler, in how many steps, for the coarse shape of the `props` pack: the same prompts and noise for each.

    python -m benchmarks.quality.samplers [--prompts 40]

Three fifths of the prompts are captions of held-out props, the others hand-written paraphrases (`prompts`); seed i for prompt i. Of each
coarse mesh: the right kind of thing, its main colour and the F-score against the best match, by the protocol of `families`. The distance
to DPM-Solver++ in 40 steps from the same noise is the root mean square over all values of the latents, as a share of theirs. Steps are
counted; processor time is that of the loop alone, on one thread. Records are kept as they come, so a stopped run goes on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from meshwright.engines.engine import ignore
from meshwright.engines.errors import EmptyShape
from meshwright.runtime import Pipeline
from meshwright.runtime.backends.models import Models
from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.diffusion.schedules import make_table, with_sampler
from meshwright.runtime.pack.manifest import Diffusion, required
from meshwright.runtime.recipes import sharp_it
from meshwright.runtime.recipes.guidance import scan_guided

from ..harness.results import RESULTS, Results, figure, machine, table
from .generation import judged
from .prompts import Prompt, held_out, paraphrases

# Sampler and steps, and the interval of noise over signal that is guided. The first one is what the others are compared with.
TRIED = {"ddim, 20": ("ddim", 20, None), "ddim, 10": ("ddim", 10, None),
         "dpm-solver++-2m, 10": ("dpm-solver++-2m", 10, None), "dpm-solver++-2m, 8": ("dpm-solver++-2m", 8, None),
         "dpm-solver++-2m, 6": ("dpm-solver++-2m", 6, None), "dpm-solver++-2m, 4": ("dpm-solver++-2m", 4, None)}
CONVERGED = ("dpm-solver++-2m", 40, None)
Sampler = tuple[str, int, tuple[float, float] | None]


def latents(models: Models, loop: Diffusion, sampler: Sampler, states: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """The coarse latents of one prompt, and seconds of the processor."""
    kind, steps, interval = sampler
    rows = make_table(with_sampler(loop.schedule, kind), steps, loop.guidance, interval)
    first = (np.float32(rows.initial_scale) * normal(seed, "prior/init", loop.latent_shape)).astype(np.float32)
    per_step = {"row": rows.rows, "noise": np.zeros((steps, *loop.latent_shape), np.float32)}
    engine, started = models.engine("prior_step"), time.process_time()
    made = scan_guided(engine, {"latent": first, "previous": np.zeros_like(first)}, per_step, {"states": states}, on_step=ignore)
    return np.asarray(made["latent"]), time.process_time() - started


def states_of(models: Models, prompt: str) -> np.ndarray:
    """(2, T, D): what the prior follows."""
    stage = sharp_it.encode_text(models, prompt)
    while True:
        try:
            next(stage)
        except StopIteration as end:
            return end.value[0]


def measure(models: Models, prompt: Prompt, seed: int) -> dict[str, Any]:
    """The record of one prompt: of each sampler its time, distance, family, colour and F-score."""
    loop, states = required(models.pack.manifest.prior), states_of(models, prompt.text)
    truth = latents(models, loop, CONVERGED, states, seed)[0]
    found: dict[str, Any] = {"prompt": prompt.text, "names_color": prompt.first is not None}
    for name, sampler in TRIED.items():
        latent, seconds = latents(models, loop, sampler, states, seed)
        try:
            seen = judged(sharp_it.decode_coarse_mesh(models, latent), prompt, seed)
        except EmptyShape:
            seen = {"right_family": False, "score": 0.0, "main_color": None}
        found[name] = {"seconds": seconds, "distance": float(np.sqrt(np.square(latent - truth).mean() / np.square(truth).mean())),
                       "family": seen["right_family"], "score": seen["score"], "color": seen["main_color"] == prompt.first}
    return found


def page(document: dict[str, Any]) -> str:
    """The Markdown page."""
    records, rows = document["records"], []
    for name in TRIED:
        each = [record[name] for record in records]
        named = [record[name]["color"] for record in records if record["names_color"]]
        base = next(iter(TRIED))
        apart = [record[name]["score"] - record[base]["score"] for record in records]
        rows.append([name, figure(_mean(each, "seconds"), ".2f"), figure(_mean(each, "distance")), f"{_mean(each, 'family'):.0%}",
                     f"{np.mean(named):.0%}", figure(_mean(each, "score")), f"{np.mean(apart):+.3f} +- {_error(apart):.3f}"])
    heading = ["sampler, steps", "processor, s", "distance to 40 steps", "right kind", "main colour right", "F-score",
               "against the first"]
    return "\n\n".join([
        f"# Samplers for the coarse shape of the pack {document['pack']['name']} {document['pack']['version']}",
        f"Pack {document['pack']['sha256'][:16]}; {len(records)} prompts; {document['machine']['processor']}, one thread. The "
        "protocol is in `benchmarks/quality/samplers.py`; the last column is the mean difference of the F-scores and its standard error.",
        table(heading, rows), *document.get("notes", [])])


def _mean(records: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([record[name] for record in records]))


def _error(values: list[float]) -> float:
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", default="props")
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    plain = held_out(args.prompts - args.prompts * 2 // 5)
    asked = [*plain, *paraphrases()[:args.prompts - len(plain)]]
    with Pipeline.open(args.pack, threads=1) as pipe:
        manifest = pipe.pack.manifest
        about = {"name": manifest.name, "version": manifest.version, "sha256": pipe.pack.hash}
        fresh = {"pack": about, "machine": machine(), "records": []}
        results = Results(args.out, "samplers", fresh, page, fixed=("pack",))
        for seed, prompt in enumerate(asked):
            if seed >= len(results.document["records"]):
                results.document["records"].append(measure(pipe.models, prompt, seed))
                results.save()
    print(results.page())


if __name__ == "__main__":
    main()
