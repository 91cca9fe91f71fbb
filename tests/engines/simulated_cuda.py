"""Stands in for `engines.cuda.device.Cuda` where there is no GPU: the same methods over host memory, each call written down.

What is asked of the stream is done at once, or, during a capture, recorded and done at each launch of the graph. What CUDA
refuses in a capture is refused here, memory is checked for every address, and time passes only as the test says.
"""

from __future__ import annotations

import ctypes
import itertools
from dataclasses import dataclass, field
from types import SimpleNamespace
from weakref import WeakValueDictionary

import numpy as np

from meshwright.engines.cuda.device import Cuda

FIRST_STREAM = 4242
ALIGNMENT = 256


_streams = itertools.count(FIRST_STREAM)
# What runs on the stream of that address; vendors' libraries know their GPU by nothing else.
BY_STREAM: WeakValueDictionary[int, SimulatedCuda] = WeakValueDictionary()


@dataclass
class SimulatedGraph:
    cuda: SimulatedCuda
    work: list
    closed: bool = False

    def launch(self):
        assert not self.closed
        with self.cuda.translate_errors("the CUDA graph did not start"):
            self.cuda.call("launch")
        self.cuda.clock += self.cuda.graph_ms
        for each in self.work:
            each()

    def close(self):
        self.cuda.call("close graph")
        self.closed = True


@dataclass
class SimulatedEvent:
    """clock : milliseconds; copies : from the host that had been asked for when it was recorded"""

    clock: float
    copies: int


@dataclass
class SimulatedHostBuffer:
    cuda: SimulatedCuda
    address: int
    array: np.ndarray

    def close(self):
        if self.array.size:
            self.cuda.call("free host", self.array.size)
            assert self.cuda.lost or all(buffer is not self for buffer, _ in self.cuda.under_way), "given back while it is copied from"
            self.array = np.empty(0, np.uint8)
            del self.cuda.host[self.address]


