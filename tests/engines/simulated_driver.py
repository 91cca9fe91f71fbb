"""Stands in for NVIDIA's driver library where none can be had: real C functions, made by ctypes, that answer what they are told to."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

Int, Text, Pointer, Size = ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
MAJOR, MINOR = 75, 76


@dataclass(frozen=True)
class Card:
    """A GPU, and the CUDA error with which it answers the question for its free memory."""

    name: str = "Simulated GPU"
    capability: tuple[int, int] = (8, 9)
    total: int = 24 << 30
    free: int = 20 << 30
    no_context: int = 0


class SimulatedDriver:
    """The functions of the CUDA driver API that `cuda_driver.Driver` calls.

    held : contexts that were not given back; contexts : the numbers of the cards that one was made on, in order
    """

    def __init__(self, *cards: Card, init: int = 0, cuda: int = 13000) -> None:
        self.held, self.contexts = 0, []

        def name(text: int, length: int, device: int) -> int:
            ctypes.memmove(text, cards[device].name.encode() + b"\0", len(cards[device].name.encode()) + 1)
            return 0

        def attribute(value: int, which: int, device: int) -> int:
            return put(Int, value, cards[device].capability[{MAJOR: 0, MINOR: 1}[which]])

        def retain(context: int, device: int) -> int:
            self.held += not cards[device].no_context
            self.contexts.append(device)
            return cards[device].no_context or put(Pointer, context, 1000 + device)

        def push(context: int) -> int:
            self._current = context - 1000
            return 0

        def memory(free: int, total: int) -> int:
            return put(Size, free, cards[self._current].free) or put(Size, total, cards[self._current].total)

        def bus(text: int, length: int, device: int) -> int:
            ctypes.memmove(text, f"0000:{device:02x}:00.0".encode() + b"\0", 13)
            return 0

        def release(device: int) -> int:
            self.held -= 1
            return 0

        self.cuInit = function(lambda flags: init, Int)
        self.cuDriverGetVersion = function(lambda version: put(Int, version, cuda), Pointer)
        self.cuDeviceGetCount = function(lambda count: put(Int, count, len(cards)), Pointer)
        self.cuDeviceGet = function(lambda device, index: put(Int, device, index) if index < len(cards) else 101, Pointer, Int)
        self.cuDeviceGetName = function(name, Pointer, Int, Int)
        self.cuDeviceGetAttribute = function(attribute, Pointer, Int, Int)
        self.cuDeviceTotalMem_v2 = function(lambda size, device: put(Size, size, cards[device].total), Pointer, Int)
        self.cuDeviceGetPCIBusId = function(bus, Pointer, Int, Int)
        self.cuDevicePrimaryCtxRetain = function(retain, Pointer, Int)
        self.cuCtxPushCurrent_v2 = function(push, Pointer)
        self.cuMemGetInfo_v2 = function(memory, Pointer, Pointer)
        self.cuCtxPopCurrent_v2 = function(lambda context: 0, Pointer)
        self.cuDevicePrimaryCtxRelease_v2 = function(release, Int)


class SimulatedNvml:
    """The functions of NVML that `nvml.Nvml` calls. It knows the cards in order, and processes on each by their ids.

    processes : for each card, bytes by the id of the process
    """

    def __init__(self, *cards: Card, version: str = "580.65.06", init: int = 0, processes: tuple[dict[int, int], ...] = ()) -> None:
        def answer(text: int, length: int) -> int:
            ctypes.memmove(text, version.encode() + b"\0", len(version) + 1)
            return 0

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
        self.nvmlSystemGetDriverVersion = function(answer, Pointer, Int)
        self.nvmlDeviceGetHandleByPciBusId_v2 = function(card, Text, Pointer)
        self.nvmlDeviceGetMemoryInfo = function(memory, Pointer, Pointer)
        self.nvmlDeviceGetComputeRunningProcesses_v3 = function(running, Pointer, Pointer, Pointer)


def function(answer, *types):
    return ctypes.CFUNCTYPE(Int, *types)(answer)


def put(kind: type, address: int, value: int) -> int:
    kind.from_address(address).value = value
    return 0
