"""How far the bundled pack's refiner drifts where its deep features serve several steps, and what that saves.

    python -m benchmarks.quality.deep_cache --checkpoints DIR --views VIEWS.npz

VIEWS.npz : `coarse_latent` (n, 4, 48, 32), unscaled latents of coarse views. Prints a row for each number of steps and interval; the first
three of the file are taken, without guidance, and with zeros for the text.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from meshwright.export.components.refiner import DeepStep, ShallowStep
from meshwright.export.models.deep_features import DeepFeatures, ShallowUNet
from meshwright.export.props import pack
from meshwright.export.props.training import refiner
from meshwright.export.props.training.loop import averaged
from meshwright.runtime.diffusion.schedules import make_table

STEPS, INTERVALS, COUNT = (12, 28), (1, 2, 3, 5), 3


def drawn(whole: DeepStep, shallow: ShallowStep, coarse: Tensor, steps: int, every: int) -> tuple[Tensor, float]:
    """The latents at the end, from seeded noise, and seconds of the processor."""
    latent = torch.randn(coarse.shape, generator=torch.Generator().manual_seed(0))
    previous, noise, states = torch.zeros_like(latent), torch.zeros_like(latent), torch.zeros(1, 32, 384)
    started = time.process_time()
    for i, row in enumerate(torch.from_numpy(make_table(pack.SCHEDULE, steps, 1.0).rows)):
        if i % every == 0:
            latent, previous, deep = whole(latent, previous, row, noise, states, coarse)
        else:
            latent, previous = shallow(latent, previous, row, noise, states, coarse, deep)
    return latent, time.process_time() - started


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--views", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = averaged(refiner.build(), args.checkpoints / "refiner.pt").eval()
    whole, shallow = DeepStep(DeepFeatures(net), "cross-attention"), ShallowStep(ShallowUNet(net), "cross-attention")
    scaling = pack.latent_scaling(args.checkpoints)
    raw = np.load(args.views)["coarse_latent"][:COUNT].astype(np.float32)
    coarse = torch.from_numpy((raw - np.reshape(scaling.shift, (-1, 1, 1)).astype(np.float32)) * np.float32(scaling.gain))
    for steps in STEPS:
        truth = [drawn(whole, shallow, each[None], steps, 1) for each in coarse]
        for every in INTERVALS:
            made = truth if every == 1 else [drawn(whole, shallow, each[None], steps, every) for each in coarse]
            drift = [float((a - b).square().mean().sqrt() / b.std()) for (a, _), (b, _) in zip(made, truth, strict=True)]
            seconds = np.mean([seconds for _, seconds in made])
            print(f"| {steps} | {every} | {min(drift):.3f} to {max(drift):.3f} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
