"""The same pipeline in PyTorch eager mode: diffusers' modules and ours, with the weights that the pack was made of.

The recipe, the schedules and the host's work (meshes, rendering, textures) are the runtime's own on both sides; only
what computes a component differs. So the difference in time is that of the networks and of nothing else.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from meshwright.engines import Engine, EngineSpec
from meshwright.export.props.pack import components
from meshwright.export.spec import ComponentSpec
from meshwright.runtime.pack.pack import Pack


class EagerEngine(Engine):
    """One component as PyTorch runs it, in FP32."""

    def __init__(self, component: ComponentSpec, spec: EngineSpec) -> None:
        self.spec = spec
        self._names = [tensor.name for tensor in component.inputs]
        self._outputs = component.outputs
        module = component.module if component.reference is None else component.reference
        self._module = module.eval().requires_grad_(False)

    def _run(self, inputs, axes, keep) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            outputs = self._module(*(torch.from_numpy(_writable(inputs[name])) for name in self._names))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return {name: tensor.numpy() for name, tensor in zip(self._outputs, outputs, strict=True)}


class EagerComponents:
    """Makes the engine of each component of a pack from the training checkpoints in a folder."""

    def __init__(self, pack: Pack, checkpoints: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        self._pack, self._components = pack, {spec.kind: spec for spec in components(checkpoints)}

    def __call__(self, kind: str) -> EagerEngine:
        return EagerEngine(self._components[kind], self._pack.component(kind).spec)


def _writable(array: np.ndarray) -> np.ndarray:
    # PyTorch warns of memory that it must not write to, even if nobody writes.
    return array if array.flags.writeable else array.copy()
