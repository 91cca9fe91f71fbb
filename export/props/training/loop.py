"""The one training loop: warm-up and cosine, Muon and AdamW, an average of the weights, checkpoints that resume exactly."""

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .muon import Muon


@dataclass(frozen=True)
class Schedule:
    """steps : optimiser steps in all; lr : AdamW's peak; matrix_lr : Muon's peak (0 trains matrices by AdamW too)."""

    steps: int
    batch: int
    lr: float = 1e-3
    matrix_lr: float = 0.0
    warmup: int = 100
    ema: float = 0.998
    seed: int = 0

    def factor(self, step: int) -> float:
        """Share of the peak rate at `step`: linear warm-up, then a cosine down to 2 %."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def optimizers(module: nn.Module, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for hidden matrices and convolutions, AdamW for embeddings, norms, biases and thin layers."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, p in module.named_parameters():
        # The projections of Shap-E are many small maps in one tensor, a transposed convolution has its axes
        # the other way round: orthogonal as a whole means nothing there.
        hidden = p.ndim in (2, 4) and min(p.shape[:2]) > 8 and "embed" not in name and "projections" not in name and "deconv" not in name
        (matrices if hidden and schedule.matrix_lr else others).append(p)
    made = [torch.optim.AdamW(others, lr=schedule.lr, betas=(0.9, 0.98), weight_decay=0.01)]
    return made + ([Muon(matrices, lr=schedule.matrix_lr)] if matrices else [])


def rng_of(schedule: Schedule, step: int) -> np.random.Generator:
    """The generator of one step: a resumed run draws what an unbroken one would have drawn."""
    return np.random.default_rng((schedule.seed, step))


Loss = Callable[[np.random.Generator], dict[str, Tensor]]


def fit(module: nn.Module, loss: Loss, schedule: Schedule, checkpoint: Path, log_every: int = 20) -> nn.Module:
    """Train until `schedule.steps`, saving to `checkpoint` every two minutes -> the module holding the averaged weights.

    `loss(rng)` returns named terms; the one called "loss" is minimised. An existing checkpoint is resumed.
    """
    average, opts, step = copy.deepcopy(module).eval().requires_grad_(False), optimizers(module, schedule), 0
    if checkpoint.exists():
        step = _load(checkpoint, module, average, opts)
    rates, saved, began, first = [[g["lr"] for g in o.param_groups] for o in opts], time.time(), time.time(), step
    sums: dict[str, float] = {}
    module.train()
    while step < schedule.steps:
        torch.manual_seed(schedule.seed * 1_000_003 + step)
        terms = loss(rng_of(schedule, step))
        terms["loss"].backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        for opt, peaks in zip(opts, rates, strict=True):
            for group, peak in zip(opt.param_groups, peaks, strict=True):
                group["lr"] = peak * schedule.factor(step)
            opt.step()
            opt.zero_grad(set_to_none=True)
        step += 1
        _follow(average, module, min(schedule.ema, (step + 1) / (step + 10)))
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if step % log_every == 0:
            rate = (step - first) / (time.time() - began)
            print(f"{step}/{schedule.steps} {rate:.2f} it/s " + " ".join(f"{k} {v / log_every:.4f}" for k, v in sums.items()), flush=True)
            sums = {}
        if time.time() - saved > 120 or step == schedule.steps:
            _save(checkpoint, module, average, opts, rates, step)
            saved = time.time()
    module.load_state_dict(average.state_dict())
    return module.eval()


def _follow(average: nn.Module, module: nn.Module, decay: float) -> None:
    with torch.no_grad():
        pairs = list(zip(average.parameters(), module.parameters(), strict=True))
        torch._foreach_lerp_([a for a, _ in pairs], [p.detach() for _, p in pairs], 1 - decay)
        for a, b in zip(average.buffers(), module.buffers(), strict=True):
            a.copy_(b)


def _save(path, module, average, opts, rates, step) -> None:
    for opt, peaks in zip(opts, rates, strict=True):
        for group, peak in zip(opt.param_groups, peaks, strict=True):
            group["lr"] = peak
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save({"module": module.state_dict(), "average": average.state_dict(), "opts": [o.state_dict() for o in opts], "step": step}, part)
    os.replace(part, path)


def _load(path, module, average, opts) -> int:
    state = torch.load(path, weights_only=True)
    module.load_state_dict(state["module"])
    average.load_state_dict(state["average"])
    for opt, saved in zip(opts, state["opts"], strict=True):
        opt.load_state_dict(saved)
    return state["step"]


def averaged(module: nn.Module, checkpoint: Path) -> nn.Module:
    """The module with the averaged weights of a checkpoint, ready for inference."""
    module.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    return module.eval().requires_grad_(False)


def averaged_part(module: nn.Module, checkpoint: Path, prefix: str) -> nn.Module:
    """The same for a part of what was trained: `prefix` is what its weights' names start with there."""
    state = torch.load(checkpoint, weights_only=True)["average"]
    module.load_state_dict({key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)})
    return module.eval().requires_grad_(False)
