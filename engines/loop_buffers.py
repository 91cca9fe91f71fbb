"""The buffers of one scan on a GPU: made once, so that no address changes between its steps, nor from scan to scan."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .cuda.memory import DeviceArray, DeviceMemory
from .engine import NEXT, Array, Tensors

# Slices start at multiples of it: vendors' kernels load whole vectors from aligned addresses.
ALIGNMENT = 256


class LoopBuffers:
    """Step i reads carry set i % 2 and writes the other; its slice of a stacked buffer is an address into it.

    steps : N, from 1
    """

    def __init__(self, memory: DeviceMemory, carry: Tensors, per_step: Tensors, constants: Tensors,
                 others: Mapping[str, DeviceArray]) -> None:
        """carry, per_step, constants : as in `scan`, for their shapes only. others : empty arrays for outputs that no step needs."""
        self.memory, self.steps = memory, len_of(per_step)
        self._carries = [{name: memory.empty(value.shape, value.dtype) for name, value in carry.items()} for _ in range(2)]
        self._constants = {name: memory.empty(value.shape, value.dtype) for name, value in constants.items()}
        self._slices = {name: _Slices(memory, value.shape, value.dtype) for name, value in per_step.items()}
        self._others = dict(others)

    def fill(self, carry: Tensors, per_step: Tensors, constants: Tensors) -> None:
        """Copy the arguments of a scan in."""
        for name, value in carry.items():
            copy_in(value, self._carries[0][name])
        for name, value in constants.items():
            copy_in(value, self._constants[name])
        for name, value in per_step.items():
            self._slices[name].fill(value)

    def refill(self, carry: Tensors) -> None:
        """Copy in only what a scan overwrites."""
        for name, value in carry.items():
            copy_in(value, self._carries[0][name])

    def addresses(self, i: int) -> dict[str, int]:
        """Of every input and output of step i, by name."""
        before, after = self._carries[i % 2], self._carries[1 - i % 2]
        return {**{name: array.address for name, array in {**self._constants, **before, **self._others}.items()},
                **{name + NEXT: array.address for name, array in after.items()},
                **{name: slices.address(i) for name, slices in self._slices.items()}}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every input of a step, by name."""
        return {**{name: array.shape for name, array in {**self._constants, **self._carries[0]}.items()},
                **{name: slices.shape for name, slices in self._slices.items()}}

    def result(self, keep: bool) -> dict[str, Array]:
        """The carry after the last step, in arrays of the caller's own: the buffers go on being used."""
        carry = self._carries[self.steps % 2]
        return {name: _copy(array) if keep else array.numpy() for name, array in carry.items()}

    def carry_after(self, steps: int) -> dict[str, np.ndarray]:
        """The carry that step `steps` has written, on the host."""
        return {name: array.numpy() for name, array in self._carries[steps % 2].items()}

    def close(self) -> None:
        """Give the memory back."""
        for array in (*self._carries[0].values(), *self._carries[1].values(), *self._constants.values(), *self._others.values()):
            array.close()
        for slices in self._slices.values():
            slices.close()


class _Slices:
    """The slices of a per-step array in one buffer, each at an aligned offset."""

    def __init__(self, memory: DeviceMemory, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.shape = tuple(shape[1:])
        self._size = int(np.prod(self.shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        self._stride = max(ALIGNMENT, -(-self._size // ALIGNMENT) * ALIGNMENT)
        self._stacked = memory.empty((shape[0], self._stride), np.uint8)

    def fill(self, value: Array) -> None:
        if isinstance(value, DeviceArray):
            for i in range(value.shape[0]):
                value.memory.cuda.copy(value.address + i * self._size, self.address(i), self._size)
            return
        padded = np.zeros(self._stacked.shape, np.uint8)
        padded[:, :self._size] = value.reshape(len(value), -1).view(np.uint8)
        copy_in(padded, self._stacked)

    def address(self, i: int) -> int:
        return self._stacked.address + i * self._stride

    def close(self) -> None:
        self._stacked.close()


def copy_in(value: Array, target: DeviceArray) -> None:
    """Copy an array of the host or of the same GPU over `target`, which has its shape and dtype."""
    cuda = target.memory.cuda
    if isinstance(value, DeviceArray):
        cuda.copy(value.address, target.address, target.nbytes)
    else:
        cuda.upload(value, target.address)


def len_of(per_step: Tensors) -> int:
    """N of a scan's checked arguments."""
    return next(iter(per_step.values())).shape[0]


def key_of(carry: Tensors, per_step: Tensors, constants: Tensors) -> str:
    """What a scan's loop is known by: steps and shapes, and, for two of the same shapes, which tensors it carries."""
    shapes = sorted(shapes_of(carry, per_step, constants).items())
    listed = "; ".join(f"{name} {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in shapes)
    return f"{len_of(per_step)} steps; {listed}; carries {' '.join(sorted(carry))}; each step {' '.join(sorted(per_step))}"


def shapes_of(carry: Tensors, per_step: Tensors, constants: Tensors) -> dict[str, tuple[int, ...]]:
    """Of every input of one step, by name."""
    return {**{name: value.shape for name, value in {**carry, **constants}.items()},
            **{name: value.shape[1:] for name, value in per_step.items()}}


def _copy(array: DeviceArray) -> DeviceArray:
    copy = array.memory.empty(array.shape, array.dtype)
    copy_in(array, copy)
    return copy
