"""An array in a GPU's memory: what `keep` leaves there, and what `run` and `scan` take back."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np

from .errors import EngineError

if TYPE_CHECKING:
    from .device_memory import Block, DeviceMemory


class DeviceArray:
    """An array in C order in a `DeviceMemory`. Its memory is used again when it is closed, or no longer referred to.

    memory : that it lies in; shape, dtype, nbytes : as numpy's
    """

    def __init__(self, memory: DeviceMemory, block: Block, shape: tuple[int, ...], dtype: np.dtype | str) -> None:
        self.memory, self.shape, self.dtype = memory, tuple(shape), np.dtype(dtype)
        self._block = block
        self._finalizer = weakref.finalize(self, memory.give_back, block)
        self._finalizer.atexit = False  # the driver takes all memory back with the process

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    @property
    def address(self) -> int:
        """Of the first element. EngineError if the array is closed, or the memory that it lies in."""
        if not self._finalizer.alive or self.memory.is_closed:
            raise EngineError("the device array is closed")
        return self._block.address

    def numpy(self) -> np.ndarray:
        """A copy on the host; waits for the work that fills the array. Raises BackendError, or EngineError if closed."""
        array = np.empty(self.shape, self.dtype)
        self.memory.cuda.download(self.address, array)
        return array

    def close(self) -> None:
        """Give the memory back at once. Closing twice does nothing."""
        self._finalizer()
