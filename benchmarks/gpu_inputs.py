"""What the components of a pack are asked in the GPU benchmark: their golden inputs, at the lengths that a run has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from meshwright.runtime.backends.pack_engines import RANGES
from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.diffusion.schedules import make_table
from meshwright.runtime.pack.golden import Golden
from meshwright.runtime.pack.manifest import Component, Diffusion
from meshwright.runtime.pack.pack import Pack

Tensors = dict[str, np.ndarray]
NEXT = "_next"
# Inputs of a step that are fresh at each one; the others stay the same.
PER_STEP = ("row", "noise", "reference_noise")


def loops_of(pack: Pack) -> dict[str, Diffusion]:
    """The step models of a pack and their loops."""
    manifest = pack.manifest
    every = {"prior_step": manifest.prior, "refiner_step": manifest.refiner, "views_step": manifest.multiview}
    return {kind: loop for kind, loop in every.items() if loop is not None and manifest.find(kind) is not None}


def step_inputs(golden: Golden, component: Component) -> Tensors:
    """The golden inputs, repeated along open axes to the length that is made fastest."""
    inputs = golden.inputs(component)
    for tensor in component.spec.inputs:
        for i, axis in enumerate(tensor.shape):
            if axis in RANGES:
                inputs[tensor.name] = lengthened(inputs[tensor.name], i, RANGES[axis].best)
    return inputs


def lengthened(values: np.ndarray, axis: int, length: int) -> np.ndarray:
    """`values` over and over along an axis, in C order."""
    return np.ascontiguousarray(np.take(values, np.arange(length) % values.shape[axis], axis))


def loop_arguments(golden: Golden, component: Component, loop: Diffusion, steps: int) -> tuple[Tensors, Tensors, Tensors]:
    """carry, per_step and constants of a scan, as the recipe's loop has them for seed 0."""
    table, inputs = make_table(dict(loop.schedule), steps, loop.guidance), golden.inputs(component)
    rows = np.ascontiguousarray(table.rows, np.float32)
    carried = [tensor.name for tensor in component.spec.inputs if component.spec.output(tensor.name + NEXT)]
    carry = {name: np.zeros_like(inputs[name]) for name in carried}
    carry["latent"] = (np.float32(table.initial_scale) * normal(0, "benchmark/init", loop.latent_shape)).astype(np.float32)
    fresh = [name for name in PER_STEP if name in inputs and name != "row"]
    per_step = {"row": rows, **{name: normal(0, f"benchmark/{name}", (len(rows), *inputs[name].shape)) for name in fresh}}
    return carry, per_step, _without(inputs, {*carry, *per_step})


def _without(tensors: Mapping[str, np.ndarray], names: set[str]) -> Tensors:
    return {name: value for name, value in tensors.items() if name not in names}
