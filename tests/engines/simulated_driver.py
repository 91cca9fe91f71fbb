"""Stands in for NVIDIA's driver library where none can be had: real C functions, made by ctypes, over host memory."""

import ctypes
import itertools
import threading
from collections import Counter
from dataclasses import dataclass

Int, Text, Pointer, Size = ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
MAJOR, MINOR = 75, 76
STREAM, ALIGNMENT = 0x5000, 256
INVALID, OUT_OF_MEMORY, NO_DEVICE, NO_CONTEXT, NOT_CAPTURING, UNSUPPORTED_IN_CAPTURE, INVALIDATED = 1, 2, 101, 201, 401, 900, 901
ERRORS = {700: b"CUDA_ERROR_ILLEGAL_ADDRESS"}


@dataclass(frozen=True)
class Card:
    """A GPU, and the CUDA error with which it refuses a context."""

    name: str = "Simulated GPU"
    capability: tuple[int, int] = (8, 9)
    total: int = 24 << 30
    free: int = 20 << 30
    no_context: int = 0


class SimulatedDriver:
    """The functions of the CUDA driver API that `cuda.driver.Driver` and cuda-core call, the latter through `SHIM`; there is one stream.

    A capture records copies on the device and does them when its graph is launched; a copy takes 2 ms, a graph 1 ms.
    held : contexts that were not given back; contexts : the numbers of the cards that one was made on, in order
    fails : what a function answers from now on, by its name; counts : how often each was called
    """

    def __init__(self, *cards: Card, init: int = 0, cuda: int = 13000) -> None:
        self.cards, self.held, self.contexts = cards, 0, []
        self.fails, self.counts = {"cuInit": init}, Counter()
        self._handles, self._memory, self._objects, self._texts = itertools.count(0x6000), {}, {}, []
        self._thread, self._clock, self._priority = threading.local(), 0.0, 0
        self._graph, self._invalid = None, False  # of a capture that is under way

        # Which cards there are.
        self._add("cuInit", lambda flags: 0, Int)
        self._add("cuDriverGetVersion", lambda version: put(Int, version, cuda), Pointer)
        self._add("cuDeviceGetCount", lambda count: put(Int, count, len(cards)), Pointer)
        self._add("cuDeviceGet", lambda device, index: put(Int, device, index) if index < len(cards) else NO_DEVICE, Pointer, Int)
        self._add("cuDeviceGetName", lambda text, length, device: write_text(text, cards[device].name), Pointer, Int, Int)
        self._add("cuDeviceGetAttribute", lambda value, which, device: put(
            Int, value, dict(zip((MAJOR, MINOR), cards[device].capability, strict=True)).get(which, 1)), Pointer, Int, Int)
        self._add("cuDeviceTotalMem", lambda size, device: put(Size, size, cards[device].total), Pointer, Int)
        self._add("cuDeviceGetPCIBusId", lambda text, length, device: write_text(text, f"0000:{device:02x}:00.0"), Pointer, Int, Int)
        # Contexts: which one is current differs from thread to thread.
        self._add("cuDevicePrimaryCtxRetain", self._retain, Pointer, Int)
        self._add("cuDevicePrimaryCtxRelease", self._release, Int)
        for name in ("cuCtxSetCurrent", "cuCtxPushCurrent"):
            self._add(name, lambda context: setattr(self._thread, "context", context), Pointer)
        for name in ("cuCtxGetCurrent", "cuCtxPopCurrent"):
            self._add(name, lambda context: put(Pointer, context, self._current), Pointer)
        self._add("cuCtxGetDevice", lambda device: put(Int, device, self._current - 1000), Pointer)
        self._add("cuCtxGetId", lambda context, number: put(ctypes.c_uint64, number, 7), Pointer, Pointer)
        self._add("cuCtxGetStreamPriorityRange", lambda least, most: put(Int, least, 2) or put(Int, most, -5), Pointer, Pointer)
        self._add("cuCtxSynchronize", lambda: UNSUPPORTED_IN_CAPTURE if self._capturing else 0)
        # The stream, and events on it.
        self._add("cuStreamCreateWithPriority", self._create_stream, Pointer, Int, Int)
        self._add("cuStreamGetPriority", lambda stream, priority: put(Int, priority, self._priority), Pointer, Pointer)
        self._add("cuStreamGetCtx", lambda stream, context: put(Pointer, context, self._current), Pointer, Pointer)
        self._add("cuStreamSynchronize", lambda stream: self._not_in_a_capture() or self._needs_context(), Pointer)
        self._add("cuEventCreate", lambda event, flags: put(Pointer, event, self._new(0.0)) or bool(flags & 2), Pointer, Int)
        self._add("cuEventRecord", lambda event, stream: self._objects.update({event: self._clock}), Pointer, Pointer)
        self._add("cuEventElapsedTime", lambda milliseconds, first, last: put(
            ctypes.c_float, milliseconds, self._objects[last] - self._objects[first]), Pointer, Pointer, Pointer)
        # Memory.
        self._add("cuMemGetInfo", self._memory_info, Pointer, Pointer)
        self._add("cuMemAlloc", self._allocate, Pointer, Size)
        self._add("cuMemHostAlloc", lambda address, size, _: self._not_in_a_capture() or self._allocate(address, size), Pointer, Size, Int)
        for name in ("cuMemFree", "cuMemFreeHost"):
            self._add(name, lambda address: self._memory.pop(address) and 0, Pointer)
        copied = (Pointer, Pointer, Size, Pointer)
        self._add("cuMemcpyHtoDAsync", lambda *copy: self._not_in_a_capture() or self._copy(*copy), *copied)
        self._add("cuMemcpyDtoHAsync", self._copy, *copied)
        self._add("cuMemcpyDtoDAsync", self._copy_on_the_device, *copied)
        # Captures and their graphs.
        self._add("cuStreamBeginCapture", self._begin_capture, Pointer, Int)
        self._add("cuStreamIsCapturing", lambda stream, status: put(Int, status, self._status), Pointer, Pointer)
        self._add("cuStreamGetCaptureInfo", lambda stream, status, number, graph, nodes, edges, count: put(
            Int, status, self._status) or put(Pointer, graph, self._graph) or put(Size, count, 0), *[Pointer] * 7)
        self._add("cuStreamEndCapture", self._end_capture, Pointer, Pointer)
        self._add("cuGraphInstantiateWithParams", lambda made, graph, _: put(Pointer, made, self._new(self._objects[graph])),
                  *[Pointer] * 3)
        self._add("cuGraphUpload", lambda graph, stream: stream != STREAM, Pointer, Pointer)
        self._add("cuGraphLaunch", self._launch, Pointer, Pointer)
        self._add("cuUserObjectCreate", lambda made, pointer, *_: put(Pointer, made, pointer), Pointer, Pointer, Pointer, Int, Int)
        for name in ("cuStreamDestroy", "cuEventSynchronize", "cuEventDestroy", "cuGraphDestroy", "cuGraphExecDestroy",
                     "cuUserObjectRelease", "cuGraphRetainUserObject", "cuGraphReleaseUserObject"):
            self._add(name, lambda of: 0, Pointer)
        for name in ("cuGetErrorName", "cuGetErrorString"):
            self._add(name, self._error_text, Int, Pointer)

    def _add(self, name, answer, *types):
        def call(*arguments):
            self.counts[name] += 1
            return self.fails.get(name) or answer(*arguments) or 0

        setattr(self, name, function(call, *types))
        setattr(self, f"{name}_v2", getattr(self, name))

    def address_of(self, name):
        """Of the C function of that name; None where it is not simulated."""
        found = vars(self).get(name)
        return ctypes.cast(found, Pointer).value if found else None

    @property
    def _current(self):
        return getattr(self._thread, "context", None)

    @property
    def _capturing(self):
        return self._graph is not None

    @property
    def _status(self):
        return (2 if self._invalid else 1) if self._capturing else 0

    def _retain(self, context, device):
        self.held += not self.cards[device].no_context
        self.contexts.append(device)
        return self.cards[device].no_context or put(Pointer, context, 1000 + device)

    def _release(self, device):
        self.held -= 1

    def _create_stream(self, stream, flags, priority):
        self._priority = priority
        return put(Pointer, stream, STREAM) or self._needs_context()

    def _memory_info(self, free, total):
        card = self.cards[self._current - 1000]
        return put(Size, free, card.free) or put(Size, total, card.total)

    def _allocate(self, address, size):
        if size > self.cards[0].total:
            return OUT_OF_MEMORY
        held = ctypes.create_string_buffer(size + ALIGNMENT)
        aligned = -(-ctypes.addressof(held) // ALIGNMENT) * ALIGNMENT
        self._memory[aligned] = held
        return put(Pointer, address, aligned) or self._needs_context()

    def _copy(self, target, source, size, stream):
        ctypes.memmove(target, source, size)
        return stream != STREAM

    def _copy_on_the_device(self, *copy):
        self._clock += 2.0
        return self._objects[self._graph].append(copy) if self._capturing else self._copy(*copy)

    def _begin_capture(self, stream, mode):
        if self._capturing or mode != 1:  # thread-local
            return INVALID
        self._graph, self._invalid = self._new([]), False

    def _end_capture(self, stream, graph):
        captured, self._graph = self._graph, None
        if captured is None:
            return NOT_CAPTURING
        put(Pointer, graph, None if self._invalid else captured)
        return INVALIDATED if self._invalid else 0

    def _launch(self, graph, stream):
        self._clock += 1.0
        return any([self._copy(*copy) for copy in self._objects[graph]])

    def _error_text(self, error, text):
        self._texts.append(ctypes.create_string_buffer(ERRORS.get(error, b"CUDA_ERROR_OF_SOME_KIND")))
        put(Pointer, text, ctypes.addressof(self._texts[-1]))

    def _new(self, content):
        handle = next(self._handles)
        self._objects[handle] = content
        return handle

    def _needs_context(self):
        return 0 if self._current else NO_CONTEXT

    def _not_in_a_capture(self):
        self._invalid |= self._capturing
        return UNSUPPORTED_IN_CAPTURE if self._capturing else 0


# A library that asks a `SimulatedDriver` for each function: `simulate` takes the callback that finds them.
SHIM = """
static void *(*find)(const char *);
void simulate(void *(*callback)(const char *)) { find = callback; }
int cuGetProcAddress_v2(const char *name, void **function, int version, unsigned long long flags, int *status) {
    *function = find(name);
    if (status) *status = *function ? 0 : 1;
    return *function ? 0 : 500;
}
int cuGetProcAddress(const char *name, void **function, int version, unsigned long long flags) {
    return cuGetProcAddress_v2(name, function, version, flags, 0);
}
"""


class SimulatedNvml:
    """The functions of NVML that `nvml.Nvml` calls. It knows the cards in order, and processes on each by their ids.

    processes : for each card, bytes by the id of the process
    """

    def __init__(self, *cards: Card, version: str = "580.65.06", init: int = 0, processes: tuple[dict[int, int], ...] = ()) -> None:
        def card(bus: bytes, handle: int) -> int:
            index = int(bus.decode().split(":")[1], 16)
            return put(Pointer, handle, index + 1) if index < len(cards) else 6

        def memory(handle: int, found: int) -> int:
            each = cards[handle - 1]
            numbers = (each.total, each.free, each.total - each.free)
            return any(put(ctypes.c_uint64, found + 8 * i, value) for i, value in enumerate(numbers))

        def running(handle: int, count: int, found: int) -> int:
            for i, (pid, used) in enumerate(processes[handle - 1].items()):
                put(ctypes.c_uint32, found + 24 * i, pid)
                put(ctypes.c_uint64, found + 24 * i + 8, used)
            return put(ctypes.c_uint, count, len(processes[handle - 1]))

        self.nvmlInit_v2 = function(lambda: init)
        self.nvmlSystemGetDriverVersion = function(lambda text, length: write_text(text, version), Pointer, Int)
        self.nvmlDeviceGetHandleByPciBusId_v2 = function(card, Text, Pointer)
        self.nvmlDeviceGetMemoryInfo = function(memory, Pointer, Pointer)
        self.nvmlDeviceGetComputeRunningProcesses_v3 = function(running, Pointer, Pointer, Pointer)


def function(answer, *types):
    return ctypes.CFUNCTYPE(Int, *types)(answer)


def put(kind: type, address: int | None, value: float) -> int:
    """Write an answer where the caller wants it, if it wants it."""
    if address:
        kind.from_address(address).value = value
    return 0


def write_text(address: int, text: str) -> int:
    ctypes.memmove(address, text.encode() + b"\0", len(text.encode()) + 1)
    return 0
