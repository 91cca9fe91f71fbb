"""NVIDIA's management library, simulated, and the lack of it."""

import ctypes.util

import pytest

from meshwright.engines.cuda.nvml import UNKNOWN, Nvml
from meshwright.engines.errors import BackendUnavailable
from tests.engines.simulated_driver import Card, SimulatedNvml

ONE, OTHER = "0000:00:00.0", "0000:01:00.0"


def test_the_driver_and_the_memory_of_each_card():
    nvml = Nvml(SimulatedNvml(Card(), Card(free=3 << 30)))
    assert nvml.driver_version() == "580.65.06"
    assert (nvml.free_bytes(ONE), nvml.free_bytes(OTHER)) == (20 << 30, 3 << 30)


def test_what_one_process_holds():
    nvml = Nvml(SimulatedNvml(Card(), Card(), processes=({11: 5, 12: 7 << 30, 13: UNKNOWN}, {12: 1})))
    assert nvml.process_bytes(ONE, 12) == 7 << 30 and nvml.process_bytes(OTHER, 12) == 1
    for pid in (13, 14):
        with pytest.raises(BackendUnavailable, match=f"nothing about process {pid}"):
            nvml.process_bytes(ONE, pid)


def test_what_it_does_not_answer():
    with pytest.raises(BackendUnavailable, match="NVML did not start; received NVML error 9"):
        Nvml(SimulatedNvml(init=9))
    with pytest.raises(BackendUnavailable, match="the GPU at 0000:01:00.0; received NVML error 6"):
        Nvml(SimulatedNvml(Card())).free_bytes(OTHER)


@pytest.mark.skipif(ctypes.util.find_library("nvidia-ml") is not None, reason="this machine has it")
def test_without_it():
    with pytest.raises(BackendUnavailable, match="no NVIDIA driver was found"):
        Nvml()
