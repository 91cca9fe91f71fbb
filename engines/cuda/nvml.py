"""What NVIDIA's management library says of the cards, asked through ctypes. It needs no context on a card, as CUDA does."""

from __future__ import annotations

import ctypes
from typing import Any

from ..errors import BackendUnavailable
from .driver import NVML, load

# Stands for a number that is not known.
UNKNOWN = (1 << 64) - 1
MAX_PROCESSES = 1024


class _Memory(ctypes.Structure):
    """nvmlMemory_t."""

    _fields_ = [("total", ctypes.c_uint64), ("free", ctypes.c_uint64), ("used", ctypes.c_uint64)]


class _Process(ctypes.Structure):
    """nvmlProcessInfo_t, as version 3 of its call fills it."""

    _fields_ = [("pid", ctypes.c_uint32), ("used", ctypes.c_uint64), ("gpu_instance", ctypes.c_uint32),
                ("compute_instance", ctypes.c_uint32)]


class Nvml:
    """The library, initialised. Cards are told by their place on the PCI bus ("0000:01:00.0", see `Driver.pci_bus`), because
    NVML counts those that CUDA_VISIBLE_DEVICES hides too. Every question raises BackendUnavailable where there is no answer."""

    def __init__(self, library: Any = None) -> None:
        """library : for tests"""
        self._nvml = load(NVML) if library is None else library
        _check(self._nvml.nvmlInit_v2(), "NVML did not start")

    def driver_version(self) -> str:
        """ "580.65.06", say."""
        text = ctypes.create_string_buffer(80)
        _check(self._nvml.nvmlSystemGetDriverVersion(text, len(text)), "the driver's version")
        return text.value.decode("ascii", "replace")

    def free_bytes(self, bus: str) -> int:
        """What is free of a card's memory."""
        memory = _Memory()
        _check(self._nvml.nvmlDeviceGetMemoryInfo(self._card(bus), ctypes.byref(memory)), "the free memory of a GPU")
        return memory.free

    def process_bytes(self, bus: str, pid: int) -> int:
        """What a process holds of a card's memory, its context included. In a container NVML often knows processes by other ids."""
        found, count = (_Process * MAX_PROCESSES)(), ctypes.c_uint(MAX_PROCESSES)
        _check(self._nvml.nvmlDeviceGetComputeRunningProcesses_v3(self._card(bus), ctypes.byref(count), found), "the processes of a GPU")
        used = [each.used for each in found[:count.value] if each.pid == pid and each.used != UNKNOWN]
        if not used:
            raise BackendUnavailable("the GPU memory that a process holds", received=f"nothing about process {pid}")
        return sum(used)

    def _card(self, bus: str) -> ctypes.c_void_p:
        card = ctypes.c_void_p()
        _check(self._nvml.nvmlDeviceGetHandleByPciBusId_v2(bus.encode(), ctypes.byref(card)), f"the GPU at {bus}")
        return card


def _check(status: int, subject: str) -> None:
    if status:
        raise BackendUnavailable(subject, received=f"NVML error {status}")
