"""Modules that calculate in half precision behind FP32 inputs and outputs, for GPUs."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class InHalf(nn.Module):
    """A copy of `module` in FP16. Float tensors are cast on the way in and back to FP32 on the way out.

    Wrap the network only: schedules, image scalings and sampling positions lose too much in FP16.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = half_copy(module)

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        result = self.module(*(_cast(t, torch.float16) for t in tensors))
        return tuple(_cast(t, torch.float32) for t in result) if isinstance(result, tuple) else _cast(result, torch.float32)


def half_copy(module: nn.Module) -> nn.Module:
    """A copy in FP16 that never exists in FP32: for a network of gigabytes, that would be too much at once."""
    halves: dict[int, Any] = {id(p): nn.Parameter(p.detach().half(), requires_grad=False) for p in module.parameters()}
    halves |= {id(b): b.half() for b in module.buffers() if b.is_floating_point()}
    return copy.deepcopy(module, halves)


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