@dataclass
class SimulatedCuda(Cuda):
    """step_ms, graph_ms : that a kernel, and a graph of any size, take. total : bytes of the card

    others : bytes that other programs hold of it; tells : whether it is known what this process holds
    refuses : names of methods that fail from now on; breaks : whether the GPU is lost when something fails
    """

    step_ms: float = 1.0
    graph_ms: float = 0.5
    total: int = 1 << 30
    others: int = 0
    tells: bool = True
    low_priority: bool = False
    refuses: set = field(default_factory=set)
    breaks: bool = False

    def __post_init__(self):
        self.device, self.stream, self.lost = 0, next(_streams), None
        self._device = SimpleNamespace(set_current=lambda: None)
        BY_STREAM[self.stream] = self
        self.calls, self.clock, self.closed = [], 0.0, False
        self.blocks = {}
        self.vendors = 0  # bytes that libraries have taken by themselves
        self.recording = None
        self.host = {}  # bytes of page-locked memory, by address
        self.under_way, self.copies = [], 0  # copies from there that nobody has waited for, with what was to be copied

    def call(self, name, *details):
        self.calls.append((name, *details))
        assert not self.closed, f"{name} after the stream was closed"
        if name in self.refuses:
            raise RuntimeError(f"simulated failure of {name}")

    def names(self):
        return [call[0] for call in self.calls]

    def allocate(self, nbytes):
        with self.translate_errors(f"{nbytes:,} bytes of GPU memory could not be allocated"):
            self.call("allocate", nbytes)
            self._not_recording("allocate")
            if sum(size for size, _ in self.blocks.values()) + nbytes > self.total:
                raise RuntimeError("CUDA_ERROR_OUT_OF_MEMORY (2)")
            held = np.full(nbytes + ALIGNMENT, 0xCD, np.uint8)  # what was never written is not a number
            address = -(-held.ctypes.data // ALIGNMENT) * ALIGNMENT
            self.blocks[address] = nbytes, held
            return address

    def free(self, address):
        self.call("free", self.blocks.pop(address)[0])

    def upload(self, source, address):
        with self.translate_errors("an array could not be copied to the GPU"):
            self.call("upload", address, source.nbytes)
            self._not_recording("upload")
            self.view(address, source.nbytes)[:] = np.frombuffer(source.tobytes(), np.uint8)

    def download(self, address, target):
        with self.translate_errors("an array could not be copied from the GPU"):
            self.call("download", address, target.nbytes)
            self._not_recording("download")
            target.reshape(-1).view(np.uint8)[:] = self.view(address, target.nbytes)

    def allocate_host(self, nbytes):
        with self.translate_errors(f"{nbytes:,} bytes of page-locked memory could not be allocated"):
            self.call("allocate host", nbytes)
            self._not_recording("allocate host")
            array = np.full(nbytes, 0xCD, np.uint8)
            self.host[array.ctypes.data] = nbytes
            return SimulatedHostBuffer(self, array.ctypes.data, array)

    def copy_from_host(self, buffer, target, nbytes):
        with self.translate_errors("an array could not be copied to the GPU"):
            self.call("rows", target, nbytes)
            self._not_recording("copy_from_host")
            self.under_way.append((buffer, buffer.array[:nbytes].copy()))
            self.copies += 1
            self.view(target, nbytes)[:] = buffer.array[:nbytes]

    def copy(self, source, target, nbytes):
        with self.translate_errors("an array could not be copied on the GPU"):
            self.call("copy", source, target, nbytes)
            self.do(lambda: np.copyto(self.view(target, nbytes), self.view(source, nbytes)), 0.0)

    def synchronise(self):
        with self.translate_errors("the GPU did not finish its work"):
            self.call("synchronise")
            self._not_recording("synchronise")
            self._done(self.copies)

    def capture(self, work):
        with self.translate_errors("a CUDA graph could not be captured"):
            self.call("begin capture")
            self.recording = []
            try:
                work()
                self.call("end capture")
                return SimulatedGraph(self, self.recording)
            finally:
                self.recording = None

    def record(self):
        self.call("record")
        return SimulatedEvent(self.clock, self.copies)

    def wait(self, event):
        with self.translate_errors("the GPU did not finish its work"):
            self.call("wait")
            self._not_recording("wait")
            self._done(event.copies)

    def milliseconds(self, first, last):
        self._done(last.copies)
        return last.clock - first.clock

    def _done(self, copies):
        """Copies from the host up to that one are over; what they read must not have changed meanwhile."""
        while self.under_way and self.copies - len(self.under_way) < copies:
            buffer, content = self.under_way.pop(0)
            assert np.array_equal(buffer.array[:content.size], content), "rows were overwritten while they were copied"

    def free_bytes(self):
        used = sum(size for size, _ in self.blocks.values())
        return self.total - used - self.vendors - self.others, self.total

    def process_bytes(self):
        return sum(size for size, _ in self.blocks.values()) + self.vendors if self.tells else None

    def close(self):
        self.call("close")
        self.closed = True

    def _stopped(self):
        return self.breaks

    def do(self, work, milliseconds):
        """What a kernel does, for the vendors' libraries that are simulated too."""
        if self.recording is not None:
            self.recording.append(work)
        else:
            self.clock += milliseconds
            work()

    def view(self, address, nbytes):
        """Memory as bytes; fails for what was never allocated, or was given back to the driver."""
        for start, (size, _) in self.blocks.items():
            if start <= address and address + nbytes <= start + size:
                return np.frombuffer((ctypes.c_uint8 * nbytes).from_address(address), np.uint8) if nbytes else np.empty(0, np.uint8)
        raise AssertionError(f"no memory of {nbytes} bytes at {address}")

    def _not_recording(self, name):
        if self.recording is not None:
            raise RuntimeError(f"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (900): {name}")
