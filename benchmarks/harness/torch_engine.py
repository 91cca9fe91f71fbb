"""A component as PyTorch runs it, eager or compiled with CUDA graphs: the skeleton's module with the weights of the pack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from meshwright.engines import Engine, EngineSpec
from meshwright.engines.engine import NEXT
from meshwright.engines.onnxruntime.weights import ModelWeights
from meshwright.export.onnx.weight_names import TRANSPOSED

# Uploads of arrays of so many bytes are kept, a few of them: a field is asked many times about the same planes. Weights without a name
# that have fewer values are constants.
LARGE, KEPT, LEAST = 1 << 20, 4, 16


class TorchEngine(Engine):
    """Inputs come from the host and outputs go there, but for a scan's carry, which stays until its end."""

    def __init__(self, module: Path, model: Path, spec: EngineSpec, device: str, compiled: bool) -> None:
        made = torch.load(module, weights_only=False)  # our own file, from the skeletons
        self.spec, self._device, self._compiled, self._names, self._outputs = spec, device, compiled, made["inputs"], made["outputs"]
        self.module = take_weights(made["module"].eval(), model).to(device)
        self._call = torch.compile(self.module, mode="reduce-overhead") if compiled else self.module
        self._kept: dict[int, tuple[np.ndarray, torch.Tensor]] = {}

    def ready(self, inputs: Mapping[str, np.ndarray]) -> Callable[[], Any]:
        """What evaluates the module once on inputs that lie on the device, and waits for nothing."""
        tensors = [self._tensor(inputs[name]) for name in self._names]
        return lambda: self._evaluated(tensors)

    def operations(self, inputs: Mapping[str, np.ndarray]) -> int:
        """Of floating point, as PyTorch counts matrix products, convolutions and attention in one evaluation."""
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            self.module(*(self._tensor(inputs[name]) for name in self._names))
        return counter.get_total_flops()

    def _run(self, inputs, axes, keep) -> dict[str, np.ndarray]:
        return {name: tensor.cpu().numpy() for name, tensor in zip(self._outputs, self.ready(inputs)(), strict=True)}

    def _scan(self, carry, per_step, constants, axes, steps, on_step, keep) -> dict[str, np.ndarray]:
        state, fixed, rows = ({name: self._tensor(value) for name, value in each.items()} for each in (carry, constants, per_step))
        for i in range(steps):
            given = {**state, **fixed, **{name: value[i] for name, value in rows.items()}}
            made = dict(zip(self._outputs, self._evaluated([given[name] for name in self._names]), strict=True))
            # A compiled graph writes its outputs to the same place each time, which its next inputs must not be.
            state = {name: made[name + NEXT].clone() if self._compiled else made[name + NEXT] for name in state}
            on_step(i + 1, steps)
        return {name: tensor.cpu().numpy() for name, tensor in state.items()}

    def _evaluated(self, tensors: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        if self._compiled:
            torch.compiler.cudagraph_mark_step_begin()
        with torch.inference_mode():
            outputs = self._call(*tensors)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def _tensor(self, value: np.ndarray) -> torch.Tensor:
        if id(value) in self._kept:
            return self._kept[id(value)][1]
        tensor = torch.from_numpy(np.array(value)).to(self._device)
        if value.nbytes >= LARGE:  # the array is kept with its copy, so that no other gets its id
            self._kept = dict([*self._kept.items(), (id(value), (value, tensor))][-KEPT:])
        return tensor


def take_weights(module: nn.Module, model: Path) -> nn.Module:
    """Give a module the weights of the graph that was exported from it: by name, and those that the exporter folded into another shape
    by their number of values, in order. Of what the graph does not have under its name, only outlines are looked for: tensors in which one
    number stands for all values.
    """
    stored, left = dict(ModelWeights(model).stored), []
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        names = [f"module.{name}{turned}{half}" for turned in ("", TRANSPOSED) for half in ("", ".half")]
        found = next((each for each in names if each in stored), None)
        if found is None:
            left += [tensor] if tensor.untyped_storage().nbytes() < tensor.nbytes else []
            continue
        values = stored.pop(found).read()
        tensor.data = _like(tensor, values.T if TRANSPOSED in found[len(names[0]):] else values)
    unnamed = {name: weight for name, weight in stored.items() if not name.startswith("module.") and np.prod(weight.shape) >= LEAST}
    for tensor in (each for each in left if each.numel() >= LEAST):
        match = next((name for name, weight in unnamed.items() if np.prod(weight.shape) % tensor.numel() == 0
                      and (weight.dtype.kind == "f") == tensor.is_floating_point()), None)
        if match is not None:
            tensor.data = _like(tensor, unnamed.pop(match).read().ravel()[:tensor.numel()])
    return module.requires_grad_(False)


def _like(tensor: torch.Tensor, values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).reshape(tensor.shape).to(tensor.dtype)
