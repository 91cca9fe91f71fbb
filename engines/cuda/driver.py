"""What NVIDIA's driver library says about the GPUs, asked through ctypes.

The library comes with the driver, so this needs no package; cuda-core and TensorRT ask the same library. Struct-free calls
of the driver API only, each checked: `check` turns a status into a BackendUnavailable, the one error raised here.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import BackendUnavailable

WINDOWS = sys.platform == "win32"
DRIVER, NVML = ("nvcuda.dll", "nvml.dll") if WINDOWS else ("libcuda.so.1", "libnvidia-ml.so.1")
COMPUTE_MAJOR, COMPUTE_MINOR = 75, 76
INSTALL = "install NVIDIA's driver, version 580 or newer; in a container, start it with the GPU passed in"
# CUresult, as cuda.h numbers it: what it means, and what to do. Those that a call made here can end in.
STATUSES = {
    2: ("the GPU's memory is full", "close what else uses the GPU"),
    34: ("a stub of the driver library was loaded", "take the CUDA toolkit's folder of stubs out of the library path"),
    35: ("the driver is older than the CUDA version it is asked for", INSTALL),
    46: ("the GPU is held by another process", "wait for it, or set the GPU's compute mode back to default"),
    100: ("the driver sees no GPU", "check CUDA_VISIBLE_DEVICES; in a container, start it with the GPU passed in"),
    101: ("there is no GPU of that number", "check CUDA_VISIBLE_DEVICES"),
    304: ("the operating system refused the driver a call", "reload the module nvidia_uvm, or restart the machine"),
    802: ("the GPUs are not ready yet", "start NVIDIA's fabric manager"),
    803: ("the driver library and the kernel module are of different versions", "restart the machine"),
    804: ("the driver library is too new for the kernel module on this card", INSTALL),
    999: ("the driver does not say what went wrong", "restart the machine"),
}


class Driver:
    """The driver library, initialised. Devices are counted from 0, as CUDA_VISIBLE_DEVICES leaves them."""

    def __init__(self, library: Any = None) -> None:
        """library : for tests; BackendUnavailable where there is no driver, or it sees no GPU."""
        self._cuda = load(DRIVER) if library is None else library
        check(self._cuda.cuInit(0), "NVIDIA's driver did not start")

    def cuda_version(self) -> tuple[int, int]:
        """The newest CUDA that the driver runs: (13, 0), say."""
        version = ctypes.c_int()
        check(self._cuda.cuDriverGetVersion(ctypes.byref(version)), "the driver's CUDA version")
        return version.value // 1000, version.value % 1000 // 10

    def count(self) -> int:
        """How many GPUs there are."""
        found = ctypes.c_int()
        check(self._cuda.cuDeviceGetCount(ctypes.byref(found)), "the number of GPUs")
        return found.value

    def name(self, index: int) -> str:
        """The card's name."""
        text = ctypes.create_string_buffer(256)
        check(self._cuda.cuDeviceGetName(text, len(text), self._device(index)), f"the name of GPU {index}")
        return text.value.decode("utf-8", "replace")

    def compute_capability(self, index: int) -> tuple[int, int]:
        """(9, 0), say."""
        value, device, found = ctypes.c_int(), self._device(index), []
        for attribute in (COMPUTE_MAJOR, COMPUTE_MINOR):
            check(self._cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device), f"compute capability of GPU {index}")
            found.append(value.value)
        return found[0], found[1]

    def total_bytes(self, index: int) -> int:
        """The memory of the card."""
        size = ctypes.c_size_t()
        check(self._cuda.cuDeviceTotalMem_v2(ctypes.byref(size), self._device(index)), f"the memory of GPU {index}")
        return size.value

    def pci_bus(self, index: int) -> str:
        """Where the card is plugged in, "0000:01:00.0" say."""
        text = ctypes.create_string_buffer(32)
        check(self._cuda.cuDeviceGetPCIBusId(text, len(text), self._device(index)), f"the place of GPU {index}")
        return text.value.decode("ascii", "replace")

    def free_bytes(self, index: int) -> int:
        """What of it is free beside a context, which this makes for the question and gives back."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        with self._context(self._device(index)):
            check(self._cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)), f"the free memory of GPU {index}")
        return free.value

    def _device(self, index: int) -> ctypes.c_int:
        device = ctypes.c_int()
        check(self._cuda.cuDeviceGet(ctypes.byref(device), index), f"GPU {index}")
        return device

    @contextmanager
    def _context(self, device: ctypes.c_int) -> Iterator[None]:
        # The primary context, which every CUDA library of the process shares: never one more beside it.
        context = ctypes.c_void_p()
        check(self._cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device), "a context on the GPU")
        try:
            check(self._cuda.cuCtxPushCurrent_v2(context), "a context on the GPU")
            try:
                yield
            finally:
                self._cuda.cuCtxPopCurrent_v2(ctypes.byref(context))
        finally:
            self._cuda.cuDevicePrimaryCtxRelease_v2(device)


def load(name: str) -> Any:
    """A library of the driver; BackendUnavailable where it is not on this machine or does not load."""
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise BackendUnavailable("no NVIDIA driver was found", received=str(error), remedy=INSTALL) from error


def check(status: int, subject: str) -> None:
    """Raise a BackendUnavailable unless `status` is CUDA_SUCCESS."""
    if status:
        meaning, remedy = STATUSES.get(status, ("", None))
        raise BackendUnavailable(subject, received=f"CUDA error {status}" + (f": {meaning}" if meaning else ""), remedy=remedy)
