"""The components of a pack as PyTorch runs them: eager, or compiled with CUDA graphs.

The modules are those that the pack was exported from, in the pack's own precision, so that both sides do the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from meshwright.engines import Engine, EngineSpec
from meshwright.engines.engine import NEXT
from meshwright.export.spec import ComponentSpec
from meshwright.runtime.pack.pack import Pack

from .full_size.job import Job
from .full_size.sizes import SIZES

# Uploads of arrays from this size on are kept: a field is asked many times about the same planes.
LARGE, KEPT = 1 << 20, 4


@dataclass(frozen=True)
class Origin:
    """What a pack was exported from, one of the two.

    checkpoints : folder of the training checkpoints of the bundled pack
    published : folder that `benchmarks.full_size.published` filled, and the size of what is there
    """

    checkpoints: Path | None = None
    published: Path | None = None
    size: str = "full"


class TorchComponents:
    """Makes the engine of each component of a pack. compiled : by torch.compile, whose CUDA graphs are on"""

    def __init__(self, pack: Pack, origin: Origin, device: str, compiled: bool) -> None:
        self._pack, self._device, self._compiled = pack, device, compiled
        self._specs = {spec.kind: spec for spec in _specs(pack, origin)}

    def __call__(self, kind: str) -> TorchEngine:
        return TorchEngine(self._specs.pop(kind), self._pack.component(kind).spec, self._device, self._compiled)


def _specs(pack: Pack, origin: Origin) -> Any:
    if origin.checkpoints is not None:
        from meshwright.export.props.pack import components

        return components(origin.checkpoints)
    half = any(component.compute == "fp16" for component in pack.manifest.components.values())
    recipe = pack.manifest.recipe if pack.manifest.find("field_geometry") else f"{pack.manifest.recipe}-nerf"
    job = Job(recipe, "fp16-compute" if half else "fp32", SIZES[origin.size], origin.published, pack.folder.parent)
    return job.plan().components()


class TorchEngine(Engine):
    """One component. Inputs come from the host and outputs go there, but for a scan's carry, which stays until its end."""

    def __init__(self, component: ComponentSpec, spec: EngineSpec, device: str, compiled: bool) -> None:
        self.spec, self._device, self._compiled = spec, device, compiled
        self._names, self._outputs = [tensor.name for tensor in component.inputs], component.outputs
        self.module = component.module.eval().requires_grad_(False).to(device)
        self._call = torch.compile(self.module, mode="reduce-overhead") if compiled else self.module
        self._mark = torch.compiler.cudagraph_mark_step_begin if compiled else lambda: None
        self._kept: dict[int, tuple[np.ndarray, torch.Tensor]] = {}

    def ready(self, inputs: Mapping[str, np.ndarray]) -> Callable[[], None]:
        """A function that evaluates the module once on inputs that lie on the device, and waits for nothing."""
        tensors = [self._tensor(inputs[name]) for name in self._names]
        return lambda: self._evaluated(tensors)

    def work(self, inputs: Mapping[str, np.ndarray]) -> int:
        """Floating-point operations of one evaluation, as PyTorch counts matrix products, convolutions and attention."""
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            self.module(*(self._tensor(inputs[name]) for name in self._names))
        return counter.get_total_flops()

    def _run(self, inputs, axes, keep) -> dict[str, np.ndarray]:
        outputs = self._evaluated([self._tensor(inputs[name]) for name in self._names])
        return {name: tensor.cpu().numpy() for name, tensor in zip(self._outputs, outputs, strict=True)}

    def _scan(self, carry, per_step, constants, axes, steps, on_step, keep) -> dict[str, np.ndarray]:
        state = {name: self._tensor(value) for name, value in carry.items()}
        fixed = {name: self._tensor(value) for name, value in constants.items()}
        stacked = {name: self._tensor(value) for name, value in per_step.items()}
        for i in range(steps):
            given = {**state, **fixed, **{name: value[i] for name, value in stacked.items()}}
            made = dict(zip(self._outputs, self._evaluated([given[name] for name in self._names]), strict=True))
            # A compiled graph writes its outputs to the same place each time, which its next inputs must not be.
            state = {name: made[name + NEXT].clone() if self._compiled else made[name + NEXT] for name in state}
            on_step(i + 1, steps)
        return {name: tensor.cpu().numpy() for name, tensor in state.items()}

    def _evaluated(self, tensors: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        self._mark()
        with torch.inference_mode():
            outputs = self._call(*tensors)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def _tensor(self, value: np.ndarray) -> torch.Tensor:
        if value.nbytes < LARGE:
            return _upload(value, self._device)
        if id(value) not in self._kept:  # the array is kept with its copy, so that no other gets its id
            self._kept[id(value)] = (value, _upload(value, self._device))
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return self._kept[id(value)][1]


def _upload(value: np.ndarray, device: str) -> torch.Tensor:
    # PyTorch warns of memory that it must not write to, even if nobody writes.
    return torch.from_numpy(value if value.flags.writeable else value.copy()).to(device)
