"""The one training loop: warm-up and cosine, Muon and AdamW, an average of the weights, checkpoints that resume exactly.

A training ends after a number of steps, or after a number of seconds: then the cosine follows the share of the time that is spent.
"""

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

# Quintic Newton-Schulz iteration; these coefficients raise small singular values fastest.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@dataclass(frozen=True)
class Schedule:
    """steps : optimiser steps in all; lr : AdamW's peak; matrix_lr : Muon's peak (0 trains matrices by AdamW too);
    seconds : of training, in place of the steps; one that is resumed trains so long from there on.
    """

    steps: int
    batch: int
    lr: float = 1e-3
    matrix_lr: float = 0.0
    warmup: int = 100
    ema: float = 0.998
    seed: int = 0
    seconds: float | None = None

    def progress(self, step: int, spent: float = 0.0) -> float:
        """Share of the training, 0 to 1, that is done after `step` steps in `spent` seconds."""
        return min(1.0, step / self.steps if self.seconds is None else spent / self.seconds)

    def factor(self, step: int, spent: float = 0.0) -> float:
        """Share of the peak rate at `step`: linear warm-up, then a cosine down to 2 %."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = self.progress(step, spent)
        if self.seconds is None:
            done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest (semi-)orthogonal matrix to `matrix` (m, n), roughly: singular values end between 0.7 and 1.2."""
    a, b, c = COEFFICIENTS
    x = matrix.bfloat16()
    x = x.mT if matrix.shape[0] > matrix.shape[1] else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = torch.addmm(a * x, b * square + c * square @ square, x)
    return (x.mT if matrix.shape[0] > matrix.shape[1] else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose every matrix is made orthogonal before it is applied (Muon, Jordan et al. 2024), with steps as long as
    AdamW's (root mean square 0.2 lr); decoupled weight decay.

    PyTorch's own takes matrices only; here a convolution counts as the matrix (out, in * its window's size).
    """

    def __init__(self, params, lr: float, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                buffer = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(buffer, group["momentum"]).flatten(1))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.view_as(p), alpha=-0.2 * group["lr"] * max(update.shape) ** 0.5)


def optimizers(module: nn.Module, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for hidden matrices and convolutions, AdamW for embeddings, norms, biases and thin layers."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, p in module.named_parameters():
        # The projections of Shap-E are many small maps in one tensor, a transposed convolution has its axes
        # the other way round: orthogonal as a whole means nothing there.
        hidden = p.ndim in (2, 4, 5) and min(p.shape[:2]) > 8 and "embed" not in name and "projections" not in name and "deconv" not in name
        (matrices if hidden and schedule.matrix_lr else others).append(p)
    made = [torch.optim.AdamW(others, lr=schedule.lr, betas=(0.9, 0.98), weight_decay=0.01)]
    return made + ([Muon(matrices, lr=schedule.matrix_lr)] if matrices else [])


def rng_of(schedule: Schedule, step: int) -> np.random.Generator:
    """The generator of one step: a resumed run draws what an unbroken one would have drawn."""
    return np.random.default_rng((schedule.seed, step))


Loss = Callable[[np.random.Generator], dict[str, Tensor]]


def fit(module: nn.Module, loss: Loss, schedule: Schedule, checkpoint: Path, log_every: int = 20) -> nn.Module:
    """Train until the schedule's end, saving to `checkpoint` every two minutes -> the module holding the averaged weights.

    `loss(rng)` returns named terms; the one called "loss" is minimised. An existing checkpoint is resumed.
    """
    average, opts, step, spent = copy.deepcopy(module).eval().requires_grad_(False), optimizers(module, schedule), 0, 0.0
    if checkpoint.exists():
        step, spent = _load(checkpoint, module, average, opts)
        if schedule.seconds is not None:
            schedule = replace(schedule, seconds=spent + schedule.seconds)
    rates, began, first, terms_of = [[g["lr"] for g in o.param_groups] for o in opts], time.time(), step, []
    before, saved = spent, began
    module.train()
    while schedule.progress(step, spent) < 1:
        torch.manual_seed(schedule.seed * 1_000_003 + step)
        terms = loss(rng_of(schedule, step))
        _advance(module, terms["loss"], opts, rates, schedule.factor(step, spent))
        step += 1
        _follow(average, module, min(schedule.ema, (step + 1) / (step + 10)))
        terms_of.append({name: value.detach() for name, value in terms.items()})
        now = time.time()
        spent = before + now - began
        ended = schedule.progress(step, spent) >= 1
        if len(terms_of) == log_every or ended:
            print(_line(schedule, step, spent, (step - first) / max(now - began, 1e-9), terms_of), flush=True)
            terms_of = []
        if now - saved > 120 or ended:
            _save(checkpoint, module, average, opts, rates, step, spent)
            saved = now
    module.load_state_dict(average.state_dict())
    return module.eval()


def _advance(module: nn.Module, loss: Tensor, opts: list, rates: list, factor: float) -> None:
    """One step of the optimisers, at `factor` of the peak `rates`."""
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    for opt, peaks in zip(opts, rates, strict=True):
        for group, peak in zip(opt.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        opt.step()
        opt.zero_grad(set_to_none=True)


def _line(schedule: Schedule, step: int, spent: float, rate: float, terms_of: list[dict[str, Tensor]]) -> str:
    """A line of the log: where the training stands, and the mean of each term since the last line."""
    end = f"/{schedule.steps}" if schedule.seconds is None else f" {spent:.0f}/{schedule.seconds:.0f} s"
    means = " ".join(f"{name} {float(sum(terms[name] for terms in terms_of)) / len(terms_of):.4f}" for name in terms_of[0])
    return f"{step}{end} {rate:.2f} it/s {means}"


def _follow(average: nn.Module, module: nn.Module, decay: float) -> None:
    with torch.no_grad():
        pairs = list(zip(average.parameters(), module.parameters(), strict=True))
        torch._foreach_lerp_([a for a, _ in pairs], [p.detach() for _, p in pairs], 1 - decay)
        for a, b in zip(average.buffers(), module.buffers(), strict=True):
            a.copy_(b)


def _save(path, module, average, opts, rates, step, spent) -> None:
    for opt, peaks in zip(opts, rates, strict=True):
        for group, peak in zip(opt.param_groups, peaks, strict=True):
            group["lr"] = peak
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save({"module": module.state_dict(), "average": average.state_dict(), "opts": [o.state_dict() for o in opts], "step": step,
                "spent": spent}, part)
    os.replace(part, path)


def _load(path, module, average, opts) -> tuple[int, float]:
    """Steps and seconds so far. A checkpoint of weights alone, as `restore` writes them, is where a training starts from."""
    state = torch.load(path, weights_only=True, map_location=next(module.parameters()).device)
    average.load_state_dict(state["average"])
    if "module" not in state:
        module.load_state_dict(state["average"])
        return 0, 0.0
    module.load_state_dict(state["module"])
    for opt, saved in zip(opts, state["opts"], strict=True):
        opt.load_state_dict(saved)
    return state["step"], state.get("spent", 0.0)


def weights_of(checkpoint: Path) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint, by name."""
    return torch.load(checkpoint, weights_only=True, map_location="cpu")["average"]


def averaged(module: nn.Module, checkpoint: Path) -> nn.Module:
    """The module with the averaged weights of a checkpoint, ready for inference."""
    module.load_state_dict(weights_of(checkpoint))
    return module.eval().requires_grad_(False)


def averaged_part(module: nn.Module, checkpoint: Path, prefix: str) -> nn.Module:
    """The same for a part of what was trained: `prefix` is what its weights' names start with there."""
    module.load_state_dict({key.removeprefix(prefix): value for key, value in weights_of(checkpoint).items() if key.startswith(prefix)})
    return module.eval().requires_grad_(False)
