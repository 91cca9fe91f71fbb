"""The buffers of one loop on a GPU: made once, so that no address changes between its steps, nor from scan to scan."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from .cuda.device import Cuda
from .cuda.memory import DeviceArray, DeviceMemory
from .engine import NEXT, Array, Tensors
from .errors import BackendError

# Slices start at multiples of it: vendors' kernels load whole vectors from aligned addresses.
ALIGNMENT = 256


class LoopBuffers:
    """The step in slot i reads carry set i % 2 and writes the other, and reads what changes from step to step in slot i.

    slots : steps whose rows lie on the GPU at a time, an even number; 0 before `set_slots`. Nothing here grows with the steps of a scan.
    """

    def __init__(self, memory: DeviceMemory, carry: Tensors, per_step: Tensors, constants: Tensors,
                 others: Mapping[str, DeviceArray]) -> None:
        """carry, per_step, constants : as in `scan`, for their shapes only. others : empty arrays for outputs that no step needs."""
        self.memory, self.slots = memory, 0
        self._carries = [{name: memory.empty(value.shape, value.dtype) for name, value in carry.items()} for _ in range(2)]
        self._constants = {name: memory.empty(value.shape, value.dtype) for name, value in constants.items()}
        self._others = dict(others)
        self._row_shapes = {name: tuple(value.shape[1:]) for name, value in per_step.items()}
        self._sizes = {name: int(np.prod(value.shape[1:], dtype=np.int64)) * value.dtype.itemsize for name, value in per_step.items()}
        self._offsets, self._stride = _laid_out(self._sizes)
        self._rows: DeviceArray | None = None
        self._staging: list[_Staging] = []

    def set_slots(self, slots: int) -> None:
        """Make room for the rows of so many steps. Addresses change."""
        self._give_rows_back()
        self._rows = self.memory.empty((slots, self._stride), np.uint8)
        # Two: while the GPU reads the rows of one block, those of the next are written.
        self._staging = [_Staging(self.memory.cuda, slots, self._stride) for _ in range(2)]
        self.slots = slots

    def fill(self, carry: Tensors, constants: Tensors) -> None:
        """Copy a scan's carry in, to where slot 0 reads it, and its constants."""
        for name, value in carry.items():
            copy_in(value, self._carries[0][name])
        for name, value in constants.items():
            copy_in(value, self._constants[name])

    def load(self, per_step: Tensors, first: int, count: int) -> None:
        """Copy the rows of steps `first` to `first` + `count` - 1 into the slots, after what reads them now. Does not wait for the GPU
        but for the copy before the last."""
        assert self._rows is not None  # `set_slots` comes first
        on_device = {name: value for name, value in per_step.items() if isinstance(value, DeviceArray)}
        if len(on_device) < len(per_step):
            staging = self._staging[0]
            self._staging.reverse()
            rows = staging.rows()
            for name, value in per_step.items():
                if not isinstance(value, DeviceArray):
                    start, size = self._offsets[name], self._sizes[name]
                    rows[:count, start:start + size] = value[first:first + count].reshape(count, -1).view(np.uint8)
            staging.copy_to(self._rows.address, count * self._stride)
        for name, array in on_device.items():
            for slot in range(count):
                array.memory.cuda.copy(array.address + (first + slot) * self._sizes[name], self._slot(slot, name), self._sizes[name])

    def addresses(self, slot: int) -> dict[str, int]:
        """Of every input and output of the step in that slot, by name."""
        before, after = self._carries[slot % 2], self._carries[1 - slot % 2]
        return {**{name: array.address for name, array in {**self._constants, **before, **self._others}.items()},
                **{name + NEXT: array.address for name, array in after.items()},
                **{name: self._slot(slot, name) for name in self._offsets}}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every input and output of a step, by name."""
        return {**{name: array.shape for name, array in {**self._constants, **self._carries[0], **self._others}.items()},
                **{name + NEXT: array.shape for name, array in self._carries[0].items()}, **self._row_shapes}

    def result(self, steps: int, keep: bool) -> dict[str, Array]:
        """The carry after so many steps, in arrays of the caller's own: the buffers go on being used."""
        return {name: _copy(array) if keep else array.numpy() for name, array in self._carries[steps % 2].items()}

    def carry_after(self, steps: int) -> dict[str, np.ndarray]:
        """The carry after so many steps, on the host."""
        return {name: array.numpy() for name, array in self._carries[steps % 2].items()}

    def close(self) -> None:
        """Give the memory back."""
        for array in (*self._carries[0].values(), *self._carries[1].values(), *self._constants.values(), *self._others.values()):
            array.close()
        self._give_rows_back()

    def _slot(self, slot: int, name: str) -> int:
        assert self._rows is not None  # `set_slots` comes first
        return self._rows.address + slot * self._stride + self._offsets[name]

    def _give_rows_back(self) -> None:
        for staging in self._staging:
            staging.close()
        if self._rows is not None:
            self._rows.close()
        self._staging, self._rows, self.slots = [], None, 0


class _Staging:
    """Rows in memory of the host that the GPU reads by itself: a copy from there is not waited for."""

    def __init__(self, cuda: Cuda, slots: int, stride: int) -> None:
        self._cuda, self._buffer = cuda, cuda.allocate_host(slots * stride)
        self._rows = self._buffer.array.reshape(slots, stride)
        self._rows[:] = 0
        self._copied: Any = None

    def rows(self) -> np.ndarray:
        """(slots, stride) uint8 to write to; waits until the last copy from there is done."""
        self._wait()
        return self._rows

    def copy_to(self, address: int, nbytes: int) -> None:
        self._cuda.copy_from_host(self._buffer, address, nbytes)
        self._copied = self._cuda.record()

    def close(self) -> None:
        with suppress(BackendError):  # a GPU that is lost reads nothing any more
            self._wait()
        self._buffer.close()

    def _wait(self) -> None:
        if self._copied is not None:
            self._cuda.wait(self._copied)
            self._copied = None


def _laid_out(sizes: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """Where each tensor of a row begins, and the length of a row, in bytes."""
    offsets, end = {}, 0
    for name, size in sizes.items():
        offsets[name] = end
        end += max(ALIGNMENT, -(-size // ALIGNMENT) * ALIGNMENT)
    return offsets, end


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
    """What a scan's loop is known by: shapes, and, for two of the same shapes, which tensors it carries. Not the number of steps."""
    shapes = sorted(shapes_of(carry, per_step, constants).items())
    listed = "; ".join(f"{name} {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in shapes)
    return f"{listed}; carries {' '.join(sorted(carry))}; each step {' '.join(sorted(per_step))}"


def shapes_of(carry: Tensors, per_step: Tensors, constants: Tensors) -> dict[str, tuple[int, ...]]:
    """Of every input of one step, by name."""
    return {**{name: value.shape for name, value in {**carry, **constants}.items()},
            **{name: value.shape[1:] for name, value in per_step.items()}}


def _copy(array: DeviceArray) -> DeviceArray:
    copy = array.memory.empty(array.shape, array.dtype)
    copy_in(array, copy)
    return copy
