"""Components as PyTorch runs them, eager and in FP32: the modules that a pack was exported from.

The recipe, the schedules and the host's work (meshes, rendering, textures) are the runtime's own on both sides; only what computes a
component differs. So the difference in time is that of the networks and of nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from meshwright.engines import Engine, EngineSpec
from meshwright.export.spec import ComponentSpec


def eager(component: ComponentSpec) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """A function from the inputs of a component to its outputs."""
    module = (component.module if component.reference is None else component.reference).eval().requires_grad_(False)
    names, outputs = [tensor.name for tensor in component.inputs], component.outputs

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            found = module(*(torch.from_numpy(_writable(inputs[name])) for name in names))
        found = found if isinstance(found, tuple) else (found,)
        return {name: tensor.numpy() for name, tensor in zip(outputs, found, strict=True)}

    return run


class EagerEngine(Engine):
    """One component of a pack. spec : of its graph"""

    def __init__(self, component: ComponentSpec, spec: EngineSpec) -> None:
        self.spec, self._call = spec, eager(component)

    def _run(self, inputs, axes, keep) -> dict[str, np.ndarray]:
        return self._call(inputs)


def _writable(array: np.ndarray) -> np.ndarray:
    # PyTorch warns of memory that it must not write to, even if nobody writes.
    return array if array.flags.writeable else array.copy()
