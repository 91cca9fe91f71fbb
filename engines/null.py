"""An engine without a model: outputs of the right shapes and dtypes, one fixed value each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .engine import Array, Engine, Tensors
from .spec import Axes, EngineSpec


class NullEngine(Engine):
    """Checks its inputs as every engine does, computes nothing, needs no hardware. For tests of what uses engines.

    fill : the value of every element of every output, or one value for each output by name (0 where it has none)
    axes : lengths of named axes that stand in outputs only (1 where it has none)
    """

    def __init__(self, spec: EngineSpec, fill: float | Mapping[str, float] = 0.0, axes: Axes | None = None) -> None:
        self.spec, self._axes = spec, dict(axes or {})
        by_name = fill if isinstance(fill, Mapping) else {tensor.name: fill for tensor in spec.outputs}
        self._fill = {tensor.name: by_name.get(tensor.name, 0.0) for tensor in spec.outputs}

    def _run(self, inputs: Tensors, axes: Axes, keep: frozenset[str]) -> dict[str, Array]:
        named = {axis: 1 for tensor in self.spec.outputs for axis in tensor.shape if isinstance(axis, str)}
        known = {**named, **self._axes, **axes}
        shapes = {tensor: tuple(known[axis] if isinstance(axis, str) else axis for axis in tensor.shape) for tensor in self.spec.outputs}
        return {tensor.name: np.full(shape, self._fill[tensor.name], tensor.dtype) for tensor, shape in shapes.items()}
