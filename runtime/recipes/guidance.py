"""Scans of a step model that computes only the halves of guidance that count."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ...engines import Engine
from ...engines.engine import NEXT, Array, OnStep, on_host
from ..diffusion.schedules import COLUMNS
from ..pack.manifest import HALVES

WEIGHT = COLUMNS.index("w")
# Output of a step, and input of the shallow one that takes it from an earlier step.
DEEP = "deep"


@dataclass(frozen=True)
class Reuse:
    """Deep features that serve several steps (DeepCache, arXiv 2312.00858). shallow : the step that takes them; every : 2 or more, how
    often they are computed anew"""

    shallow: Engine
    every: int


def scan_guided(engine: Engine, carry: Mapping[str, Array], per_step: Mapping[str, np.ndarray], constants: Mapping[str, Array], *,
                keep: bool = False, on_step: OnStep, reuse: Reuse | None = None) -> Mapping[str, Array]:
    """As `Engine.scan`, over the rows of a table: neighbouring steps that need as many halves are one scan.

    Tensors with an axis of halves have both of them. At a guidance of 1 the unconditional half has no effect, and is left out where
    the model can do without it.
    """
    rows, is_open = per_step["row"], any(HALVES in tensor.shape for tensor in engine.spec.inputs)
    start = 0
    for end, halves in stretches(rows, is_open):
        part = {name: on_host(_of_halves(engine, name, value[start:end], halves, axis=1)) for name, value in per_step.items()}
        fixed = {name: _of_halves(engine, name, value, halves, axis=0) for name, value in constants.items()}
        told = _counted_from(start, len(rows), on_step)
        if reuse is None:
            carry = engine.scan(carry, part, fixed, keep=keep or end < len(rows), on_step=told)
        else:
            carry = _scan_reusing(engine, reuse, carry, part, fixed, told)
        start = end
    return carry


def run_guided(engine: Engine, row: np.ndarray, inputs: Mapping[str, Array], *, keep: Collection[str] = ()) -> dict[str, Array]:
    """One evaluation at one row (9,) of a table, by as few halves as it needs. keep : as of `Engine.run`"""
    is_open = any(HALVES in tensor.shape for tensor in engine.spec.inputs)
    ((_, halves),) = stretches(row[None], is_open)
    return engine.run({"row": row, **{name: _of_halves(engine, name, value, halves, axis=0) for name, value in inputs.items()}}, keep=keep)


def _scan_reusing(engine: Engine, reuse: Reuse, carry: Mapping[str, Array], per_step: Mapping[str, np.ndarray],
                  constants: Mapping[str, Array], on_step: OnStep) -> Mapping[str, Array]:
    """A whole step, shallow ones, a whole step, and so on. What passes between them stays where the engines keep it."""
    steps, names = len(per_step["row"]), list(carry)
    for start in range(0, steps, reuse.every):
        now = {name: value[start] for name, value in per_step.items()}
        made = engine.run({**carry, **now, **constants}, keep=[*(name + NEXT for name in names), DEEP])
        carry = {name: made[name + NEXT] for name in names}
        on_step(start + 1, steps)
        rest = {name: value[start + 1:start + reuse.every] for name, value in per_step.items()}
        if len(rest["row"]):
            carry = reuse.shallow.scan(carry, rest, {**constants, DEEP: made[DEEP]}, keep=True,
                                       on_step=_counted_from(start + 1, steps, on_step))
    return carry


def _counted_from(before: int, total: int, on_step: OnStep) -> OnStep:
    return lambda step, steps: on_step(before + step, total)


def stretches(rows: np.ndarray, is_open: bool) -> Iterator[tuple[int, int]]:
    """The ends of the stretches of `rows` (N, 9) that need as many halves, and how many: 1 or 2.

    is_open : whether the model takes one half alone
    """
    both = rows[:, WEIGHT] != 1.0 if is_open else np.ones(len(rows), bool)
    for end in range(1, len(rows) + 1):
        if end == len(rows) or both[end] != both[end - 1]:
            yield end, 2 if both[end - 1] else 1


def _of_halves(engine: Engine, name: str, value: Array, halves: int, axis: int) -> Array:
    """The last `halves` of what has an axis of them."""
    tensor = engine.spec.input(name)
    if halves == 2 or tensor is None or HALVES not in tensor.shape:
        return value
    return on_host(value)[-1:] if axis == 0 else on_host(value)[:, -1:]
