"""Scans of a step model that computes only the halves of guidance that count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ...engines import Engine
from ...engines.engine import Array, OnStep, on_host
from ..diffusion.schedules import COLUMNS
from ..pack.manifest import HALVES

WEIGHT = COLUMNS.index("w")


def scan_guided(engine: Engine, carry: Mapping[str, Array], per_step: Mapping[str, np.ndarray], constants: Mapping[str, Array], *,
                keep: bool = False, on_step: OnStep) -> Mapping[str, Array]:
    """As `Engine.scan`, over the rows of a table: neighbouring steps that need as many halves are one scan.

    Tensors with an axis of halves have both of them. At a guidance of 1 the unconditional half has no effect, and is left out where
    the model can do without it.
    """
    rows, is_open = per_step["row"], any(HALVES in tensor.shape for tensor in engine.spec.inputs)
    start = 0
    for end, halves in stretches(rows, is_open):
        part = {name: _of_halves(engine, name, value[start:end], halves, axis=1) for name, value in per_step.items()}
        fixed = {name: _of_halves(engine, name, value, halves, axis=0) for name, value in constants.items()}
        carry = engine.scan(carry, part, fixed, keep=keep or end < len(rows), on_step=_counted_from(start, len(rows), on_step))
        start = end
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
