"""The GPU memory of one pipeline: blocks that are taken once from the driver and used again and again."""

from __future__ import annotations

import threading
import weakref
from bisect import insort
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import BackendError, DeviceLost, EngineError

if TYPE_CHECKING:
    from .device import Cuda

MIN_BLOCK = 512
# Sizes between a power of two and the next: blocks are up to an eighth larger than asked for, and fit again more often.
STEPS = 8


@dataclass(frozen=True, order=True)
class Block:
    """size : in bytes, at least what was asked for."""

    size: int
    address: int


class DeviceMemory:
    """A pool of blocks on one GPU, shared by the engines of one pipeline. All of them use the stream of its `cuda`, which it closes.

    That stream's order is what makes reuse safe: a block that is given back while the GPU still reads it is written to
    only by work that was asked for later. Blocks may be given back from any thread.
    """

    def __init__(self, cuda: Cuda, limit: int | None = None) -> None:
        """limit : most bytes that are held at a time, engines' weights included; None for what the card has"""
        self.cuda, self.limit = cuda, limit
        self._lock = threading.Lock()
        self._free: list[Block] = []  # by size
        self._used: set[Block] = set()
        # A block's owner may be collected anywhere, within a method that holds the lock too: appending needs none.
        self._returned: deque[Block] = deque()
        self._weights = 0
        self._peak = 0
        self._closed = False

    @property
    def held_bytes(self) -> int:
        """What the pool holds of the driver, free blocks included, and the weights of its engines."""
        with self._lock:
            return self._held()

    @property
    def peak_bytes(self) -> int:
        """The most that was held since `reset_peak`, or since the beginning."""
        with self._lock:
            return self._peak

    @property
    def is_closed(self) -> bool:
        """Whether the driver has everything back."""
        return self._closed

    def reset_peak(self) -> None:
        """Start the mark anew from what is held now."""
        with self._lock:
            self._peak = self._held()

    def allocate_block(self, nbytes: int) -> Block:
        """A block of at least `nbytes`, aligned to 256 bytes; BackendError where there is too little memory."""
        with self._lock:
            if self._closed:
                raise EngineError("the device memory is closed")
            self._sort_in()
            block = self._fitting(nbytes) or self._new(_rounded(nbytes))
            self._used.add(block)
            return block

    def release(self, block: Block) -> None:
        """Let a block be used again. Never raises."""
        self._returned.append(block)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype | type[np.generic] | str) -> DeviceArray:
        """A new array with arbitrary content."""
        nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        return DeviceArray(self, self.allocate_block(nbytes), shape, dtype)

    def upload(self, array: np.ndarray) -> DeviceArray:
        """A copy of a host array."""
        array = np.ascontiguousarray(array).reshape(array.shape)
        copy = self.empty(array.shape, array.dtype)
        self.cuda.upload(array, copy.address)
        return copy

    def count_weights(self, nbytes: int) -> None:
        """Count what an engine holds of the GPU by itself; less than 0 when it gives that back."""
        with self._lock:
            self._weights += nbytes
            self._peak = max(self._peak, self._held())

    def trim(self) -> None:
        """Give blocks that are not in use back to the driver."""
        with self._lock:
            self._sort_in()
            self._release()

    def close(self) -> None:
        """Give everything back, arrays that are still referred to included: using one of them raises EngineError. Then close
        the stream. The engines have to be closed before."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._sort_in()
                self._free += self._used
                self._used.clear()
                self._release()
                self.cuda.close()

    def _held(self) -> int:
        return sum(block.size for block in self._free) + sum(block.size for block in self._used) + self._weights

    def _sort_in(self) -> None:
        while self._returned:
            block = self._returned.popleft()
            if block in self._used:
                self._used.remove(block)
                insort(self._free, block)

    def _fitting(self, nbytes: int) -> Block | None:
        """The smallest free block that fits, unless most of it would be wasted."""
        wanted = _rounded(nbytes)
        for i, block in enumerate(self._free):
            if wanted <= block.size <= 2 * wanted:
                return self._free.pop(i)
        return None

    def _new(self, size: int) -> Block:
        if self.limit is not None and self._held() + size > self.limit:
            self._release()
            if self._held() + size > self.limit:
                raise BackendError(f"{size:,} more bytes of GPU memory would exceed the limit", received=f"{self._held():,} bytes in use",
                                   expected=f"at most {self.limit:,}")
        try:
            block = Block(size, self.cuda.allocate(size))
        except DeviceLost:
            raise
        except BackendError:  # what lies free in other sizes may be enough
            if not self._free:
                raise
            self._release()
            block = Block(size, self.cuda.allocate(size))
        self._peak = max(self._peak, self._held() + size)
        return block

    def _release(self) -> None:
        if self._free:
            with suppress(BackendError):  # what is asked for may still use them
                self.cuda.synchronise()
        while self._free:
            self.cuda.free(self._free.pop().address)


def _rounded(nbytes: int) -> int:
    """The next of the sizes that blocks have."""
    if nbytes <= MIN_BLOCK:
        return MIN_BLOCK
    step = max(MIN_BLOCK, (1 << (nbytes - 1).bit_length()) // (2 * STEPS))
    return -(-nbytes // step) * step


class DeviceArray:
    """An array in C order in a `DeviceMemory`. Its memory is used again when it is closed, or no longer referred to.

    memory : that it lies in; shape, dtype, nbytes : as numpy's
    """

    def __init__(self, memory: DeviceMemory, block: Block, shape: tuple[int, ...], dtype: np.dtype | type[np.generic] | str) -> None:
        self.memory, self.shape, self.dtype = memory, tuple(shape), np.dtype(dtype)
        self._block = block
        self._finalizer = weakref.finalize(self, memory.release, block)
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
